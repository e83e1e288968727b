"""Registration of a job's checkpoint or evaluated policy as a model version.

A model that is made of the declared output has its lineage in its tags and its description alone: a checkpoint there is
sealed, and what others go on from is not changed for one who registers it.
"""

import sys

from robotrain.errors import Problem, Rejected, Stage, Suggestion
from robotrain.model.run import Reference
from robotrain_azure import model_registration
from robotrain_azure.arm import ArmError
from robotrain_azure.model_registration import ModelMetadata, ModelVersion
from robotrain_azure.outputs import RunLog
from robotrain_azure.tracking.model_registry import WorkspaceModels
from robotrain_runtime.checkpoints.model_lineage import LINEAGE_FILE
from robotrain_runtime.contract.event import Registered

from robotrain_azureml import errors
from robotrain_azureml.errors import RequestRejected
from robotrain_azureml.observe import job_state, outputs
from robotrain_azureml.observe.outputs import SealedOutput, read_run_log
from robotrain_azureml.service import datastore, jobs
from robotrain_azureml.service.datastore import StorageError
from robotrain_azureml.spec.submission_spec import DOCUMENT_FILE


def write_lineage(reference: Reference, path: str, content: bytes) -> None:
    """path: of the model among the artifacts. One who may not write there registers the model all the same, and is
    told.
    """
    try:
        store = outputs.get_datastore(reference, outputs.ARTIFACT_DATASTORE)
        with datastore.open_datastore(jobs.get_client(), store) as blobs:
            name = outputs.make_artifact_path(reference, f"{path}/{LINEAGE_FILE}")
            if not blobs.has_blob(name):  # an evaluated policy brings that of its training
                blobs.write_blob(name, content)
    except Rejected as rejected:
        _warn_no_lineage(str(rejected))
    except (ArmError, StorageError) as error:
        _warn_no_lineage(
            str(
                errors.make_rejection(
                    error, jobs.get_run_workspace(reference), f"write {LINEAGE_FILE} beside the model"
                )
            )
        )


def _warn_no_lineage(reason: str) -> None:
    print(f"warning: {LINEAGE_FILE} was not laid beside the model, whose tags say the same: {reason}", file=sys.stderr)


ARTIFACTS_OUTPUT = "artifacts"
"""The output that tracking writes to."""


def register_model(reference: Reference, name: str, step: int | None) -> Registered:
    """Make the checkpoint of `step`, or the last, the next version of the model `name`; one that is a version already
    stays the one it is. Raises RunGone, Rejected.
    """
    job_state.query_job(reference)
    said = read_run_log(reference)
    artifacts = said.find_artifacts(reference["job"])
    kept = {one.manifest.step: one for one in _list_checkpoints(reference, artifacts)}
    chosen = _choose_step(reference, {*kept, *artifacts}, step)
    of = _make_metadata(reference, chosen, kept.get(chosen), said)
    output, path = _choose_source(reference, chosen, kept.get(chosen), artifacts)
    at = jobs.get_run_workspace(reference)
    models = WorkspaceModels(jobs.get_client(), at)

    def create() -> str:
        if of.lineage and output == ARTIFACTS_OUTPUT:
            write_lineage(reference, path, of.lineage)
        return models.create(name, reference["job"], path, of.tags, of.description, output=output)

    try:
        return model_registration.register_version(models, name, chosen, of, create)
    except ArmError as error:
        raise errors.make_rejection(error, at, f"register the model {name}") from None


def _list_checkpoints(reference: Reference, artifacts: dict[int, str]) -> list[SealedOutput]:
    """Those in the output; where that cannot be listed from here, what tracking has does as well."""
    try:
        return outputs.list_complete_checkpoints(reference, outputs.get_output_datastore(reference))
    except RequestRejected:
        if not artifacts:
            raise
        return []


def _make_metadata(reference: Reference, step: int, kept: SealedOutput | None, run_log: RunLog) -> ModelMetadata:
    """The job is the tracking run as well."""
    job, run = reference["job"], reference.get("run", "")
    ids = {"azureml_run_id": job, "mlflow_run_id": job}
    if run_log.run_id == job and run_log.experiment_id:
        ids["mlflow_experiment_id"] = run_log.experiment_id
    folder, made = (kept.folder, kept.manifest) if kept else (f"{step:06}", None)
    which = ModelVersion(run=run, platform="azureml", step=step, folder=folder, manifest=made, ids=ids)
    return model_registration.make_model_metadata(
        which, model_registration.load_submitted_document(run, DOCUMENT_FILE), run_log
    )


def _choose_step(reference: Reference, steps: set[int], wanted: int | None) -> int:
    if steps and wanted is None:
        return max(steps)
    if wanted in steps:
        return wanted or 0
    raise Rejected([_make_missing_problem(reference, sorted(steps), wanted)])


def _choose_source(
    reference: Reference, step: int, kept: SealedOutput | None, artifacts: dict[int, str]
) -> tuple[str, str]:
    """The output of the job and the path in it: as the job itself registers it, where tracking has it."""
    if step in artifacts:
        return ARTIFACTS_OUTPUT, artifacts[step]
    assert kept is not None
    return outputs.get_results_name(reference), "/".join(part for part in (kept.folder, kept.manifest.model) if part)


def _make_missing_problem(reference: Reference, steps: list[int], wanted: int | None) -> Problem:
    run = reference.get("run") or reference["job"]
    of = "" if wanted is None else f" of step {wanted}"
    return Problem(
        code="checkpoint-missing",
        stage=Stage.SUBMIT,
        title=f"{run} left no checkpoint{of} that could be registered",
        where="" if wanted is None else "--step",
        why=f"Its checkpoints by now: {', '.join(map(str, steps)) or 'none'}.",
        suggestions=(Suggestion(f"robotrain outputs {run}", "shows what it left"),),
    )
