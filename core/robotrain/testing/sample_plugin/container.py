"""The container plugin of the sample: a shelf is an empty folder, and the work prints a line."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from robotrain_runtime.plugin import (
    ContainerContext,
    JobDocument,
    JobSource,
    PythonEnvironment,
    TrackingSpec,
    WorkCommand,
)

ENVIRONMENT = PythonEnvironment(lock=Path(__file__).with_name("lock.txt"), python="3.10-3.14", gib=0.1)


def preflight(source: JobSource, place: ContainerContext) -> Iterable[str]:
    """Return no problem: every shelf is there."""
    return ()


def fetch(source: JobSource, place: ContainerContext) -> Path:
    """Return an empty folder."""
    folder = place.cache / "kit-shelves"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def inspect(document: JobDocument, data: Mapping[JobSource, Path]) -> Iterable[str]:
    """Return no problem."""
    return ()


def work(document: JobDocument, data: Mapping[JobSource, Path], work: Path) -> WorkCommand:
    """Return a command that prints the note."""
    return WorkCommand(arguments=("-c", "import sys; print(sys.argv[1])", str(document.parameters.get("kit_note"))))


def tracked(document: JobDocument) -> TrackingSpec:
    """Return a tracking under the run's own name."""
    return TrackingSpec(experiment="kit", run_name=document.run, params={}, tags={})
