"""A source that is a folder, or one that cannot be reached; what lies on a `shelf:` is used where it lies."""

from collections.abc import Iterable
from pathlib import Path

from robotrain_runtime.document import Source
from robotrain_runtime.half import Place


def preflight(source: Source, place: Place) -> Iterable[str]:
    if source.uri == "nowhere":
        yield "Nobody has ever heard of nowhere."


def fetch(source: Source, place: Place) -> Path:
    if source.uri == "vanishes":
        raise OSError("vanishes was there a moment ago and is gone")
    if (folder := Path(source.uri.removeprefix("shelf:"))).with_name("shut").exists():
        raise OSError("the shelf is shut")
    return folder
