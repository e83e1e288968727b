"""The rules of `lerobot-train` on a resolved job, on the submit side."""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from robotrain.errors import Problem, Stage, Suggestion
from robotrain.redaction import redact

from robotrain_workloads.lerobot import parameters, publish_url

if TYPE_CHECKING:
    from robotrain.model.job import Job
    from robotrain_runtime.contract.document import JobSource

POLICY_FLAGS = {
    "huggingface": "--policy-repo-id",
    "local_path": "--policy-path",
    "blob_url": "--policy-url",
    "registered_model": "--policy-model",
    "model_asset": "--policy-model",
    "mlflow_run": "--policy-model",
    "datastore_path": "--policy-url",
}
"""Of the role `policy`, by kind."""
START_ROLES = ("policy", "init_policy", "resume")


def check_device(job: "Job") -> Iterator[Problem]:
    """What no machine can do: told here, not after a queue."""
    for why, way in parameters.find_device_problems(dict(job.parameters)):
        yield Problem(
            code="device-cannot",
            stage=Stage.USAGE,
            title=why,
            where="--device",
            given=str(job["device"]),
            suggestions=(Suggestion(way),),
        )


def check_single_start(job: "Job") -> Iterator[Problem]:
    """A training starts at one place."""
    starts = [source for source in job.sources if source.role in START_ROLES]
    if len(starts) > 1:
        yield Problem(
            code="several-starts",
            stage=Stage.USAGE,
            title=f"a training starts from one policy, and this one is given {len(starts)}",
            given=", ".join(f"{source.role} {redact(source.uri)}" for source in starts),
            why="`policy` goes on with all of a policy, `init_policy` with nothing but its weights.",
            suggestions=tuple(
                Suggestion(f"{_get_start_flag(source)} {redact(source.uri)}", "alone") for source in starts
            ),
        )


def check_steps_left(job: "Job") -> Iterator[Problem]:
    """A training that goes on must have steps left; nobody wants to hear that from the machine it was sent to."""
    for source in (one for one in job.sources if one.role == "resume"):
        steps = int(str(job["training_steps"]))
        if (done := _parse_checkpoint_step(source.uri, steps)) >= steps:
            yield Problem(
                code="no-steps-left",
                stage=Stage.CHECK,
                title=f"the checkpoint reached step {done} already, and the training is to end at step {steps}",
                where="--training-steps",
                given=redact(source.uri),
                why="The number of steps is that of the whole training, those before the checkpoint among them.",
                suggestions=(Suggestion(f"--training-steps {2 * done}", "or any number above"),),
            )


def check_keep(job: "Job") -> Iterator[Problem]:
    """Only what is published is ever removed."""
    if job["keep"] is not None and job["publish_url"] is None:
        yield Problem(
            code="keep-without-publish-url",
            stage=Stage.USAGE,
            title="--keep is about the checkpoints at --publish-url, and none is given",
            where="--keep",
            given=str(job["keep"]),
            why="The run's own folder keeps every checkpoint.",
            suggestions=(
                Suggestion(f"{publish_url.PUBLISH_URL_FLAG} FOLDER --keep {job['keep']}"),
                Suggestion("--save-freq STEPS", "saves fewer"),
            ),
            absent=("publish_url",),
        )


def check_wandb_project(job: "Job") -> Iterator[Problem]:
    """The experiment's name is the project's too, and has to be one there."""
    if not job["wandb"]:
        return
    from robotrain_workloads.lerobot_train import tracking, wandb

    name = tracking.get_experiment_name(dict(job.parameters))
    if why := wandb.find_project_problem(name):
        yield Problem(
            code="wandb-project-invalid",
            stage=Stage.USAGE,
            title="the experiment cannot be a project at Weights & Biases",
            where="--wandb",
            given=name,
            why=why,
            suggestions=(Suggestion("--experiment-name NAME", "as in lerobot-act"),),
        )


def _parse_checkpoint_step(uri: str, steps: int) -> int:
    """The step that the name of a checkpoint tells; 0 when it may be another name, as that of a day may be."""
    found = re.search(r"(/checkpoints)?/([0-9]{6,7})$", uri)
    if found is None:
        return 0
    sure = found[1] or found[2].startswith("0") or int(found[2]) == steps
    return int(found[2]) if sure else 0


def _get_start_flag(source: "JobSource") -> str:
    if source.role == "policy":
        return POLICY_FLAGS.get(source.kind, "--policy-…")
    return "--init-from-policy-model" if source.role == "init_policy" else "--resume-from"
