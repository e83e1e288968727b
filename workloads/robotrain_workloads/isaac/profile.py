"""Defaults of all workloads of Isaac Lab: image, resources. Imports nothing heavy."""

from robotrain.model import workload
from robotrain.model.workload_profile import Container, Resources

CONTAINER = Container(
    image="nvcr.io/nvidia/isaac-lab:2.3.2@sha256:388dbc806f48359a964cb9f807feb226da95d0a107f470fdcad9780ea10fe6f2",
    environment="isaaclab-training-env",
    interpreters=(  # the image has `python3` as an alias of an interactive shell only
        "/isaac-sim/kit/python/bin/python3",
        "/isaac-sim/python.sh",
        "/workspace/isaaclab/_isaac_sim/kit/python/bin/python3",
        "/workspace/isaaclab/_isaac_sim/python.sh",
    ),
)


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
