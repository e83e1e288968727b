"""Sealing of a run's artifacts before they are copied, so that a reader can verify a copy.

Results are sealed in a folder named after the run that holds the same files, and the evaluated policy beside its
folder: neither is ever taken for a checkpoint. Destinations take sealed artifacts.
"""

import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from robotrain_runtime.checkpoints import atomic_copy
from robotrain_runtime.contract import checkpoint, document
from robotrain_runtime.contract.checkpoint import MANIFEST, PUBLISHED_JOB_FILE, CheckpointManifest
from robotrain_runtime.contract.document import JOB_FILE_KEY, JobDocument
from robotrain_runtime.contract.event import Checkpoint, Evaluated
from robotrain_runtime.contract.failure import CancelCheck, PermanentError
from robotrain_runtime.contract.files import write_atomically

ArtifactKind = Literal["checkpoint", "results", "policy"]

RESULTS_FOLDER = ".results"
"""The folder, in the run's folder, of results that are being published."""
POLICY_SEAL_FILE = "policy.json"
"""The seal of the evaluated policy, in the run's folder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CompleteArtifact:
    """A complete artifact, as an event reported it."""

    folder: Path
    event: Checkpoint | Evaluated
    kind: ArtifactKind = "checkpoint"
    from_earlier_attempt: bool = False
    """Whether an earlier attempt reported it; it may be torn since."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedArtifact:
    """An artifact with its manifest."""

    folder: Path
    manifest: CheckpointManifest
    kind: ArtifactKind = "checkpoint"
    source: Path | None = None
    """The folder of the same files without the manifest, if that is another one."""
    evaluated: Evaluated | None = None
    """The evaluation of a policy."""

    @property
    def display_name(self) -> str:
        """The name of a checkpoint or policy for people."""
        return f"{self.kind} {self.folder.name}"


class PublishedCopy(NamedTuple):
    """An artifact at a destination."""

    address: str
    is_new: bool
    file: str = ""
    """The address of a checkpoint's file alone, if it has one."""
    tags: Mapping[str, str] = {}
    """What the tracking run is told of it."""


COPIED_KINDS: frozenset[ArtifactKind] = frozenset({"checkpoint", "results"})
"""The artifacts that a destination for files accepts."""


class Destination:
    """A place that artifacts are published to."""

    name: str
    """The name for people."""
    is_required = True
    """Whether the run fails if an artifact cannot be published here."""
    accepted_kinds = COPIED_KINDS
    """The artifacts that are published here."""

    def contains_address(self, address: str) -> bool:
        """Return whether the address of a published checkpoint is in this destination."""
        return address.rpartition("/")[0] == self.name

    def publish(self, sealed: SealedArtifact, is_cancelled: CancelCheck) -> PublishedCopy:
        """Publish an artifact. Raise as `RetryQueue` expects."""
        raise NotImplementedError

    def trim(self, is_cancelled: CancelCheck) -> tuple[str, ...]:
        """Remove surplus checkpoints of the run; return their addresses. Raise as `RetryQueue` expects."""
        return ()

    def describe_remedy(self, run: str) -> str:
        """Return how to send what is missing, as the end of a sentence; empty if nothing can."""
        return ""

    def close(self) -> None:
        """Release resources."""


def list_artifacts(event: Checkpoint | Evaluated) -> Iterator[CompleteArtifact]:
    """Yield the artifacts that an event reports."""
    if isinstance(event, Checkpoint):
        yield CompleteArtifact(folder=Path(event.path), event=event)
        return
    yield CompleteArtifact(folder=Path(event.results), event=event, kind="results")
    if event.policy:
        yield CompleteArtifact(folder=Path(event.policy), event=event, kind="policy")


