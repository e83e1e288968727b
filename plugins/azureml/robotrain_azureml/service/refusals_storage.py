"""Why the storage of a workspace did not do it: a role, a rule of its network, keys that it does not take."""

from __future__ import annotations  # the types below are for readers and checkers: importing them costs start-up

from typing import TYPE_CHECKING

from robotrain_azure import caller, sign_in
from robotrain_azure.arm import PASSING, SIGNED_OUT, UNREACHABLE
from robotrain_azure.refusal import Refusal, role_line
from robotrain_azure.roles import CONTRIBUTOR

if TYPE_CHECKING:
    from robotrain_azure.workspace import Workspace

    from robotrain_azureml.service.datastore import StorageError
    from robotrain_azureml.service.signed_blob import BlobError

NO_KEYS = "KeyBasedAuthenticationNotPermitted"
NETWORK = "AuthorizationFailure"
"""Most often; a role that is missing is called so as well."""
INSIDE = "a network that its rules let in, where it takes some alone"
UNKNOWN = "ACCOUNT"


def of(error: StorageError | BlobError, at: Workspace) -> Refusal:
    """Of what storage answered, or did not. A role is given to who is signed in, as far as the sign-in tells."""
    why, account = _sentence(error), error.account
    if error.code == SIGNED_OUT:
        return Refusal(kind="signed-out", title=sign_in.NOBODY, why=sign_in.why(error), ways=("az login",))
    if error.code == NO_KEYS:
        return Refusal(kind="role", title=_named(account, "takes no keys"), why=_answer(error), ways=(by_identity(at),))
    if error.status in (401, 403):
        ways = (INSIDE,) if error.signed else _ways(error, at)
        return Refusal(kind="role", title=_named(account, "does not let you in"), why=_answer(error), ways=ways)
    passing = error.code == UNREACHABLE or error.status in PASSING
    again = ("try again later",) if passing else ()
    return Refusal(kind="other", title=_named(account, "did not do it"), why=why, ways=again, network=passing)


def _ways(error: StorageError | BlobError, at: Workspace) -> tuple[str, str]:
    line = role_line(caller.object_id(), CONTRIBUTOR, account_id(at, error.account))
    return (INSIDE, line) if error.code == NETWORK else (line, INSIDE)


def account_id(at: Workspace, account: str) -> str:
    """The id of a storage account that lies beside the workspace, as most do."""
    group = f"/subscriptions/{at.subscription}/resourceGroups/{at.group}"
    return f"{group}/providers/Microsoft.Storage/storageAccounts/{account or UNKNOWN}"


def by_identity(at: Workspace) -> str:
    """The command after which a workspace uses identities, in place of keys."""
    return (
        f"az ml workspace update --name {at.name} --resource-group {at.group} --subscription {at.subscription} "
        "--system-datastores-auth-mode identity"
    )


def _named(account: str, does: str) -> str:
    return f"the storage account {account} {does}" if account else f"the storage of the workspace {does}"


def _answer(error: StorageError | BlobError) -> str:
    """What is not in the title yet."""
    if not error.status:
        return _sentence(error)
    return f"It answered {f'HTTP {error.status} {error.code}'.rstrip()}."


def _sentence(error: StorageError | BlobError) -> str:
    said = str(error)
    return f"{said[:1].upper()}{said[1:]}."
