"""The environment that a job names: registered when it is not there, used when it holds the same image."""

from robotrain.problem import Instead, Problem, Rejected, Stage

from robotrain_azureml.hand_over.failure import status_of
from robotrain_azureml.hand_over.sdk import Sdk
from robotrain_azureml.order import Environment

CONFLICT = (400, 409, 412)


def ensure(sdk: Sdk, wanted: Environment) -> bool:
    """Have it there: whether it was registered now. Raises Rejected for one of another image, and what the SDK does."""
    there = _there(sdk, wanted)
    if there is None:
        there, made = _registered(sdk, wanted)
    else:
        made = False
    if there != wanted.image:
        raise Rejected([_other(wanted, there)])
    return made


def _there(sdk: Sdk, wanted: Environment) -> str | None:
    """Its image; None when it is not there."""
    try:
        return sdk.image_of(wanted.name, wanted.version)
    except Exception as error:
        if status_of(error) == 404:
            return None
        raise


def _registered(sdk: Sdk, wanted: Environment) -> tuple[str, bool]:
    """Its image then, and whether this made it: a colleague may have been quicker."""
    try:
        return sdk.register(wanted.name, wanted.version, wanted.image), True
    except Exception as error:
        if status_of(error) not in CONFLICT:
            raise
        there = _there(sdk, wanted)
        if there is None:
            raise
        return there, False


def _other(wanted: Environment, there: str) -> Problem:
    """An environment version is made once; a job in another image would be another job."""
    holds = f"the image {there}" if there else "no image: it is built from files"
    return Problem(
        code="azureml-environment-differs",
        stage=Stage.SUBMIT,
        title=f"the environment {wanted.name}:{wanted.version} of the workspace holds another image",
        where="--environment-version",
        given=wanted.version,
        why=f"It holds {holds}. The job is to run in {wanted.image}. A version of an environment cannot be changed.",
        instead=(
            Instead("--environment-version VERSION", "another one, which is registered with the job's image"),
            Instead("--environment-name NAME", "the same, under another name"),
            *([Instead(f"--image {there}", "when the job may run in that one")] if there else []),
        ),
    )
