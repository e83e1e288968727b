"""Defaults of all workloads of Isaac Lab: image, resources. Imports nothing heavy."""

import dataclasses
import re
from typing import TYPE_CHECKING, Any

from robotrain.model import workload
from robotrain.model.workload_profile import Container, Resources, WorkloadProfile

if TYPE_CHECKING:
    from robotrain.model.job import Job

LAB_2_3 = Container(
    image="nvcr.io/nvidia/isaac-lab:2.3.2@sha256:388dbc806f48359a964cb9f807feb226da95d0a107f470fdcad9780ea10fe6f2",
    environment="isaaclab-training-env",
    interpreters=(  # the image has `python3` as an alias of an interactive shell only
        "/isaac-sim/kit/python/bin/python3",
        "/isaac-sim/python.sh",
        "/workspace/isaaclab/_isaac_sim/kit/python/bin/python3",
        "/workspace/isaaclab/_isaac_sim/python.sh",
    ),
)
"""The image of Isaac Lab 2.3."""
LAB_3_0 = Container(interpreters=LAB_2_3.interpreters)
"""Isaac Lab 3.0 is built in an image of PyTorch; one with Isaac Sim may be given."""
LAB_2_3_IMAGES = re.compile(r"isaac-?lab:v?2\b")
DEFAULTS_2_3 = {"task": "Isaac-Velocity-Rough-Anymal-C-v0", "backend": "skrl"}
"""What the reference's scripts train. Names: contract, A.3."""


def reads_code(pyproject_text: str) -> bool:
    """Return whether what plays a policy needs the code of its training: for the tasks that it brings."""
    from robotrain_workloads.isaac import user_code

    return user_code.brings_tasks(pyproject_text)


def derive_image_defaults(image: str) -> dict[str, tuple[Any, str]]:
    """Return the version of Isaac Lab that an image has, if its reference tells."""
    return {"isaac_version": ("2.3", "of the image")} if LAB_2_3_IMAGES.search(image) else {}


def derive_profile(profile: WorkloadProfile, job: "Job") -> WorkloadProfile:
    """Return the profile of a job: its version of Isaac Lab has an image of its own."""
    return dataclasses.replace(profile, container=LAB_2_3 if job["isaac_version"] == "2.3" else LAB_3_0)


def get_option_name(argument: str) -> str:
    """Return the name of a script's option, or the key of Hydra's override: `agent.seed` of `+agent.seed=1`."""
    if argument.startswith("-"):
        return workload.get_option_name(argument)
    key, equals, _ = argument.lstrip("+~").partition("=")
    return key if equals or argument.startswith("~") else ""


def takes_value(name: str) -> bool:
    """Return whether the next argument is the value of an option; the value of a Hydra key follows its `=`."""
    from robotrain_workloads.isaac import script_options

    return name.startswith("-") and name not in script_options.list_switches()


def make_resources(time_limit: str) -> Resources:
    """Return the usual resources, with a time limit such as `24h`."""
    return Resources(cpu=20, memory="180Gi", storage="100Gi", time_limit=time_limit)
