"""Registration of a job's checkpoint or evaluated policy as a model version.

A model from the declared output has its lineage in tags and description only: its checkpoint is sealed and must not
change.
"""

import sys

from robotrain.cluster.outputs import RunLog
from robotrain.errors import Rejected
from robotrain.model.reference import Reference
from robotrain_azure import outputs as azure_outputs
from robotrain_azure.arm import ServiceError
from robotrain_azure.models.workspace_models import WorkspaceModels
from robotrain_azure.outputs import ModelMetadata
from robotrain_azure.storage import ARTIFACT_DATASTORE, make_artifact_path
from robotrain_azure.workspace import ARTIFACTS_OUTPUT
from robotrain_runtime.checkpoints.model_lineage import LINEAGE_FILE
from robotrain_runtime.contract.event import Registered

from robotrain_azureml import errors
from robotrain_azureml.observe import job_state, outputs, step_runs
from robotrain_azureml.observe.outputs import SealedOutput, read_run_log
from robotrain_azureml.service import datastore, jobs
from robotrain_azureml.spec.submission_spec import DOCUMENT_FILE


def write_lineage(reference: Reference, path: str, lineage_bytes: bytes) -> None:
    """Write the lineage file beside the model at an artifact path.

    Without write access, print a warning: the model is registered anyway.
    """
    try:
        store = outputs.get_datastore(reference, ARTIFACT_DATASTORE)
        with datastore.open_datastore(jobs.get_client(), store) as blobs:
            name = make_artifact_path(reference["job"], f"{path}/{LINEAGE_FILE}")
            if not blobs.has_blob(name):  # an evaluated policy has that of its training
                blobs.write_blob(name, lineage_bytes)
    except (Rejected, ServiceError) as error:
        if isinstance(error, ServiceError):
            action = f"write {LINEAGE_FILE} beside the model"
            error = errors.make_rejection(error, jobs.get_run_workspace(reference), action)
        print(f"warning: cannot write {LINEAGE_FILE}; the model's tags have the same content: {error}", file=sys.stderr)


def register_model(reference: Reference, name: str, step: int | None) -> Registered:
    """Register the checkpoint of `step`, or the last one, as the next version of a model, unless it is one already.

    Raises RunGone, Rejected.
    """
    reference = step_runs.select_step(reference)
    job_state.query_job(reference)
    run_log = read_run_log(reference)
    artifacts = run_log.find_artifacts(reference["job"])
    try:
        sealed_outputs = outputs.list_sealed_outputs(reference)
    except Rejected:
        if not artifacts:
            raise
        sealed_outputs = []  # what was tracked is enough
    checkpoints = {
        sealed_output.manifest.step: sealed_output
        for sealed_output in sealed_outputs
        if sealed_output.folder and not sealed_output.missing_files
    }
    run = reference.get("run") or reference["job"]
    chosen_step = azure_outputs.choose_step(run, {*checkpoints, *artifacts}, step)
    metadata = _make_metadata(reference, chosen_step, checkpoints.get(chosen_step), run_log)
    if chosen_step in artifacts:  # as the job itself would register it
        output, path = ARTIFACTS_OUTPUT, artifacts[chosen_step]
    else:
        checkpoint = checkpoints[chosen_step]
        output = outputs.get_results_name(reference)
        path = "/".join(filter(None, (checkpoint.folder, checkpoint.manifest.model)))
    workspace = jobs.get_run_workspace(reference)
    models = WorkspaceModels(jobs.get_client(), workspace)

    def create() -> str:
        if metadata.lineage and output == ARTIFACTS_OUTPUT:
            write_lineage(reference, path, metadata.lineage)
        return models.create(name, reference["job"], path, metadata.tags, metadata.description, output=output)

    with errors.reject_errors(workspace, f"register the model {name}"):
        return azure_outputs.register_version(models, name, chosen_step, metadata, create)


def _make_metadata(reference: Reference, step: int, checkpoint: SealedOutput | None, run_log: RunLog) -> ModelMetadata:
    job, run = reference["job"], reference.get("run", "")
    ids = {"azureml_run_id": job, "mlflow_run_id": job}
    if run_log.run_id == job and run_log.experiment_id:
        ids["mlflow_experiment_id"] = run_log.experiment_id
    file = f"{reference.get('files', '')}{DOCUMENT_FILE}"
    document = azure_outputs.load_submitted_document(reference.get("plan", run), file)
    manifest, folder = (checkpoint.manifest, checkpoint.folder) if checkpoint else (None, "")
    return azure_outputs.make_model_metadata(run, "azureml", step, document, run_log, ids, manifest, folder)
