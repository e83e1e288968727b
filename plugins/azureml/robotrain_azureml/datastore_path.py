"""The source kind `datastore_path`: folders in a datastore of a workspace, which Azure ML mounts.

It is a plugin of its own, so that other platforms know such a folder and say what to do with it.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from robotrain.model.source import RoleFlag, SourceError, SourceKind
from robotrain.model.support import no
from robotrain.plugins.hookspecs import hook
from robotrain.redaction import holds_secret
from robotrain_azure.workspace import Workspace
from robotrain_sources.role_flags import RESUME

FORM = "azureml://datastores/DATASTORE/paths/FOLDER"

_SCOPE = (
    r"subscriptions/(?P<subscription>[A-Za-z0-9-]{1,64})/resourcegroups/(?P<group>[A-Za-z0-9._()-]{1,90})"
    r"(?:/providers/Microsoft\.MachineLearningServices)?/workspaces/(?P<workspace>[A-Za-z0-9][A-Za-z0-9_-]{0,63})"
)
_ADDRESS = rf"azureml://(?:(?i:{_SCOPE})/)?datastores/(?P<datastore>[A-Za-z0-9_]{{1,255}})/paths/(?P<path>.+)"
_PATH_PART = r"[A-Za-z0-9._=+~!()&:@,-]+"


@dataclass(frozen=True)
class DatastorePath:
    """A folder in a datastore."""

    kind: ClassVar[str] = "datastore_path"

    datastore: str
    path: str
    """Without slashes at its ends."""
    workspace: Workspace | None = None
    """None for the job's own."""

    def __str__(self) -> str:
        datastore_path = f"datastores/{self.datastore}/paths/{self.path}"
        return f"azureml://{self.workspace.scope}/{datastore_path}" if self.workspace else f"azureml://{datastore_path}"

    def relative_to(self, workspace: Workspace) -> "DatastorePath":
        """Return the path for a job of this workspace: the short form if it is the path's own."""
        is_same_workspace = self.workspace is not None and self.workspace.resource.lower() == workspace.resource.lower()
        return DatastorePath(self.datastore, self.path) if is_same_workspace else self


def is_datastore_path(uri_text: str) -> bool:
    """Return whether a text looks like a path in a datastore."""
    return bool(re.match(r"(?i)\s*azureml://(?:[^?#]*/)?datastores/", uri_text))


def parse_datastore_path(uri_text: str, base: Path = Path("/")) -> DatastorePath:
    """Parse the URI of a folder in a datastore. Raises SourceError."""
    if holds_secret(uri_text):
        raise SourceError("The URI seems to hold a secret, and jobs never contain secrets.")
    match = re.fullmatch(_ADDRESS, uri_text)
    if match is None:
        raise SourceError(f"The form is {FORM}; a datastore name has letters, digits and `_`.")
    path = match["path"].rstrip("/")
    parts = path.split("/")
    if not all(parts) or {".", ".."} & set(parts):
        raise SourceError("No part of the path may be empty, `.` or `..`.")
    if not all(re.fullmatch(_PATH_PART, part) for part in parts):
        raise SourceError("A part of the path may have letters, digits and `._=+~!()&:@,-`, no spaces.")
    workspace = Workspace(match["subscription"], match["group"], match["workspace"]) if match["workspace"] else None
    return DatastorePath(match["datastore"], path, workspace)


KIND = SourceKind(
    name=DatastorePath.kind,
    title="paths in a datastore of Azure ML",
    schemes=("azureml",),
    form=FORM,
    example="azureml://datastores/workspaceblobstore/paths/checkpoints/000400",
    help="A folder in a datastore of the workspace, such as a checkpoint in a job's output; Azure ML mounts it.",
    roles={
        "policy": RoleFlag(
            "--policy-url", repeatable=False, help="A policy in an Azure ML datastore to continue from or to evaluate."
        ),
        "reference": RoleFlag(
            "--reference-url", help="A policy in an Azure ML datastore to compare the evaluated one with."
        ),
        "resume": RESUME,
    },
    recognizes=is_datastore_path,
    parse=parse_datastore_path,
    unsupported={
        role: no(
            "Only its own Azure ML workspace can read a datastore.",
            f"robotrain outputs RUN --checkpoint last --to FOLDER, then {flag} FOLDER/checkpoints/STEP",
        )
        for role, flag in (
            ("policy", "--policy-path"),
            ("reference", "--reference-path"),
            ("resume", "--resume-from"),
        )
    },
)


@hook
def robotrain_source_kinds() -> Iterable[SourceKind]:
    """Return the source kind."""
    return (KIND,)
