"""A checkpoint of a job, or the policy that it evaluated, as a version of a model of its workspace, however long ago
the job ended.
"""

from robotrain.problem import Instead, Problem, Rejected, Stage
from robotrain.run import Reference
from robotrain_azure.arm import ArmError
from robotrain_azure.heard import Heard
from robotrain_azure.registering import told, version
from robotrain_azure.registering.told import Told, Which
from robotrain_azure.tracking.models import Models
from robotrain_runtime.event import Registered

from robotrain_azureml.order import JOB
from robotrain_azureml.service import jobs, refusals
from robotrain_azureml.service.refusals import Refused
from robotrain_azureml.watch import outputs_kept, register_lineage, status_asked
from robotrain_azureml.watch.heard import heard
from robotrain_azureml.watch.outputs_kept import Kept

ARTIFACTS = "artifacts"
"""The output that tracking writes to."""


def register(reference: Reference, name: str, step: int | None) -> Registered:
    """Make the checkpoint of `step`, or the last, the next version of the model `name`; one that is a version already
    stays the one it is. Raises RunGone, Rejected.
    """
    status_asked.ask(reference)
    said = heard(reference)
    artifacts = said.artifacts(reference["job"])
    kept = {one.made.step: one for one in _kept(reference, artifacts)}
    chosen = _chosen(reference, {*kept, *artifacts}, step)
    of = _told(reference, chosen, kept.get(chosen), said)
    output, path = _source(reference, chosen, kept.get(chosen), artifacts)
    at = jobs.workspace_of(reference)
    models = Models(jobs.signed_in(), at)

    def create() -> str:
        if of.lineage and output == ARTIFACTS:
            register_lineage.lay(reference, path, of.lineage)
        return models.create(name, reference["job"], path, of.tags, of.description, output=output)

    try:
        return version.made(models, name, chosen, of, create)
    except ArmError as error:
        raise refusals.of(error, at, f"register the model {name}") from None


def _kept(reference: Reference, artifacts: dict[int, str]) -> list[Kept]:
    """Those in the output; where that cannot be listed from here, what tracking has does as well."""
    try:
        return outputs_kept.kept(reference, outputs_kept.place(reference))
    except Refused:
        if not artifacts:
            raise
        return []


def _told(reference: Reference, step: int, kept: Kept | None, said: Heard) -> Told:
    """The job is the tracking run as well."""
    job, run = reference["job"], reference.get("run", "")
    ids = {"azureml_run_id": job, "mlflow_run_id": job}
    if said.run_id == job and said.experiment_id:
        ids["mlflow_experiment_id"] = said.experiment_id
    folder, made = (kept.folder, kept.made) if kept else (f"{step:06}", None)
    which = Which(run=run, platform="azureml", step=step, folder=folder, made=made, ids=ids)
    return told.told(which, told.sent(run, JOB), said)


def _chosen(reference: Reference, steps: set[int], wanted: int | None) -> int:
    if steps and wanted is None:
        return max(steps)
    if wanted in steps:
        return wanted or 0
    raise Rejected([_missing(reference, sorted(steps), wanted)])


def _source(reference: Reference, step: int, kept: Kept | None, artifacts: dict[int, str]) -> tuple[str, str]:
    """The output of the job and the path in it: as the job itself registers it, where tracking has it."""
    if step in artifacts:
        return ARTIFACTS, artifacts[step]
    assert kept is not None
    return outputs_kept.name(reference), "/".join(part for part in (kept.folder, kept.made.model) if part)


def _missing(reference: Reference, steps: list[int], wanted: int | None) -> Problem:
    run = reference.get("run") or reference["job"]
    of = "" if wanted is None else f" of step {wanted}"
    return Problem(
        code="checkpoint-missing",
        stage=Stage.SUBMIT,
        title=f"{run} left no checkpoint{of} that could be registered",
        where="" if wanted is None else "--step",
        why=f"Its checkpoints by now: {', '.join(map(str, steps)) or 'none'}.",
        instead=(Instead(f"robotrain outputs {run}", "shows what it left"),),
    )
