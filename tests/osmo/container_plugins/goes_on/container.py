from collections.abc import Iterable, Mapping
from pathlib import Path

from robotrain_runtime.contract.container_plugin import PythonEnvironment, TrackingSpec, WorkCommand
from robotrain_runtime.contract.document import JobDocument, JobSource

ENVIRONMENT = PythonEnvironment(lock=Path(__file__).with_name("lock.txt"), python="3.10-3.14", gib=0.1)


def inspect(document: JobDocument, data: Mapping[JobSource, Path]) -> Iterable[str]:
    return ()


def checkpoints(document: JobDocument, work: Path) -> Path:
    return work / "outputs" / "checkpoints"


def work(document: JobDocument, data: Mapping[JobSource, Path], work: Path) -> WorkCommand:
    names = {"CHECKPOINTS": str(checkpoints(document, work)), "DATA": str(next(iter(data.values())))}
    return WorkCommand(arguments=("-c", str(document.parameters["program"])), environ=names)


def tracked(document: JobDocument) -> TrackingSpec:
    return TrackingSpec(experiment="goes-on", run_name=document.run, params={}, tags={}, machine=False)
