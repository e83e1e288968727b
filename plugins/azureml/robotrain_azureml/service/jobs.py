"""Jobs of a workspace, through Azure's resource manager and the service of its region."""

import functools
import re
from collections.abc import Mapping, Sequence

from robotrain.model.reference import Reference
from robotrain.model.run import RunGone
from robotrain_azure import errors as azure_errors
from robotrain_azure.arm import Answer, ArmClient, ArmError
from robotrain_azure.workspace import Workspace

from robotrain_azureml import errors

PATIENCE_SECONDS = 6.0
"""How long transient errors of Azure are retried, in seconds."""


@functools.cache
def get_client(host: str = "") -> ArmClient:
    """Return a client, one for each host in this process. `host`: another one that takes the same tokens."""
    return ArmClient(PATIENCE_SECONDS, host)


def get_run_workspace(reference: Reference) -> Workspace:
    """Return the workspace of a run."""
    return Workspace(*(reference.get(name, "") for name in ("subscription", "group", "workspace")))


def find_job(arm: ArmClient, workspace: Workspace, name: str) -> Answer | None:
    """Return a job; None only if the workspace says that it does not exist. Raises ArmError."""
    try:
        return arm.get(f"{workspace.resource}/jobs/{name}")
    except ArmError as error:
        if azure_errors.is_part_missing(error):
            return None
        raise


def get_job(reference: Reference) -> Answer:
    """Return the job of a run. Raises RunGone, Rejected."""
    workspace = get_run_workspace(reference)
    name = reference.get("job", "")
    with errors.reject_errors(workspace, f"ask Azure ML for the job {name}"):
        job = find_job(get_client(), workspace, name)
        if job is not None:
            job.get_object("properties")  # a state that is read from another form would be made up
    if job is None:
        raise make_run_gone(workspace, name)
    return job


def make_run_gone(workspace: Workspace, name: str) -> RunGone:
    """Return the error for a missing job in an existing workspace."""
    return RunGone(f"the workspace {workspace.name} has no job {name}: it was removed, or this is another workspace")


HISTORY_API_VERSION = "v1.0"
_REGION_HOST = (
    r"(?:azureml|https)://(?P<host>[a-z0-9][a-z0-9.-]*\.(?:api\.azureml\.ms|api\.ml\.azure\.us|api\.ml\.azure\.cn))/.*"
)
"""Hosts of the three clouds: tokens must not be sent elsewhere."""
region_hosts: dict[Workspace, str] = {}
"""The region's host for each workspace, once it is known."""


def fetch_run_details(workspace: Workspace, name: str, job: Answer | None = None) -> Answer:
    """Return the region's details of a job; empty if it does not know the job. Raises ArmError.

    `job`: the resource manager's answer if it is known; it names the region.
    """
    region = get_client(_find_region_host(workspace, job))
    try:
        return region.get(f"/history/v1.0{workspace.resource}/runs/{name}/details", HISTORY_API_VERSION)
    except ArmError as error:
        if error.status == 404 and error.code:  # a gateway's 404 has no code
            return Answer()
        raise


def fetch_children(workspace: Workspace, name: str) -> list[Answer]:
    """Return the region's details of the steps of a pipeline job that could begin, in any order. Raises ArmError."""
    region = get_client(_find_region_host(workspace, None))
    path = f"/history/v1.0{workspace.resource}/runs/{name}/children"
    return [*region.list_all(path, HISTORY_API_VERSION)]


MAX_BATCH = 200
"""How many runs are asked for at once."""


def fetch_runs(workspace: Workspace, job_names: Sequence[str]) -> dict[str, Answer]:
    """Return the region's details of jobs by name, without logs, with one request for many. Raises ArmError.

    Jobs that it does not know are missing.
    """
    region = get_client(_find_region_host(workspace, None))
    runs_by_name = dict[str, Answer]()
    path = f"/history/v1.0{workspace.resource}/batchrundata"
    for start in range(0, len(job_names), MAX_BATCH):
        requests = {name: {"runId": name, "selectRunMetadata": True} for name in job_names[start : start + MAX_BATCH]}
        runs_by_job = region.post(path, HISTORY_API_VERSION, {"requests": requests}).get_object("successfulResults")
        runs_by_name |= {name: runs_by_job.get_object(name).get_object("runMetadata") for name in runs_by_job}
    return runs_by_name


def _find_region_host(workspace: Workspace, job: Answer | None) -> str:
    """Return the host of a workspace's region, which is looked up once. Raises ArmError."""
    if workspace not in region_hosts:
        services = (job or Answer()).get_object("properties").get_object("services")
        host = _match_first_host([services.get_object("Tracking").get("endpoint")])
        if not host:
            properties = get_client().get_properties(workspace.resource)
            host = _match_first_host([properties.get("discoveryUrl"), properties.get("mlFlowTrackingUri")])
        if not host:
            raise ArmError(f"the workspace {workspace.name} does not name the host of its region")
        region_hosts[workspace] = host
    return region_hosts[workspace]


def _match_first_host(addresses: list[object]) -> str:
    matches = (re.fullmatch(_REGION_HOST, str(address or "")) for address in addresses)
    return next((match["host"] for match in matches if match), "")


def describe_reference(reference: Reference) -> Mapping[str, str]:
    """Return the job's name and studio page; empty if the run has no job."""
    name = reference.get("job", "")
    return {"job": name, "studio": get_run_workspace(reference).make_studio_url(name)} if name else {}
