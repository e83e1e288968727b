"""Both halves of the kit's stranger in the container: a shelf is an empty folder, and the work prints a line."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from robotrain_runtime.document import JobDocument, Source
from robotrain_runtime.half import Environment, Place, Tracked, Work

ENVIRONMENT = Environment(lock=Path(__file__).with_name("lock.txt"), python="3.10-3.14", gib=0.1)


def preflight(source: Source, place: Place) -> Iterable[str]:
    """Every shelf is there."""
    return ()


def fetch(source: Source, place: Place) -> Path:
    """An empty folder."""
    folder = place.cache / "kit-shelves"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def inspect(document: JobDocument, data: Mapping[Source, Path]) -> Iterable[str]:
    """Nothing is wrong with a shelf."""
    return ()


def work(document: JobDocument, data: Mapping[Source, Path], work: Path) -> Work:
    """Print the note."""
    return Work(arguments=("-c", "import sys; print(sys.argv[1])", str(document.parameters.get("kit_note"))))


def tracked(document: JobDocument) -> Tracked:
    """Under its own name."""
    return Tracked(experiment="kit", run_name=document.run, params={}, tags={})
