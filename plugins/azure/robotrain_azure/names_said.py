"""The names of Azure that settings say, as Azure has them."""

import re
from collections.abc import Iterator
from typing import Protocol

from robotrain_azure.workspace import Naming

WORKSPACE = "--subscription-id ID --resource-group GROUP --workspace-name NAME"
WHAT, WHY = "a name as Azure has it", "It holds a character that no such name has."
GUID = r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}"
_NAMES = {
    "--subscription-id": ("subscription_id", r"[A-Za-z0-9-]{1,64}"),
    "--resource-group": ("resource_group", r"[\w.()-]{1,90}"),
    "--workspace-name": ("workspace_name", r"[A-Za-z0-9][A-Za-z0-9_-]{0,254}"),
    "--workload-identity": ("workload_identity", r"[A-Za-z0-9-]{1,64}"),
}


class Names(Naming, Protocol):
    """Settings of any platform that speaks to Azure."""

    @property
    def workload_identity(self) -> str | None:
        """The client id of the identity that jobs have."""


def wrong(settings: Names) -> Iterator[tuple[str, str]]:
    """The flag and the text of each name that Azure could not have."""
    for flag, (field, _) in _NAMES.items():
        text = getattr(settings, field)
        if text and not is_name(flag, text):
            yield flag, text


def is_name(flag: str, text: str) -> bool:
    """Whether Azure could have such a name. flag: that says it."""
    return bool(re.fullmatch(_NAMES[flag][1], text))
