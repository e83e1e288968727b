"""Whether LeRobot can make the network of a policy: it is made without memory for its weights, in a tenth of a second.

LeRobot's configuration classes accept sizes with which its networks cannot be made. Only what the networks themselves
refuse or assert counts: other errors may be those of a network without weights.
"""

import copy
import importlib
import traceback
from typing import Any

from robotrain_workloads.lerobot import versions

PRETRAINED_BACKBONE = "pretrained_backbone_weights"
"""The option with weights that would be downloaded."""


def find_failed_assertion(config: Any) -> str:
    """Return what the network of a policy asserts in vain; empty also for types that read the Hub for it.

    Raise ValueError if the network refuses a value.

    :param config: an accepted configuration of a training, with the features of its dataset.
    """
    policy = config.policy
    types = versions.get_version(versions.get_installed_name()).policies
    if policy is None or not policy.output_features or policy.type not in types or types[policy.type].repositories:
        return ""
    torch: Any = importlib.import_module("torch")
    declared = type(policy)
    module = importlib.import_module(declared.__module__.replace("configuration_", "modeling_"))
    network = getattr(module, f"{declared.__name__.removesuffix('Config')}Policy", None)
    policy = copy.copy(policy)
    if hasattr(policy, PRETRAINED_BACKBONE):
        setattr(policy, PRETRAINED_BACKBONE, None)
    try:
        with torch.device("meta"):
            network(policy) if network else None
    except ValueError:
        raise
    except AssertionError as error:
        return " ".join(str(error).split()) or str(traceback.extract_tb(error.__traceback__)[-1].line)
    except Exception:  # it may be that of a network without weights
        return ""
    return ""
