"""Says hello, as it was asked to."""

from collections.abc import Mapping
from pathlib import Path

from robotrain_runtime.plugin import JobDocument, JobSource, PythonEnvironment, TrackingSpec, WorkCommand

ENVIRONMENT = PythonEnvironment(lock=Path(__file__).with_name("lock.txt"), python="3.10-3.14", gib=0.1)
PROGRAM = "import sys; print('hello', *sys.argv[1:])"


def inspect(document: JobDocument, data: Mapping[JobSource, Path]) -> list[str]:
    return []


def work(document: JobDocument, data: Mapping[JobSource, Path], work: Path) -> WorkCommand:
    given = [f"{name}={value}" for name, value in document.parameters.items()]
    return WorkCommand(arguments=("-c", PROGRAM, *given, *document.trainer_args))


def tracked(document: JobDocument) -> TrackingSpec:
    return TrackingSpec(experiment="hello", run_name=document.run, params=dict(document.parameters), tags={})
