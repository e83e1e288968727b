"""The workload `rosbag-act-train`: a name for `lerobot-train --policy-type act --bags` that reads config.yaml."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from robotrain.errors import Suggestion, suggest_leaving_out
from robotrain.messages import Messages
from robotrain.model.workload import JobTemplate, Workload
from robotrain.model.workload_profile import Resources, WorkloadProfile
from robotrain.plugins.hookspecs import hook

from robotrain_workloads.lerobot_train import workload as lerobot_train
from robotrain_workloads.lerobot_train.workload import LEROBOT_TRAIN
from robotrain_workloads.rosbag_act_train.parameters import RosbagActParameters

if TYPE_CHECKING:
    from robotrain.errors import Problem
    from robotrain.model.job import Job
    from robotrain.model.workload import ConfigValue
    from robotrain_runtime.contract.document import JobDocument

make_problem = Messages(__file__)

RESOURCES = Resources(cpu=4, memory="16Gi")


def check_job(job: "Job") -> "Iterator[Problem]":
    """Check what does not depend on the platform."""
    kind = job["reward_model"] or job["policy_type"]
    if not job["bags"]:
        yield make_problem("type-not-trainable.no-bags", suggest_leaving_out("--no-bags"))
    elif kind != "act":
        flag = "--reward-model" if job["reward_model"] else "--policy-type"
        way = Suggestion(f"robotrain submit lerobot-train --bags {flag} {kind} …")
        yield make_problem("type-not-trainable.not-act", way, suggest_leaving_out(flag), where=flag, given=str(kind))
    else:
        yield from lerobot_train.check_job(job)


def derive_profile(job: "Job") -> WorkloadProfile:
    """Return the profile of a job."""
    return replace(lerobot_train.derive_profile(job), resources=RESOURCES)


def read_config(file: Path) -> "Iterator[ConfigValue | Problem]":
    """Read a configuration file of the tools for bags."""
    from robotrain_workloads.rosbag_act_train import config_file

    yield from config_file.read_config(file)


def format_config(document: "JobDocument", folder: str) -> str:
    """Return such a file with the settings of a job."""
    from robotrain_workloads.rosbag_act_train import config_file

    return config_file.format_config(document, folder)


PARAMETERS = {
    "image_topics": "/camera/top=top",
    "state_topic": "/joint_states",
    "action_topic": None,
    "fps": 30.0,
    "training_steps": None,
    "batch_size": None,
    "learning_rate": None,
    "register_checkpoint": None,
}
"""What `robotrain init` shows of the parameters."""
EXAMPLES = {"pusht-bags": Path(__file__).parents[1] / "examples/pusht-bags"}

ROSBAG_ACT_TRAIN = replace(
    LEROBOT_TRAIN,
    name="rosbag-act-train",
    summary="train an ACT policy from ROS 2 bags: lerobot-train --policy-type act --bags",
    example_lines=("rosbag-act-train --dataset-path ./recordings --training-steps 20000 --platform PLATFORM",),
    parameters=RosbagActParameters,
    profile=replace(LEROBOT_TRAIN.profile, resources=RESOURCES),
    derive_profile=derive_profile,
    named_by=(),
    check=check_job,
    read_config=read_config,
    format_config=format_config,
    template=JobTemplate(parameters=PARAMETERS, examples=EXAMPLES),
)


@hook
def robotrain_workloads() -> Iterable[Workload]:
    """Return the workload of this module."""
    return (ROSBAG_ACT_TRAIN,)
