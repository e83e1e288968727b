"""Errors of a submission, from the SDK, Azure ML or its storage, as problems."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from robotrain.errors import MAX_SENTENCE, Problem, Rejected, Stage, Suggestion
from robotrain.redaction import redact
from robotrain_azure import arm, credential
from robotrain_azure.arm import SIGNED_OUT, ArmError
from robotrain_azure.credential import EXPIRED_TOKEN_CODES

from robotrain_azureml import errors
from robotrain_azureml import errors as asked_for
from robotrain_azureml.observe import causes, job_state
from robotrain_azureml.service.datastore import StorageError
from robotrain_azureml.spec import inputs
from robotrain_azureml.spec.submission_spec import JOB_FILE

if TYPE_CHECKING:
    from robotrain_azureml.spec.submission_spec import AzureMLSubmissionSpec
    from robotrain_azureml.submit.sdk import SdkCall

MAX_MESSAGE_LENGTH = 400
_BLOB_HOST = r"https://([a-z0-9]+)\.(?:blob|dfs)\."


def find_azure_error(error: BaseException, host: str = "") -> ArmError | StorageError | None:
    """What it says; None where it says nothing of Azure. host: whom it was asked of, where that is known."""
    for one in credential.iterate_causes(error):
        if isinstance(one, ArmError | StorageError):
            return one
        if found := _parse_answer(one) or _parse_no_answer(one, host or "Azure"):
            found.__cause__ = one
            return found
    return None


def get_http_status(error: BaseException) -> int:
    """Of the answer; 0 without one."""
    told = find_azure_error(error)
    return told.status if told else 0


def _parse_answer(error: BaseException) -> ArmError | StorageError | None:
    """Of an error of azure-core that has an answer."""
    status, answer = getattr(error, "status_code", None), getattr(error, "response", None)
    if not isinstance(status, int):
        return None
    body: Any = getattr(error, "error", None)
    told = getattr(body, "code", None) or getattr(error, "error_code", None)
    code = str(
        getattr(told, "value", told) or (answer.headers.get("x-ms-error-code", "") if answer is not None else "")
    )
    words = _get_message(getattr(body, "message", None), error, status)
    url = str(getattr(getattr(answer, "request", None), "url", ""))
    found = re.match(_BLOB_HOST, url)
    if found:
        said = f"HTTP {status} {code}".rstrip()
        return StorageError(
            f"the storage account {found[1]} refused ({said})", status, code, found[1], signed="sig=" in url
        )
    return ArmError(f"{words} (HTTP {status} {code})".replace(" )", ")"), status, code)


def _get_message(message: str | None, error: BaseException, status: int) -> str:
    """Those of the answer, else what the library made of it."""
    if message:
        return redact(arm.shorten_message(message, status), max_length=MAX_MESSAGE_LENGTH)
    return get_first_sentence(str(getattr(error, "message", None) or error))


def _parse_no_answer(error: BaseException, host: str) -> ArmError | None:
    """Of a sign-in that failed, or of a request that got no answer."""
    kinds = {base.__name__ for base in type(error).__mro__}
    if kinds & {arm.SIGN_IN_ERROR, *arm.NO_ANSWER_ERRORS}:
        return arm.make_no_answer_error(error, host)
    return None


def get_first_sentence(text: str) -> str:
    """The first sentence of a text that may begin with a code, as it may be shown."""
    line = re.sub(r"^\(\w+\) ", "", next(iter(text.strip().splitlines()), ""))
    return redact(arm.shorten_message(line), max_length=MAX_MESSAGE_LENGTH)


MISSING_PARTS = (
    (r"\bcomputes?\b", "--compute", "compute {compute}", "az ml compute list"),
    (r"\binstance ?types?\b", "--instance-type", "instance type {instance_type}", ""),
    (r"\bmodels?\b", "", "model {models}", "az ml model list"),
    (r"\b(?:data|datasets?|data assets?)\b", "--dataset-asset", "data asset {data}", "az ml data list"),
    (r"\bdatastores?\b", "--datastore", "datastore {datastore}", "az ml datastore list"),
    (r"\benvironments?\b", "--environment-name", "environment {environment}", "az ml environment list"),
)
"""The word, the flag, what it is, and what lists them."""
WORKSPACE_MISSING_CODES = ("ResourceNotFound", "ResourceGroupNotFound", "SubscriptionNotFound")
"""What Azure answers with 404 where the workspace itself is not there, or not seen."""
_OF_THE_WORKSPACE = r"workspaces/[^/']+' under"


def make_missing_part_problem(error: ArmError, spec: AzureMLSubmissionSpec) -> Problem | None:
    """Of an answer of 404; None for one that is not about what the job names."""
    text = str(error)
    row = next((row for row in MISSING_PARTS if re.search(row[0], text, re.IGNORECASE)), None)
    if row is None or error.code in WORKSPACE_MISSING_CODES[1:] or re.search(_OF_THE_WORKSPACE, text):
        return None
    _, flag, what, lists = row
    at = f"--workspace-name {spec.workspace} --resource-group {spec.group} --subscription {spec.subscription}"
    return Problem(
        code="azureml-missing",
        stage=Stage.SUBMIT,
        title=f"the workspace {spec.workspace} has no {what.format(**_list_names(spec))}",
        where=flag or next((one.flag for one in spec.assets if one.kind == "models"), ""),
        why=f"{text}.",
        suggestions=(Suggestion(f"{lists} {at}", "shows what there is"),) if lists else (),
    )


def _list_names(spec: AzureMLSubmissionSpec) -> dict[str, str]:
    def listed(kind: str) -> str:
        return ", ".join(f"{one.name}:{one.version}" for one in spec.assets if one.kind == kind) or "of that name"

    return {
        "compute": spec.compute,
        "instance_type": spec.instance_type,
        "datastore": spec.datastore,
        "environment": f"{spec.environment.name}:{spec.environment.version}",
        "models": listed("models"),
        "data": listed("data"),
    }


SAME_COMMAND = Suggestion("the same command", "when it can: nothing is sent twice")
EXPLAINED_STATUSES = (400, 404, 409, 412, 422)
REQUEST_PARTS = {"jobs": "the job", "codes": "the code of the job", "environments": "the environment of the job"}
"""What Azure was asked to take, by a part of its path."""
BLOB_HOST_PART = ".blob."


class TokenExpired(Rejected):
    """The token does not hold any more: it may be asked for anew, once."""


def make_submit_rejection(error: BaseException, spec: AzureMLSubmissionSpec, call: SdkCall | None) -> Rejected:
    """For the person who asked. asked: what was asked for last."""
    told = find_azure_error(error, call.host if call else "")
    if told is None:
        return Rejected([_make_unknown_problem(error)])
    if told.status == 401 and told.code in EXPIRED_TOKEN_CODES:
        return TokenExpired([errors.make_signed_out_problem(told, spec.target_workspace, Stage.SUBMIT, SAME_COMMAND)])
    if told.code == SIGNED_OUT:
        return Rejected([errors.make_signed_out_problem(told, spec.target_workspace, Stage.SUBMIT, SAME_COMMAND)])
    if isinstance(told, ArmError) and (special := _make_specific_problem(told, spec, call)):
        return Rejected([special])
    return Rejected([_make_general_problem(told, spec, call)])


def _make_specific_problem(error: ArmError, spec: AzureMLSubmissionSpec, call: SdkCall | None) -> Problem | None:
    """Of an answer that is about this job, or about how often it was asked."""
    if error.status == 404 and (missing := make_missing_part_problem(error, spec)):
        return missing
    if error.status == 429:
        return Problem(
            code="azureml-busy",
            stage=Stage.SUBMIT,
            title="Azure ML takes no more requests for a while",
            why=f"{error}.",
            suggestions=(Suggestion("the same command", "in some minutes: nothing is sent twice"),),
        )
    if error.status in EXPLAINED_STATUSES and error.code not in WORKSPACE_MISSING_CODES:
        cause = causes.find_cause(str(error), _make_observed_job(spec), spec.target_workspace)
        return Problem(
            code="azureml-refused",
            stage=Stage.SUBMIT,
            title=f"Azure ML does not take {_describe_request(call)}",
            where=inputs.find_input_flag(str(error)) or _find_flag(cause),
            why=f"{error}.{_format_cause(cause)}",
            suggestions=(Suggestion("robotrain render …", "shows what was sent"),),
        )
    return None


def _make_observed_job(spec: AzureMLSubmissionSpec) -> job_state.AzureMLJob:
    """What a look at the job would tell of it, had it been made."""
    return job_state.AzureMLJob(compute=spec.compute, instance_type=spec.instance_type, identity=spec.identity)


def _format_cause(cause: str) -> str:
    return f" That means: {cause}." if cause else ""


def _find_flag(cause: str) -> str:
    """The one of ours that a cause speaks of first; commands of Azure's stand in backticks."""
    found = re.search(r"--[a-z][a-z-]*", re.sub(r"`[^`]*`", "", cause))
    return found[0] if found else ""


