"""An Azure ML workspace as a tracking address and a model registry, in the container."""

import os
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from robotrain_runtime.contract.container_plugin import PLATFORM_TRACKING_VARIABLE
from robotrain_runtime.contract.failure import Finding
from robotrain_sources.data_environment import ENVIRONMENT

from robotrain_azure import errors, roles, workspace
from robotrain_azure.arm import ArmClient, ArmError
from robotrain_azure.workspace import ARTIFACTS_OUTPUT, Workspace, get_cloud

__all__ = ["ENVIRONMENT", "ORIGIN", "accepts", "address", "preflight_address", "registry", "ui"]

ORIGIN = "robotrain_sources.data_environment.ENVIRONMENT"
"""The source of the environment: whoever packs this plugin packs that file with it."""
PATIENCE_SECONDS, PREFLIGHT_PATIENCE_SECONDS = 20.0, 8.0
"""How long transient errors are retried, in seconds: in a run, and in the preflight that someone waits for."""
CLIENT_DEFAULTS = {"AZUREML_ARTIFACTS_DEFAULT_TIMEOUT": "86400"}
"""Defaults for MLflow's client, which gives up on fifty files after five minutes otherwise."""


def accepts(uri: str) -> bool:
    """Return whether a tracking URI names a workspace."""
    return workspace.parse_tracking_uri(uri) is not None


def preflight_address(uri: str) -> Iterable[Finding]:
    """Check that the workspace exists and lets the job's identity in. A job of that very workspace needs no check."""
    at = _parse_workspace(uri)
    if find_given_address(at):
        return
    arm = ArmClient(PREFLIGHT_PATIENCE_SECONDS)
    try:
        arm.get(at.resource)
        yield from roles.check_tracking_permissions(arm, at)
    except ArmError as error:
        yield _make_finding(error, at)


def address(uri: str) -> str:
    """Return the workspace's MLflow tracking URI. Raises OSError."""
    at = _parse_workspace(uri)
    for name, value in {**CLIENT_DEFAULTS, "AZUREML_CURRENT_CLOUD": get_cloud().name}.items():
        os.environ.setdefault(name, value)
    return find_given_address(at) or _fetch_address(at)


def ui(uri: str, experiment_id: str, run_id: str) -> str:
    """Return the studio page of a run."""
    return _parse_workspace(uri).make_studio_url(run_id)


def registry(uri: str) -> Any:
    """Return the model registry."""
    return WorkspaceModels(ArmClient(PATIENCE_SECONDS), _parse_workspace(uri))


def _parse_workspace(uri: str) -> Workspace:
    found = workspace.parse_tracking_uri(uri)
    if found is None:
        raise OSError(f"{uri} is not the URI of an Azure ML workspace")
    return found


def _fetch_address(workspace: Workspace) -> str:
    try:
        properties = ArmClient(PATIENCE_SECONDS).get_properties(workspace.resource)
    except ArmError as error:
        diagnosis = errors.diagnose_workspace_error(error, workspace)
        reason = f"{diagnosis.title}: {diagnosis.why.rstrip('.')}"
        raise OSError("; ".join((reason, *diagnosis.suggestions))) from error
    uri = str(properties.get("mlFlowTrackingUri") or "")
    if not uri.startswith("azureml://"):
        raise OSError(f"the Azure ML workspace {workspace.name} has no tracking URI")
    return uri


def _make_finding(error: ArmError, workspace: Workspace) -> Finding:
    diagnosis, given = errors.diagnose_workspace_error(error, workspace), workspace.tracking_uri
    title, why, ways = diagnosis.title, diagnosis.why, diagnosis.suggestions
    if diagnosis.network:
        return Finding(code="tracking-unreachable", title=title, given=given, why=why, ways=ways, fault="network")
    if diagnosis.kind == "signed-out":
        ways = ("give the job an identity: a workload identity, or a managed one that AZURE_CLIENT_ID names",)
    return Finding(code="tracking-refused", title=title, given=given, why=why, ways=ways, fault="configuration")


def find_given_address(workspace: Workspace) -> str:
    """Return the tracking URI that Azure ML gave this job, if it is of this very workspace; else ""."""
    uri = os.environ.get(PLATFORM_TRACKING_VARIABLE, "")
    parts = urlsplit(uri)
    return uri if parts.scheme == "azureml" and parts.path.lower().endswith(workspace.resource.lower()) else ""


CUSTOM_TYPE = "custom_model"
MAX_TRIES = 5
READ_ONLY_FIELDS = frozenset({"provisioningState"})
"""Fields of a version that must not be sent back."""


class WorkspaceModels:
    """The models of one workspace, through Azure's resource manager. Every method raises ArmError.

    MLflow's registry in a workspace rejects models that are not in MLflow's format, such as a policy's checkpoint.
    """

    def __init__(self, arm: ArmClient, workspace: Workspace) -> None:
        self._arm = arm
        self._at = workspace.resource

    def versions(self, name: str) -> Iterator[tuple[str, Mapping[str, str]]]:
        """Yield each version of a model with its tags; none if there is no such model."""
        try:
            for found in self._arm.list_all(f"{self._at}/models/{name}/versions"):
                yield str(found["name"]), found["properties"].get("tags") or {}
        except ArmError as error:
            if error.status != 404:
                raise

    def create(
        self,
        name: str,
        run_id: str,
        artifact: str,
        tags: Mapping[str, str],
        description: str,
        *,
        output: str = ARTIFACTS_OUTPUT,
    ) -> str:
        """Register a folder of a run's output as the next version of a model and return its number."""
        properties = {
            "modelType": CUSTOM_TYPE,
            "modelUri": f"azureml://jobs/{run_id}/outputs/{output}/paths/{artifact}/",
            "tags": dict(tags),
            "description": description,
        }
        for _ in range(MAX_TRIES):
            version = self._get_next_version(name)
            path = f"{self._at}/models/{name}/versions/{version}"
            try:
                self._arm.create_or_update(path, {"properties": properties})
            except ArmError as error:
                if error.status != 409:  # someone else created that version meanwhile
                    raise
            else:
                return version
        raise ArmError(f"others are registering versions of {name} at the same time")

    def tag(self, name: str, version: str, tags: Mapping[str, str]) -> None:
        """Set tags of a version; an empty value removes a tag."""
        path = f"{self._at}/models/{name}/versions/{version}"
        properties = self._arm.get(path)["properties"]
        sent = {key: value for key, value in properties.items() if key not in READ_ONLY_FIELDS}
        merged = {**(properties.get("tags") or {}), **tags}
        sent["tags"] = {key: value for key, value in merged.items() if value}
        self._arm.create_or_update(path, {"properties": sent})

    def _get_next_version(self, name: str) -> str:
        try:
            return str(self._arm.get(f"{self._at}/models/{name}")["properties"].get("nextVersion") or 1)
        except ArmError as error:
            if error.status != 404:
                raise
            return "1"
