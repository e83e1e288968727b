"""Errors of Azure ML and its storage as problems."""

import contextlib
import shutil
from collections.abc import Iterator

from robotrain.errors import Problem, Rejected, Severity, Stage, Suggestion
from robotrain.messages import Messages
from robotrain.redaction import MAX_SENTENCE, redact
from robotrain_azure import credential, errors
from robotrain_azure.arm import ServiceError
from robotrain_azure.workspace import Workspace

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
CLI_INSTALL_URL = "https://learn.microsoft.com/cli/azure/install-azure-cli"


def suggest_login(remark: str = "") -> Suggestion:
    """Return the command that signs in to Azure; where it is not installed, with the page that explains it.

    :param remark: what to do then.
    """
    missing = "" if shutil.which("az") else f"the Azure CLI is not on PATH: {CLI_INSTALL_URL}"
    return Suggestion(credential.LOGIN_COMMAND, "; ".join(filter(None, (remark, missing))))


@contextlib.contextmanager
def reject_errors(workspace: Workspace, action: str) -> Iterator[None]:
    """Raise Rejected for errors of Azure. `action`: what failed, after the words `could not`."""
    try:
        yield
    except ServiceError as error:
        raise make_rejection(error, workspace, action) from None


def make_rejection(error: ServiceError, workspace: Workspace, action: str) -> Rejected:
    """Return the rejection for an error; it is transient if the request may succeed later."""
    diagnosis = errors.diagnose_error(error, workspace)
    code = "platform-away" if diagnosis.network else PROBLEM_CODES[diagnosis.kind]
    title = diagnosis.title if diagnosis.kind in SELF_EXPLAINED_KINDS else f"could not {action}"
    reason = redact(diagnosis.why, max_length=MAX_SENTENCE)
    ways = tuple(RETRY if text == errors.RETRY_LATER else Suggestion(text) for text in diagnosis.suggestions)
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
