"""What a run leaves, made ready to be copied: sealed, so that whoever finds a copy can tell that it is whole.

Results are sealed in a folder of the run's name that holds the same files, and the evaluated policy beside its folder:
neither is ever taken for a checkpoint.
"""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from robotrain_runtime.checkpoints import atomic_copy
from robotrain_runtime.contract import checkpoint, document
from robotrain_runtime.contract.checkpoint import MANIFEST, CheckpointManifest
from robotrain_runtime.contract.document import JobDocument
from robotrain_runtime.contract.event import Checkpoint, Evaluated
from robotrain_runtime.contract.failure import CancelCheck, PermanentError

ArtifactKind = Literal["checkpoint", "results", "policy"]

RESULTS_FOLDER = ".results"
"""The folder, in that of the run, of results on their way."""
POLICY_SEAL_FILE = "policy.json"
"""The seal of the evaluated policy, in the run's folder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CompleteArtifact:
    """Something complete that someone told of. again: it was an earlier attempt, and it may have been torn since."""

    folder: Path
    event: Checkpoint | Evaluated
    kind: ArtifactKind = "checkpoint"
    from_earlier_attempt: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedArtifact:
    """Something complete: its folder, and what is sealed of it. plain: where the same files lie without the seal."""

    folder: Path
    manifest: CheckpointManifest
    unsealed_folder: Path
    kind: ArtifactKind = "checkpoint"


def list_artifacts(event: Checkpoint | Evaluated) -> Iterator[CompleteArtifact]:
    """What an event tells of."""
    if isinstance(event, Checkpoint):
        yield CompleteArtifact(folder=Path(event.path), event=event)
        return
    yield CompleteArtifact(folder=Path(event.results), event=event, kind="results")
    if event.policy:
        yield CompleteArtifact(folder=Path(event.policy), event=event, kind="policy")


def seal_artifact(
    artifact: CompleteArtifact, document: JobDocument, tracking: str, is_cancelled: CancelCheck
) -> SealedArtifact | None:
    """Sealed; None for what an earlier attempt left torn. tracking: the tracking run. Raises what `Courier` knows."""
    if artifact.folder.is_symlink():
        raise PermanentError("it is a link")
    if artifact.from_earlier_attempt:
        made = checkpoint.read_manifest(artifact.folder)
        whole = made is not None and not checkpoint.validate_checkpoint(artifact.folder)
        return (
            SealedArtifact(folder=artifact.folder, manifest=made, unsealed_folder=artifact.folder)
            if made and whole
            else None
        )
    if not artifact.folder.is_dir():
        raise PermanentError("it is not there")
    if artifact.kind == "results":
        return _seal_results(artifact, document, is_cancelled)
    at = get_policy_seal_path(document) if artifact.kind == "policy" else None
    manifest = _write_seal(artifact, document, artifact.folder, tracking, at)
    return SealedArtifact(
        folder=artifact.folder, manifest=manifest, unsealed_folder=artifact.folder, kind=artifact.kind
    )


def get_policy_seal_path(document: JobDocument) -> Path:
    """Where the seal of the evaluated policy lies."""
    return Path(document.placement.work, POLICY_SEAL_FILE)


def remove_results_copy(document: JobDocument) -> None:
    """Results are not on their way any more."""
    shutil.rmtree(Path(document.placement.work, RESULTS_FOLDER), ignore_errors=True)


def _seal_results(artifact: CompleteArtifact, document: JobDocument, is_cancelled: CancelCheck) -> SealedArtifact:
    found = {path.relative_to(artifact.folder): path for path in sorted(artifact.folder.rglob("*"))}
    files = {path.as_posix(): file for path, file in found.items() if file.is_file() and _is_result_file(path, file)}
    if not files:
        raise PermanentError(f"{artifact.folder} holds no files")
    folder = Path(document.placement.work, RESULTS_FOLDER, document.run)
    atomic_copy.replace_folder(files, folder, is_cancelled, key=document.run, linked=True)
    manifest = _write_seal(artifact, document, folder, "", None)
    return SealedArtifact(folder=folder, manifest=manifest, unsealed_folder=artifact.folder, kind="results")


def _is_result_file(path: Path, file: Path) -> bool:
    """Whether it is a result: what begins with a dot is not ready, or nobody's business."""
    return not file.is_symlink() and path.name != MANIFEST and not any(part.startswith(".") for part in path.parts)


def _write_seal(
    artifact: CompleteArtifact, by: JobDocument, folder: Path, tracking: str, manifest_path: Path | None
) -> CheckpointManifest:
    """Newly sealed. Only where a platform has submissions is it told who goes on from there."""
    event, submission = artifact.event, document.read_submission_id(by)
    return checkpoint.seal_checkpoint(
        folder,
        step=event.step,
        run=by.run,
        job=by.job,
        model=event.model if isinstance(event, Checkpoint) else "",
        submission=submission,
        tracking=tracking if submission else "",
        manifest_path=manifest_path,
    )
