"""What an identity may do with blobs, secrets, models and tracking, by Azure's roles."""

import fnmatch
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from robotrain_runtime.contract.failure import Finding

from robotrain_azure.arm import ArmClient, ArmError
from robotrain_azure.errors import DATA_SCIENTIST_ROLE, make_role_command
from robotrain_azure.workspace import Workspace

PERMISSIONS_API_VERSION = "2022-04-01"
TRACKING_ACTIONS = tuple(
    f"Microsoft.MachineLearningServices/workspaces/{what}/write" for what in ("jobs", "experiments/runs")
)
"""Actions that allow tracking, by Azure's current and earlier documentation: a custom role may allow either."""


def check_tracking_permissions(arm: ArmClient, workspace: Workspace) -> Iterator[Finding]:
    """Yield a finding if the identity may not track runs in the workspace; nothing if Azure does not tell."""
    path = f"{workspace.resource}/providers/Microsoft.Authorization/permissions"
    try:
        permissions = list(arm.list_all(path, PERMISSIONS_API_VERSION))
    except ArmError:
        return
    if not any(is_allowed(part, action) for part in permissions for action in TRACKING_ACTIONS):
        assignee = os.environ.get("AZURE_CLIENT_ID") or "OBJECT-ID"
        yield Finding(
            code="tracking-refused",
            title=f"the job's identity may read the Azure ML workspace {workspace.name}, but not write runs there",
            given=workspace.tracking_uri,
            why="None of its roles there allows it.",
            ways=(make_role_command(assignee, DATA_SCIENTIST_ROLE, workspace.resource),),
        )


def is_allowed(
    role: Mapping[str, Any], action: str, allow_field: str = "actions", deny_field: str = "notActions"
) -> bool:
    """Return whether a part of a role allows an action. Wildcards match any text; case is ignored."""
    return _matches_any(role.get(allow_field), action) and not _matches_any(role.get(deny_field), action)


def _matches_any(patterns: Any, action: str) -> bool:
    return any(fnmatch.fnmatchcase(action.lower(), str(pattern).lower()) for pattern in patterns or ())


BLOB_READER_ROLE, BLOB_CONTRIBUTOR_ROLE, BLOB_OWNER_ROLE = (
    "Storage Blob Data Reader",
    "Storage Blob Data Contributor",
    "Storage Blob Data Owner",
)
BLOB_ROLES = {
    "2a2b9908-6ea1-4ae2-8e65-a410df84e7d1": BLOB_READER_ROLE,
    "ba92f5b4-2d11-453d-a403-e96b0029c9fe": BLOB_CONTRIBUTOR_ROLE,
    "b7e6dc6d-f1e8-4753-8033-0f276bb0955b": BLOB_OWNER_ROLE,
}
WRITE_MODEL_ACTION = "Microsoft.MachineLearningServices/workspaces/models/versions/write"
MODEL_ROLES = {
    "f6c7c914-8db3-469d-8ca1-694a8f32e121": "AzureML Data Scientist",
    "b24988ac-6180-42a0-ab88-20f7382dd24c": "Contributor",
    "8e3af657-a8ff-443c-a75c-2fe8c4bcb635": "Owner",
}
"""Built-in roles that allow it."""
READ_SECRET_ACTION = "Microsoft.KeyVault/vaults/secrets/getSecret/action"
SECRETS_USER_ROLE = "Key Vault Secrets User"
SECRET_ROLES = {
    "4633458b-17de-408a-b874-0445c86b69e6": SECRETS_USER_ROLE,
    "b86a8fe4-44ce-4948-aee5-eccb2c155cd7": "Key Vault Secrets Officer",
    "00482a5a-887f-4fb3-b363-3b7fe8e74483": "Key Vault Administrator",
}
"""Built-in roles that allow it."""
BLOB_ACTIONS = "Microsoft.Storage/storageAccounts/blobServices/containers/blobs"

IDENTITIES_API_VERSION = "2023-01-31"
ACCOUNTS_API_VERSION = "2023-05-01"
VAULTS_API_VERSION = "2023-07-01"
AUTHORIZATION_API_VERSION = "2022-04-01"


def find_principal(arm: ArmClient, subscription: str, client_id: str) -> str:
    """Return the object id of the identity with a client id; empty if there is none. Raises ArmError."""
    path = f"/subscriptions/{subscription}/providers/Microsoft.ManagedIdentity/userAssignedIdentities"
    identities = (item.get("properties") or {} for item in arm.list_all(path, IDENTITIES_API_VERSION))
    return next((str(item["principalId"]) for item in identities if _is_same_name(item.get("clientId"), client_id)), "")


