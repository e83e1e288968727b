"""Plans to hand over to the workspace that stands in, as `render` makes them, and what was asked on the way."""

from typing import Any

import pytest
from azure_stand_in.ml.azureml import AzureML as StandIn
from azureml_planned import job, plan
from robotrain.errors import Problem, Rejected
from robotrain.model.plan import Plan
from robotrain_azureml.platform import AzureMLPlatform
from robotrain_runtime.contract.document import JobSource
from robotrain_workloads.lerobot_train.workload import LEROBOT_TRAIN

IMAGE = LEROBOT_TRAIN.profile.container.image

ENVIRONMENT = "lerobot-training-env"
VERSION = "2.11.0-cuda12.8-cudnn9-runtime-sha256-eee11b3b3872a8c838e35ef48f08b2d5def2080902c7f666831310ca1a0ef2be"
AT = f"/environments/{ENVIRONMENT}/versions/{VERSION}"

__all__ = ["AT", "ENVIRONMENT", "IMAGE", "VERSION", "asked", "refused", "sendable"]


def sendable(there: StandIn, *sources: JobSource, **settings: Any) -> Plan:
    """A plan for a workspace that has all it needs but its environment."""
    if not there.ml.computes:
        there.kubernetes()
    return plan(job(*sources), **there.settings | settings)


def asked(there: StandIn, what: str = "") -> list[str]:
    """The calls so far, each as its method and its path below the workspace, or its whole address."""
    told = [line.partition("?")[0].replace(f"https://management.azure.com{there.at}", "") for line in there.calls]
    return [line for line in told if what in line]


def refused(wanted: Plan) -> Problem:
    """What is told of the one problem of a submit."""
    with pytest.raises(Rejected) as raised:
        AzureMLPlatform().submit(wanted)
    [problem] = raised.value.problems
    return problem
