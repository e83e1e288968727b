"""Where the job runs: the command that does the work. Standard library and robotrain_runtime only, for Python 3.10+."""

from collections.abc import Mapping
from pathlib import Path

from robotrain_runtime.plugin import JobDocument, JobSource, PythonEnvironment, TrackingSpec, WorkCommand

ENVIRONMENT = PythonEnvironment(lock=Path(__file__).with_name("lock.txt"), python="3.11-3.13", gib=0.1)
"""What the work runs with: Python, the locked packages, and the disk space that they take."""


def inspect(document: JobDocument, data: Mapping[JobSource, Path]) -> list[str]:
    """Return a sentence for each thing that is wrong with the data, which is there now."""
    return []


def work(document: JobDocument, data: Mapping[JobSource, Path], work: Path) -> WorkCommand:
    """Return the command, run with the Python of ENVIRONMENT. It writes its files below `work`."""
    times = str(document.parameters["times"])
    program = "robotrain_earlier_workload.program"
    return WorkCommand(arguments=("-m", program, times, *document.trainer_args))


def tracked(document: JobDocument) -> TrackingSpec:
    """Return what its tracking run starts with. It needs `mlflow-skinny` and others in lock.txt."""
    parameters = dict(document.parameters)
    return TrackingSpec(experiment="earlier-workload", run_name=document.run, params=parameters, tags={})
