"""An Azure ML workspace and its cloud: names, addresses, hosts, the default subscription."""

import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

PROFILE_FILE = "azureProfile.json"


def find_default_subscription() -> tuple[str, str] | None:
    """The id of the default subscription, and where it stood; None when nobody is signed in to the CLI."""
    said = os.environ.get("AZURE_CONFIG_DIR")
    file = (Path(said) if said else Path.home() / ".azure") / PROFILE_FILE
    found = next(
        (one for one in _read_subscriptions(file) if one.get("isDefault") and one.get("state") == "Enabled"), {}
    )
    name = found.get("id")
    return (name, f"az account ({_abbreviate_home(file)})") if isinstance(name, str) and name else None


def _read_subscriptions(file: Path) -> list[dict[str, Any]]:
    """Those of the profile; none when it is not there or holds something else."""
    try:
        said = json.loads(file.read_text(encoding="utf-8-sig"))  # the CLI writes a byte order mark
    except (OSError, ValueError):
        return []
    listed = said.get("subscriptions") if isinstance(said, dict) else None
    return [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []


def _abbreviate_home(file: Path) -> str:
    home = str(Path.home())
    return f"~{str(file)[len(home) :]}" if str(file).startswith(home + os.sep) else str(file)


@dataclass(frozen=True, slots=True)
class Cloud:
    """name: as Azure's own tools call it. The others are hosts: manager, of its resource manager; studio, of its ML
    studio; vault, of what the names of key vaults stand before; authority, of its sign-in.
    """

    name: str
    manager: str
    studio: str
    vault: str
    authority: str


PUBLIC_CLOUD = Cloud(
    "AzureCloud", "management.azure.com", "ml.azure.com", "vault.azure.net", "login.microsoftonline.com"
)
_GOVERNMENT_CLOUD = Cloud(
    "AzureUSGovernment",
    "management.usgovcloudapi.net",
    "ml.azure.us",
    "vault.usgovcloudapi.net",
    "login.microsoftonline.us",
)
_CHINA_CLOUD = Cloud(
    "AzureChinaCloud",
    "management.chinacloudapi.cn",
    "studio.ml.azure.cn",
    "vault.azure.cn",
    "login.partner.microsoftonline.cn",
)
CLOUDS_BY_AUTHORITY = {
    "login.microsoftonline.us": _GOVERNMENT_CLOUD,
    "login.chinacloudapi.cn": _CHINA_CLOUD,
    "login.partner.microsoftonline.cn": _CHINA_CLOUD,
}
VAULT_SUFFIXES = tuple(cloud.vault for cloud in (PUBLIC_CLOUD, _GOVERNMENT_CLOUD, _CHINA_CLOUD))


def get_cloud() -> Cloud:
    """The public one, unless the environment says otherwise."""
    said = os.environ.get("AZURE_AUTHORITY_HOST", "").removeprefix("https://").strip("/")
    return CLOUDS_BY_AUTHORITY.get(said, PUBLIC_CLOUD)


TRACKING_SCHEME = "azureml-workspace"
CONTAINER_PLUGINS = {"tracking.azureml": "robotrain_azure.tracking.container"}
"""What knows such an address in the container, as a job document names it."""
WORKSPACE_FLAGS = ("--subscription-id", "--resource-group", "--workspace-name")
_TRACKING_URI = rf"{TRACKING_SCHEME}://([^/]+)/([^/]+)/([^/]+)"


@dataclass(frozen=True, slots=True)
class Workspace:
    """The three names that find a workspace."""

    subscription: str
    group: str
    name: str

    @property
    def tracking_uri(self) -> str:
        """As a job document holds it: which region answers for it is asked when a run starts."""
        return f"{TRACKING_SCHEME}://{self.subscription}/{self.group}/{self.name}"

    @property
    def resource(self) -> str:
        """Its id in Azure's resource manager."""
        return (
            f"/subscriptions/{self.subscription}/resourceGroups/{self.group}"
            f"/providers/Microsoft.MachineLearningServices/workspaces/{self.name}"
        )


class WorkspaceSettings(Protocol):
    """Settings that may name a workspace: those of any platform that speaks to Azure."""

    @property
    def subscription_id(self) -> str | None:
        """As said, or looked up."""

    @property
    def resource_group(self) -> str | None:
        """As said."""

    @property
    def workspace_name(self) -> str | None:
        """As said."""


def parse_tracking_uri(uri: str) -> Workspace | None:
    """The workspace of a tracking address; None for one of another kind."""
    found = re.fullmatch(_TRACKING_URI, uri)
    return Workspace(*found.groups()) if found else None


def get_workspace(settings: WorkspaceSettings) -> Workspace | None:
    """The workspace that the settings name; None when they do not say all three names."""
    subscription, group, name = _get_names(settings)
    return Workspace(subscription, group, name) if subscription and group and name else None


def find_missing_flags(settings: WorkspaceSettings) -> tuple[str, ...]:
    """The flags of the names that are missing, when some are said. A subscription alone says nothing: everybody who is
    signed in has one.
    """
    if not (settings.resource_group or settings.workspace_name):
        return ()
    return tuple(flag for flag, name in zip(WORKSPACE_FLAGS, _get_names(settings), strict=True) if not name)


def _get_names(settings: WorkspaceSettings) -> tuple[str | None, str | None, str | None]:
    return settings.subscription_id, settings.resource_group, settings.workspace_name


WORKSPACE_USAGE = "--subscription-id ID --resource-group GROUP --workspace-name NAME"
NAME_FORM, NAME_REASON = "a name as Azure has it", "It holds a character that no such name has."
GUID = r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}"
_NAME_PATTERNS = {
    "--subscription-id": ("subscription_id", r"[A-Za-z0-9-]{1,64}"),
    "--resource-group": ("resource_group", r"[\w.()-]{1,90}"),
    "--workspace-name": ("workspace_name", r"[A-Za-z0-9][A-Za-z0-9_-]{0,254}"),
    "--workload-identity": ("workload_identity", r"[A-Za-z0-9-]{1,64}"),
}


class AzureNameSettings(WorkspaceSettings, Protocol):
    """Settings of any platform that speaks to Azure."""

    @property
    def workload_identity(self) -> str | None:
        """The client id of the identity that jobs have."""


def find_invalid_names(settings: AzureNameSettings) -> Iterator[tuple[str, str]]:
    """The flag and the text of each name that Azure could not have."""
    for flag, (field, _) in _NAME_PATTERNS.items():
        text = getattr(settings, field)
        if text and not is_valid_name(flag, text):
            yield flag, text


def is_valid_name(flag: str, text: str) -> bool:
    """Whether Azure could have such a name. flag: that says it."""
    return bool(re.fullmatch(_NAME_PATTERNS[flag][1], text))
