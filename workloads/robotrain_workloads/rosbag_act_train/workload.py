"""The workload `rosbag-act-train`: its declaration. Imports nothing heavy."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from robotrain.errors import Problem, Suggestion, suggest_leaving_out
from robotrain.messages import Messages
from robotrain.model.preview import WorkPreview
from robotrain.model.workload import JobTemplate, Role, Workload
from robotrain.model.workload_profile import Container, Metric, OutputProfile, Resources, WorkloadProfile
from robotrain.plugins.hookspecs import hook
from robotrain.redaction import redact

from robotrain_workloads.bag_parameters import is_action_the_state
from robotrain_workloads.lerobot.parameters import TRAINING_HINTS
from robotrain_workloads.rosbag_act_train.parameters import (
    RosbagActParameters,
    find_policy_problems,
)

if TYPE_CHECKING:
    from robotrain.errors import Problem
    from robotrain.model.job import Job
    from robotrain.model.workload import ConfigValue

make_problem = Messages(__file__)


ACTION_FORM = "--action-topic TOPIC"


def check_job(job: "Job") -> Iterator[Problem]:
    """Check what does not depend on the platform."""
    from robotrain_workloads import rules as shared_rules
    from robotrain_workloads.lerobot import rules
    from robotrain_workloads.lerobot.backbones import is_weights

    most = f"--n-action-steps {job['chunk_size']}"
    for problem in find_policy_problems(dict(job.parameters)):
        ways: tuple[Suggestion, ...] = (Suggestion(most),) if problem.startswith("--n-action-steps ") else ()
        yield make_problem("rosbag-policy-impossible.setting", *ways, title=problem)
    if is_action_the_state(dict(job.parameters)):
        ways = (Suggestion("--action-topic none", "the action is the next state"), Suggestion(ACTION_FORM))
        topic = redact(str(job["action_topic"]))
        yield make_problem("rosbag-policy-impossible.action-is-state", *ways, given=topic)
    starts = [source.role for source in job.sources if source.role in rules.START_ROLES]
    backbones = [source for source in job.sources if source.role == "backbone" and not source.implied]
    texts = [redact(source.uri) for source in backbones]
    texts += ["--pretrained-backbone-weights"] * (job["pretrained_backbone_weights"] is not None)
    if starts and texts:
        yield make_problem("rosbag-policy-impossible.weights-given", text=texts[0], starts=starts[0])
    if backbones and not job["image_topics"]:
        yield make_problem("rosbag-policy-impossible.no-images", text=texts[0])
    for source in backbones:
        if not is_weights(source):
            way = Suggestion("--backbone-path FILE.pth")
            yield make_problem("rosbag-policy-impossible.camera-weights", uri=redact(source.uri))
    for argument in job.trainer_args[:1]:
        way = suggest_leaving_out(argument.partition("=")[0])
        yield make_problem("script-option-invalid", way, given=argument)
    yield from rules.check_device(job)
    yield from rules.check_single_start(job)
    yield from rules.check_steps_left(job)
    yield from shared_rules.check_publish_url(job)


OPTION_HINTS = {
    **TRAINING_HINTS,
    "--evaluate-checkpoints": "no workload evaluates the policies of rosbag-act-train: try them on your robot",
    "--num-nodes": "its own trainer has processes on one machine, one for each GPU: --num-gpus N",
    **dict.fromkeys(("--fp16", "--amp"), "rosbag-act-train has no fp16: --mixed-precision bf16 takes as little memory"),
}


def read_config(file: Path) -> "Iterator[ConfigValue | Problem]":
    """Read a configuration file of the tools for bags."""
    from robotrain_workloads.rosbag_act_train import config_file

    yield from config_file.read_config(file)


def format_config(values: Mapping[str, Any], folder: str) -> str:
    """Return such a file with the parameters of a job."""
    from robotrain_workloads.rosbag_act_train import config_file

    return config_file.format_config(values, folder)


def logs_metric(job: "Job", metric: str) -> bool:
    """Return whether a training reports a metric: no validation loss without held-out episodes."""
    return metric != "val/loss" or bool(job["val_split"])


PARAMETERS = {
    "image_topics": "/camera/top=top",
    "state_topic": "/joint_states",
    "action_topic": None,
    "fps": 30.0,
    "training_steps": None,
    "batch_size": None,
    "learning_rate": None,
    "chunk_size": None,
    "register_checkpoint": None,
}
"""What `robotrain init` shows of the parameters."""
EXAMPLES = {"pusht-bags": Path(__file__).parents[1] / "examples/pusht-bags"}

ROSBAG_ACT_TRAIN = Workload(
    name="rosbag-act-train",
    summary="train an ACT policy from ROS 2 bags",
    parameters=RosbagActParameters,
    roles={
        "dataset": Role(required=True, many=True),
        "policy": Role(takes="checkpoints"),
        "resume": Role(),
        "backbone": Role(),
    },
    implies_sources=lambda job: job["pretrained_backbone_weights"] is not None,
    container_plugin="robotrain_workloads.rosbag_act_train.container",
    targets=("publish_url",),
    profile=WorkloadProfile(
        resources=Resources(cpu=4, memory="16Gi"),
        container=Container(environment="rosbag-act-training-env"),
        outputs=OutputProfile(noun="training"),
        metrics=(
            Metric(name="train/loss", kind="loss", label="training loss", brief="loss", better="lower"),
            Metric(name="val/loss", kind="validation", label="validation loss", brief="val", better="lower"),
        ),
        experiment="rosbag-act-training",
    ),
    option_hints=OPTION_HINTS,
    check=check_job,
    logs_metric=logs_metric,
    read_config=read_config,
    preview=WorkPreview({"steps": "training_steps", "batch": "batch_size"}),
    template=JobTemplate(parameters=PARAMETERS, examples=EXAMPLES),
    format_config=format_config,
)


@hook
def robotrain_workloads() -> Iterable[Workload]:
    """Return the workload of this module."""
    return (ROSBAG_ACT_TRAIN,)
