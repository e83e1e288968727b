from collections.abc import Iterable, Mapping
from pathlib import Path

from robotrain_runtime.document import JobDocument, Source
from robotrain_runtime.half import Environment, Tracked, Work

ENVIRONMENT = Environment(lock=Path(__file__).with_name("lock.txt"), python="3.11", gib=0.1)


def inspect(document: JobDocument, data: Mapping[Source, Path]) -> Iterable[str]:
    if wrong := document.parameters.get("unusable"):
        yield str(wrong)


def work(document: JobDocument, data: Mapping[Source, Path], work: Path) -> Work:
    program = str(document.parameters["program"])
    return Work(arguments=("-c", program), environ={"WORK": str(work)})


def tracked(document: JobDocument) -> Tracked:
    return Tracked(experiment="tiny", run_name=document.run, params={}, tags={}, machine=False)
