from collections.abc import Iterable, Mapping
from pathlib import Path

from robotrain_runtime.contract.container_plugin import PythonEnvironment, TrackingSpec, WorkCommand
from robotrain_runtime.contract.document import JobDocument, JobSource

ENVIRONMENT = PythonEnvironment(lock=Path(__file__).with_name("lock.txt"), python="3.11", gib=0.1)


def inspect(document: JobDocument, data: Mapping[JobSource, Path]) -> Iterable[str]:
    if wrong := document.parameters.get("unusable"):
        yield str(wrong)


def work(document: JobDocument, data: Mapping[JobSource, Path], work: Path) -> WorkCommand:
    program = str(document.parameters["program"])
    return WorkCommand(arguments=("-c", program), environ={"WORK": str(work)})


def tracked(document: JobDocument) -> TrackingSpec:
    return TrackingSpec(experiment="tiny", run_name=document.run, params={}, tags={}, machine=False)