def list_storage_accounts(arm: ArmClient, subscription: str) -> dict[str, str]:
    """Return the resource id of each storage account of a subscription, by name. Raises ArmError."""
    path = f"/subscriptions/{subscription}/providers/Microsoft.Storage/storageAccounts"
    return {str(item["name"]): str(item["id"]) for item in arm.list_all(path, ACCOUNTS_API_VERSION)}


def find_vault(arm: ArmClient, subscription: str, name: str) -> str:
    """Return the resource id of a key vault; empty if there is none or it uses access policies. Raises ArmError."""
    path = f"/subscriptions/{subscription}/providers/Microsoft.KeyVault/vaults"
    vaults = (vault for vault in arm.list_all(path, VAULTS_API_VERSION) if _is_same_name(vault.get("name"), name))
    return next(
        (str(vault["id"]) for vault in vaults if (vault.get("properties") or {}).get("enableRbacAuthorization")), ""
    )


def is_missing_blob_role(arm: ArmClient, account: str, holder: str, *, writes: bool) -> bool:
    """Return whether `holder` has no role that allows the use of a storage account's blobs. Raises ArmError.

    Roles of its groups count, at higher scopes and on single containers too. `account`: its resource id.
    """
    return not any(
        _can_use_blobs(arm, definition, writes) for definition in _list_role_definitions(arm, account, holder)
    )


def is_missing_model_role(arm: ArmClient, workspace: str, holder: str) -> bool:
    """Return whether `holder` may not register models in a workspace, given by its resource id. Raises ArmError."""
    return not any(
        _can_register_models(arm, definition) for definition in _list_role_definitions(arm, workspace, holder)
    )


def is_missing_secret_role(arm: ArmClient, vault: str, holder: str) -> bool:
    """Return whether `holder` may read no secret of a key vault, given by its resource id. Raises ArmError."""
    return not any(_can_read_secrets(arm, definition) for definition in _list_role_definitions(arm, vault, holder))


def _can_read_secrets(arm: ArmClient, definition: str) -> bool:
    return definition.rpartition("/")[2].lower() in SECRET_ROLES or any(
        _check_parts(arm, definition, READ_SECRET_ACTION)
    )


def _can_register_models(arm: ArmClient, definition: str) -> bool:
    if definition.rpartition("/")[2].lower() in MODEL_ROLES:
        return True
    return any(is_allowed(part, WRITE_MODEL_ACTION) for part in _get_permissions(arm, definition))


def _list_role_definitions(arm: ArmClient, at: str, holder: str) -> list[str]:
    """Return the holder's role definitions. The first query includes groups, the second one lower scopes."""
    path = f"{at}/providers/Microsoft.Authorization/roleAssignments"
    queries = (f"assignedTo('{holder}')", f"principalId eq '{holder}'")
    ids = {
        str(assignment["properties"]["roleDefinitionId"])
        for query in queries
        for assignment in arm.list_all(path, AUTHORIZATION_API_VERSION, **{"$filter": query})
    }
    return sorted(ids)


def _can_use_blobs(arm: ArmClient, definition: str, writes: bool) -> bool:
    if role := BLOB_ROLES.get(definition.rpartition("/")[2].lower()):
        return not writes or role != BLOB_READER_ROLE
    return all(any(_check_parts(arm, definition, action)) for action in _list_blob_actions(writes))


def _check_parts(arm: ArmClient, definition: str, action: str) -> Iterator[bool]:
    """Yield whether each part of a custom or unusual role allows a data action."""
    for part in _get_permissions(arm, definition):
        yield is_allowed(part, action, "dataActions", "notDataActions")


def _get_permissions(arm: ArmClient, definition: str) -> Sequence[Mapping[str, Any]]:
    return arm.get(definition, AUTHORIZATION_API_VERSION)["properties"].get("permissions") or ()


def _list_blob_actions(writes: bool) -> tuple[str, ...]:
    return (f"{BLOB_ACTIONS}/read", f"{BLOB_ACTIONS}/write") if writes else (f"{BLOB_ACTIONS}/read",)


def _is_same_name(one: object, other: str) -> bool:
    return str(one).lower() == other.lower()
