"""What a submit will do, as workloads and platforms describe it for `submit --dry-run`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from robotrain_runtime.contract.document import JobSource

    from robotrain.model.job import Job


class RunPlace(NamedTuple):
    """Where a run works, in words; empty for what its platform does not tell."""

    time_limit: str = ""
    folder: str = ""
    """The run's own folder, below which the outputs are."""
    outputs: str = ""
    """Where the outputs are, if not below `folder`."""
    tracking: str = ""
    lacks_gpu: Callable[[], bool] = lambda: False
    """Return whether it is known that the machine has no GPU."""


class JobFacts(NamedTuple):
    """What the files that describe the sources of a job tell of its work."""

    rows: Mapping[str, str] = {}
    """Words and values, such as `policy`: `act, new`; one with the name of a role stands in place of its sources."""
    data: Mapping[JobSource, str] = {}
    """What is in a source: `22 episodes, 2345 frames`."""
    frames: int | None = None
    """The samples of an epoch; None if they are unknown."""


class WorkPreview(NamedTuple):
    """What a workload shows of a job before it is sent."""

    rows: Mapping[str, str] = {}
    """By the word of a row, the parameter that it shows. `steps` and `batch`, the samples of a step on each GPU, count
    for the epochs, and for warnings.
    """
    find_facts: Callable[[Job, Mapping[JobSource, Path]], JobFacts] = lambda job, described: JobFacts()
    """Return what the files that describe the sources tell, given the folder of each source that could be read."""
