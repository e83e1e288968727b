from collections.abc import Iterable, Mapping
from pathlib import Path

from robotrain_runtime.document import JobDocument, Source
from robotrain_runtime.half import Environment, Tracked, Work

ENVIRONMENT = Environment(lock=Path(__file__).with_name("lock.txt"), python="3.10-3.14", gib=0.1)


def inspect(document: JobDocument, data: Mapping[Source, Path]) -> Iterable[str]:
    return ()


def checkpoints(document: JobDocument, work: Path) -> Path:
    return work / "outputs" / "checkpoints"


def work(document: JobDocument, data: Mapping[Source, Path], work: Path) -> Work:
    names = {"CHECKPOINTS": str(checkpoints(document, work)), "DATA": str(next(iter(data.values())))}
    return Work(arguments=("-c", str(document.parameters["program"])), environ=names)


def tracked(document: JobDocument) -> Tracked:
    return Tracked(experiment="goes-on", run_name=document.run, params={}, tags={}, machine=False)
