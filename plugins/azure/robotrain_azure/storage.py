"""Storage of a workspace: datastores, the place of tracked artifacts, and errors of storage accounts, explained."""

import shlex
from dataclasses import dataclass

from robotrain_azure import credential
from robotrain_azure.arm import SIGNED_OUT, ArmClient, ServiceError
from robotrain_azure.errors import RETRY_LATER, Diagnosis, make_role_command
from robotrain_azure.workspace import Workspace

ARTIFACT_DATASTORE = "workspaceartifactstore"
"""The datastore of every workspace for the artifacts of its jobs."""
BLOB_DATASTORE_TYPES = ("AzureBlob", "AzureDataLakeGen2")
"""Types with a blob endpoint."""
BLOB_CONTRIBUTOR_ROLE = "Storage Blob Data Contributor"
PUBLIC_SUFFIX = "core.windows.net"
"""The domain of the public cloud's storage."""
NO_BLOBS_CODE = "no-blob-datastore"


def make_artifact_path(job: str, path: str) -> str:
    """Return the path of a job's artifact in the container of the artifacts."""
    return f"ExperimentRun/dcid.{job}/{path}".rstrip("/")


class StorageError(ServiceError):
    """A failed request to storage; the message has no full stop.

    `account`: the storage account. `signed`: a key or signature was used, so the caller's roles do not matter.
    """

    def __init__(self, message: str, status: int = 0, code: str = "", account: str = "", signed: bool = False) -> None:
        super().__init__(message, status, code)
        self.account = account
        self.signed = signed


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


KEYS_DISABLED_CODE = "KeyBasedAuthenticationNotPermitted"
ROLE_MISSING_CODE = "AuthorizationPermissionMismatch"
NETWORK_DENIED_CODE = "AuthorizationFailure"
"""Usually a network rule; a missing role may have this code too."""
NETWORK_HINT = "use a network that the account's firewall allows, if it has one"
SIGNATURE_HINT = "give the datastore a signature with the rights to read, list and write (sp=rlw)"
UNKNOWN_ACCOUNT = "ACCOUNT"


def diagnose_storage_error(error: StorageError, workspace: Workspace) -> Diagnosis:
    """Explain an error of storage. Roles are suggested for the signed-in identity, if its token names it."""
    account = error.account
    sentence = f"{str(error)[:1].upper()}{str(error)[1:]}."
    if error.code == SIGNED_OUT:
        title = credential.make_sign_in_title(str(error))
        reason = credential.explain_sign_in_error(error)
        return Diagnosis(
            kind="signed-out", title=title, why=reason, suggestions=(credential.suggest_sign_in(str(error)),)
        )
    subject = f"the storage account {account}" if account else "the storage of the workspace"
    response_note = f"The answer was {f'HTTP {error.status} {error.code}'.rstrip()}." if error.status else sentence
    if error.code == KEYS_DISABLED_CODE:
        title = f"{subject} does not accept keys"
        command = make_identity_auth_command(workspace)
        return Diagnosis(kind="role", title=title, why=response_note, suggestions=(command,))
    if error.status in (401, 403):
        suggestions: tuple[str, ...] = (NETWORK_HINT,)
        if not error.signed:
            scope = make_account_id(workspace, account)
            command = make_role_command(credential.get_caller_object_id(), BLOB_CONTRIBUTOR_ROLE, scope)
            is_network = error.code == NETWORK_DENIED_CODE
            suggestions = (NETWORK_HINT, command) if is_network else (command, NETWORK_HINT)
            if error.code == ROLE_MISSING_CODE:
                suggestions = (command,)  # the network let it through
        elif error.code == ROLE_MISSING_CODE:
            suggestions = (SIGNATURE_HINT,)
        return Diagnosis(kind="role", title=f"{subject} denies you access", why=response_note, suggestions=suggestions)
    retry = (RETRY_LATER,) if error.is_transient else ()
    title = f"{subject} failed"
    return Diagnosis(kind="other", title=title, why=sentence, suggestions=retry, network=error.is_transient)


def make_account_id(workspace: Workspace, account: str) -> str:
    """Return the id of a storage account, assuming that it is in the workspace's resource group."""
    group = f"/subscriptions/{workspace.subscription}/resourceGroups/{workspace.group}"
    return f"{group}/providers/Microsoft.Storage/storageAccounts/{account or UNKNOWN_ACCOUNT}"


def make_identity_auth_command(workspace: Workspace) -> str:
    """Return the command that makes a workspace use identities instead of keys."""
    return (
        f"az ml workspace update --name {shlex.quote(workspace.name)} --resource-group {shlex.quote(workspace.group)} "
        f"--subscription {shlex.quote(workspace.subscription)} --system-datastores-auth-mode identity"
    )
