"""The container plugin of the sample: a shelf is an empty folder, and the work prints a line."""

from collections.abc import Mapping
from pathlib import Path

from robotrain_runtime import plugin

ENVIRONMENT = plugin.PythonEnvironment(lock=Path(__file__).with_name("lock.txt"), python="3.10-3.14", gib=0.1)


def fetch(source: plugin.JobSource, context: plugin.ContainerContext) -> Path:
    """Return an empty folder."""
    folder = context.cache / "kit-shelves"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def work(document: plugin.JobDocument, data: Mapping[plugin.JobSource, Path], work: Path) -> plugin.WorkCommand:
    """Return a command that prints the note."""
    return plugin.WorkCommand(
        arguments=("-c", "import sys; print(sys.argv[1])", str(document.parameters.get("kit_note")))
    )


def tracked(document: plugin.JobDocument) -> plugin.TrackingSpec:
    """Return a tracking under the run's own name."""
    return plugin.TrackingSpec(experiment="kit", run_name=document.run, params={}, tags={})
