"""`lerobot-stats` in the container: its environment, what it cannot read, its command, what is tracked."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from robotrain_runtime.plugin import JobDocument, JobSource, PythonEnvironment, TrackingSpec, WorkCommand

ENVIRONMENT = PythonEnvironment(lock=Path(__file__).parent / "locks" / "stats.txt", python="3.10-3.14", gib=0.5)


def inspect(document: JobDocument, data: Mapping[JobSource, Path]) -> Iterable[str]:
    """Why something is no LeRobot dataset."""
    return [f"{one.uri} has no meta/info.json" for one, at in data.items() if not (at / "meta/info.json").exists()]


def work(document: JobDocument, data: Mapping[JobSource, Path], work: Path) -> WorkCommand:
    """The program; what was typed after `--` are the features to look at, else all numbers."""
    named = [text for source, folder in data.items() for text in (source.uri, str(folder))]
    said = (str(work / "outputs/stats.json"), str(document.parameters["bins"]), ",".join(document.trainer_args))
    return WorkCommand(arguments=("-m", "robotrain_lerobot_stats.program", *said, *named))


def tracked(document: JobDocument) -> TrackingSpec:
    """What the tracking run starts with."""
    return TrackingSpec(experiment="lerobot-stats", run_name=document.run, params=dict(document.parameters), tags={})
