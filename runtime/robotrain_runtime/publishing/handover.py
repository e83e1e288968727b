"""The handover of a pipeline step's output to later steps."""

import dataclasses
from collections.abc import Iterable, Sequence
from pathlib import Path

from robotrain_runtime.checkpoints import atomic_copy
from robotrain_runtime.contract import checkpoint, step_output
from robotrain_runtime.contract import document as contract_document
from robotrain_runtime.contract.checkpoint import CheckpointManifest
from robotrain_runtime.contract.container_plugin import PublishingSpec
from robotrain_runtime.contract.document import JobDocument
from robotrain_runtime.contract.event import Evaluated
from robotrain_runtime.contract.failure import CancelCheck
from robotrain_runtime.contract.step_output import CHECKPOINTS_FOLDER, POLICY_FOLDER, RESULTS_FOLDER, StepOutput
from robotrain_runtime.publishing.sealing import SealedArtifact


def hand_over(
    document: JobDocument,
    candidate: SealedArtifact | None,
    evaluated: Evaluated | None,
    is_cancelled: CancelCheck,
    chosen_checkpoints: Sequence[SealedArtifact] = (),
) -> Path:
    """Copy the policy and the results to the folder that later steps read, and return it. Raise OSError, Cancelled.

    :param chosen_checkpoints: the checkpoints that later steps read beside the policy.
    """
    folder = contract_document.resolve_folder(document.placement.handover)
    folder.mkdir(parents=True, exist_ok=True)
    digests: dict[str, str] = {}
    if candidate is not None:
        model_files = candidate.manifest.model_files
        files = {path: candidate.folder / candidate.manifest.model / path for path in model_files}
        atomic_copy.replace_folder(files, folder / POLICY_FOLDER, is_cancelled, key=document.run)
        digests |= {f"{POLICY_FOLDER}/{path}": digest for path, digest in model_files.items()}
    if evaluated is not None:
        results_folder = Path(evaluated.results)
        files = {
            path.relative_to(results_folder).as_posix(): path
            for path in sorted(results_folder.rglob("*"))
            if path.is_file()
        }
        atomic_copy.replace_folder(files, folder / RESULTS_FOLDER, is_cancelled, key=document.run)
        digests |= {f"{RESULTS_FOLDER}/{path}": checkpoint.hash_file(file) for path, file in files.items()}
    if chosen_checkpoints:
        files = {
            f"{artifact.folder.name}/{_get_model_path(artifact.manifest, path)}": artifact.folder
            / artifact.manifest.model
            / path
            for artifact in chosen_checkpoints
            for path in artifact.manifest.model_files
        }
        atomic_copy.replace_folder(files, folder / CHECKPOINTS_FOLDER, is_cancelled, key=document.run)
        digests |= {
            f"{CHECKPOINTS_FOLDER}/{artifact.folder.name}/{_get_model_path(artifact.manifest, path)}": digest
            for artifact in chosen_checkpoints
            for path, digest in artifact.manifest.model_files.items()
        }
    output = StepOutput(
        run=document.run,
        job=document.job,
        policy=dataclasses.asdict(candidate.manifest) if candidate else {},
        checkpoints={artifact.folder.name: dataclasses.asdict(artifact.manifest) for artifact in chosen_checkpoints},
        files=digests,
    )
    step_output.write_step_output(folder, output)
    return folder


def select_checkpoints(parents: Iterable[Path], run: str, which: str) -> list[SealedArtifact]:
    """Return the sealed checkpoints of a run that `which` selects, as `checkpoint.select_steps` does.

    :param parents: the folders with checkpoints; of a step in several ones, that in the first counts.
    """
    artifacts_by_step: dict[int, SealedArtifact] = {}
    for parent in parents:
        for step, folder in checkpoint.list_checkpoints(parent):
            manifest = checkpoint.read_manifest(folder)
            if manifest is not None and manifest.run == run:
                artifacts_by_step.setdefault(step, SealedArtifact(folder=folder, manifest=manifest))
    return [artifacts_by_step[step] for step in checkpoint.select_steps(artifacts_by_step, which)]


def list_missing_steps(spec: PublishingSpec, chosen_checkpoints: Iterable[SealedArtifact]) -> list[int]:
    """Return the steps of the checkpoints that the work saved for later steps, and that are not among the chosen."""
    return sorted(
        {*checkpoint.select_steps(spec.saved_steps, spec.hands_over)}
        - {artifact.manifest.step for artifact in chosen_checkpoints}
    )


def _get_model_path(manifest: CheckpointManifest, path: str) -> str:
    """Return the path of a model's file in its checkpoint."""
    return f"{manifest.model}/{path}" if manifest.model else path
