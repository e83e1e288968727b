"""The handover of a pipeline step's output to later steps, and the step that registers a policy."""

import dataclasses
from collections.abc import Iterable, Sequence
from pathlib import Path

from robotrain_runtime.checkpoints import atomic_copy
from robotrain_runtime.contract import checkpoint, step_output
from robotrain_runtime.contract import document as contract_document
from robotrain_runtime.contract.checkpoint import CheckpointManifest
from robotrain_runtime.contract.container_plugin import PublishingSpec
from robotrain_runtime.contract.document import JobDocument
from robotrain_runtime.contract.event import Evaluated, Registered
from robotrain_runtime.contract.failure import EXIT_PREFLIGHT, CancelCheck, JobFailed
from robotrain_runtime.contract.step_output import CHECKPOINTS_FOLDER, POLICY_FOLDER, RESULTS_FOLDER, StepOutput
from robotrain_runtime.environments import run_environment
from robotrain_runtime.process.stop import StopSignal
from robotrain_runtime.publishing import registration
from robotrain_runtime.publishing.registration import LogFunction
from robotrain_runtime.publishing.sealing import SealedArtifact

REGISTRATION_FOLDER = "registered"
"""The folder, in the run's folder, of a policy that is registered under the name of its step."""


def hand_over(
    document: JobDocument,
    spec: PublishingSpec,
    candidate: SealedArtifact | None,
    evaluated: Evaluated | None,
    tracking_run: str,
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
        tracking_run=tracking_run,
        policy_kind="" if candidate is None else "policy" if evaluated else "checkpoint",
        policy={**dataclasses.asdict(candidate.manifest), "name": candidate.folder.name} if candidate else {},
        checkpoints={artifact.folder.name: dataclasses.asdict(artifact.manifest) for artifact in chosen_checkpoints},
        files=digests,
        evaluated=dataclasses.asdict(evaluated) if evaluated else {},
        publishing=dataclasses.asdict(spec),
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


def register_step(document: JobDocument, stop: StopSignal, log_line: LogFunction) -> Registered:
    """Register the policy of the step that the job reads. Raise JobFailed or StopRequested."""
    try:
        (mount,) = document.placement.mounts
        folder = contract_document.resolve_folder(mount.folder).parent
    except ValueError:
        raise JobFailed("a registration reads the mounted output of one step", EXIT_PREFLIGHT) from None
    except contract_document.UnsetVariable as name:
        raise JobFailed(f"{name} is not set: it should name the folder of the step's output", EXIT_PREFLIGHT) from None
    try:
        output = step_output.read_step_output(folder)
    except (OSError, ValueError) as error:
        raise JobFailed(f"the step handed over nothing that can be read in {folder}: {error}", EXIT_PREFLIGHT) from None
    if problem := step_output.find_damaged_file(folder, output, POLICY_FOLDER):
        raise JobFailed(problem, EXIT_PREFLIGHT)
    if not output.policy_kind:
        raise JobFailed(f"the step {output.run} handed over no policy", EXIT_PREFLIGHT)
    facts = dict(output.policy)
    policy_name = str(facts.pop("name"))
    manifest = CheckpointManifest(**facts)
    model_folder = Path(document.placement.work, REGISTRATION_FOLDER, policy_name)
    model = model_folder / manifest.model
    model.parent.mkdir(parents=True, exist_ok=True)
    model.unlink(missing_ok=True)
    model.symlink_to(folder / POLICY_FOLDER)
    evaluated = Evaluated(**output.evaluated) if output.evaluated else None
    candidate = SealedArtifact(folder=model_folder, manifest=manifest, kind=output.policy_kind, evaluated=evaluated)
    spec = PublishingSpec(**{**output.publishing, "register": document.registers})
    trained = dataclasses.replace(document, run=output.run, job=output.job)
    python = run_environment.get_run_python(document, log_line, stop)
    log_line(f"registering {candidate.display_name} of {output.run} as {document.registers}")
    run_id = output.tracking_run
    return registration.register_model(
        trained, spec, candidate, run_id=run_id, python=python, stop=stop, log_line=log_line
    )
