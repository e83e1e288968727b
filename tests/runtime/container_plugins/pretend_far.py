"""A source that is fetched in an environment of its own; the data says which Python that was."""

from pathlib import Path

import pretend_work
from robotrain_runtime.contract.container_plugin import ContainerContext, PythonEnvironment
from robotrain_runtime.contract.document import JobSource

ENVIRONMENT = PythonEnvironment(lock=Path(__file__).with_name("far.txt"), python=pretend_work.VERSION, gib=0.001)


def fetch(source: JobSource, place: ContainerContext) -> Path:
    folder = place.cache / "far"
    folder.mkdir(parents=True, exist_ok=True)
    place.log_line(f"fetching {source.uri}")
    (folder / "numbers.txt").write_text(str(place.python))
    return folder
