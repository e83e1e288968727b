"""Which model of which workspace a source names. Standard library only: both sides ask."""

import re
from dataclasses import dataclass

from robotrain_azure.workspace import Workspace

FULL = "azureml://subscriptions/ID/resourcegroups/GROUP/workspaces/NAME/models/{name}/versions/{version}"
_VERSION = r"models/(?P<name>[^/]+)/versions/(?P<version>\d+)"
_SHORT = r"azureml:(?P<name>[^:/]+):(?P<version>\d+)"
_LONG = (
    r"azureml://subscriptions/(?P<subscription>[^/]+)/resource[gG]roups/(?P<group>[^/]+)(?:/providers/[^/]+)?"
    rf"/workspaces/(?P<workspace>[^/]+)/{_VERSION}"
)
_SCOPED = rf"azureml://(?P<scope>registries|locations)/.+/{_VERSION}"


@dataclass(frozen=True, slots=True)
class Named:
    """One version of a model, in the workspace `at`. `str()` is its full name."""

    at: Workspace
    name: str
    version: str

    def __str__(self) -> str:
        at = f"subscriptions/{self.at.subscription}/resourcegroups/{self.at.group}/workspaces/{self.at.name}"
        return f"azureml://{at}/models/{self.name}/versions/{self.version}"


class Unnamed(ValueError):
    """Why nobody can tell which model is meant: a sentence, and what to type instead where that is known."""

    def __init__(self, why: str, instead: str = "") -> None:
        super().__init__(why)
        self.why = why
        self.instead = instead


def of(uri: str, here: Workspace | None) -> Named:
    """The model of a source's printed form. here: the workspace of the job, where it has one. Raises Unnamed."""
    if full := re.fullmatch(_LONG, uri):
        at = Workspace(full["subscription"], full["group"], full["workspace"])
        return Named(at, full["name"], full["version"])
    if short := re.fullmatch(_SHORT, uri):
        if here:
            return Named(here, short["name"], short["version"])
        why = "A short name means the workspace that the run is tracked in, and it is tracked in none."
        raise Unnamed(why, FULL.format(**short.groupdict()))
    if scoped := re.fullmatch(_SCOPED, uri):
        where = "a registry" if scoped["scope"] == "registries" else "a workspace that is named by its region"
        why = f"A model of {where} is found by Azure ML alone; the job looks models up by a workspace's full name."
        raise Unnamed(why, _in_workspace(here, scoped["name"], scoped["version"]))
    raise Unnamed("It names no version of a model in a workspace.")


def _in_workspace(here: Workspace | None, name: str, version: str) -> str:
    return f"azureml:{name}:{version}" if here else FULL.format(name=name, version=version)
