"""Both halves of the kit's stranger in the container: a shelf is an empty folder, and the work prints a line."""

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
    """Every shelf is there."""
    return ()


def fetch(source: JobSource, place: ContainerContext) -> Path:
    """An empty folder."""
    folder = place.cache / "kit-shelves"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def inspect(document: JobDocument, data: Mapping[JobSource, Path]) -> Iterable[str]:
    """Nothing is wrong with a shelf."""
    return ()


def work(document: JobDocument, data: Mapping[JobSource, Path], work: Path) -> WorkCommand:
    """Print the note."""
    return WorkCommand(arguments=("-c", "import sys; print(sys.argv[1])", str(document.parameters.get("kit_note"))))


def tracked(document: JobDocument) -> TrackingSpec:
    """Under its own name."""
    return TrackingSpec(experiment="kit", run_name=document.run, params={}, tags={})
