"""Where runs are tracked: the workspace, another MLflow address in its place, or nowhere."""

from collections.abc import Mapping

from robotrain_azure import workspace

from robotrain_osmo.settings import Settings

NONE = "none"


def uri(settings: Settings) -> str:
    """The tracking address of a job document; empty for none."""
    if settings.tracking_uri:
        return "" if settings.tracking_uri == NONE else settings.tracking_uri
    found = workspace.of(settings)
    return found.tracking_uri if found else ""


def halves(settings: Settings) -> Mapping[str, str]:
    """The module that finds what a workspace's address stands for today; nothing for an address as MLflow has it."""
    return workspace.HALVES if workspace.of_address(uri(settings)) else {}
