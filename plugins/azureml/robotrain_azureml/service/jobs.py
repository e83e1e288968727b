"""Jobs of a workspace, through Azure's resource manager and the service of its region."""

import functools
import re
from collections.abc import Mapping
from typing import Any

from robotrain.model.run import Reference, RunGone
from robotrain_azure.arm import ArmClient, ArmError
from robotrain_azure.workspace import Workspace, get_cloud

from robotrain_azureml import errors

API_VERSION = "2024-04-01"
PATIENCE_SECONDS = 6.0
"""Seconds for which a bad moment of Azure is sat out."""


@functools.cache
def get_client(host: str = "") -> ArmClient:
    """Whoever is signed in here: one for each host, however much of this process asks. host: another than the resource
    manager's, which takes the same tokens.
    """
    return ArmClient(PATIENCE_SECONDS, host)


def get_run_workspace(reference: Reference) -> Workspace:
    """The workspace that took a run."""
    return Workspace(*(reference.get(name, "") for name in ("subscription", "group", "workspace")))


def make_job_path(workspace: Workspace, name: str) -> str:
    """A job's id in the resource manager."""
    return f"{workspace.resource}/jobs/{name}"


def find_job(arm: ArmClient, workspace: Workspace, name: str) -> dict[str, Any] | None:
    """The job; None only where the workspace itself says that it has none of that name. Raises ArmError."""
    try:
        return arm.get(make_job_path(workspace, name), API_VERSION)
    except ArmError as error:
        if errors.is_part_missing(error):
            return None
        raise


def get_job(reference: Reference) -> dict[str, Any]:
    """The job that a run became. Raises RunGone, and Refused when it cannot be asked for."""
    at, name = get_run_workspace(reference), reference.get("job", "")
    try:
        found = find_job(get_client(), at, name)
    except ArmError as error:
        raise errors.make_rejection(error, at, f"ask Azure ML for the job {name}") from None
    if found is None:
        raise make_run_gone(at, name)
    return found


def request_cancel(arm: ArmClient, workspace: Workspace, name: str) -> None:
    """Ask for its end, which comes later. Raises ArmError, RunGone."""
    try:
        arm.post(f"{make_job_path(workspace, name)}/cancel", API_VERSION)
    except ArmError as error:
        if errors.is_part_missing(error):
            raise make_run_gone(workspace, name) from None
        raise


def make_run_gone(workspace: Workspace, name: str) -> RunGone:
    """The workspace is there, and the job is not."""
    return RunGone(
        f"the workspace {workspace.name} knows no job {name} any more: it was removed, or this is another workspace"
    )


HISTORY_API_VERSION = "v1.0"
_REGION_HOST = (
    r"(?:azureml|https)://(?P<host>[a-z0-9][a-z0-9.-]*\.(?:api\.azureml\.ms|api\.ml\.azure\.us|api\.ml\.azure\.cn))/.*"
)
"""Of the three clouds: a token goes nowhere else."""
region_hosts: dict[Workspace, str] = {}
"""Which host answers for a workspace, once it was told."""


def fetch_run_details(workspace: Workspace, name: str, job: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """What the region knows of a job; empty when it knows none of that name. job: as the resource manager told it,
    where it was asked already: it says which region. Raises ArmError.
    """
    region = get_client(_find_region_host(workspace, job))
    try:
        return region.get(f"/history/v1.0{workspace.resource}/runs/{name}/details", HISTORY_API_VERSION)
    except ArmError as error:
        if error.status == 404 and error.code:  # a gateway between has no code of Azure's
            return {}
        raise


def _find_region_host(workspace: Workspace, job: Mapping[str, Any] | None) -> str:
    """Asked once for each workspace. Raises ArmError."""
    if workspace not in region_hosts:
        told = [_get_tracking_endpoint(job)] if job else []
        if not (found := _match_first_host(told)):
            own = get_client().get(workspace.resource, API_VERSION).get("properties") or {}
            found = _match_first_host([own.get("discoveryUrl"), own.get("mlFlowTrackingUri")])
        if not found:
            raise ArmError(f"the workspace {workspace.name} does not say which region answers for it")
        region_hosts[workspace] = found
    return region_hosts[workspace]


def _get_tracking_endpoint(job: Mapping[str, Any]) -> object:
    services = (job.get("properties") or {}).get("services") or {}
    return (services.get("Tracking") or {}).get("endpoint")


def _match_first_host(addresses: list[object]) -> str:
    found = (re.fullmatch(_REGION_HOST, str(address or "")) for address in addresses)
    return next((one["host"] for one in found if one), "")


def describe_reference(reference: Reference) -> Mapping[str, str]:
    """The name, and the page; nothing for a run that became no job."""
    name = reference.get("job", "")
    return {"job": name, "studio": make_studio_url(get_run_workspace(reference), name)} if name else {}


def make_studio_url(workspace: Workspace, name: str) -> str:
    """The page of a job, in the studio of the cloud that this machine speaks to."""
    names = f"/subscriptions/{workspace.subscription}/resourcegroups/{workspace.group}/workspaces/{workspace.name}"
    return f"https://{get_cloud().studio}/runs/{name}?wsid={names}"
