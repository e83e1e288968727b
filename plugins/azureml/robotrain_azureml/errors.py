"""Refusals of Azure ML and its storage as problems: what is wrong and what to do."""

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
"""What is wrong is a place, or who asks, whatever was to be done."""
WORKSPACE_MISSING_CODES = ("SubscriptionNotFound", "ResourceGroupNotFound")
WORKSPACE_PART = r"workspaces/[^/']+/"
"""In Azure's words for what is not there: something of a workspace, and not the workspace."""


class RequestRejected(Rejected):
    """A request that came to nothing."""

    def __init__(self, problem: Problem, passing: bool) -> None:
        super().__init__([problem], transient=passing)


def make_rejection(
    error: ArmError | StorageError | SignedBlobError, workspace: Workspace, action: str, stage: Stage = Stage.SUBMIT
) -> RequestRejected:
    """doing: what came to nothing, behind the words `could not`."""
    told = (
        _diagnose_arm_error(error, workspace)
        if isinstance(error, ArmError)
        else diagnose_storage_error(error, workspace)
    )
    problem = Problem(
        code="azureml-unreachable" if told.network else PROBLEM_CODES[told.kind],
        stage=stage,
        title=told.title if told.kind in SELF_EXPLAINED_KINDS else f"could not {action}",
        why=redact(told.why, max_length=MAX_SENTENCE),
        suggestions=tuple(Suggestion(way) for way in told.suggestions),
    )
    return RequestRejected(problem, is_transient(error))


def is_part_missing(error: ArmError) -> bool:
    """Whether the workspace is there, and what was asked of it is not. A 404 without a code is no word of Azure's."""
    if error.status != 404 or not error.code or error.code in WORKSPACE_MISSING_CODES:
        return False
    return error.code != "ResourceNotFound" or re.search(WORKSPACE_PART, str(error)) is not None


def is_transient(error: ArmError | StorageError | SignedBlobError) -> bool:
    """Whether the same may work in a while: no network, a service that is down or busy."""
    return error.status in TRANSIENT_STATUSES or error.code == UNREACHABLE


def _diagnose_arm_error(error: ArmError, workspace: Workspace) -> Diagnosis:
    if is_part_missing(error) or (error.status == 404 and not error.code):
        return Diagnosis(kind="other", title="", why=f"{error}.", suggestions=())
    return errors.diagnose_workspace_error(error, workspace)


KEYS_DISABLED_CODE = "KeyBasedAuthenticationNotPermitted"
NETWORK_DENIED_CODE = "AuthorizationFailure"
"""Most often; a role that is missing is called so as well."""
NETWORK_HINT = "a network that its rules let in, where it takes some alone"
UNKNOWN_ACCOUNT = "ACCOUNT"


def diagnose_storage_error(error: StorageError | SignedBlobError, workspace: Workspace) -> Diagnosis:
    """Of what storage answered, or did not. A role is given to who is signed in, as far as the sign-in tells."""
    why, account = _format_sentence(error), error.account
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
            title=_make_title(account, "takes no keys"),
            why=_format_answer(error),
            suggestions=(make_identity_auth_command(workspace),),
        )
    if error.status in (401, 403):
        ways = (NETWORK_HINT,) if error.signed else _suggest_access(error, workspace)
        return Diagnosis(
            kind="role", title=_make_title(account, "does not let you in"), why=_format_answer(error), suggestions=ways
        )
    passing = error.code == UNREACHABLE or error.status in TRANSIENT_STATUSES
    again = ("try again later",) if passing else ()
    return Diagnosis(
        kind="other", title=_make_title(account, "did not do it"), why=why, suggestions=again, network=passing
    )


def _suggest_access(error: StorageError | SignedBlobError, workspace: Workspace) -> tuple[str, str]:
    line = make_role_command(
        credential.get_caller_object_id(), BLOB_CONTRIBUTOR_ROLE, make_account_id(workspace, error.account)
    )
    return (NETWORK_HINT, line) if error.code == NETWORK_DENIED_CODE else (line, NETWORK_HINT)


def make_account_id(workspace: Workspace, account: str) -> str:
    """The id of a storage account that lies beside the workspace, as most do."""
    group = f"/subscriptions/{workspace.subscription}/resourceGroups/{workspace.group}"
    return f"{group}/providers/Microsoft.Storage/storageAccounts/{account or UNKNOWN_ACCOUNT}"


def make_identity_auth_command(workspace: Workspace) -> str:
    """The command after which a workspace uses identities, in place of keys."""
    return (
        f"az ml workspace update --name {workspace.name} --resource-group {workspace.group} --subscription {workspace.subscription} "
        "--system-datastores-auth-mode identity"
    )


def _make_title(account: str, action: str) -> str:
    return f"the storage account {account} {action}" if account else f"the storage of the workspace {action}"


def _format_answer(error: StorageError | SignedBlobError) -> str:
    """What is not in the title yet."""
    if not error.status:
        return _format_sentence(error)
    return f"It answered {f'HTTP {error.status} {error.code}'.rstrip()}."


def _format_sentence(error: StorageError | SignedBlobError) -> str:
    said = str(error)
    return f"{said[:1].upper()}{said[1:]}."


SIGNED_OUT_CODE = "azureml-signed-out"


def make_signed_out_problem(
    error: BaseException,
    workspace: Workspace,
    stage: Stage,
    *more: Suggestion,
    severity: Literal["error", "warning", "note"] = "error",
) -> Problem:
    """more: what to do beside signing in."""
    return Problem(
        code=SIGNED_OUT_CODE,
        stage=stage,
        title=credential.make_sign_in_title(str(error)),
        why=redact(credential.make_sign_in_reason(error), max_length=MAX_SENTENCE),
        suggestions=(Suggestion("az login", f"then `az account set --subscription {workspace.subscription}`"), *more),
        severity=severity,
    )
