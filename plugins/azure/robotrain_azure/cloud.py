"""Which of Azure's clouds this machine speaks to: the one whose sign-in AZURE_AUTHORITY_HOST names."""

import os
from dataclasses import dataclass


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


PUBLIC = Cloud("AzureCloud", "management.azure.com", "ml.azure.com", "vault.azure.net", "login.microsoftonline.com")
_GOVERNMENT = Cloud(
    "AzureUSGovernment",
    "management.usgovcloudapi.net",
    "ml.azure.us",
    "vault.usgovcloudapi.net",
    "login.microsoftonline.us",
)
_CHINA = Cloud(
    "AzureChinaCloud",
    "management.chinacloudapi.cn",
    "studio.ml.azure.cn",
    "vault.azure.cn",
    "login.partner.microsoftonline.cn",
)
CLOUDS = {
    "login.microsoftonline.us": _GOVERNMENT,
    "login.chinacloudapi.cn": _CHINA,
    "login.partner.microsoftonline.cn": _CHINA,
}
VAULTS = tuple(cloud.vault for cloud in (PUBLIC, _GOVERNMENT, _CHINA))


def here() -> Cloud:
    """The public one, unless the environment says otherwise."""
    said = os.environ.get("AZURE_AUTHORITY_HOST", "").removeprefix("https://").strip("/")
    return CLOUDS.get(said, PUBLIC)
