"""Pipelines as passed to a platform whose engine runs them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from robotrain_runtime.contract.document import Mount
from robotrain_runtime.contract.step_output import STEP_KIND

if TYPE_CHECKING:
    from robotrain.model.job import Job
    from robotrain.model.plan import Payload


@dataclass(frozen=True, kw_only=True)
class PipelineStep:
    """A step of a pipeline."""

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

    def list_mounts(self, folders: Mapping[str, str]) -> tuple[Mount, ...]:
        """Return the mounts of what it takes from other steps.

        :param folders: by step, the folder of its output, perhaps as `${NAME}`, an environment variable.
        """
        return tuple(
            Mount(role=source.role, uri=source.uri, folder=f"{folders[source.uri]}/{self.takes[source.uri]}")
            for source in self.job.sources
            if source.kind == STEP_KIND
        )
