"""A workload whose work is a few lines of Python, given as a parameter; its environment is whatever is given.

It saves checkpoints with `pretend_training`, and an attempt that was cut short goes on from the last complete one.
"""

import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from robotrain_runtime import checkpoint
from robotrain_runtime.document import JobDocument, Source
from robotrain_runtime.half import Environment, Publishing, Tracked, Work

VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"
ENVIRONMENT = Environment(lock=Path(__file__).with_name("nothing.txt"), python=VERSION, gib=0.01)


def inspect(document: JobDocument, data: Mapping[Source, Path]) -> Iterable[str]:
    for folder in data.values():
        if not (folder / "numbers.txt").exists():
            yield f"{folder} holds no numbers.txt."


def work(document: JobDocument, data: Mapping[Source, Path], work: Path) -> Work:
    good, notes = checkpoint.go_on(work / "checkpoints", run=document.run, job=document.job)
    environ = {
        "PRETEND_DATA": ":".join(map(str, data.values())),
        "PRETEND_WORK": str(work),
        "PRETEND_STEP": str(good[0] if good else 0),
    }
    return Work(arguments=("-c", str(document.parameters["program"])), environ=environ, notes=notes)


def tracked(document: JobDocument) -> Tracked:
    return Tracked(experiment="pretend", run_name=document.run, params={"answer": 42}, tags={}, machine=False)


def publishing(document: JobDocument, data: Mapping[Source, Path]) -> Publishing:
    given = document.parameters
    return Publishing(
        to=str(given.get("to", "")),
        register=str(given.get("register", "")),
        description="a pretended model" if given.get("register") else "",
        tags={"dataset": "x" * 300} if given.get("register") else {},
    )
