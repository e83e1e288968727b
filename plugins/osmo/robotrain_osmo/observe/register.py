"""Register a model from the artifacts of a run that was tracked in a workspace.

The disk of its pod is gone, and a model of a workspace is made of what tracking has.
"""

from robotrain.errors import MAX_SENTENCE, Problem, Rejected, Stage, Suggestion
from robotrain.model.run import Reference
from robotrain.model.workload import OutputProfile
from robotrain.redaction import redact
from robotrain.store import records
from robotrain_azure import errors, model_registration, workspace
from robotrain_azure.arm import ArmClient, ArmError
from robotrain_azure.model_registration import ModelVersion
from robotrain_azure.outputs import RunLog
from robotrain_azure.tracking.model_registry import WorkspaceModels
from robotrain_azure.workspace import Workspace
from robotrain_runtime.contract.document import JobDocument
from robotrain_runtime.contract.event import Registered

from robotrain_osmo.observe.outputs import TRIMMED_LOG_NOTE, OsmoRunLog, read_run_log
from robotrain_osmo.spec.submission_spec import DOCUMENT_FILE

RETRY_SECONDS = 6.0
"""Seconds for which a bad moment of Azure is sat out."""


def register_model(reference: Reference, name: str, step: int | None) -> Registered:
    """Make the checkpoint of `step`, or the last, or the evaluated policy, the next version of the model `name`; one
    that is a version already stays the one it is. Raises RunGone, Rejected.
    """
    log = read_run_log(reference)
    said = log.run_log
    sent = model_registration.load_submitted_document(reference.get("run", ""), DOCUMENT_FILE)
    at, artifacts = _find_workspace(sent), said.find_artifacts(said.run_id)
    if at is None or not artifacts:
        raise Rejected([make_impossible_problem(reference, name, log)])
    chosen = max(artifacts) if step is None else step
    if chosen not in artifacts:
        raise Rejected([make_missing_step_problem(reference, sorted(artifacts), chosen, log)])
    return _register_version(
        reference, name, _make_model_version(reference, said, chosen), sent, said, at, artifacts[chosen]
    )


def _find_workspace(sent: JobDocument | None) -> Workspace | None:
    """The one that the run was tracked in; None for none, and where the plan that was sent is not here any more."""
    return workspace.parse_tracking_uri(sent.placement.tracking_uri) if sent else None


def _make_model_version(reference: Reference, run_log: RunLog, step: int) -> ModelVersion:
    ids = {"mlflow_run_id": run_log.run_id, "mlflow_experiment_id": run_log.experiment_id}
    return ModelVersion(
        run=reference.get("run", ""),
        platform="osmo",
        step=step,
        folder=f"{step:06}",
        manifest=None,
        ids={name: value for name, value in ids.items() if value},
    )


def _register_version(
    reference: Reference,
    name: str,
    model_version: ModelVersion,
    sent: JobDocument | None,
    run_log: RunLog,
    target: Workspace,
    path: str,
) -> Registered:
    of, models = (
        model_registration.make_model_metadata(model_version, sent, run_log),
        WorkspaceModels(ArmClient(RETRY_SECONDS), target),
    )

    def create() -> str:
        return models.create(name, run_log.run_id, path, of.tags, of.description)

    try:
        return model_registration.register_version(models, name, model_version.step, of, create)
    except ArmError as error:
        raise Rejected([_make_azure_problem(error, target, name)]) from None


def _make_azure_problem(error: ArmError, target: Workspace, name: str) -> Problem:
    found = errors.diagnose_workspace_error(error, target)
    return Problem(
        code="azure-not-registered",
        stage=Stage.SUBMIT,
        title=f"could not register the model {name}: {found.title}",
        why=redact(found.why, max_length=MAX_SENTENCE),
        suggestions=tuple(Suggestion(way) for way in found.suggestions),
    )


def make_impossible_problem(reference: Reference, name: str, log: OsmoRunLog) -> Problem:
    """Of a run that was not tracked in a workspace, or has left no model there."""
    run = reference.get("run") or "RUN"
    left = records.get_output_profile(reference.get("run", ""))
    return Problem(
        code="feature-not-there",
        stage=Stage.CHECK,
        title=f"there is no model of {run} in an Azure ML workspace that could be registered from here",
        given=name,
        why=f"{_explain_impossible(log, left)} The run registers it itself, from the machine that has it, when it is asked to.",
        suggestions=(
            Suggestion(f"robotrain resubmit {run} --set {left.register_parameter}={name}", "from the start"),
            *_suggest_checkpoint_use(run, name, left),
        ),
    )


def make_missing_step_problem(reference: Reference, steps: list[int], step: int, log: OsmoRunLog) -> Problem:
    """Of a step that tracking has no model of, as far as the log says."""
    run = reference.get("run") or "RUN"
    gone = f" {TRIMMED_LOG_NOTE}: it may have earlier ones." if log.trimmed else ""
    return Problem(
        code="checkpoint-missing",
        stage=Stage.SUBMIT,
        title=f"tracking has no model of step {step} of {run}",
        where="--step",
        why=f"It has those of {', '.join(map(str, steps))}.{gone}",
        suggestions=(Suggestion(f"robotrain outputs {run}", "shows what it left"),),
    )


def _explain_impossible(log: OsmoRunLog, left: OutputProfile) -> str:
    if not log.run_log.run_id and log.trimmed:
        return f"Whether the {left.noun} was tracked is not known: {TRIMMED_LOG_NOTE}."
    if not log.run_log.run_id:
        return f"The {left.noun} was not tracked, by what its log says."
    return f"Tracking has no model of this {left.noun}, or is no workspace, or the plan that was sent is not kept here."


def _suggest_checkpoint_use(run: str, name: str, left: OutputProfile) -> tuple[Suggestion, ...]:
    """For checkpoints, which can be gone on from, and brought."""
    if not left.resumable:
        return ()
    return (
        Suggestion(
            f"robotrain resume {run} --set {left.register_parameter}={name}",
            "goes on from what was published; with more --training-steps",
        ),
        Suggestion(
            f"robotrain outputs --checkpoint last --to FOLDER {run}",
            f"brings it here; then az ml model create --name {name} --path FOLDER",
        ),
    )
