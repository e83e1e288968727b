"""Pipelines and sweeps as passed to a platform whose engine runs them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from robotrain_runtime.contract.document import Dimension, Mount
from robotrain_runtime.contract.step_output import STEP_KIND

if TYPE_CHECKING:
    from robotrain.model.job import Job
    from robotrain.model.plan import Payload


@dataclass(frozen=True, kw_only=True)
class PipelineStep:
    """A step: a job, or the registration of another step's policy, which has that step's job."""

    name: str
    needs: tuple[str, ...] = ()
    """The steps that must succeed before."""
    job: Job
    """What it takes from other steps are sources of the kind `step`, whose address is the step's name."""
    settings: Any
    """The platform's."""
    payload: Payload
    container_plugins: Mapping[str, str]
    takes: Mapping[str, str]
    """By step that it reads, the folder of its output: `policy` or `results`."""
    hands_over: bool = False
    """Whether a later step reads what it makes: the job document then needs `placement.handover`."""
    registers: str = ""
    """The model that it registers, for the job document; empty for a step that works."""

    def list_mounts(self, folders: Mapping[str, str]) -> tuple[Mount, ...]:
        """Return the mounts of what it takes from other steps.

        :param folders: by step, the folder of its output, perhaps as `${NAME}`, an environment variable.
        """
        return tuple(
            Mount(role=source.role, uri=source.uri, folder=f"{folders[source.uri]}/{self.takes[source.uri]}")
            for source in self.job.sources
            if source.kind == STEP_KIND
        )


@dataclass(frozen=True, kw_only=True)
class SweepSpec:
    """A sweep: one job, of which the engine gives each trial values of some parameters."""

    jobs: tuple[Job, ...]
    """Checked jobs, which differ in these parameters only; the first one is that of the trials."""
    settings: Any
    """The platform's."""
    payload: Payload
    container_plugins: Mapping[str, str]
    trials: tuple[str, ...]
    """The name of each trial, in the order in which the engine begins them."""
    space: Mapping[str, Dimension]
    """What is chosen from, by parameter. Put it into the job document too, with `dataclasses.replace`."""
    sampler: Literal["grid", "random"]
    """Every combination, or random ones."""
    sampler_seed: int = 0
    at_most: int | None = None
    """How many trials may run at the same time; None for all."""
    metric: str
    better: Literal["lower", "higher"]
