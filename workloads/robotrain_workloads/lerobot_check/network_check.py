"""Whether LeRobot can make the network of a policy: it is made without memory for its weights, in a tenth of a second.

LeRobot's configuration classes accept sizes with which its networks cannot be made. Only what the networks themselves
assert counts: other errors may be those of a network without weights.
"""

import copy
import importlib
import traceback
from collections.abc import Iterator
from typing import Any

from robotrain_workloads.lerobot import versions

PRETRAINED_BACKBONE = "pretrained_backbone_weights"
"""The option with weights that would be downloaded."""
FAILURES = (AssertionError, ValueError)


def find_failures(config: Any) -> Iterator[str]:
    """Yield why the network of a policy cannot be made, if its type reads nothing of the Hub for it.

    :param config: an accepted configuration of a training, with the features of its dataset.
    """
    policy = config.policy
    types = versions.get_version(versions.get_installed_name()).policies
    if policy is None or not policy.output_features or policy.type not in types or types[policy.type].repositories:
        return
    torch: Any = importlib.import_module("torch")
    policy_class = importlib.import_module("lerobot.policies.factory").get_policy_class(policy.type)
    policy = copy.copy(policy)
    if hasattr(policy, PRETRAINED_BACKBONE):
        setattr(policy, PRETRAINED_BACKBONE, None)
    try:
        with torch.device("meta"):
            policy_class(policy)
    except FAILURES as error:
        yield " ".join(str(error).split()) or str(traceback.extract_tb(error.__traceback__)[-1].line)
    except Exception:
        return  # it may be that of a network without weights
