"""Says hello, whatever was asked; fails when it is run."""

from collections.abc import Mapping
from pathlib import Path

from robotrain_runtime.document import JobDocument, Source
from robotrain_runtime.half import Tracked, Work

from hello_halves.whole import ENVIRONMENT, inspect

__all__ = ["ENVIRONMENT", "inspect", "tracked", "work"]


def work(document: JobDocument, data: Mapping[Source, Path], work: Path) -> Work:
    return Work(arguments=("-c", "raise SystemExit('hello')"))


def tracked(document: JobDocument) -> Tracked:
    return Tracked(experiment="hello", run_name=document.run, params={}, tags={})
