"""A source that is a folder, or one that cannot be reached; what lies on a `shelf:` is used where it lies."""

from collections.abc import Iterable
from pathlib import Path

from robotrain_runtime.contract.container_plugin import ContainerContext
from robotrain_runtime.contract.document import JobSource


def preflight(source: JobSource, place: ContainerContext) -> Iterable[str]:
    if source.uri == "nowhere":
        yield "Nobody has ever heard of nowhere."


def fetch(source: JobSource, place: ContainerContext) -> Path:
    if source.uri == "vanishes":
        raise OSError("vanishes was there a moment ago and is gone")
    if (folder := Path(source.uri.removeprefix("shelf:"))).with_name("shut").exists():
        raise OSError("the shelf is shut")
    return folder
