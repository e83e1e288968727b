"""Errors of Azure ML and its storage as problems: what is wrong and what to do."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal

from robotrain.errors import MAX_SENTENCE, Problem, Rejected, Stage, Suggestion
from robotrain.redaction import redact
from robotrain_azure import credential, errors
from robotrain_azure.arm import SIGNED_OUT, TRANSIENT_STATUSES, UNREACHABLE, ArmError
from robotrain_azure.errors import Diagnosis, make_role_command
from robotrain_azure.roles import BLOB_CONTRIBUTOR_ROLE
from robotrain_azure.workspace import Workspace

if TYPE_CHECKING:
    from robotrain_azureml.service.datastore import StorageError
    from robotrain_azureml.service.signed_blob import SignedBlobError

PROBLEM_CODES = {
    "missing": "azureml-missing",
    "role": "azureml-not-allowed",
    "signed-out": "azureml-signed-out",
    "other": "azureml-refused",
}
SELF_EXPLAINED_KINDS = ("missing", "role")
"""For these, the title names the missing thing or role, not the action that failed."""
WORKSPACE_MISSING_CODES = ("SubscriptionNotFound", "ResourceGroupNotFound")
WORKSPACE_PART = r"workspaces/[^/']+/"
"""Matches Azure's message about a missing part of an existing workspace."""


class RequestRejected(Rejected):
    """A failed request to Azure; `transient` if it may succeed later."""

    def __init__(self, problem: Problem, transient: bool) -> None:
        super().__init__([problem], transient=transient)


def make_rejection(
    error: ArmError | StorageError | SignedBlobError, workspace: Workspace, action: str, stage: Stage = Stage.SUBMIT
) -> RequestRejected:
    """Return the rejection for an error. `action`: what failed, after the words `could not`."""
    diagnosis = (
        _diagnose_arm_error(error, workspace)
        if isinstance(error, ArmError)
        else diagnose_storage_error(error, workspace)
    )
    problem = Problem(
        code="azureml-unreachable" if diagnosis.network else PROBLEM_CODES[diagnosis.kind],
        stage=stage,
        title=diagnosis.title if diagnosis.kind in SELF_EXPLAINED_KINDS else f"could not {action}",
        why=redact(diagnosis.why, max_length=MAX_SENTENCE),
        suggestions=tuple(Suggestion(text) for text in diagnosis.suggestions),
    )
    return RequestRejected(problem, is_transient(error))


def is_part_missing(error: ArmError) -> bool:
    """Return whether a part of an existing workspace is missing. A 404 without a code is not from Azure."""
    if error.status != 404 or not error.code or error.code in WORKSPACE_MISSING_CODES:
        return False
    return error.code != "ResourceNotFound" or re.search(WORKSPACE_PART, str(error)) is not None


def is_transient(error: ArmError | StorageError | SignedBlobError) -> bool:
    """Return whether the request may succeed later: no network, or a service that is down or busy."""
    return error.status in TRANSIENT_STATUSES or error.code == UNREACHABLE


def _diagnose_arm_error(error: ArmError, workspace: Workspace) -> Diagnosis:
    if is_part_missing(error) or (error.status == 404 and not error.code):
        return Diagnosis(kind="other", title="", why=f"{error}.", suggestions=())
    return errors.diagnose_workspace_error(error, workspace)


KEYS_DISABLED_CODE = "KeyBasedAuthenticationNotPermitted"
NETWORK_DENIED_CODE = "AuthorizationFailure"
"""Usually a network rule; a missing role may have this code too."""
NETWORK_HINT = "use a network that the account's firewall allows, if it has one"
UNKNOWN_ACCOUNT = "ACCOUNT"


def diagnose_storage_error(error: StorageError | SignedBlobError, workspace: Workspace) -> Diagnosis:
    """Explain an error of storage. Roles are suggested for the signed-in identity, if its token names it."""
    account = error.account
    if error.code == SIGNED_OUT:
        return Diagnosis(
            kind="signed-out",
            title=credential.NOT_SIGNED_IN,
            why=credential.explain_sign_in_error(error),
            suggestions=("az login",),
        )
    if error.code == KEYS_DISABLED_CODE:
        return Diagnosis(
            kind="role",
            title=_make_title(account, "does not accept keys"),
            why=_format_answer(error),
            suggestions=(make_identity_auth_command(workspace),),
        )
    if error.status in (401, 403):
        title = _make_title(account, "denies you access")
        suggestions = (NETWORK_HINT,) if error.signed else _suggest_access(error, workspace)
        return Diagnosis(kind="role", title=title, why=_format_answer(error), suggestions=suggestions)
    title, transient = _make_title(account, "failed"), is_transient(error)
    retry = ("try again later",) if transient else ()
    return Diagnosis(kind="other", title=title, why=_format_sentence(error), suggestions=retry, network=transient)


def _suggest_access(error: StorageError | SignedBlobError, workspace: Workspace) -> tuple[str, str]:
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


def _make_title(account: str, action: str) -> str:
    return f"the storage account {account} {action}" if account else f"the storage of the workspace {action}"


def _format_answer(error: StorageError | SignedBlobError) -> str:
    """Return what the title does not say yet."""
    if not error.status:
        return _format_sentence(error)
    return f"The answer was {f'HTTP {error.status} {error.code}'.rstrip()}."


def _format_sentence(error: StorageError | SignedBlobError) -> str:
    text = str(error)
    return f"{text[:1].upper()}{text[1:]}."


SIGNED_OUT_CODE = "azureml-signed-out"


def make_signed_out_problem(
    error: BaseException,
    workspace: Workspace,
    stage: Stage,
    *more: Suggestion,
    severity: Literal["error", "warning", "note"] = "error",
) -> Problem:
    """Return the problem of a missing sign-in. `more`: suggestions besides signing in."""
    return Problem(
        code=SIGNED_OUT_CODE,
        stage=stage,
        title=credential.make_sign_in_title(str(error)),
        why=redact(credential.make_sign_in_reason(error), max_length=MAX_SENTENCE),
        suggestions=(Suggestion("az login", f"then `az account set --subscription {workspace.subscription}`"), *more),
        severity=severity,
    )
