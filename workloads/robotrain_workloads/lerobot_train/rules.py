"""The rules of `lerobot-train` on a resolved job, on the submit side."""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from robotrain.problem import Instead, Problem, Stage
from robotrain.redaction import redact

from robotrain_workloads.lerobot_train import precision, publishing_to
from robotrain_workloads.lerobot_train.versions import LEROBOT

if TYPE_CHECKING:
    from robotrain.job import Job
    from robotrain_runtime.document import Source

FLAGS = {
    "huggingface": "--policy-repo-id",
    "local_path": "--policy-path",
    "blob_url": "--policy-url",
    "registered_model": "--policy-model",
    "model_asset": "--policy-model",
    "mlflow_run": "--policy-model",
    "datastore_path": "--policy-url",
}
"""Of the role `policy`, by kind."""
STARTS = ("policy", "init_policy", "resume")


def version(job: "Job", does: str = "trains") -> Iterator[Problem]:
    """The version asked for must be the one that is locked. does: what the workload does with it."""
    asked = job["lerobot_version"]
    if asked not in (None, LEROBOT):
        yield Problem(
            code="lerobot-version-not-locked",
            stage=Stage.CHECK,
            title=f"this robotrain {does} with LeRobot {LEROBOT}",
            where="--lerobot-version",
            given=str(asked),
            why="The version is part of the locked environment, in which everything is pinned by hash.",
            instead=(Instead(f"--lerobot-version {LEROBOT}", "or leave it out"),),
        )


def device(job: "Job") -> Iterator[Problem]:
    """What no machine can do: told here, not after a queue."""
    for why, way in precision.refused(dict(job.parameters)):
        yield Problem(
            code="device-cannot",
            stage=Stage.USAGE,
            title=why,
            where="--device",
            given=str(job["device"]),
            instead=(Instead(way),),
        )


def one_start(job: "Job") -> Iterator[Problem]:
    """A training starts at one place."""
    starts = [source for source in job.sources if source.role in STARTS]
    if len(starts) > 1:
        yield Problem(
            code="several-starts",
            stage=Stage.USAGE,
            title=f"a training starts from one policy, and this one is given {len(starts)}",
            given=", ".join(f"{source.role} {redact(source.uri)}" for source in starts),
            why="`policy` goes on with all of a policy, `init_policy` with nothing but its weights.",
            instead=tuple(Instead(f"{_flag(source)} {redact(source.uri)}", "alone") for source in starts),
        )


def steps_left(job: "Job") -> Iterator[Problem]:
    """A training that goes on must have steps left; nobody wants to hear that from the machine it was sent to."""
    for source in (one for one in job.sources if one.role == "resume"):
        steps = int(str(job["training_steps"]))
        if (done := _step(source.uri, steps)) >= steps:
            yield Problem(
                code="no-steps-left",
                stage=Stage.CHECK,
                title=f"the checkpoint reached step {done} already, and the training is to end at step {steps}",
                where="--training-steps",
                given=redact(source.uri),
                why="The number of steps is that of the whole training, those before the checkpoint among them.",
                instead=(Instead(f"--training-steps {2 * done}", "or any number above"),),
            )


def publish_url(job: "Job", what: str = "checkpoints") -> Iterator[Problem]:
    """A folder of the machine that runs the job, written so that it is the same one wherever it is read.

    An address is for the kinds that can be written to. what: is copied there.
    """
    said = job["publish_url"]
    if said is None or publishing_to.is_address(said):
        return
    if why := _why_no_folder(said):
        yield Problem(
            code="publish-url-invalid",
            stage=Stage.PARSE,
            title=f"{publishing_to.FLAG} takes an absolute folder",
            where=publishing_to.FLAG,
            given=redact(said),
            why=why,
            instead=(Instead(f"{publishing_to.FLAG} /FOLDER/{what}", f"or file:///FOLDER/{what}"),),
        )


def keep(job: "Job") -> Iterator[Problem]:
    """Only what is published is ever removed."""
    if job["keep"] is not None and job["publish_url"] is None:
        yield Problem(
            code="keep-without-publish-url",
            stage=Stage.USAGE,
            title="--keep is about the checkpoints at --publish-url, and none is given",
            where="--keep",
            given=str(job["keep"]),
            why="The run's own folder keeps every checkpoint.",
            instead=(
                Instead(f"{publishing_to.FLAG} FOLDER --keep {job['keep']}"),
                Instead("--save-freq STEPS", "saves fewer"),
            ),
            absent=("publish_url",),
        )


def wandb_project(job: "Job") -> Iterator[Problem]:
    """The experiment's name is the project's too, and has to be one there."""
    if not job["wandb"]:
        return
    from robotrain_workloads.lerobot_train import tracked, weights_and_biases

    name = tracked.experiment(dict(job.parameters))
    if why := weights_and_biases.wrong_project(name):
        yield Problem(
            code="wandb-project-invalid",
            stage=Stage.USAGE,
            title="the experiment cannot be a project at Weights & Biases",
            where="--wandb",
            given=name,
            why=why,
            instead=(Instead("--experiment-name NAME", "as in lerobot-act"),),
        )


def _why_no_folder(said: str) -> str:
    try:
        return "It names no folder of its own." if publishing_to.folder(said) in ("", "/") else ""
    except ValueError as error:
        return str(error)


def _step(uri: str, steps: int) -> int:
    """The step that the name of a checkpoint tells; 0 when it may be another name, as that of a day may be."""
    found = re.search(r"(/checkpoints)?/([0-9]{6,7})$", uri)
    if found is None:
        return 0
    sure = found[1] or found[2].startswith("0") or int(found[2]) == steps
    return int(found[2]) if sure else 0


def _flag(source: "Source") -> str:
    if source.role == "policy":
        return FLAGS.get(source.kind, "--policy-…")
    return "--init-from-policy-model" if source.role == "init_policy" else "--resume-from"
