"""An Azure ML workspace: its names, its address as robotrain writes it, its address in Azure's resource manager."""

import re
from dataclasses import dataclass
from typing import Protocol

SCHEME = "azureml-workspace"
HALVES = {"tracking.azureml": "robotrain_azure.tracking.container"}
"""What knows such an address in the container, as a job document names it."""
FLAGS = ("--subscription-id", "--resource-group", "--workspace-name")
_ADDRESS = rf"{SCHEME}://([^/]+)/([^/]+)/([^/]+)"


@dataclass(frozen=True, slots=True)
class Workspace:
    """The three names that find a workspace."""

    subscription: str
    group: str
    name: str

    @property
    def tracking_uri(self) -> str:
        """As a job document holds it: which region answers for it is asked when a run starts."""
        return f"{SCHEME}://{self.subscription}/{self.group}/{self.name}"

    @property
    def resource(self) -> str:
        """Its id in Azure's resource manager."""
        return (
            f"/subscriptions/{self.subscription}/resourceGroups/{self.group}"
            f"/providers/Microsoft.MachineLearningServices/workspaces/{self.name}"
        )


class Naming(Protocol):
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


def of_address(uri: str) -> Workspace | None:
    """The workspace of a tracking address; None for one of another kind."""
    found = re.fullmatch(_ADDRESS, uri)
    return Workspace(*found.groups()) if found else None


def of(settings: Naming) -> Workspace | None:
    """The workspace that the settings name; None when they do not say all three names."""
    subscription, group, name = _names(settings)
    return Workspace(subscription, group, name) if subscription and group and name else None


def lacking(settings: Naming) -> tuple[str, ...]:
    """The flags of the names that are missing, when some are said. A subscription alone says nothing: everybody who is
    signed in has one.
    """
    if not (settings.resource_group or settings.workspace_name):
        return ()
    return tuple(flag for flag, name in zip(FLAGS, _names(settings), strict=True) if not name)


def _names(settings: Naming) -> tuple[str | None, str | None, str | None]:
    return settings.subscription_id, settings.resource_group, settings.workspace_name
