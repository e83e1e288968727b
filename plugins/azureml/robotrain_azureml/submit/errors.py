"""Errors of a submission, from the SDK, Azure ML or its storage, as problems."""

import dataclasses
import re

from robotrain.cluster.spec_patch import make_engine_problem
from robotrain.errors import Problem, Rejected, Stage, Suggestion
from robotrain.messages import Messages
from robotrain.redaction import MAX_SENTENCE, redact
from robotrain_azure import arm
from robotrain_azure.arm import SIGNED_OUT, ArmError, ServiceError
from robotrain_azure.credential import EXPIRED_TOKEN_CODES
from robotrain_sources.fetching.errors import iter_causes

from robotrain_azureml import errors
from robotrain_azureml.service import datastore
from robotrain_azureml.spec.submission_spec import JOB_FILE, AzureMLSubmissionSpec
from robotrain_azureml.submit.sdk import SdkCall

make_problem = Messages(__file__)

MAX_MESSAGE_LENGTH = 400
NO_ANSWER_KINDS = {arm.SIGN_IN_ERROR, *arm.NO_ANSWER_ERRORS}


def find_azure_error(error: BaseException, host: str = "") -> ServiceError | None:
    """Return the error of Azure among an exception and its causes, or None. `host`: the requested host if known."""
    for cause in iter_causes(error):
        if isinstance(cause, ServiceError):
            return cause
        azure_error = _parse_answer(cause)
        if azure_error is None and {base.__name__ for base in type(cause).__mro__} & NO_ANSWER_KINDS:
            azure_error = arm.make_no_answer_error(cause, host or "Azure")
        if azure_error:
            azure_error.__cause__ = cause
            return azure_error
    return None


def get_http_status(error: BaseException) -> int:
    """Return the HTTP status of the answer; 0 without one."""
    azure_error = find_azure_error(error)
    return azure_error.status if azure_error else 0


def _parse_answer(error: BaseException) -> ServiceError | None:
    status = getattr(error, "status_code", None)
    body = getattr(error, "error", None)
    if not isinstance(status, int):
        return None
    code = str(getattr(body, "code", None) or datastore.get_error_code(error))
    url = str(getattr(getattr(getattr(error, "response", None), "request", None), "url", ""))
    if account := datastore.get_account_name(url):
        return datastore.make_refused_error(account, status, code, is_signed="sig=" in url)
    if message := getattr(body, "message", None):
        message = redact(arm.shorten_message(message, status), max_length=MAX_MESSAGE_LENGTH)
    else:
        message = get_first_sentence(str(getattr(error, "message", None) or error))
    return ArmError(f"{message} (HTTP {status} {code})".replace(" )", ")"), status, code)


def get_first_sentence(message: str) -> str:
    """Return the first sentence of a text that may begin with a code, without secrets."""
    message_line = re.sub(r"^\(\w+\) ", "", next(iter(message.strip().splitlines()), ""))
    return redact(arm.shorten_message(message_line), max_length=MAX_MESSAGE_LENGTH)


WORKSPACE_MISSING_CODES = ("ResourceNotFound", "ResourceGroupNotFound", "SubscriptionNotFound")
"""Codes of a 404 for a missing or invisible workspace."""
SAME_COMMAND = Suggestion("the same command", "nothing is submitted twice")
EXPLAINED_STATUSES = (400, 404, 409, 412, 422)


class TokenExpired(Rejected):
    """The token has expired; a new one may be requested once."""


def make_submit_rejection(error: BaseException, spec: AzureMLSubmissionSpec, call: SdkCall | None) -> Rejected:
    """Return the rejection for an error of the SDK. `call`: its last request."""
    azure_error = find_azure_error(error, call.host if call else "")
    if azure_error is None:
        reason = "The error contains no answer of Azure's."
        if type(error).__module__.startswith("azure."):  # messages of other libraries may repeat any value
            sentence = get_first_sentence(str(getattr(error, "message", "") or error))
            reason = f"{sentence}."
        return Rejected([make_problem("client-failed", SAME_COMMAND, error=type(error).__name__, why=reason)])
    has_expired = azure_error.status == 401 and azure_error.code in EXPIRED_TOKEN_CODES
    if has_expired or azure_error.code == SIGNED_OUT:
        problem = errors.make_signed_out_problem(azure_error, spec.target_workspace, Stage.SUBMIT, SAME_COMMAND)
        return TokenExpired([problem]) if has_expired else Rejected([problem])
    if isinstance(azure_error, ArmError) and azure_error.status == 429:
        fix = Suggestion(SAME_COMMAND.text, "in a few minutes; nothing is submitted twice")
        return Rejected([make_problem("platform-busy", fix, error=azure_error)])
    is_explained = azure_error.status in EXPLAINED_STATUSES and azure_error.code not in WORKSPACE_MISSING_CODES
    if isinstance(azure_error, ArmError) and is_explained:
        return Rejected([make_problem("platform-refused", error=azure_error)])
    rejection = errors.make_rejection(azure_error, spec.target_workspace, "submit the job")
    (problem,) = rejection.problems
    if rejection.transient:
        other_ways = [way for way in problem.suggestions if way.text != SAME_COMMAND.text]
        problem = dataclasses.replace(problem, suggestions=(*other_ways, SAME_COMMAND))
    return Rejected([problem])


def make_unreadable_job_problem(error: BaseException, stage: Stage, *, is_patched: bool) -> Problem:
    """Return the problem of a job file that the SDK rejects: its patch is wrong, or robotrain has a bug."""
    reason = redact(re.sub(r"(?:\\n|[\\\s])+", " ", str(error)), max_length=MAX_SENTENCE) or type(error).__name__
    if is_patched:
        return dataclasses.replace(make_engine_problem("Azure ML's SDK", reason), stage=stage)
    way = Suggestion("robotrain render JOB.yaml --to FOLDER", "shows the job; please report it with its job.yaml")
    return make_problem("plan-unreadable", way, where=JOB_FILE, why=reason, stage=stage)
