"""A workload whose work is a few lines of Python, given as a parameter; its environment is whatever is given."""

import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from robotrain_runtime.document import JobDocument, Source
from robotrain_runtime.half import Environment, Tracked, Work

VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"
ENVIRONMENT = Environment(lock=Path(__file__).with_name("nothing.txt"), python=VERSION, gib=0.01)


def inspect(document: JobDocument, data: Mapping[Source, Path]) -> Iterable[str]:
    for folder in data.values():
        if not (folder / "numbers.txt").exists():
            yield f"{folder} holds no numbers.txt."


def work(document: JobDocument, data: Mapping[Source, Path], work: Path) -> Work:
    environ = {"PRETEND_DATA": ":".join(map(str, data.values())), "PRETEND_WORK": str(work)}
    return Work(arguments=("-c", str(document.parameters["program"])), environ=environ)


def tracked(document: JobDocument) -> Tracked:
    return Tracked(experiment="pretend", run_name=document.run, params={"answer": 42}, tags={}, machine=False)
