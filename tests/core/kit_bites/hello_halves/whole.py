"""Says hello, as it was asked to."""

from collections.abc import Mapping
from pathlib import Path

from robotrain_runtime.document import JobDocument, Source
from robotrain_runtime.half import Environment, Tracked, Work

ENVIRONMENT = Environment(lock=Path(__file__).with_name("lock.txt"), python="3.10-3.14", gib=0.1)
PROGRAM = "import sys; print('hello', *sys.argv[1:])"


def inspect(document: JobDocument, data: Mapping[Source, Path]) -> list[str]:
    return []


def work(document: JobDocument, data: Mapping[Source, Path], work: Path) -> Work:
    given = [f"{name}={value}" for name, value in document.parameters.items()]
    return Work(arguments=("-c", PROGRAM, *given, *document.trainer_args))


def tracked(document: JobDocument) -> Tracked:
    return Tracked(experiment="hello", run_name=document.run, params=dict(document.parameters), tags={})
