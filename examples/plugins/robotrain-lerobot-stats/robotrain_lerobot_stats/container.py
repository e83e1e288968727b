"""`lerobot-stats` in the container: its environment, dataset checks, command and tracking."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from robotrain_runtime.plugin import JobDocument, JobSource, PythonEnvironment, TrackingSpec, WorkCommand

ENVIRONMENT = PythonEnvironment(lock=Path(__file__).parent / "locks" / "stats.txt", python="3.10-3.14", gib=0.5)


def inspect(document: JobDocument, data: Mapping[JobSource, Path]) -> Iterable[str]:
    """Return why a source is not a LeRobot dataset."""
    return [
        f"{source.uri} has no meta/info.json" for source, at in data.items() if not (at / "meta/info.json").exists()
    ]


def work(document: JobDocument, data: Mapping[JobSource, Path], work: Path) -> WorkCommand:
    """Return the command; the arguments after `--` are the features to read (default: all numbers)."""
    datasets = [text for source, folder in data.items() for text in (source.uri, str(folder))]
    output, features = str(work / "outputs/stats.json"), ",".join(document.trainer_args)
    program = ("-m", "robotrain_lerobot_stats.program")
    return WorkCommand(arguments=(*program, output, str(document.parameters["bins"]), features, *datasets))


def tracked(document: JobDocument) -> TrackingSpec:
    """Return the experiment, name and parameters of the tracking run."""
    return TrackingSpec(experiment="lerobot-stats", run_name=document.run, params=dict(document.parameters), tags={})
