"""What an identity may do with blobs of a storage account, secrets of a key vault, and in a workspace, as Azure's role
assignments say.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from robotrain_azure.arm import Arm
from robotrain_azure.tracking.permissions import allows

READER, CONTRIBUTOR, OWNER = "Storage Blob Data Reader", "Storage Blob Data Contributor", "Storage Blob Data Owner"
KNOWN = {
    "2a2b9908-6ea1-4ae2-8e65-a410df84e7d1": READER,
    "ba92f5b4-2d11-453d-a403-e96b0029c9fe": CONTRIBUTOR,
    "b7e6dc6d-f1e8-4753-8033-0f276bb0955b": OWNER,
}
MODELS = "Microsoft.MachineLearningServices/workspaces/models/versions/write"
REGISTERING = {
    "f6c7c914-8db3-469d-8ca1-694a8f32e121": "AzureML Data Scientist",
    "b24988ac-6180-42a0-ab88-20f7382dd24c": "Contributor",
    "8e3af657-a8ff-443c-a75c-2fe8c4bcb635": "Owner",
}
"""Those of Azure's own that allow it."""
SECRETS = "Microsoft.KeyVault/vaults/secrets/getSecret/action"
SECRETS_USER = "Key Vault Secrets User"
READING_SECRETS = {
    "4633458b-17de-408a-b874-0445c86b69e6": SECRETS_USER,
    "b86a8fe4-44ce-4948-aee5-eccb2c155cd7": "Key Vault Secrets Officer",
    "00482a5a-887f-4fb3-b363-3b7fe8e74483": "Key Vault Administrator",
}
"""Likewise."""
BLOBS = "Microsoft.Storage/storageAccounts/blobServices/containers/blobs"

IDENTITIES = "2023-01-31"
ACCOUNTS = "2023-05-01"
VAULTS = "2023-07-01"
AUTHORIZATION = "2022-04-01"


def principal(arm: Arm, subscription: str, client_id: str) -> str:
    """The object id, which roles are given to, of the identity with a client id; empty when the subscription shows no
    such identity. Raises ArmError.
    """
    path = f"/subscriptions/{subscription}/providers/Microsoft.ManagedIdentity/userAssignedIdentities"
    listed = (found.get("properties") or {} for found in arm.all(path, IDENTITIES))
    return next((str(one["principalId"]) for one in listed if _same(one.get("clientId"), client_id)), "")


def accounts(arm: Arm, subscription: str) -> dict[str, str]:
    """The resource id of each storage account of a subscription, by its name. Raises ArmError."""
    path = f"/subscriptions/{subscription}/providers/Microsoft.Storage/storageAccounts"
    return {str(found["name"]): str(found["id"]) for found in arm.all(path, ACCOUNTS)}


def vault(arm: Arm, subscription: str, name: str) -> str:
    """The resource id of a key vault that goes by roles; empty where the subscription shows none of that name, and for
    one that goes by access policies. Raises ArmError.
    """
    path = f"/subscriptions/{subscription}/providers/Microsoft.KeyVault/vaults"
    named = (found for found in arm.all(path, VAULTS) if _same(found.get("name"), name))
    return next((str(one["id"]) for one in named if (one.get("properties") or {}).get("enableRbacAuthorization")), "")


def lacks(arm: Arm, account: str, holder: str, *, writes: bool) -> bool:
    """Whether `holder` surely may not use blobs of an account: no role of its own or of its groups allows it, neither
    there, nor above, nor on one of the containers. account: its resource id. Raises ArmError.
    """
    return not any(_does(arm, found, writes) for found in sorted(_definitions(arm, account, holder)))


def lacks_models(arm: Arm, workspace: str, holder: str) -> bool:
    """Whether `holder` surely may not register models in a workspace. workspace: its resource id. Raises ArmError."""
    return not any(_registers(arm, found) for found in sorted(_definitions(arm, workspace, holder)))


def lacks_secrets(arm: Arm, vault: str, holder: str) -> bool:
    """Whether `holder` surely may not read secrets of a key vault, nor one of them. vault: its resource id. Raises
    ArmError.
    """
    return not any(_reads_secrets(arm, found) for found in sorted(_definitions(arm, vault, holder)))


def _reads_secrets(arm: Arm, definition: str) -> bool:
    return definition.rpartition("/")[2].lower() in READING_SECRETS or any(_allowed(arm, definition, SECRETS))


def _registers(arm: Arm, definition: str) -> bool:
    if definition.rpartition("/")[2].lower() in REGISTERING:
        return True
    return any(allows(part, MODELS) for part in _parts(arm, definition))


def _definitions(arm: Arm, at: str, holder: str) -> set[str]:
    """Of its roles. The one question knows groups, the other what lies below the place."""
    path = f"{at}/providers/Microsoft.Authorization/roleAssignments"
    asked = (f"assignedTo('{holder}')", f"principalId eq '{holder}'")
    found = (one for question in asked for one in arm.all(path, AUTHORIZATION, **{"$filter": question}))
    return {str(one["properties"]["roleDefinitionId"]) for one in found}


def _does(arm: Arm, definition: str, writes: bool) -> bool:
    if role := KNOWN.get(definition.rpartition("/")[2].lower()):
        return not writes or role != READER
    return all(any(_allowed(arm, definition, action)) for action in _actions(writes))


def _allowed(arm: Arm, definition: str, action: str) -> Iterator[bool]:
    """For each part of a role of somebody's own making, or one that is seldom given for this."""
    for part in _parts(arm, definition):
        yield allows(part, action, "dataActions", "notDataActions")


def _parts(arm: Arm, definition: str) -> Sequence[Mapping[str, Any]]:
    return arm.get(definition, AUTHORIZATION)["properties"].get("permissions") or ()


def _actions(writes: bool) -> tuple[str, ...]:
    return (f"{BLOBS}/read", f"{BLOBS}/write") if writes else (f"{BLOBS}/read",)


def _same(one: object, other: str) -> bool:
    return str(one).lower() == other.lower()
