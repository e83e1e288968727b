"""Errors of a workspace and its storage, explained: what Azure says, and what to do about it."""

import re
from dataclasses import dataclass
from typing import Literal

from robotrain_azure import credential
from robotrain_azure.arm import SIGNED_OUT, UNREADABLE, ServiceError, StorageError
from robotrain_azure.workspace import LIST_WORKSPACES, Workspace

DATA_SCIENTIST_ROLE, BLOB_CONTRIBUTOR_ROLE = "AzureML Data Scientist", "Storage Blob Data Contributor"
NETWORK_HINT = "use a network that the account's firewall allows, if it has one"
SUBSCRIPTION_MISSING_CODES = ("SubscriptionNotFound", "InvalidSubscriptionId")
"""The subscription does not exist, or belongs to another tenant."""
WORKSPACE_MISSING_CODES = ("ResourceGroupNotFound", *SUBSCRIPTION_MISSING_CODES)
_WORKSPACE_PART = r"workspaces/[^/']+/"
"""Matches Azure's message about a missing part of an existing workspace."""
LOGIN_ELSEWHERE = "az login --tenant TENANT-ID"
LIST_SUBSCRIPTIONS = "az account list --output table"
RETRY_LATER = "try again later"
_OBJECT_ID = r"object id '([0-9a-fA-F-]{36})'"

DiagnosisKind = Literal["missing", "role", "signed-out", "other"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """The explanation of an error."""

    kind: DiagnosisKind
    title: str
    """A sentence without a full stop."""
    why: str
    """Azure's own message."""
    suggestions: tuple[str, ...]
    """Commands to run or things to do."""
    network: bool = False


def is_part_missing(error: ServiceError, name: str = "") -> bool:
    """Return whether a part of an existing workspace is missing. A 404 without a code is not from Azure.

    `name`: the part's name, which Azure's message may contain without the part's id.
    """
    if error.status != 404 or not error.code or error.code in WORKSPACE_MISSING_CODES:
        return False
    message = str(error).lower()
    return error.code != "ResourceNotFound" or bool(
        re.search(_WORKSPACE_PART, message) or (name and name.lower() in message)
    )


def diagnose_error(error: ServiceError, workspace: Workspace) -> Diagnosis:
    """Explain an error of Azure's resource manager about a workspace, or of its storage. Azure's words are quoted."""
    account = error.account if isinstance(error, StorageError) else None
    place = f"the Azure ML workspace {workspace.name}"
    if account is not None:
        place = f"the storage account {account}" if account else "the storage of the workspace"
    reason, title = re.sub(r"^the ", "The ", f"{error}."), f"{place} cannot be read"
    if error.code == SIGNED_OUT or (error.status == 401 and error.code in credential.EXPIRED_TOKEN_CODES):
        ways: tuple[str, ...] = (credential.suggest_sign_in(str(error)),)
        return Diagnosis(kind="signed-out", title=title, why=reason, suggestions=ways)
    if error.code in SUBSCRIPTION_MISSING_CODES:
        title = f"you cannot see the subscription {workspace.subscription}"
        ways = (LOGIN_ELSEWHERE, LIST_SUBSCRIPTIONS)
        return Diagnosis(kind="role", title=title, why=reason, suggestions=ways)
    if error.status == 404 and account is None and error.code and not is_part_missing(error):
        missing_resource = f"Azure ML workspace {workspace.name} in the resource group {workspace.group}"
        if error.code == "ResourceGroupNotFound":
            missing_resource = f"resource group {workspace.group}"
        title = f"the subscription {workspace.subscription} has no {missing_resource}"
        command = f"{LIST_WORKSPACES} --subscription {workspace.subscription} --output table"
        return Diagnosis(kind="missing", title=title, why=reason, suggestions=(command,))
    if error.status in (401, 403):
        match = re.search(_OBJECT_ID, str(error))
        object_id = match[1] if match else credential.get_caller_object_id()
        title = f"{f'object id {object_id} has' if match else 'you have'} no access to {place}"
        role, scope, ways = DATA_SCIENTIST_ROLE, workspace.resource, ()
        if account is not None:
            group = f"/subscriptions/{workspace.subscription}/resourceGroups/{workspace.group}"
            scope = f"{group}/providers/Microsoft.Storage/storageAccounts/{account or 'ACCOUNT'}"
            role, ways = BLOB_CONTRIBUTOR_ROLE, (NETWORK_HINT,)
        elif error.status == 401:
            return Diagnosis(kind="role", title=title, why=reason, suggestions=(LOGIN_ELSEWHERE,))
        if not (isinstance(error, StorageError) and error.signed):
            ways = (make_role_command(object_id, role, scope), *ways)
        return Diagnosis(kind="role", title=title, why=reason, suggestions=ways)
    ways = (RETRY_LATER,) if error.is_transient else ()
    if error.code == UNREADABLE:
        ways = ("the same command without a proxy, which may answer in Azure's place",)
    return Diagnosis(kind="other", title=title, why=reason, suggestions=ways, network=error.is_transient)


def make_role_command(assignee: str, role: str, scope: str) -> str:
    """Return the command that assigns a role."""
    return f'az role assignment create --assignee {assignee} --role "{role}" --scope "{scope}"'
