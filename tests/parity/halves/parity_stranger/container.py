"""`shelf` in the container: packed, and not run here."""

from collections.abc import Iterable
from pathlib import Path

from robotrain_runtime.document import Source
from robotrain_runtime.half import Place


def preflight(source: Source, place: Place) -> Iterable[str]:
    return ()


def fetch(source: Source, place: Place) -> Path:
    raise OSError("the shelf is empty")
