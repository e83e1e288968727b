"""A look at the environment that the job names: a version of it holds one image for ever."""

from collections.abc import Iterator

from robotrain.problem import Instead, Problem
from robotrain_azure.arm import ArmError

from robotrain_azureml.look.finding import problem
from robotrain_azureml.look.looking import Looking


def problems(looking: Looking) -> Iterator[Problem]:
    """Another image in it, or a note that it is registered when the job is sent. Raises ArmError."""
    wanted, there = looking.order.environment, image(looking)
    named = f"{wanted.name}:{wanted.version}"
    if there is None:
        title = f"the environment {named} is not in the workspace yet: it is registered when the job is sent"
        yield problem("azureml-environment-new", title, "--image", wanted.image, severity="note")
    elif there != wanted.image:
        holds = f"the image {there}" if there else "no image: it is built from files"
        title = f"the environment {named} of the workspace holds another image"
        why = f"It holds {holds}. The job is to run in {wanted.image}. A version of an environment cannot be changed."
        ways = [
            Instead("--environment-version VERSION", "another one, which is registered with the job's image"),
            Instead("--environment-name NAME", "the same, under another name"),
            *([Instead(f"--image {there}", "when the job may run in that one")] if there else []),
        ]
        yield problem("azureml-environment-differs", title, "--environment-version", wanted.version, why, *ways)


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
