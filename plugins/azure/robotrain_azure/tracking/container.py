"""An Azure ML workspace as a tracking address, in the container."""

import os
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

from robotrain_runtime.contract.container_plugin import PLATFORM_TRACKING_VARIABLE
from robotrain_runtime.contract.failure import Finding
from robotrain_sources.data_environment import ENVIRONMENT

from robotrain_azure import workspace
from robotrain_azure.workspace import Workspace

__all__ = ["ENVIRONMENT", "ORIGIN", "address", "look", "registry", "takes", "ui"]

ORIGIN = "robotrain_sources.data_environment.ENVIRONMENT"
"""Where the environment comes from: what packs this half packs that with it."""
API_VERSION = "2024-04-01"
PATIENCE_SECONDS, PREFLIGHT_PATIENCE_SECONDS = 20.0, 8.0
"""Seconds for which a bad moment of Azure is sat out: by a run that goes on meanwhile, and by one that waits."""
CLIENT_DEFAULTS = {"AZUREML_ARTIFACTS_DEFAULT_TIMEOUT": "86400"}
"""Unless the environment says otherwise: the client gives up on fifty files after five minutes."""


def takes(uri: str) -> bool:
    """Whether it names a workspace."""
    return workspace.parse_tracking_uri(uri) is not None


def look(uri: str) -> Iterable[Finding]:
    """Whether the workspace is there, and lets this identity in. Of a job of its own, nobody needs to be asked."""
    at = _parse_workspace(uri)
    if find_given_address(at):
        return

    from robotrain_azure import roles
    from robotrain_azure.arm import ArmClient, ArmError

    arm = ArmClient(PREFLIGHT_PATIENCE_SECONDS)
    try:
        arm.get(at.resource, API_VERSION)
        yield from roles.check_tracking_permissions(arm, at)
    except ArmError as error:
        yield _make_finding(error, at)


def address(uri: str) -> str:
    """What the workspace itself calls its tracking address. Raises OSError with a sentence."""
    from robotrain_azure.workspace import get_cloud

    at = _parse_workspace(uri)
    for name, value in {**CLIENT_DEFAULTS, "AZUREML_CURRENT_CLOUD": get_cloud().name}.items():
        os.environ.setdefault(name, value)
    return find_given_address(at) or _fetch_address(at)


def ui(uri: str, experiment_id: str, run_id: str) -> str:
    """The run in the studio."""
    from robotrain_azure.workspace import get_cloud

    at = _parse_workspace(uri)
    names = f"/subscriptions/{at.subscription}/resourcegroups/{at.group}/workspaces/{at.name}"
    return f"https://{get_cloud().studio}/runs/{run_id}?wsid={names}"


def registry(uri: str) -> Any:
    """The models of the workspace: its MLflow address takes models in MLflow's own format alone."""
    from robotrain_azure.arm import ArmClient
    from robotrain_azure.tracking.model_registry import WorkspaceModels

    return WorkspaceModels(ArmClient(PATIENCE_SECONDS), _parse_workspace(uri))


def _parse_workspace(uri: str) -> Workspace:
    found = workspace.parse_tracking_uri(uri)
    if found is None:
        raise OSError(f"{uri} names no Azure ML workspace")
    return found


def _fetch_address(workspace: Workspace) -> str:
    from robotrain_azure import errors
    from robotrain_azure.arm import ArmClient, ArmError

    try:
        said = str(
            ArmClient(PATIENCE_SECONDS)
            .get(workspace.resource, API_VERSION)
            .get("properties", {})
            .get("mlFlowTrackingUri")
            or ""
        )
    except ArmError as error:
        told = errors.diagnose_workspace_error(error, workspace)
        raise OSError("; ".join((f"{told.title}: {told.why.rstrip('.')}", *told.suggestions))) from error
    if not said.startswith("azureml://"):
        raise OSError(f"the Azure ML workspace {workspace.name} does not say where runs are tracked")
    return said


def _make_finding(error: Any, workspace: Workspace) -> Finding:
    from robotrain_azure import errors

    told = errors.diagnose_workspace_error(error, workspace)
    ways = told.suggestions
    if told.kind == "signed-out":
        ways = ("give the job an identity: a workload identity, or a managed one that AZURE_CLIENT_ID names",)
    return Finding(
        code="tracking-unreachable" if told.network else "tracking-refused",
        title=told.title,
        given=workspace.tracking_uri,
        why=told.why,
        ways=ways,
        fault="network" if told.network else "configuration",
    )


def find_given_address(workspace: Workspace) -> str:
    """That of this very workspace; empty where there is none, or another's."""
    said = os.environ.get(PLATFORM_TRACKING_VARIABLE, "")
    parts = urlsplit(said)
    return said if parts.scheme == "azureml" and parts.path.lower().endswith(workspace.resource.lower()) else ""
