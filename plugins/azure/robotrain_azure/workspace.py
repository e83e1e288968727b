"""An Azure ML workspace and its cloud: names, addresses, hosts, the default subscription."""

import json
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from robotrain_runtime.contract.document import JobSource

PROFILE_FILE = "azureProfile.json"
LIST_WORKSPACES = "az resource list --resource-type Microsoft.MachineLearningServices/workspaces"


def find_default_subscription() -> tuple[str, str] | None:
    """Return the id of the Azure CLI's default subscription and where it was found; None without a sign-in."""
    file = Path(os.environ.get("AZURE_CONFIG_DIR") or Path.home() / ".azure") / PROFILE_FILE
    try:
        profile = json.loads(file.read_text(encoding="utf-8-sig"))  # the CLI writes a byte order mark
    except (OSError, ValueError):
        return None
    profile_entries = profile.get("subscriptions") if isinstance(profile, dict) else None
    subscriptions = (
        [subscription for subscription in profile_entries if isinstance(subscription, dict)]
        if isinstance(profile_entries, list)
        else []
    )
    ids = [
        subscription.get("id")
        for subscription in subscriptions
        if subscription.get("isDefault") and subscription.get("state") == "Enabled"
    ]
    file_text = str(file)
    home = str(Path.home())
    if file_text.startswith(home + os.sep):
        file_text = f"~{file_text.removeprefix(home)}"
    return (ids[0], f"az account ({file_text})") if ids and isinstance(ids[0], str) and ids[0] else None


class Cloud(NamedTuple):
    """One of Azure's clouds: its name in Azure's tools, and its hosts."""

    name: str
    manager: str
    """The resource manager."""
    studio: str
    vault: str
    """The suffix of key vaults."""
    authority: str
    """The sign-in."""


_US_AUTHORITY, _CHINA_AUTHORITY = "login.microsoftonline.us", "login.partner.microsoftonline.cn"
PUBLIC_CLOUD = Cloud(
    "AzureCloud", "management.azure.com", "ml.azure.com", "vault.azure.net", "login.microsoftonline.com"
)
_GOVERNMENT_CLOUD = Cloud(
    "AzureUSGovernment", "management.usgovcloudapi.net", "ml.azure.us", "vault.usgovcloudapi.net", _US_AUTHORITY
)
_CHINA_CLOUD = Cloud(
    "AzureChinaCloud", "management.chinacloudapi.cn", "studio.ml.azure.cn", "vault.azure.cn", _CHINA_AUTHORITY
)
CLOUDS_BY_AUTHORITY = {
    _US_AUTHORITY: _GOVERNMENT_CLOUD,
    "login.chinacloudapi.cn": _CHINA_CLOUD,
    _CHINA_AUTHORITY: _CHINA_CLOUD,
}
VAULT_SUFFIXES = tuple(cloud.vault for cloud in (PUBLIC_CLOUD, _GOVERNMENT_CLOUD, _CHINA_CLOUD))


def get_cloud() -> Cloud:
    """Return the cloud that the environment selects, else the public one."""
    host = os.environ.get("AZURE_AUTHORITY_HOST", "").removeprefix("https://").strip("/")
    return CLOUDS_BY_AUTHORITY.get(host, PUBLIC_CLOUD)


TRACKING_SCHEME = "azureml-workspace"
ARTIFACTS_OUTPUT = "artifacts"
"""The output of a job that tracking writes to."""
CONTAINER_PLUGINS = {"tracking.azureml": "robotrain_azure.tracking"}
"""The container plugin for such a tracking URI, as a job document names it."""
MODEL_KIND = "model_asset"
MODEL_CONTAINER_PLUGINS = {f"source.{MODEL_KIND}": "robotrain_azure.models.container"}
REGISTRY_KIND = "registered_model"
"""The kind whose models are those of the workspace if it tracks the run."""
WORKSPACE_FLAGS = ("--subscription-id", "--resource-group", "--workspace-name")
PLACEHOLDERS = dict(zip(WORKSPACE_FLAGS, ("ID", "GROUP", "NAME"), strict=True))
"""What stands for the value of each in a suggestion."""


SCOPE_PATTERN = (
    r"subscriptions/(?P<subscription>[^/]+)/resource[gG]roups/(?P<group>[^/]+)(?:/providers/[^/]+)?"
    r"/workspaces/(?P<workspace>[^/]+)"
)
"""Matches `Workspace.scope`, also as the resource manager writes it."""


class Workspace(NamedTuple):
    """The names that identify a workspace."""

    subscription: str
    group: str
    name: str

    @property
    def tracking_uri(self) -> str:
        """The URI in a job document; the region's own tracking URI is resolved when a run starts."""
        return f"{TRACKING_SCHEME}://{self.subscription}/{self.group}/{self.name}"

    def make_studio_url(self, run: str) -> str:
        """Return the page of a run in the studio of the current cloud."""
        return f"https://{get_cloud().studio}/runs/{run}?wsid=/{self.scope}"

    @property
    def scope(self) -> str:
        """The part of the names of its models and datastores that tells the workspace."""
        return f"subscriptions/{self.subscription}/resourcegroups/{self.group}/workspaces/{self.name}"

    @property
    def resource(self) -> str:
        """The id in Azure's resource manager."""
        return (
            f"/subscriptions/{self.subscription}/resourceGroups/{self.group}"
            f"/providers/Microsoft.MachineLearningServices/workspaces/{self.name}"
        )


def parse_tracking_uri(uri: str) -> Workspace | None:
    """Return the workspace of a tracking URI; None for another kind of URI."""
    match = re.fullmatch(_TRACKING_URI, uri)
    return Workspace(*match.groups()) if match else None


def format_usage(flags: Iterable[str]) -> str:
    """Return what to type for these flags of a workspace: `--resource-group GROUP --workspace-name NAME`."""
    return " ".join(f"{flag} {PLACEHOLDERS[flag]}" for flag in flags)


WORKSPACE_USAGE = format_usage(WORKSPACE_FLAGS)
GUID = r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}"
SUBSCRIPTION_PATTERN = r"[A-Za-z0-9-]{1,64}"
GROUP_PATTERN = r"[\w.()-]{0,89}[\w()-]"
NAME_PATTERN = r"[A-Za-z0-9][A-Za-z0-9_-]{2,254}"
_TRACKING_URI = rf"{TRACKING_SCHEME}://([\w-]+)/([\w.()-]+)/([\w-]+)"


def get_model_name(source: "JobSource") -> str:
    """Return the name of the model version that a source means, as Azure ML's own kind writes it."""
    name, _, version = source.uri.removeprefix("models:/").partition("/")
    return f"azureml:{name}:{source.pin or version}" if source.kind == REGISTRY_KIND else source.uri


def find_model_plugins(sources: "Iterable[JobSource]", tracking_uri: str = "") -> Mapping[str, str]:
    """Return the container plugins of models of a workspace, as a job document names them."""
    kinds = (MODEL_KIND, *([REGISTRY_KIND] if parse_tracking_uri(tracking_uri) else ()))
    (plugin,) = MODEL_CONTAINER_PLUGINS.values()
    return {f"source.{source.kind}": plugin for source in sources if source.kind in kinds}
