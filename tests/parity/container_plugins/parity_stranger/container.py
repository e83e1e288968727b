"""`shelf` in the container: packed, and not run here."""

from collections.abc import Iterable
from pathlib import Path

from robotrain_runtime.contract.container_plugin import ContainerContext
from robotrain_runtime.contract.document import JobSource


def preflight(source: JobSource, place: ContainerContext) -> Iterable[str]:
    return ()


def fetch(source: JobSource, place: ContainerContext) -> Path:
    raise OSError("the shelf is empty")
