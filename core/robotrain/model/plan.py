"""A plan: exactly what will be submitted, byte for byte, with its payload and what it was made from.

`robotrain-plan.json` names the files with their digests, the job, the platform's settings and where each value came
from; the payload is kept once: as a file of the plan, or as `robotrain-payload.zip`.
"""

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from robotrain_runtime.contract.document import SCHEMA, JobDocument, Placement, Scalar

from robotrain.model.job import Job
from robotrain.model.workload import Produces


@dataclass(frozen=True, slots=True)
class Payload:
    """A zip archive, not compressed: packing is part of every render, and who sends it far compresses it whole.
    Equal content gives equal bytes.
    """

    archive: bytes

    @property
    def digest(self) -> str:
        """64 hex digits over the archive."""
        return hashlib.sha256(self.archive).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The native spec, and everything that travels with it.

    files: content by path. spec: the path of the native spec among them. shown: those worth printing to a person.
    """

    platform: str
    run: str
    job: Job
    spec: str
    files: Mapping[str, bytes]
    shown: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        """64 hex digits over every file and its path."""
        total = hashlib.sha256()
        for path, content in sorted(self.files.items()):
            total.update(hashlib.sha256(content).hexdigest().encode() + b" " + path.encode() + b"\n")
        return total.hexdigest()


def write_plan_files(plan: Plan, folder: Path) -> None:
    """The plan as files below `folder`, which is made. Raises OSError."""
    for path, content in plan.files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)


def make_job_document(
    job: Job,
    *,
    run: str,
    platform: str,
    container_plugins: Mapping[str, str],
    placement: Placement,
    platform_managed: Collection[str] = (),
) -> JobDocument:
    """The document of `job` for the container: what every platform's plan carries.

    without: parameters that the platform sees to itself, such as a place it copies checkpoints to; the container finds
    None there.
    """
    return JobDocument(
        schema=SCHEMA,
        run=run,
        job=job.digest,
        workload=job.workload,
        platform=platform,
        halves=dict(container_plugins),
        parameters={name: None if name in platform_managed else value for name, value in job.parameters},
        placement=placement,
        sources=job.sources,
        trainer_args=job.trainer_args,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderedPlan:
    """A plan with what it was made from. values: each value of the job with its origin, for people. makes: what its
    workload says that a run of it leaves.

    changed: files that are not what was rendered any more, when it was read from a folder.
    """

    plan: Plan
    settings: Mapping[str, Scalar]
    container_plugins: Mapping[str, str]
    payload: Payload
    values: tuple[Mapping[str, Any], ...] = ()
    produces: Produces = "checkpoints"
    changed: tuple[str, ...] = field(default=(), compare=False)