def seal_artifact(
    artifact: CompleteArtifact, document: JobDocument, tracking: str, is_cancelled: CancelCheck
) -> SealedArtifact | None:
    """Seal an artifact; return None if it is a torn one of an earlier attempt.

    `tracking` is the id of the tracking run. Raise PermanentError, Cancelled or OSError.
    """
    if artifact.folder.is_symlink():
        raise PermanentError("it is a symbolic link")
    if artifact.from_earlier_attempt:
        old_manifest = checkpoint.read_manifest(artifact.folder)
        if old_manifest is None or checkpoint.validate_checkpoint(artifact.folder):
            return None
        return SealedArtifact(folder=artifact.folder, manifest=old_manifest)
    if not artifact.folder.is_dir():
        raise PermanentError("it does not exist")
    siblings = artifact.folder.parent.iterdir() if artifact.kind == "checkpoint" else ()
    for path in (*siblings, *artifact.folder.rglob("*")):
        if path.is_symlink() and not path.exists():  # OSMO copies no file of a folder with a link to nothing
            path.unlink(missing_ok=True)
    if artifact.kind == "results":
        return _seal_results(artifact, document, is_cancelled)
    manifest_path = get_policy_seal_path(document) if artifact.kind == "policy" else None
    manifest = _write_seal(artifact, document, artifact.folder, tracking, manifest_path)
    evaluated = artifact.event if isinstance(artifact.event, Evaluated) else None
    return SealedArtifact(folder=artifact.folder, manifest=manifest, kind=artifact.kind, evaluated=evaluated)


def is_sealed(folder: Path, document: JobDocument) -> bool:
    """Return whether a folder is a sealed checkpoint of this very run."""
    manifest = None if folder.is_symlink() else checkpoint.read_manifest(folder)
    return manifest is not None and manifest.run == document.run


def get_policy_seal_path(document: JobDocument) -> Path:
    """Return the path of the evaluated policy's manifest."""
    return Path(document.placement.work, POLICY_SEAL_FILE)


def remove_results_copy(document: JobDocument) -> None:
    """Remove the folder of results that were being published."""
    shutil.rmtree(Path(document.placement.work, RESULTS_FOLDER), ignore_errors=True)


def _seal_results(artifact: CompleteArtifact, document: JobDocument, is_cancelled: CancelCheck) -> SealedArtifact:
    paths = {file.relative_to(artifact.folder).as_posix(): file for file in sorted(artifact.folder.rglob("*"))}
    files = {
        path: file
        for path, file in paths.items()
        if file.is_file() and not file.is_symlink() and file.name != MANIFEST
        if "/." not in f"/{path}"  # hidden files are incomplete or private
    }
    if not files:
        raise PermanentError(f"{artifact.folder} holds no files")
    folder = Path(document.placement.work, RESULTS_FOLDER, document.run)
    manifest = checkpoint.read_manifest(folder)
    if manifest is None or manifest.files != {path: checkpoint.hash_file(file) for path, file in files.items()}:
        # never the same once more: it may be on its way to a destination
        atomic_copy.replace_folder(files, folder, is_cancelled, key=document.run, linked=True)
        manifest = _write_seal(artifact, document, folder, "", None)
    return SealedArtifact(folder=folder, manifest=manifest, kind="results", source=artifact.folder)


def _write_seal(
    artifact: CompleteArtifact, job_document: JobDocument, folder: Path, tracking: str, manifest_path: Path | None
) -> CheckpointManifest:
    """Write the manifest, and before it the job file of a checkpoint.

    The tracking run is named only where a platform has submissions: others do not resume it.
    """
    event = artifact.event
    if artifact.kind == "checkpoint" and (job_file := job_document.record.get(JOB_FILE_KEY)):
        write_atomically(folder / PUBLISHED_JOB_FILE, str(job_file).encode())
    submission = document.read_submission_id(job_document)
    return checkpoint.seal_checkpoint(
        folder,
        step=event.step,
        run=job_document.run,
        job=job_document.job,
        model=event.model if isinstance(event, Checkpoint) else "",
        submission=submission,
        tracking=tracking if submission else "",
        manifest_path=manifest_path,
    )
