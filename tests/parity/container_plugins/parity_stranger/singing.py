"""`sing` in the container."""

from collections.abc import Mapping
from pathlib import Path

from robotrain_runtime.contract.container_plugin import WorkCommand
from robotrain_runtime.contract.document import JobDocument, JobSource


def work(document: JobDocument, data: Mapping[JobSource, Path], work: Path) -> WorkCommand:
    return WorkCommand(arguments=("-m", "choir", f"--voices={document.parameters['voices']}", *map(str, data.values())))
