"""An Azure ML workspace as a tracking address, in the container; models of runs are registered there too."""

import fnmatch
import os
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import urlsplit

from robotrain_runtime.contract.container_plugin import PLATFORM_TRACKING_VARIABLE
from robotrain_runtime.contract.problem import Problem, Suggestion, make_suggestions

from robotrain_azure import errors, workspace
from robotrain_azure.arm import Answer, ArmClient, ArmError
from robotrain_azure.credential import UNKNOWN_OBJECT_ID
from robotrain_azure.errors import DATA_SCIENTIST_ROLE, make_role_command
from robotrain_azure.models.workspace_models import WorkspaceModels
from robotrain_azure.workspace import Workspace, get_cloud

AUTHORIZATION_API_VERSION = "2022-04-01"
PATIENCE_SECONDS, PREFLIGHT_PATIENCE_SECONDS = 20.0, 8.0
"""How long transient errors are retried, in seconds: in a run, and in the preflight that someone waits for."""
CLIENT_DEFAULTS = {"AZUREML_ARTIFACTS_DEFAULT_TIMEOUT": "86400"}
"""Defaults for MLflow's client, which gives up on fifty files after five minutes otherwise."""


def accepts(uri: str) -> bool:
    """Return whether a tracking URI names a workspace."""
    return workspace.parse_tracking_uri(uri) is not None


def preflight_address(uri: str) -> Iterable[Problem]:
    """Check that the workspace exists and lets the job's identity in. A job of that very workspace needs no check."""
    workspace = _parse_workspace(uri)
    if find_given_address(workspace):
        return
    arm = ArmClient(PREFLIGHT_PATIENCE_SECONDS)
    try:
        arm.get(workspace.resource)
        yield from check_tracking_permissions(arm, workspace)
    except ArmError as error:
        diagnosis, tracking_uri = errors.diagnose_error(error, workspace), workspace.tracking_uri
        title, reason, ways = diagnosis.title, diagnosis.why, make_suggestions(*diagnosis.suggestions)
        if diagnosis.kind == "signed-out":
            ways = make_suggestions(
                "give the job an identity: a workload identity, or a managed one that AZURE_CLIENT_ID names"
            )
        if diagnosis.network:
            yield Problem(
                code="tracking-unreachable",
                title=title,
                given=tracking_uri,
                why=reason,
                suggestions=ways,
                fault="network",
            )
        else:
            code = "azure-role-missing"
            yield Problem(
                code=code, title=title, given=tracking_uri, why=reason, suggestions=ways, fault="configuration"
            )


TRACKING_ACTIONS = tuple(
    f"Microsoft.MachineLearningServices/workspaces/{what}/write" for what in ("jobs", "experiments/runs")
)
"""Actions that allow tracking, by Azure's current and earlier documentation: a custom role may allow either."""


def check_tracking_permissions(arm: ArmClient, workspace: Workspace) -> Iterator[Problem]:
    """Yield a finding if the identity may not track runs in the workspace; nothing if Azure does not tell."""
    path = f"{workspace.resource}/providers/Microsoft.Authorization/permissions"
    try:
        permissions = list(arm.list_all(path, AUTHORIZATION_API_VERSION))
    except ArmError:
        return
    if not any(_allows(part, action) for part in permissions for action in TRACKING_ACTIONS):
        assignee = os.environ.get("AZURE_CLIENT_ID") or UNKNOWN_OBJECT_ID
        title = f"the job's identity may read the Azure ML workspace {workspace.name}, but not write runs there"
        tracking_uri, reason = workspace.tracking_uri, "None of its roles there allows it."
        command = make_role_command(assignee, DATA_SCIENTIST_ROLE, workspace.resource)
        yield Problem(
            code="azure-role-missing", title=title, given=tracking_uri, why=reason, suggestions=(Suggestion(command),)
        )


def _allows(role: Answer, action: str) -> bool:
    """Return whether a part of a role allows an action. Wildcards match any text; case is ignored."""
    allowed, denied = (
        any(fnmatch.fnmatchcase(action.lower(), pattern.lower()) for pattern in role.get_texts(field))
        for field in ("actions", "notActions")
    )
    return allowed and not denied


def address(uri: str) -> str:
    """Return the workspace's MLflow tracking URI. Raises OSError."""
    workspace = _parse_workspace(uri)
    for name, variable_value in {**CLIENT_DEFAULTS, "AZUREML_CURRENT_CLOUD": get_cloud().name}.items():
        os.environ.setdefault(name, variable_value)
    if given_address := find_given_address(workspace):
        return given_address
    try:
        properties = ArmClient(PATIENCE_SECONDS).get_properties(workspace.resource)
    except ArmError as error:
        diagnosis = errors.diagnose_error(error, workspace)
        reason = f"{diagnosis.title}: {diagnosis.why.rstrip('.')}"
        raise OSError("; ".join((reason, *diagnosis.suggestions))) from error
    tracking_uri = properties.get_text("mlFlowTrackingUri")
    if not tracking_uri.startswith("azureml://"):
        raise OSError(f"the Azure ML workspace {workspace.name} has no tracking URI")
    return tracking_uri


def ui(uri: str, experiment_id: str, run_id: str) -> str:
    """Return the studio page of a run."""
    return _parse_workspace(uri).make_studio_url(run_id)


def registry(uri: str) -> Any:
    """Return the model registry."""
    return WorkspaceModels(ArmClient(PATIENCE_SECONDS), _parse_workspace(uri))


def _parse_workspace(uri: str) -> Workspace:
    tracking_workspace = workspace.parse_tracking_uri(uri)
    if tracking_workspace is None:
        raise OSError(f"{uri} is not the URI of an Azure ML workspace")
    return tracking_workspace


def find_given_address(workspace: Workspace) -> str:
    """Return the tracking URI that Azure ML gave this job, if it is of this very workspace; else ""."""
    uri = os.environ.get(PLATFORM_TRACKING_VARIABLE) or os.environ.get("MLFLOW_TRACKING_URI", "")
    parts = urlsplit(uri)
    return uri if parts.scheme == "azureml" and parts.path.lower().endswith(workspace.resource.lower()) else ""
