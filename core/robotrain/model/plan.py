"""A plan: exactly what will be submitted, byte for byte, with its payload and what it was made from."""

import functools
import hashlib
import io
import zipfile
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from robotrain_runtime.contract.document import SCHEMA, JobDocument, Placement, Scalar

from robotrain.model.job import Job
from robotrain.model.workload_profile import Produces


@dataclass(frozen=True)
class Payload:
    """The code for the container: an uncompressed zip archive. Equal content gives equal bytes."""

    archive: bytes

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> "Payload":
        """Return the payload of files by their paths, in their order."""
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
            for path, file_bytes in files.items():
                archive_member = zipfile.ZipInfo(
                    path, date_time=(1980, 1, 1, 0, 0, 0)
                )  # equal content gives equal bytes
                archive_member.external_attr = 0o644 << 16
                archive.writestr(archive_member, file_bytes)
        return cls(buffer.getvalue())

    @classmethod
    def merge(cls, payloads: Iterable["Payload"]) -> "Payload":
        """Return one payload with the files of all: of one installation, equal paths are equal files."""
        distinct_payloads = [*dict.fromkeys(payloads)]
        if len(distinct_payloads) == 1:
            return distinct_payloads[0]
        bytes_by_path: dict[str, bytes] = {}
        for payload in distinct_payloads:
            with zipfile.ZipFile(io.BytesIO(payload.archive)) as payload_zip:
                bytes_by_path |= {name: payload_zip.read(name) for name in payload_zip.namelist()}
        return cls.from_files(dict(sorted(bytes_by_path.items())))

    @functools.cached_property
    def digest(self) -> str:
        """The SHA-256 of the archive, in hexadecimal."""
        return hashlib.sha256(self.archive).hexdigest()


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The native spec and all files that are sent with it."""

    platform: str
    run: str
    job: Job
    spec: str
    """The path of the native spec in `files`."""
    files: Mapping[str, bytes]
    """Contents by path."""
    shown: tuple[str, ...] = ()
    """The paths that `render` prints."""

    def __post_init__(self) -> None:
        for path, file_bytes in self.files.items():
            if not isinstance(file_bytes, bytes):
                raise TypeError(f"the file {path} of its plan is a {type(file_bytes).__name__}, and bytes are due")
        if missing_files := [path for path in (self.spec, *self.shown) if path not in self.files]:
            raise ValueError(f"its plan names {missing_files[0]}, which is none of its files")

    @property
    def digest(self) -> str:
        """The SHA-256 of all files and their paths, in hexadecimal."""
        from robotrain_runtime.contract.checkpoint import combine_digests  # costs start-up

        return combine_digests(
            {path: hashlib.sha256(file_bytes).hexdigest() for path, file_bytes in self.files.items()}
        )


def write_plan_files(plan: Plan, folder: Path) -> None:
    """Write the plan's files to `folder`, which is created. Raise OSError."""
    for path, file_bytes in plan.files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(file_bytes)


MANAGED_KEY = "managed"
"""Of the record in a job document: the parameters that the platform handles itself."""


def make_job_document(
    job: Job,
    *,
    run: str,
    platform: str,
    container_plugins: Mapping[str, str],
    placement: Placement,
    platform_managed: Collection[str] = (),
) -> JobDocument:
    """Return the job document for the container.

    :param platform_managed: parameters that the platform handles itself, such as a place it copies checkpoints to; the
        document has None for them.
    """
    parameter_values = dict(job.parameters)
    managed_parameters = {
        name: parameter_values[name]
        for name in platform_managed
        if job.record and parameter_values.get(name) is not None
    }
    return JobDocument(
        schema=SCHEMA,
        run=run,
        job=job.digest,
        workload=job.workload,
        platform=platform,
        container_plugins=dict(container_plugins),
        parameters={name: None if name in platform_managed else value for name, value in job.parameters},
        placement=placement,
        sources=job.sources,
        trainer_args=job.trainer_args,
        program_lock=job.program_lock,
        program_python=job.program_python,
        program_files=dict(job.program_files),
        record={**job.record, **({MANAGED_KEY: managed_parameters} if managed_parameters else {})},
    )


@dataclass(frozen=True, kw_only=True)
class RenderedPlan:
    """A plan with what it was made from."""

    plan: Plan
    settings: Mapping[str, Scalar]
    container_plugins: Mapping[str, str]
    payload: Payload
    values: tuple[Mapping[str, Any], ...] = ()
    """The job's values with their origins, as `explain` shows them."""
    produces: Produces = "checkpoints"
    steps: tuple[str, ...] = ()
    """The names of its steps, if it is a pipeline."""
    native: bool = False
    """Whether the platform's engine starts the steps."""
    changed: tuple[str, ...] = field(default=(), compare=False)
    """Files that differ from what was rendered, if the plan was read from a folder."""
