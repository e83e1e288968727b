"""A model of a workspace in the container: its name, and the modules that download it."""

import re
from dataclasses import dataclass

from robotrain_runtime.contract.container_plugin import ContainerContext
from robotrain_runtime.contract.document import JobSource

from robotrain_azure import workspace
from robotrain_azure.workspace import Workspace

CARRIER = "robotrain_sources.transfer.container"
ORIGIN = "robotrain_azure.models.origin"


def get_request_uri(source: JobSource, context: ContainerContext) -> str:
    """Return the full name of a model: a short one refers to the workspace that tracks the run. Other URIs are
    unchanged.
    """
    try:
        name = workspace.get_model_name(source)
        return str(parse_model_name(name, workspace.parse_tracking_uri(context.tracking_uri)))
    except ModelNameError:  # reported when it is opened
        return source.uri


FULL_NAME = "azureml://subscriptions/ID/resourcegroups/GROUP/workspaces/NAME/models/{name}/versions/{version}"
_VERSION_PATTERN = r"models/(?P<name>[^/]+)/versions/(?P<version>\d+)"
_SHORT_NAME = r"azureml:(?P<name>[^:/]+):(?P<version>\d+|latest)"
_LONG_NAME = rf"azureml://{workspace.SCOPE_PATTERN}/{_VERSION_PATTERN}"
_SCOPED_NAME = rf"azureml://(?P<scope>registries|locations)/.+/{_VERSION_PATTERN}"


@dataclass(frozen=True, slots=True)
class WorkspaceModel:
    """One version of a model in a workspace. `str()` is its full name."""

    workspace: Workspace
    name: str
    version: str

    def __str__(self) -> str:
        return f"azureml://{self.workspace.scope}/models/{self.name}/versions/{self.version}"

    @property
    def label(self) -> str:
        """The model in words."""
        return f"the model {self.name} version {self.version}"


class ModelNameError(ValueError):
    """A name that identifies no model, with the name to use instead if it is known."""

    def __init__(self, reason: str, suggestion: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.suggestion = suggestion


def parse_model_name(uri: str, workspace: Workspace | None) -> WorkspaceModel:
    """Parse the URI of a model source. Raises ModelNameError. `workspace`: the job's, if it has one."""
    if full_match := re.fullmatch(_LONG_NAME, uri):
        model_workspace = Workspace(full_match["subscription"], full_match["group"], full_match["workspace"])
        return WorkspaceModel(model_workspace, full_match["name"], full_match["version"])
    if short_match := re.fullmatch(_SHORT_NAME, uri):
        if workspace:
            return WorkspaceModel(workspace, short_match["name"], short_match["version"])
        reason = "A short name refers to the workspace that tracks the run, and no workspace tracks this run."
        raise ModelNameError(reason, FULL_NAME.format(**short_match.groupdict()))
    if scoped_match := re.fullmatch(_SCOPED_NAME, uri):
        scope_noun = "a registry" if scoped_match["scope"] == "registries" else "a workspace named by its region"
        reason = (
            f"Only Azure ML can look up a model of {scope_noun}; the job needs the full name of a model in a workspace."
        )
        name, version = scoped_match["name"], scoped_match["version"]
        full_name = FULL_NAME.format(name=name, version=version)
        raise ModelNameError(reason, f"azureml:{name}:{version}" if workspace else full_name)
    raise ModelNameError("This is not a version of a model in a workspace.")