def _make_general_problem(error: ArmError | StorageError, spec: AzureMLSubmissionSpec, call: SdkCall | None) -> Problem:
    """As for every other request to the workspace, or to its storage."""
    refused = asked_for.make_rejection(error, spec.target_workspace, f"hand over {_describe_request(call)}")
    [problem] = refused.problems
    return (
        dataclasses.replace(problem, suggestions=(*problem.suggestions, SAME_COMMAND)) if refused.transient else problem
    )


def _make_unknown_problem(error: BaseException) -> Problem:
    return Problem(
        code="azureml-failed",
        stage=Stage.SUBMIT,
        title=f"Azure ML's SDK failed ({type(error).__name__})",
        why=_get_library_message(error),
        suggestions=(
            SAME_COMMAND,
            Suggestion("robotrain render … --to FOLDER", "and az ml job create -f FOLDER/job.yaml"),
        ),
    )


def _get_library_message(error: BaseException) -> str:
    """Those of Azure's own libraries; any other error may repeat whatever it holds."""
    if not type(error).__module__.startswith("azure."):
        return "It names no answer of Azure's."
    said = get_first_sentence(str(getattr(error, "message", "") or error))
    return f"{said}. The job of this plan may have been changed."


def _describe_request(call: SdkCall | None) -> str:
    if call and BLOB_HOST_PART in call.host:
        return REQUEST_PARTS["codes"]
    return next((name for part, name in REQUEST_PARTS.items() if call and f"/{part}/" in call.path), "the job")


