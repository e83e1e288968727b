"""A workload that shows what its sources brought."""

import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from robotrain_runtime.contract.container_plugin import PythonEnvironment, TrackingSpec, WorkCommand
from robotrain_runtime.contract.document import JobDocument, JobSource

ENVIRONMENT = PythonEnvironment(
    lock=Path(__file__).with_name("work.txt"), python=f"{sys.version_info.major}.{sys.version_info.minor}", gib=0.001
)


def inspect(document: JobDocument, data: Mapping[JobSource, Path]) -> Iterable[str]:
    return ()


def work(document: JobDocument, data: Mapping[JobSource, Path], work: Path) -> WorkCommand:
    program = "import sys, pathlib; print('brought', pathlib.Path(sys.argv[1], 'python.txt').read_text())"
    return WorkCommand(arguments=("-c", program, str(next(iter(data.values())))))


def tracked(document: JobDocument) -> TrackingSpec:
    return TrackingSpec(experiment="show", run_name=document.run, params={}, tags={}, machine=False)
