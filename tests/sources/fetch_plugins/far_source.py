"""A source that is fetched in an environment of its own: what it brings is the python it was given."""

import sys
from collections.abc import Iterable
from pathlib import Path

from robotrain_runtime.contract.container_plugin import ContainerContext, PythonEnvironment
from robotrain_runtime.contract.document import JobSource

ENVIRONMENT = PythonEnvironment(
    lock=Path(__file__).with_name("far.txt"), python=f"{sys.version_info.major}.{sys.version_info.minor}", gib=0.001
)


def preflight(source: JobSource, place: ContainerContext) -> Iterable[str]:
    return ()


def fetch(source: JobSource, place: ContainerContext) -> Path:
    folder = place.cache / "far"
    folder.mkdir(parents=True, exist_ok=True)
    place.log_line(f"fetching {source.uri}")
    (folder / "python.txt").write_text(str(place.python))
    return folder
