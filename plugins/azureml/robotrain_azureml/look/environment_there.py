"""A look at the environment that the job names: a version of it holds one image for ever."""

from collections.abc import Iterator

from robotrain.problem import Problem, Stage
from robotrain_azure.arm import ArmError

from robotrain_azureml.look.finding import problem
from robotrain_azureml.look.looking import Looking
from robotrain_azureml.service import environment_differs


def problems(looking: Looking) -> Iterator[Problem]:
    """Another image in it, or a note that it is registered when the job is sent. Raises ArmError."""
    wanted, there = looking.order.environment, image(looking)
    named = f"{wanted.name}:{wanted.version}"
    if there is None:
        title = f"the environment {named} is not in the workspace yet: it is registered when the job is sent"
        yield problem("azureml-environment-new", title, "--image", wanted.image, severity="note")
    elif there != wanted.image:
        yield environment_differs.problem(wanted, there, Stage.PREFLIGHT)


def image(looking: Looking) -> str | None:
    """What the environment holds, empty for no image; None where it is not there. Raises ArmError."""
    wanted = looking.order.environment
    try:
        told = looking.get(f"environments/{wanted.name}/versions/{wanted.version}")
    except ArmError as error:
        if error.status == 404:
            return None
        raise
    return str((told.get("properties") or {}).get("image") or "")
