"""Says hello, and needs sources of a role that its workload does not have."""

from collections.abc import Mapping
from pathlib import Path

from robotrain_runtime.plugin import JobDocument, JobSource

from hello_container.whole import ENVIRONMENT, inspect, tracked, work

__all__ = ["ENVIRONMENT", "implied_sources", "inspect", "tracked", "work"]


def implied_sources(document: JobDocument, described: Mapping[JobSource, Path]) -> dict[str, list[str]]:
    return {"backbone": ["org/vlm", "a machine, on a shelf"]}
