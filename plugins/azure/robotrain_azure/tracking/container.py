"""An Azure ML workspace as a tracking address, in the container (see `robotrain_runtime.half.TrackingHalf`)."""

import os
from collections.abc import Iterable
from typing import Any

from robotrain_runtime.finding import Finding
from robotrain_sources.data_environment import ENVIRONMENT

from robotrain_azure import workspace
from robotrain_azure.tracking import given
from robotrain_azure.workspace import Workspace

__all__ = ["ENVIRONMENT", "ORIGIN", "address", "look", "registry", "takes", "ui"]

ORIGIN = "robotrain_sources.data_environment.ENVIRONMENT"
"""Where the environment comes from: what packs this half packs that with it."""
VERSION = "2024-04-01"
PATIENCE, QUICK = 20.0, 8.0
"""Seconds for which a bad moment of Azure is sat out: by a run that goes on meanwhile, and by one that waits."""
OURS = {"AZUREML_ARTIFACTS_DEFAULT_TIMEOUT": "86400"}
"""Unless the environment says otherwise: the client gives up on fifty files after five minutes."""


def takes(uri: str) -> bool:
    """Whether it names a workspace."""
    return workspace.of_address(uri) is not None


def look(uri: str) -> Iterable[Finding]:
    """Whether the workspace is there, and lets this identity in. Of a job of its own, nobody needs to be asked."""
    at = _of(uri)
    if given.address(at):
        return

    from robotrain_azure.arm import Arm, ArmError
    from robotrain_azure.tracking import permissions

    arm = Arm(QUICK)
    try:
        arm.get(at.resource, VERSION)
        yield from permissions.findings(arm, at)
    except ArmError as error:
        yield _finding(error, at)


def address(uri: str) -> str:
    """What the workspace itself calls its tracking address. Raises OSError with a sentence."""
    from robotrain_azure.cloud import here

    at = _of(uri)
    for name, value in {**OURS, "AZUREML_CURRENT_CLOUD": here().name}.items():
        os.environ.setdefault(name, value)
    return given.address(at) or _asked(at)


def ui(uri: str, experiment_id: str, run_id: str) -> str:
    """The run in the studio."""
    from robotrain_azure.cloud import here

    at = _of(uri)
    names = f"/subscriptions/{at.subscription}/resourcegroups/{at.group}/workspaces/{at.name}"
    return f"https://{here().studio}/runs/{run_id}?wsid={names}"


def registry(uri: str) -> Any:
    """The models of the workspace: its MLflow address takes models in MLflow's own format alone."""
    from robotrain_azure.arm import Arm
    from robotrain_azure.tracking.models import Models

    return Models(Arm(PATIENCE), _of(uri))


def _of(uri: str) -> Workspace:
    found = workspace.of_address(uri)
    if found is None:
        raise OSError(f"{uri} names no Azure ML workspace")
    return found


def _asked(at: Workspace) -> str:
    from robotrain_azure import refusal
    from robotrain_azure.arm import Arm, ArmError

    try:
        said = str(Arm(PATIENCE).get(at.resource, VERSION).get("properties", {}).get("mlFlowTrackingUri") or "")
    except ArmError as error:
        told = refusal.of(error, at)
        raise OSError("; ".join((f"{told.title}: {told.why.rstrip('.')}", *told.ways))) from error
    if not said.startswith("azureml://"):
        raise OSError(f"the Azure ML workspace {at.name} does not say where runs are tracked")
    return said


def _finding(error: Any, at: Workspace) -> Finding:
    from robotrain_azure import refusal

    told = refusal.of(error, at)
    ways = told.ways
    if told.kind == "signed-out":
        ways = ("give the job an identity: a workload identity, or a managed one that AZURE_CLIENT_ID names",)
    return Finding(
        code="tracking-unreachable" if told.network else "tracking-refused",
        title=told.title,
        given=at.tracking_uri,
        why=told.why,
        ways=ways,
        fault="network" if told.network else "configuration",
    )
