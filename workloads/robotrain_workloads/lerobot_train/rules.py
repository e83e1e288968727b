"""Rules of `lerobot-train` for a resolved job, on the submit side."""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from robotrain.errors import Problem, Stage, Suggestion, usage_problem
from robotrain.redaction import redact
from robotrain_runtime.contract.parameter import list_flags

from robotrain_workloads import publish_url
from robotrain_workloads import rules as shared_rules
from robotrain_workloads.lerobot import parameters as lerobot_parameters
from robotrain_workloads.lerobot_train import parameters

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
"""Flags of the role `policy`, by kind."""
START_ROLES = ("policy", "init_policy", "resume")


def check_device(job: "Job") -> Iterator[Problem]:
    """Reject what no machine can run."""
    for title, remedy in lerobot_parameters.find_device_problems(dict(job.parameters)):
        yield usage_problem(
            "device-cannot", title, where="--device", given=str(job["device"]), suggestions=(Suggestion(remedy),)
        )


def check_options(job: "Job") -> Iterator[Problem]:
    """Check options after `--` as the locked LeRobot would on the machine of the job."""
    if not job.trainer_args:
        return
    from robotrain_workloads.lerobot_options import option_tree

    starts = any(source.role in START_ROLES for source in job.sources)
    chosen = {} if starts else {"policy": str(job["policy_type"])}
    reported_elsewhere = {**dict.fromkeys(list_flags(parameters.TrainParameters), ""), **parameters.OWNED_OPTIONS}
    found = option_tree.find_option_problems(job.trainer_args, chosen, reported_elsewhere)
    yield from shared_rules.make_option_problems(found)


def check_single_start(job: "Job") -> Iterator[Problem]:
    """Require at most one start."""
    starts = [source for source in job.sources if source.role in START_ROLES]
    if len(starts) > 1:
        yield usage_problem(
            "several-starts",
            f"a training starts from one policy, but {len(starts)} are given",
            given=", ".join(f"{source.role} {redact(source.uri)}" for source in starts),
            why="`policy` uses the complete policy, `init_policy` only its weights.",
            suggestions=tuple(_suggest_start(source) for source in starts),
        )


def check_steps_left(job: "Job") -> Iterator[Problem]:
    """Require steps after the checkpoint, before a machine is used."""
    steps = int(str(job["training_steps"]))
    for source in job.sources:
        if source.role == "resume" and (done := _parse_checkpoint_step(source.uri, steps)) >= steps:
            yield Problem(
                code="no-steps-left",
                stage=Stage.CHECK,
                title=f"the checkpoint has reached step {done}, and the training ends at step {steps}",
                where="--training-steps",
                given=redact(source.uri),
                why="--training-steps counts all steps, including those before the checkpoint.",
                suggestions=(Suggestion(f"--training-steps {2 * done}", "or more"),),
            )


def check_keep(job: "Job") -> Iterator[Problem]:
    """Require --publish-url with --keep."""
    if job["keep"] is not None and job["publish_url"] is None:
        yield usage_problem(
            "keep-without-publish-url",
            "--keep has no effect without --publish-url",
            where="--keep",
            given=str(job["keep"]),
            why="The run's own folder keeps every checkpoint.",
            suggestions=(
                Suggestion(f"{publish_url.PUBLISH_URL_FLAG} FOLDER --keep {job['keep']}"),
                Suggestion("--save-freq STEPS", "saves fewer checkpoints"),
            ),
            absent=("publish_url",),
        )


def check_wandb_project(job: "Job") -> Iterator[Problem]:
    """Require an experiment name that is valid for a project at Weights & Biases."""
    if not job["wandb"]:
        return
    from robotrain_workloads.lerobot_train import tracking, wandb

    name = tracking.get_experiment_name(dict(job.parameters))
    if reason := wandb.find_project_problem(name):
        yield usage_problem(
            "wandb-project-invalid",
            "the experiment name is not a valid project name at Weights & Biases",
            where="--wandb",
            given=name,
            why=reason,
            suggestions=(Suggestion("--experiment-name NAME", "such as lerobot-act"),),
        )


def _parse_checkpoint_step(uri: str, steps: int) -> int:
    """Return the step in the name of a checkpoint; 0 when the number may mean something else, such as a day."""
    match = re.search(r"(/checkpoints)?/([0-9]{6,7})$", uri)
    if match is None:
        return 0
    is_step = match[1] or match[2].startswith("0") or int(match[2]) == steps
    return int(match[2]) if is_step else 0


def _suggest_start(source: "JobSource") -> Suggestion:
    flags = {"init_policy": "--init-from-policy-model", "resume": "--resume-from"}
    flag = flags.get(source.role) or POLICY_FLAGS.get(source.kind, "--policy-…")
    return Suggestion(f"{flag} {redact(source.uri)}", "only this one")
