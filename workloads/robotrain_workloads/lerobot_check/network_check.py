"""Whether LeRobot can make the network of a policy: it is made without memory for its weights, in a tenth of a second.

LeRobot's configuration classes accept sizes with which its networks cannot be made. What fails for want of files, of
packages or of weights does not count.
"""

import copy
import importlib
import traceback
from typing import Any

from robotrain_workloads.lerobot import versions

PRETRAINED_BACKBONE = "pretrained_backbone_weights"
"""The option with weights that would be downloaded."""
NO_WEIGHTS = ("meta tensor", "meta device")
"""Words of errors of a network that is made without memory for its weights."""


def find_failure(config: Any) -> str:
    """Return why the network of a policy cannot be made; empty also for types that read weights of the Hub for it.

    Raise ValueError if the network refuses a value.

    :param config: an accepted configuration of a training, with the features of its dataset.
    """
    policy = config.policy
    types = versions.get_version(versions.get_installed_name()).policies
    if policy is None or not policy.output_features or policy.type not in types:
        return ""
    if any(repository.weights != "never" for repository in types[policy.type].repositories.values()):
        return ""
    torch: Any = importlib.import_module("torch")
    policy_class = type(policy)
    policy = copy.copy(policy)
    if hasattr(policy, PRETRAINED_BACKBONE):
        setattr(policy, PRETRAINED_BACKBONE, None)
    try:
        module = importlib.import_module(policy_class.__module__.replace("configuration_", "modeling_"))
        network = getattr(module, f"{policy_class.__name__.removesuffix('Config')}Policy", None)
        with torch.device("meta"):
            network(policy) if network else None
    except ValueError:
        raise
    except Exception as error:
        return _describe(error) if _is_of_options(error) else ""
    return ""


def _is_of_options(error: BaseException) -> bool:
    """Return whether an error may come of options: not of files, packages, or of a network without weights."""
    causes = [error]
    while cause := causes[-1].__cause__ or causes[-1].__context__:
        causes.append(cause)
    if any(isinstance(cause, OSError | ImportError | MemoryError) for cause in causes):
        return False
    return not any(word in str(cause) for cause in causes for word in NO_WEIGHTS)


def _describe(error: Exception) -> str:
    """Return the message of an error, with its type if it is no sentence; without one, the line that asserts."""
    message = " ".join(str(error).split())
    if not message:
        return str(traceback.extract_tb(error.__traceback__)[-1].line)
    return message if " " in message else f"{type(error).__name__} {message}"
