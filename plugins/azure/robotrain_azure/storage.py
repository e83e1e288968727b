"""Storage of a workspace: datastores, and the place of tracked artifacts."""

from dataclasses import dataclass

from robotrain_azure.arm import ArmClient, StorageError
from robotrain_azure.workspace import Workspace

ARTIFACT_DATASTORE = "workspaceartifactstore"
"""The datastore of every workspace for the artifacts of its jobs."""
BLOB_DATASTORE_TYPES = ("AzureBlob", "AzureDataLakeGen2")
"""Types with a blob endpoint."""
PUBLIC_SUFFIX = "core.windows.net"
"""The domain of the public cloud's storage."""
NO_BLOBS_CODE = "no-blob-datastore"


def make_artifact_path(job: str, path: str) -> str:
    """Return the path of a job's artifact in the container of the artifacts."""
    return f"ExperimentRun/dcid.{job}/{path}".rstrip("/")


@dataclass(frozen=True, slots=True)
class Datastore:
    """The place of a datastore."""

    workspace: Workspace
    name: str
    account: str
    container: str
    suffix: str
    """The domain of the cloud's storage."""
    keyed: bool
    """Whether the workspace keeps a secret for it."""

    @property
    def url(self) -> str:
        """The URL of its container."""
        return f"https://{self.account}.blob.{self.suffix}/{self.container}"

    @property
    def resource(self) -> str:
        """The id in Azure's resource manager."""
        return f"{self.workspace.resource}/datastores/{self.name}"


def get_datastore(arm: ArmClient, workspace: Workspace, name: str) -> Datastore:
    """Return a datastore of a workspace. Raises ArmError, and StorageError if it holds no blobs."""
    properties = arm.get_properties(f"{workspace.resource}/datastores/{name}")
    kind = properties.get_text("datastoreType")
    account = properties.get_text("accountName")
    container = properties.get_text("containerName") or properties.get_text("filesystem")
    if kind not in BLOB_DATASTORE_TYPES or not account or not container:
        raise StorageError(f"the datastore {name} holds no blobs: its type is {kind or 'unknown'}", code=NO_BLOBS_CODE)
    secret = properties.get_object("credentials").get_text("credentialsType") or "None"
    suffix = properties.get_text("endpoint") or PUBLIC_SUFFIX
    return Datastore(workspace, name, account, container, suffix, keyed=secret in ("AccountKey", "Sas"))
