"""Errors of Azure ML and its storage as problems."""

import contextlib
from collections.abc import Iterator

from robotrain.errors import Problem, Rejected, Severity, Stage, Suggestion
from robotrain.messages import Messages
from robotrain.redaction import MAX_SENTENCE, redact
from robotrain_azure import credential, errors, storage
from robotrain_azure.arm import ServiceError
from robotrain_azure.errors import Diagnosis
from robotrain_azure.storage import StorageError
from robotrain_azure.workspace import Workspace

from robotrain_azureml.sign_in import suggest_login

make_problem = Messages(__file__)

PROBLEM_CODES = {
    "missing": "resource-unknown",
    "role": "platform-forbidden",
    "signed-out": "platform-signed-out",
    "other": "platform-refused",
}
SELF_EXPLAINED_KINDS = ("missing", "role")
"""For these, the title names what is wrong, not the action that failed."""

RETRY = Suggestion("the same command", "later")


@contextlib.contextmanager
def reject_errors(workspace: Workspace, action: str) -> Iterator[None]:
    """Raise Rejected for errors of Azure. `action`: what failed, after the words `could not`."""
    try:
        yield
    except ServiceError as error:
        raise make_rejection(error, workspace, action) from None


def make_rejection(error: ServiceError, workspace: Workspace, action: str) -> Rejected:
    """Return the rejection for an error; it is transient if the request may succeed later."""
    if isinstance(error, StorageError):
        diagnosis = storage.diagnose_storage_error(error, workspace)
    elif errors.is_part_missing(error) or (error.status == 404 and not error.code):
        diagnosis = Diagnosis(kind="other", title="", why=f"{error}.", suggestions=())
    else:
        diagnosis = errors.diagnose_workspace_error(error, workspace)
    code = "platform-away" if diagnosis.network else PROBLEM_CODES[diagnosis.kind]
    title = diagnosis.title if diagnosis.kind in SELF_EXPLAINED_KINDS else f"could not {action}"
    reason = redact(diagnosis.why, max_length=MAX_SENTENCE)
    suggestion_texts = diagnosis.suggestions
    ways = tuple(
        RETRY if suggestion_text == errors.RETRY_LATER else Suggestion(suggestion_text)
        for suggestion_text in suggestion_texts
    )
    problem = Problem(code=code, stage=Stage.SUBMIT, title=title, why=reason, suggestions=ways)
    return Rejected([problem], error.is_transient)


def make_signed_out_problem(
    error: BaseException, workspace: Workspace, stage: Stage, *more: Suggestion, severity: Severity = "error"
) -> Problem:
    """Return the problem of a missing sign-in. `more`: suggestions besides signing in."""
    title = credential.make_sign_in_title(str(error))
    reason = redact(credential.make_sign_in_reason(error), max_length=MAX_SENTENCE)
    fix = credential.suggest_sign_in(str(error))
    choose_account = f"then `az account set --subscription {workspace.subscription}`"
    is_login = fix == credential.LOGIN_COMMAND
    ways = (suggest_login(choose_account) if is_login else Suggestion(fix), *more)
    return make_problem("platform-signed-out", *ways, stage=stage, severity=severity, title=title, why=reason)
