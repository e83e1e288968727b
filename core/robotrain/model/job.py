"""A job: platform-neutral, complete, immutable; its digest names the run."""

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any

from robotrain_runtime.contract.document import JobSource, Scalar

from robotrain.model.workload import WorkloadProfile


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What runs, with every value settled. parameters: name and value, in the order the workload declares them.

    profile: what the workload declares for platforms; no part of what makes this job this job.
    """

    workload: str
    parameters: tuple[tuple[str, Scalar], ...]
    sources: tuple[JobSource, ...] = ()
    trainer_args: tuple[str, ...] = ()
    profile: WorkloadProfile = field(default=WorkloadProfile(), compare=False, repr=False)

    def __getitem__(self, parameter: str) -> Any:
        """The value of a parameter. Raises KeyError."""
        return dict(self.parameters)[parameter]

    @property
    def digest(self) -> str:
        """64 hex digits over everything that makes this job this job."""
        body = {
            "workload": self.workload,
            "parameters": dict(self.parameters),
            "sources": [[source.role, source.kind, source.uri] for source in self.sources],
            "trainer_args": self.trainer_args,
        }
        return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()

    def run_name(self, attempt: int) -> str:
        """`<workload>-<job digest, 8>-<attempt>`."""
        return f"{self.workload}-{self.digest[:8]}-{attempt}"


def parse_attempt(run: str) -> int:
    """The attempt that a run's name ends in; 0 for what is no name of a run."""
    number = run.rpartition("-")[2]
    return int(number) if number.isdecimal() else 0
