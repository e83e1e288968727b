"""A plan: exactly what will be sent, byte for byte."""

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from robotrain_runtime.document import SCHEMA, JobDocument, Placement

from robotrain.job import Job


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


def write(plan: Plan, folder: Path) -> None:
    """The plan as files below `folder`, which is made. Raises OSError."""
    for path, content in plan.files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)


def document(
    job: Job,
    *,
    run: str,
    platform: str,
    halves: Mapping[str, str],
    placement: Placement,
    without: Collection[str] = (),
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
        halves=dict(halves),
        parameters={name: None if name in without else value for name, value in job.parameters},
        placement=placement,
        sources=job.sources,
        trainer_args=job.trainer_args,
    )
