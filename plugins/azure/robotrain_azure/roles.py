"""Permissions of an identity by Azure's roles: for blobs, secrets, models and tracking."""

import fnmatch
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from robotrain_runtime.contract.problem import Problem, Suggestion

from robotrain_azure.arm import Answer, ArmClient, ArmError
from robotrain_azure.credential import UNKNOWN_OBJECT_ID
from robotrain_azure.errors import DATA_SCIENTIST_ROLE, make_role_command
from robotrain_azure.workspace import Workspace

TRACKING_ACTIONS = tuple(
    f"Microsoft.MachineLearningServices/workspaces/{what}/write" for what in ("jobs", "experiments/runs")
)
"""Actions that allow tracking, by Azure's current and earlier documentation: a custom role may allow either."""


def check_tracking_permissions(arm: ArmClient, workspace: Workspace) -> Iterator[Problem]:
    """Yield a finding if the identity may not track runs in the workspace; nothing if Azure does not tell."""
    path = f"{workspace.resource}/providers/Microsoft.Authorization/permissions"
    try:
        permissions = list(arm.list_all(path, AUTHORIZATION_API_VERSION))
    except ArmError:
        return
    if not any(is_allowed(part, action) for part in permissions for action in TRACKING_ACTIONS):
        assignee = os.environ.get("AZURE_CLIENT_ID") or UNKNOWN_OBJECT_ID
        title = f"the job's identity may read the Azure ML workspace {workspace.name}, but not write runs there"
        tracking_uri, reason = workspace.tracking_uri, "None of its roles there allows it."
        command = make_role_command(assignee, DATA_SCIENTIST_ROLE, workspace.resource)
        yield Problem(
            code="azure-role-missing", title=title, given=tracking_uri, why=reason, suggestions=(Suggestion(command),)
        )


def is_allowed(role: Answer, action: str, allow_field: str = "actions", deny_field: str = "notActions") -> bool:
    """Return whether a part of a role allows an action. Wildcards match any text; case is ignored."""
    allowed_actions = role.get_texts(allow_field)
    denied_actions = role.get_texts(deny_field)
    return _matches_any(allowed_actions, action) and not _matches_any(denied_actions, action)


def _matches_any(patterns: Iterable[str], action: str) -> bool:
    return any(fnmatch.fnmatchcase(action.lower(), pattern.lower()) for pattern in patterns)


BLOB_READER_ROLE, BLOB_CONTRIBUTOR_ROLE = "Storage Blob Data Reader", "Storage Blob Data Contributor"
SECRETS_USER_ROLE = "Key Vault Secrets User"
BLOB_ACTIONS = "Microsoft.Storage/storageAccounts/blobServices/containers/blobs"


@dataclass(frozen=True, slots=True)
class Permission:
    """Something that an identity needs to do in a resource."""

    actions: tuple[str, ...]
    roles: tuple[str, ...]
    """The ids of built-in roles that allow it."""
    on_data: bool = True
    """Whether the actions are data actions."""


_BLOB_WRITERS = ("ba92f5b4-2d11-453d-a403-e96b0029c9fe", "b7e6dc6d-f1e8-4753-8033-0f276bb0955b")
"""Storage Blob Data Contributor and Owner."""
READ_BLOBS = Permission(
    (f"{BLOB_ACTIONS}/read",),
    ("2a2b9908-6ea1-4ae2-8e65-a410df84e7d1", *_BLOB_WRITERS),  # Storage Blob Data Reader
)
WRITE_BLOBS = Permission((f"{BLOB_ACTIONS}/read", f"{BLOB_ACTIONS}/write"), _BLOB_WRITERS)
REGISTER_MODELS = Permission(
    ("Microsoft.MachineLearningServices/workspaces/models/versions/write",),
    (
        "f6c7c914-8db3-469d-8ca1-694a8f32e121",  # AzureML Data Scientist
        "b24988ac-6180-42a0-ab88-20f7382dd24c",  # Contributor
        "8e3af657-a8ff-443c-a75c-2fe8c4bcb635",  # Owner
    ),
    on_data=False,
)
READ_SECRETS = Permission(
    ("Microsoft.KeyVault/vaults/secrets/getSecret/action",),
    (
        "4633458b-17de-408a-b874-0445c86b69e6",  # Key Vault Secrets User
        "b86a8fe4-44ce-4948-aee5-eccb2c155cd7",  # Key Vault Secrets Officer
        "00482a5a-887f-4fb3-b363-3b7fe8e74483",  # Key Vault Administrator
    ),
)
_KNOWN_ROLES = frozenset(
    role for permission in (READ_BLOBS, REGISTER_MODELS, READ_SECRETS) for role in permission.roles
)

