"""Registering later: from here, what a run left among the artifacts of a workspace that it was tracked in.

The disk of its pod is gone, and a model of a workspace is made of what tracking has.
"""

from robotrain.problem import SENTENCE, Instead, Problem, Rejected, Stage
from robotrain.redaction import redact
from robotrain.run import Reference
from robotrain_azure import refusal, workspace
from robotrain_azure.arm import Arm, ArmError
from robotrain_azure.heard import Heard
from robotrain_azure.registering import told, version
from robotrain_azure.registering.told import Which
from robotrain_azure.tracking.models import Models
from robotrain_azure.workspace import Workspace
from robotrain_runtime.document import JobDocument
from robotrain_runtime.event import Registered

from robotrain_osmo.order import JOB
from robotrain_osmo.watch import register_refused
from robotrain_osmo.watch.heard import heard

PATIENCE = 6.0
"""Seconds for which a bad moment of Azure is sat out."""


def register(reference: Reference, name: str, step: int | None) -> Registered:
    """Make the checkpoint of `step`, or the last, or the evaluated policy, the next version of the model `name`; one
    that is a version already stays the one it is. Raises RunGone, Rejected.
    """
    log = heard(reference)
    said = log.said
    sent = told.sent(reference.get("run", ""), JOB)
    at, artifacts = _workspace(sent), said.artifacts(said.run_id)
    if at is None or not artifacts:
        raise Rejected([register_refused.impossible(reference, name, log)])
    chosen = max(artifacts) if step is None else step
    if chosen not in artifacts:
        raise Rejected([register_refused.missing(reference, sorted(artifacts), chosen, log)])
    return _registered(reference, name, _which(reference, said, chosen), sent, said, at, artifacts[chosen])


def _workspace(sent: JobDocument | None) -> Workspace | None:
    """The one that the run was tracked in; None for none, and where the plan that was sent is not here any more."""
    return workspace.of_address(sent.placement.tracking_uri) if sent else None


def _which(reference: Reference, said: Heard, step: int) -> Which:
    ids = {"mlflow_run_id": said.run_id, "mlflow_experiment_id": said.experiment_id}
    return Which(
        run=reference.get("run", ""),
        platform="osmo",
        step=step,
        folder=f"{step:06}",
        made=None,
        ids={name: value for name, value in ids.items() if value},
    )


def _registered(
    reference: Reference, name: str, which: Which, sent: JobDocument | None, said: Heard, at: Workspace, path: str
) -> Registered:
    of, models = told.told(which, sent, said), Models(Arm(PATIENCE), at)

    def create() -> str:
        return models.create(name, said.run_id, path, of.tags, of.description)

    try:
        return version.made(models, name, which.step, of, create)
    except ArmError as error:
        raise Rejected([_refused(error, at, name)]) from None


def _refused(error: ArmError, at: Workspace, name: str) -> Problem:
    found = refusal.of(error, at)
    return Problem(
        code="azure-not-registered",
        stage=Stage.SUBMIT,
        title=f"could not register the model {name}: {found.title}",
        why=redact(found.why, longest=SENTENCE),
        instead=tuple(Instead(way) for way in found.ways),
    )
