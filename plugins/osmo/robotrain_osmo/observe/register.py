"""Register a model from the artifacts of a tracked run, whose pod and disk are gone."""

from robotrain.cluster.outputs import RunLog
from robotrain.errors import Problem, Rejected, Suggestion
from robotrain.messages import Messages
from robotrain.model.reference import Reference
from robotrain.redaction import MAX_SENTENCE, redact
from robotrain.store import records
from robotrain_azure import errors, workspace
from robotrain_azure import outputs as azure_outputs
from robotrain_azure.arm import ArmClient, ArmError
from robotrain_azure.models.workspace_models import WorkspaceModels
from robotrain_runtime.contract.document import DOCUMENT_FILE
from robotrain_runtime.contract.event import Registered

from robotrain_osmo.observe import pipeline_steps
from robotrain_osmo.observe.outputs import TRIMMED_LOG_NOTE, read_run_log
from robotrain_osmo.spec.submission_spec import get_step_path

make_problem = Messages(__file__)

RETRY_SECONDS = 6.0
"""How long transient errors of Azure are retried."""


def register_model(reference: Reference, name: str, step: int | None) -> Registered:
    """Register the checkpoint of `step`, the last one, or the evaluated policy as the next version of `name`.

    A registered checkpoint keeps its version. Raise RunGone or Rejected.
    """
    reference = pipeline_steps.select_step(reference)
    run_log = read_run_log(reference)
    task = reference.get("task", "")
    is_step = pipeline_steps.is_step(reference)
    file = get_step_path(task, DOCUMENT_FILE) if is_step else DOCUMENT_FILE
    document = azure_outputs.load_submitted_document(pipeline_steps.get_whole_run(reference), file)
    target = workspace.parse_tracking_uri(document.placement.tracking_uri) if document else None
    artifacts = run_log.find_artifacts(run_log.run_id)
    if target is None or not artifacts:
        raise Rejected([_make_impossible_problem(reference, name, run_log)])
    run = pipeline_steps.get_whole_run(reference) or "RUN"
    note = f" {TRIMMED_LOG_NOTE}: there may be earlier steps." if run_log.trimmed else ""
    step = azure_outputs.choose_step(run, artifacts, step, note)
    ids = {"mlflow_run_id": run_log.run_id, "mlflow_experiment_id": run_log.experiment_id}
    ids = {name: identifier for name, identifier in ids.items() if identifier}
    metadata = azure_outputs.make_model_metadata(reference.get("run", ""), "osmo", step, document, run_log, ids)
    models = WorkspaceModels(ArmClient(RETRY_SECONDS), target)

    def create() -> str:
        return models.create(name, run_log.run_id, artifacts[step], metadata.tags, metadata.description)

    try:
        return azure_outputs.register_version(models, name, step, metadata, create)
    except ArmError as error:
        diagnosis = errors.diagnose_error(error, target)
        reason = diagnosis.why
        reason = redact(reason, max_length=MAX_SENTENCE)
        raise Rejected(
            [make_problem("not-registered", *diagnosis.suggestions, name=name, title=diagnosis.title, why=reason)]
        ) from None


def _make_impossible_problem(reference: Reference, name: str, log: RunLog) -> Problem:
    run = pipeline_steps.get_whole_run(reference) or "RUN"
    outputs = records.get_output_profile(pipeline_steps.get_whole_run(reference))
    noun, register_option = outputs.noun, f"--set {outputs.register_parameter}={name}"
    if log.run_id:
        reason = f"Its tracking server is not a workspace or has no model of this {noun}, or its plan is missing here."
    elif log.trimmed:
        reason = f"It is unknown whether the {noun} was tracked: {TRIMMED_LOG_NOTE}."
    else:
        reason = f"The log of the {noun} shows no tracking."
    resubmission = Suggestion(f"robotrain resubmit {run} {register_option}", "runs the job again")
    resume_command, download_command = (
        f"robotrain resume {run} {register_option}",
        f"robotrain outputs --checkpoint last --to FOLDER {run}",
    )
    of_checkpoint = (
        Suggestion(resume_command, "continues from the last published checkpoint; needs more --training-steps"),
        Suggestion(download_command, f"downloads it; then az ml model create --name {name} --path FOLDER"),
    )
    reason = f"{reason} A run can also register its model itself."
    fixes = (resubmission, *(of_checkpoint if outputs.resumable else ()))
    return make_problem("feature-not-there", *fixes, given=name, run=run, why=reason)
