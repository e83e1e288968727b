"""`sing` in the container."""

from collections.abc import Mapping
from pathlib import Path

from robotrain_runtime.document import JobDocument, Source
from robotrain_runtime.half import Work


def work(document: JobDocument, data: Mapping[Source, Path], work: Path) -> Work:
    return Work(arguments=("-m", "choir", f"--voices={document.parameters['voices']}", *map(str, data.values())))
