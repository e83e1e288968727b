"""Where the address of a model leads, in each of the forms that Azure ML writes: to a datastore, through the output of
a job, or to blobs. Pure.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from robotrain_azure.workspace import Workspace

ARTIFACTS, ARTIFACT_STORE = "artifacts", "workspaceartifactstore"
"""The output that tracking writes to, and the datastore of every workspace that it lies in."""
USUAL = "azureml://datastores/workspaceblobstore/paths/azureml/{job}/{output}"
"""Where an output lies of which nothing was said."""
KINDS = ("AzureBlob", "AzureDataLakeGen2")
CLOUD = "core.windows.net"

_AT = (
    r"subscriptions/(?P<subscription>[^/]+)/resource[gG]roups/(?P<group>[^/]+)(?:/providers/[^/]+)?"
    r"/workspaces/(?P<name>[^/]+)/"
)
_DATASTORE = rf"azureml://(?:{_AT})?datastores/(?P<datastore>[^/]+)/paths/(?P<path>.+)"
_JOB = r"azureml://jobs/(?P<job>[^/]+)/outputs/(?P<output>[^/]+)(?:/paths/(?P<path>.*))?"
_RUN = r"runs:/(?P<job>[^/]+)/(?P<path>.+)"
_BLOB = r"https://[^/?#@]+\.blob\.core\.windows\.net/[^?#]+"


@dataclass(frozen=True, slots=True)
class InDatastore:
    """A folder in a datastore of a workspace."""

    at: Workspace
    datastore: str
    path: str


@dataclass(frozen=True, slots=True)
class OfJob:
    """A folder in an output of a job of a workspace."""

    at: Workspace
    job: str
    output: str
    path: str


Stored = InDatastore | OfJob | str
"""A text is the address of blobs."""


def read(uri: str, here: Workspace) -> Stored | None:
    """Where an address leads; None for one that leads elsewhere. here: the workspace that says it."""
    if found := re.fullmatch(_DATASTORE, uri):
        named = found["name"] is not None
        at = Workspace(found["subscription"], found["group"], found["name"]) if named else here
        return InDatastore(at, found["datastore"], found["path"].strip("/"))
    if found := re.fullmatch(_JOB, uri):
        job, output, path = found["job"], found["output"], (found["path"] or "").strip("/")
        return _artifact(here, job, path) if output == ARTIFACTS else OfJob(here, job, output, path)
    if found := re.fullmatch(_RUN, uri):
        return _artifact(here, found["job"], found["path"].strip("/"))
    return uri.rstrip("/") if re.fullmatch(_BLOB, uri) else None


def of_output(of: OfJob, said: str) -> InDatastore:
    """The folder in a datastore. said: the address of the output, as the job has it; empty for none."""
    found = read(said, of.at) if said else None
    whole = found if isinstance(found, InDatastore) else read(USUAL.format(job=of.job, output=of.output), of.at)
    assert isinstance(whole, InDatastore)
    path = whole.path.replace("${{name}}", of.job).replace("${{output_name}}", of.output)
    return replace(whole, path=f"{path}/{of.path}".rstrip("/"))


def url(datastore: Mapping[str, Any], path: str) -> str:
    """The address of a folder of blobs. datastore: as Azure's resource manager tells of it. Empty where it has none."""
    account, container = datastore.get("accountName"), datastore.get("containerName") or datastore.get("filesystem")
    blobs = datastore.get("datastoreType") in KINDS and (datastore.get("endpoint") or CLOUD) == CLOUD
    return f"https://{account}.blob.{CLOUD}/{container}/{path}" if blobs and account and container else ""


def _artifact(at: Workspace, job: str, path: str) -> InDatastore:
    return InDatastore(at, ARTIFACT_STORE, f"ExperimentRun/dcid.{job}/{path}".rstrip("/"))
