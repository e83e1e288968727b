"""Says hello, whatever was asked; fails when it is run."""

from collections.abc import Mapping
from pathlib import Path

from robotrain_runtime.plugin import JobDocument, JobSource, TrackingSpec, WorkCommand

from hello_container.whole import ENVIRONMENT, inspect

__all__ = ["ENVIRONMENT", "inspect", "tracked", "work"]


def work(document: JobDocument, data: Mapping[JobSource, Path], work: Path) -> WorkCommand:
    return WorkCommand(arguments=("-c", "raise SystemExit('hello')"))


def tracked(document: JobDocument) -> TrackingSpec:
    return TrackingSpec(experiment="hello", run_name=document.run, params={}, tags={})
