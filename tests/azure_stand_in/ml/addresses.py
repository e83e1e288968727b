"""Addresses inside a workspace: of assets, and of folders in its datastores."""

import re
from dataclasses import dataclass
from urllib.parse import unquote

from azure_stand_in.ml.contents import Ml
from azure_stand_in.ml.request import user_error

_WORKSPACE = r"/subscriptions/[^/]+/resourcegroups/[^/]+/providers/Microsoft\.MachineLearningServices/workspaces/[^/]+"
_ASSET = rf"(?:azureml:)?(?P<at>{_WORKSPACE})/(?P<kind>\w+)/(?P<name>[^/]+)/versions/(?P<version>[^/]+)"
_PART = rf"(?:azureml:)?(?P<at>{_WORKSPACE})/(?P<kind>\w+)/(?P<name>[^/]+)"
_LONG = (
    r"azureml://subscriptions/(?P<subscription>[^/]+)/resourcegroups/(?P<group>[^/]+)(?:/providers/[^/]+)?"
    r"/workspaces/(?P<workspace>[^/]+)"
)
_VERSIONED = r"(?P<kind>data|models)/(?P<name>[^/]+)/versions/(?P<version>[^/]+)"
_NAMED = rf"{_LONG}/{_VERSIONED}"
_LOCATED = rf"azureml://locations/(?P<region>[^/]+)/workspaces/(?P<located>[^/]+)/{_VERSIONED}"
_SHARED = rf"azureml://registries/(?P<registry>[^/]+)/{_VERSIONED}"
_PATHS = rf"(?:azureml:/|{_LONG})/datastores/(?P<store>[^/]+)/paths/(?P<path>.*)"
_BLOB = r"https://(?P<account>[a-z0-9]+)\.blob\.core\.windows\.net/(?P<container>[^/?]+)/?(?P<path>[^?]*)"
_OF_JOB = r"azureml://jobs/(?P<job>[^/]+)/outputs/(?P<output>[^/]+)/paths/(?P<path>.*)"


@dataclass(frozen=True)
class Asset:
    """kind: as in the path of its resource: `data`, `models`. registry: the one it lies in; empty for the workspace."""

    kind: str
    name: str
    version: str
    registry: str = ""


@dataclass(frozen=True)
class Folder:
    """In a storage account; prefix: without a slash at its ends."""

    account: str
    container: str
    prefix: str


def asset(address: str, ml: Ml) -> Asset | None:
    """The asset version that an address names; None when it names none of this workspace, nor of a registry."""
    for form in (_ASSET, _NAMED, _LOCATED, _SHARED):
        match = re.fullmatch(form, address, re.IGNORECASE)
        if match and _ours(match, ml):
            registry = match.groupdict().get("registry") or ""
            return Asset(match["kind"].lower(), match["name"], match["version"], registry)
    return None


def part(address: str, ml: Ml, kind: str) -> str:
    """The name of a part of this workspace, as a compute; empty for anything else."""
    match = re.fullmatch(_PART, address, re.IGNORECASE)
    ours = match is not None and match["at"].lower() == ml.at.lower() and match["kind"].lower() == kind
    return str(match["name"]) if match and ours else ""


def datastore(address: str, ml: Ml) -> str:
    """The name of the datastore that an address lies in; empty for one that lies in none of this workspace."""
    match = re.fullmatch(_PATHS, address, re.IGNORECASE)
    return str(match["store"]) if match and _ours(match, ml) else ""


def folder(address: str, ml: Ml) -> Folder:
    """Where something lies. Raises Refused."""
    if match := re.fullmatch(_BLOB, address):
        return Folder(match["account"], match["container"], unquote(match["path"]).strip("/"))
    if match := re.fullmatch(_OF_JOB, address):
        job = ml.jobs.get(match["job"].lower())
        if job is None or match["output"] not in {*job.outputs, "artifacts"}:
            raise user_error(f"The output of {address} does not exist.")
        if match["output"] == "artifacts":
            return Folder(ml.account, "azureml", f"ExperimentRun/dcid.{job.name}/{match['path']}".strip("/"))
        base = job.outputs[match["output"]]
        return Folder(base.account, base.container, f"{base.prefix}/{match['path']}".strip("/"))
    match = re.fullmatch(_PATHS, address, re.IGNORECASE)
    store = ml.datastores.get(datastore(address, ml).lower())
    if match is None or store is None:
        raise user_error(f"The address {address} lies in no datastore of the workspace.", "NotFound")
    return Folder(str(store["accountName"]), str(store["containerName"]), match["path"].strip("/"))


def _ours(match: re.Match[str], ml: Ml) -> bool:
    """Whether what an address says of a workspace is this one."""
    parts = match.groupdict()
    if "registry" in parts:  # everybody's
        return True
    if "at" in parts:
        return bool(parts["at"].lower() == ml.at.lower())
    if "located" in parts:
        own = {ml.names[2].lower(), ml.identifier}
        return parts["region"].lower() == ml.region and parts["located"].lower() in own
    named = [parts[part] for part in ("subscription", "group", "workspace")]
    return named == [None] * 3 or [part.lower() for part in named] == [name.lower() for name in ml.names]
