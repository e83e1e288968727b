"""Where a person finds a job: its name in the workspace, and its page in the studio. Pure."""

from collections.abc import Mapping

from robotrain.run import Reference
from robotrain_azure.cloud import here
from robotrain_azure.workspace import Workspace

from robotrain_azureml.service import jobs


def shown(reference: Reference) -> Mapping[str, str]:
    """The name, and the page; nothing for a run that became no job."""
    name = reference.get("job", "")
    return {"job": name, "studio": studio(jobs.workspace_of(reference), name)} if name else {}


def studio(at: Workspace, name: str) -> str:
    """The page of a job, in the studio of the cloud that this machine speaks to."""
    names = f"/subscriptions/{at.subscription}/resourcegroups/{at.group}/workspaces/{at.name}"
    return f"https://{here().studio}/runs/{name}?wsid={names}"
