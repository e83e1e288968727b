"""Says hello, and asks about its options with a module that does not exist, in another way each time."""

import itertools
from collections.abc import Mapping
from pathlib import Path

from robotrain_runtime.plugin import JobDocument, JobSource, WorkCommand

from hello_container.whole import ENVIRONMENT, inspect, tracked, work

__all__ = ["ENVIRONMENT", "check_command", "inspect", "tracked", "work"]

counter = itertools.count()


def check_command(document: JobDocument, described: Mapping[JobSource, Path], work: Path) -> WorkCommand:
    return WorkCommand(arguments=("-m", "hello_lost", str(next(counter))))
