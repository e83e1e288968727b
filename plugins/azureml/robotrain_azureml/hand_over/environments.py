"""The environment that a job names: registered when it is not there, used when it holds the same image."""

from robotrain.problem import Rejected, Stage

from robotrain_azureml.hand_over.failure import status_of
from robotrain_azureml.hand_over.sdk import Sdk
from robotrain_azureml.order import Environment
from robotrain_azureml.service import environment_differs

CONFLICT = (400, 409, 412)


def ensure(sdk: Sdk, wanted: Environment) -> bool:
    """Have it there: whether it was registered now. Raises Rejected for one of another image, and what the SDK does."""
    there = _there(sdk, wanted)
    if there is None:
        there, made = _registered(sdk, wanted)
    else:
        made = False
    if there != wanted.image:
        raise Rejected([environment_differs.problem(wanted, there, Stage.SUBMIT)])
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
