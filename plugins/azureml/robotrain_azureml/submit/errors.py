"""Errors of a submission, from the SDK, Azure ML or its storage, as problems."""

import dataclasses
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

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
from robotrain_azureml.spec import inputs
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
REQUEST_PARTS = {"jobs": "the job", "codes": "the code of the job", "environments": "the environment of the job"}
"""What was submitted, by a part of the request's path."""


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
    if isinstance(azure_error, ArmError) and (specific_problem := _make_specific_problem(azure_error, call)):
        return Rejected([specific_problem])
    rejection = errors.make_rejection(azure_error, spec.target_workspace, f"submit {_describe_request(call)}")
    (problem,) = rejection.problems
    if rejection.transient:
        other_ways = [way for way in problem.suggestions if way.text != SAME_COMMAND.text]
        problem = dataclasses.replace(problem, suggestions=(*other_ways, SAME_COMMAND))
    return Rejected([problem])


def _make_specific_problem(error: ArmError, call: SdkCall | None) -> Problem | None:
    if error.status == 429:
        fix = Suggestion(SAME_COMMAND.text, "in a few minutes; nothing is submitted twice")
        return make_problem("platform-busy", fix, error=error)
    if error.status in EXPLAINED_STATUSES and error.code not in WORKSPACE_MISSING_CODES:
        request = _describe_request(call)
        flag = inputs.find_input_flag(str(error))
        return make_problem("platform-refused", where=flag, request=request, error=error)
    return None


def _describe_request(call: SdkCall | None) -> str:
    if call and ".blob." in call.host:
        return REQUEST_PARTS["codes"]
    return next((name for part, name in REQUEST_PARTS.items() if call and f"/{part}/" in call.path), "the job")


UNKNOWN_FIELD = ["Unknown field."]
_VALUE_KEYS = {"_schema", "value"}
"""Keys of the error that are not keys of the job."""


def make_unreadable_job_problem(error: BaseException, stage: Stage, *, is_patched: bool) -> Problem:
    """Return the problem of a job file that the SDK rejects: its patch is wrong, or robotrain has a bug."""
    parsed_keys = (dict(sorted(_parse_keys(str(cause)))) for cause in iter_causes(error))
    keys = next(filter(None, parsed_keys), {})  # by key, like `resources.colour`, whether it is unknown
    reasons = [f"{key} {'is not a known key' if unknown else 'has an invalid value'}." for key, unknown in keys.items()]
    explanation = redact(" ".join(reasons), max_length=MAX_SENTENCE)
    if is_patched:
        reason = explanation or f"It gives no reason ({type(error).__name__})."
        return dataclasses.replace(make_engine_problem("Azure ML's SDK", reason), stage=stage)
    way = Suggestion("robotrain render JOB.yaml --to FOLDER", "shows the job; please report it with its job.yaml")
    key_names = ", ".join(f"{JOB_FILE}: {key}" for key in keys)
    explanation = explanation or f"robotrain has a bug ({type(error).__name__})."
    return make_problem("plan-unreadable", way, where=key_names, why=explanation, stage=stage)


def _parse_keys(error_text: str) -> Iterator[tuple[str, bool]]:
    start = error_text.find("{")
    try:
        details, _ = json.JSONDecoder().raw_decode(error_text, start) if start >= 0 else ({}, 0)
    except ValueError:
        return
    if "errors" not in details:
        yield from _flatten_keys(details, ())
    else:
        for error in details["errors"]:
            yield from _parse_keys(str(error.get("message") or ""))


def _flatten_keys(errors: Mapping[str, Any], parents: tuple[str, ...]) -> Iterator[tuple[str, bool]]:
    for name, error_value in errors.items():
        if isinstance(error_value, Mapping) and not _VALUE_KEYS & error_value.keys():
            yield from _flatten_keys(error_value, (*parents, name))
        else:
            yield ".".join((*parents, name)), error_value == UNKNOWN_FIELD
