"""A source that is fetched in an environment of its own: what it brings is the python it was given."""

import sys
from collections.abc import Iterable
from pathlib import Path

from robotrain_runtime.document import Source
from robotrain_runtime.half import Environment, Place

ENVIRONMENT = Environment(
    lock=Path(__file__).with_name("far.txt"), python=f"{sys.version_info.major}.{sys.version_info.minor}", gib=0.001
)


def preflight(source: Source, place: Place) -> Iterable[str]:
    return ()


def fetch(source: Source, place: Place) -> Path:
    folder = place.cache / "far"
    folder.mkdir(parents=True, exist_ok=True)
    place.say(f"fetching {source.uri}")
    (folder / "python.txt").write_text(str(place.python))
    return folder