IDENTITIES_API_VERSION = "2023-01-31"
ACCOUNTS_API_VERSION = "2023-05-01"
VAULTS_API_VERSION = "2023-07-01"
AUTHORIZATION_API_VERSION = "2022-04-01"


def find_principal(arm: ArmClient, subscription: str, client_id: str) -> str:
    """Return the object id of the identity with a client id; empty if there is none. Raises ArmError."""
    path = f"/subscriptions/{subscription}/providers/Microsoft.ManagedIdentity/userAssignedIdentities"
    identities = (resource.get_object("properties") for resource in arm.list_all(path, IDENTITIES_API_VERSION))
    matches = (identity for identity in identities if _is_same_name(identity.get("clientId"), client_id))
    return next((identity.require_text("principalId") for identity in matches), "")


def list_storage_accounts(arm: ArmClient, subscription: str) -> dict[str, str]:
    """Return the resource id of each storage account of a subscription, by name. Raises ArmError."""
    path = f"/subscriptions/{subscription}/providers/Microsoft.Storage/storageAccounts"
    accounts = arm.list_all(path, ACCOUNTS_API_VERSION)
    return {account.require_text("name"): account.require_text("id") for account in accounts}


def find_vault(arm: ArmClient, subscription: str, name: str) -> str:
    """Return the resource id of a key vault; empty if there is none or it uses access policies. Raises ArmError."""
    path = f"/subscriptions/{subscription}/providers/Microsoft.KeyVault/vaults"
    vaults = (vault for vault in arm.list_all(path, VAULTS_API_VERSION) if _is_same_name(vault.get("name"), name))
    by_role = (vault for vault in vaults if vault.get_object("properties").get("enableRbacAuthorization"))
    return next((vault.require_text("id") for vault in by_role), "")


def has_permission(arm: ArmClient, resource: str, holder: str, permission: Permission) -> bool:
    """Return whether a role of `holder` allows something in a resource, given by its id. Raises ArmError.

    Roles of its groups count, at higher scopes and on parts of the resource too.
    """
    path = f"{resource}/providers/Microsoft.Authorization/roleAssignments"
    definitions = {
        assignment.get_object("properties").require_text("roleDefinitionId")
        for query in (f"assignedTo('{holder}')", f"principalId eq '{holder}'")  # with groups; with lower scopes
        for assignment in arm.list_all(path, AUTHORIZATION_API_VERSION, **{"$filter": query})
    }
    return any(_is_permitted_by(arm, definition, permission) for definition in sorted(definitions))


def _is_permitted_by(arm: ArmClient, definition: str, permission: Permission) -> bool:
    role = definition.rpartition("/")[2].lower()
    if role in _KNOWN_ROLES:
        return role in permission.roles
    parts = arm.get_properties(definition, AUTHORIZATION_API_VERSION).get_objects("permissions")
    fields = ("dataActions", "notDataActions") if permission.on_data else ("actions", "notActions")
    return all(any(is_allowed(part, action, *fields) for part in parts) for action in permission.actions)


def _is_same_name(name: object, other_name: str) -> bool:
    return str(name).lower() == other_name.lower()
