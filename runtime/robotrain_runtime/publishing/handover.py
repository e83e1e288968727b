"""The handover of a pipeline step's output to later steps."""

import dataclasses
from collections.abc import Iterable, Sequence
from pathlib import Path

from robotrain_runtime.checkpoints import atomic_copy
from robotrain_runtime.contract import checkpoint, step_output
from robotrain_runtime.contract import document as contract_document
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
    parts: dict[str, dict[str, tuple[Path, str]]] = {}  # of each folder, by path: a file, and its digest
    if candidate is not None:
        parts[POLICY_FOLDER] = _list_model_files(candidate)
    if evaluated is not None:
        results_folder = Path(evaluated.results)
        result_files = (path for path in sorted(results_folder.rglob("*")) if path.is_file())
        parts[RESULTS_FOLDER] = {
            path.relative_to(results_folder).as_posix(): (path, checkpoint.hash_file(path)) for path in result_files
        }
    if chosen_checkpoints:
        parts[CHECKPOINTS_FOLDER] = {
            "/".join(filter(None, (artifact.folder.name, artifact.manifest.model, path))): model_file
            for artifact in chosen_checkpoints
            for path, model_file in _list_model_files(artifact).items()
        }
    for name, part in parts.items():
        files = {path: file for path, (file, _) in part.items()}
        atomic_copy.replace_folder(files, folder / name, is_cancelled, key=document.run)
    digests = {f"{name}/{path}": digest for name, part in parts.items() for path, (_, digest) in part.items()}
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


def _list_model_files(artifact: SealedArtifact) -> dict[str, tuple[Path, str]]:
    """Return the files of a model by their paths in it, each with its digest."""
    manifest = artifact.manifest
    return {path: (artifact.folder / manifest.model / path, digest) for path, digest in manifest.model_files.items()}
