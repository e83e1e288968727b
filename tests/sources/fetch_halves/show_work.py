"""A workload that shows what its sources brought."""

import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from robotrain_runtime.document import JobDocument, Source
from robotrain_runtime.half import Environment, Tracked, Work

ENVIRONMENT = Environment(
    lock=Path(__file__).with_name("work.txt"), python=f"{sys.version_info.major}.{sys.version_info.minor}", gib=0.001
)


def inspect(document: JobDocument, data: Mapping[Source, Path]) -> Iterable[str]:
    return ()


def work(document: JobDocument, data: Mapping[Source, Path], work: Path) -> Work:
    program = "import sys, pathlib; print('brought', pathlib.Path(sys.argv[1], 'python.txt').read_text())"
    return Work(arguments=("-c", program, str(next(iter(data.values())))))


def tracked(document: JobDocument) -> Tracked:
    return Tracked(experiment="show", run_name=document.run, params={}, tags={}, machine=False)