UNKNOWN_FIELD = ["Unknown field."]
_VALUE_KEYS = {"_schema", "value"}
"""What stands there in place of keys of the job."""


def make_unreadable_job_problem(error: BaseException) -> Problem:
    """Nothing that the person typed is at fault: they changed the plan, or robotrain is."""
    keys = _find_keys(error)
    wrong = [
        f"{key} {'is no key that it knows' if unknown else 'holds nothing that it takes'}."
        for key, unknown in keys.items()
    ]
    whose = f"It is a plan that somebody changed, or a fault of robotrain ({type(error).__name__})."
    again = "renders it anew" if keys else "shows the job; please report it with its job.yaml"
    return Problem(
        code="azureml-job-not-read",
        stage=Stage.SUBMIT,
        title="Azure ML's SDK does not take the job of this plan",
        where=", ".join(f"{JOB_FILE}: {key}" for key in keys),
        why=redact(" ".join(wrong), max_length=MAX_SENTENCE) or whose,
        suggestions=(
            Suggestion("robotrain render … --to FOLDER", again),
            Suggestion("az ml job create -f FOLDER/job.yaml", "says what is wrong with it"),
        ),
    )


def _find_keys(error: BaseException) -> dict[str, bool]:
    """Each as `resources.colour`, and whether the SDK knows no such key; empty where the error does not say."""
    return next(filter(None, (dict(sorted(_parse_keys(str(one)))) for one in credential.iterate_causes(error))), {})


def _parse_keys(text: str) -> Iterator[tuple[str, bool]]:
    start = text.find("{")
    try:
        told, _ = json.JSONDecoder().raw_decode(text, start) if start >= 0 else ({}, 0)
    except ValueError:
        return
    if "errors" not in told:
        yield from _flatten_keys(told, ())
    else:
        for one in told["errors"]:
            yield from _parse_keys(str(one.get("message") or ""))


def _flatten_keys(errors: Mapping[str, Any], parents: tuple[str, ...]) -> Iterator[tuple[str, bool]]:
    for name, value in errors.items():
        if isinstance(value, Mapping) and not _VALUE_KEYS & value.keys():
            yield from _flatten_keys(value, (*parents, name))
        else:
            yield ".".join((*parents, name)), value == UNKNOWN_FIELD
