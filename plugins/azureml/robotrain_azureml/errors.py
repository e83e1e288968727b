"""Errors of Azure ML and its storage as problems: what is wrong and what to do."""

import contextlib
from collections.abc import Iterator

from robotrain.errors import MAX_SENTENCE, Problem, Rejected, Severity, Stage, Suggestion, make_problem
from robotrain.redaction import redact
from robotrain_azure import credential, errors
from robotrain_azure.arm import SIGNED_OUT, ServiceError
from robotrain_azure.errors import Diagnosis, make_role_command
from robotrain_azure.roles import BLOB_CONTRIBUTOR_ROLE
from robotrain_azure.workspace import Workspace

PROBLEM_CODES = {
    "missing": "azureml-missing",
    "role": "azureml-not-allowed",
    "signed-out": "azureml-signed-out",
    "other": "azureml-refused",
}
SELF_EXPLAINED_KINDS = ("missing", "role")
"""For these, the title names the missing thing or role, not the action that failed."""


class StorageError(ServiceError):
    """A failed request to storage; the message has no full stop.

    `account`: the storage account. `signed`: a key or signature was used, so the caller's roles do not matter.
    """

    def __init__(self, message: str, status: int = 0, code: str = "", account: str = "", signed: bool = False) -> None:
        super().__init__(message, status, code)
        self.account = account
        self.signed = signed


@contextlib.contextmanager
def reject_errors(workspace: Workspace, action: str) -> Iterator[None]:
    """Raise Rejected for errors of Azure. `action`: what failed, after the words `could not`."""
    try:
        yield
    except ServiceError as error:
        raise make_rejection(error, workspace, action) from None


def make_rejection(error: ServiceError, workspace: Workspace, action: str) -> Rejected:
    """Return the rejection for an error; it is transient if the request may succeed later."""
    diagnosis = _diagnose_error(error, workspace)
    code = "azureml-unreachable" if diagnosis.network else PROBLEM_CODES[diagnosis.kind]
    title = diagnosis.title if diagnosis.kind in SELF_EXPLAINED_KINDS else f"could not {action}"
    why = redact(diagnosis.why, max_length=MAX_SENTENCE)
    return Rejected([make_problem(code, title, "", "", why, *diagnosis.suggestions)], error.is_transient)


def _diagnose_error(error: ServiceError, workspace: Workspace) -> Diagnosis:
    if isinstance(error, StorageError):
        return diagnose_storage_error(error, workspace)
    if errors.is_part_missing(error) or (error.status == 404 and not error.code):
        return Diagnosis(kind="other", title="", why=f"{error}.", suggestions=())
    return errors.diagnose_workspace_error(error, workspace)


KEYS_DISABLED_CODE = "KeyBasedAuthenticationNotPermitted"
NETWORK_DENIED_CODE = "AuthorizationFailure"
"""Usually a network rule; a missing role may have this code too."""
NETWORK_HINT = "use a network that the account's firewall allows, if it has one"
UNKNOWN_ACCOUNT = "ACCOUNT"


def diagnose_storage_error(error: StorageError, workspace: Workspace) -> Diagnosis:
    """Explain an error of storage. Roles are suggested for the signed-in identity, if its token names it."""
    account, sentence = error.account, f"{str(error)[:1].upper()}{str(error)[1:]}."
    if error.code == SIGNED_OUT:
        title, why = credential.make_sign_in_title(str(error)), credential.explain_sign_in_error(error)
        return Diagnosis(kind="signed-out", title=title, why=why, suggestions=(credential.suggest_sign_in(str(error)),))
    subject = f"the storage account {account}" if account else "the storage of the workspace"
    answer = f"The answer was {f'HTTP {error.status} {error.code}'.rstrip()}." if error.status else sentence
    if error.code == KEYS_DISABLED_CODE:
        title, command = f"{subject} does not accept keys", make_identity_auth_command(workspace)
        return Diagnosis(kind="role", title=title, why=answer, suggestions=(command,))
    if error.status in (401, 403):
        suggestions = (NETWORK_HINT,) if error.signed else _suggest_access(error, workspace)
        return Diagnosis(kind="role", title=f"{subject} denies you access", why=answer, suggestions=suggestions)
    retry = ("try again later",) if error.is_transient else ()
    title = f"{subject} failed"
    return Diagnosis(kind="other", title=title, why=sentence, suggestions=retry, network=error.is_transient)


def _suggest_access(error: StorageError, workspace: Workspace) -> tuple[str, ...]:
    command = make_role_command(
        credential.get_caller_object_id(), BLOB_CONTRIBUTOR_ROLE, make_account_id(workspace, error.account)
    )
    return (NETWORK_HINT, command) if error.code == NETWORK_DENIED_CODE else (command, NETWORK_HINT)


def make_account_id(workspace: Workspace, account: str) -> str:
    """Return the id of a storage account, assuming that it is in the workspace's resource group."""
    group = f"/subscriptions/{workspace.subscription}/resourceGroups/{workspace.group}"
    return f"{group}/providers/Microsoft.Storage/storageAccounts/{account or UNKNOWN_ACCOUNT}"


def make_identity_auth_command(workspace: Workspace) -> str:
    """Return the command that makes a workspace use identities instead of keys."""
    return (
        f"az ml workspace update --name {workspace.name} --resource-group {workspace.group} "
        f"--subscription {workspace.subscription} --system-datastores-auth-mode identity"
    )


SIGNED_OUT_CODE = "azureml-signed-out"


def make_signed_out_problem(
    error: BaseException, workspace: Workspace, stage: Stage, *more: Suggestion, severity: Severity = "error"
) -> Problem:
    """Return the problem of a missing sign-in. `more`: suggestions besides signing in."""
    title = credential.make_sign_in_title(str(error))
    why = redact(credential.make_sign_in_reason(error), max_length=MAX_SENTENCE)
    fix = credential.suggest_sign_in(str(error))
    then = f"then `az account set --subscription {workspace.subscription}`" if fix == "az login" else ""
    return make_problem(
        SIGNED_OUT_CODE, title, "", "", why, Suggestion(fix, then), *more, stage=stage, severity=severity
    )
