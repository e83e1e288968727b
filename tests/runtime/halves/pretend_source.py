"""A source that is a folder, or one that cannot be reached."""

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
    return Path(source.uri)
