"""The status of a job, and the reason in one sentence with what to do.

Sentences begin small and have no full stop: they stand behind the name and the state of a run.
"""

import dataclasses
import re
import time
from collections.abc import Mapping

from robotrain.model.run import Reference, Status
from robotrain_azure import credential
from robotrain_azure.arm import ArmError
from robotrain_azure.credential import UNKNOWN_OBJECT_ID as OBJECT
from robotrain_azure.workspace import Workspace
from robotrain_runtime.contract.event import Outcome

from robotrain_azureml.errors import UNKNOWN_ACCOUNT as ACCOUNT
from robotrain_azureml.observe import causes, job_state, logs
from robotrain_azureml.observe.causes import TRY_AGAIN
from robotrain_azureml.observe.job_state import AzureMLJob
from robotrain_azureml.service import datastore, jobs
from robotrain_azureml.service.datastore import StorageError


def query_status(reference: Reference) -> Status:
    """The state, and why. Raises RunGone, Refused."""
    told, unheard = job_state.query_job(reference)
    return Status(
        state=told.state,
        reason="; ".join(part for part in (_explain_state(reference, told), _format_region_error(unheard)) if part),
        exit_code=_get_exit_code(told),
        started=None if told.state == "pending" else told.started,
        ended=told.ended if told.is_finished else None,
    )


def _explain_state(reference: Reference, job: AzureMLJob) -> str:
    at = jobs.get_run_workspace(reference)
    if not job.is_finished:
        return explain_waiting(job, at, time.time())
    if job.state == "succeeded":
        return ""
    if job.state == "cancelled":
        return explain_cancellation(job)
    return _explain_failed_job(reference, job, at)


def _explain_failed_job(reference: Reference, job: AzureMLJob, workspace: Workspace) -> str:
    """Asks for what a command of it leaves open."""
    outcome = None if job.has_timed_out else logs.read_outcome(reference, job)
    said = explain_failure(job, workspace, outcome)
    if not re.search(rf"(?:/storageAccounts/{ACCOUNT}|--assignee {OBJECT})\b", said):
        return said
    job = dataclasses.replace(
        job, storage_account=_find_output_account(reference, workspace), sender=credential.get_caller_object_id()
    )
    return explain_failure(job, workspace, outcome)


def _find_output_account(reference: Reference, workspace: Workspace) -> str:
    """The account of its output; empty where nobody tells."""
    try:
        return datastore.get_datastore(jobs.get_client(), workspace, reference.get("datastore", "")).account
    except (ArmError, StorageError):
        return ""


def _format_region_error(why: str) -> str:
    return f"the workspace's region does not say more: {why}" if why else ""


def _get_exit_code(job: AzureMLJob) -> int | None:
    if not job.is_finished:
        return None
    return 0 if job.state == "succeeded" else job.exit_code


HOUR_SECONDS = 3600.0
_WAIT_STEPS = ((24 * HOUR_SECONDS, "a day"), (6 * HOUR_SECONDS, "6 h"), (2 * HOUR_SECONDS, "2 h"), (HOUR_SECONDS, "1 h"), (1800.0, "30 min"),
          (600.0, "10 min"), (120.0, "2 min"))  # fmt: skip
LONG_WAIT_SECONDS = 1800.0
"""Seconds of waiting, after which it is said where to look."""

PENDING_REASONS: Mapping[str, str] = {
    "NotStarted": "Azure ML has taken it and not begun with it",
    "Unapproved": "Azure ML waits for somebody to approve it",
    "Scheduled": "Azure ML begins with it at a later time",
    "Starting": "Azure ML is starting it",
    "Provisioning": "a machine of its compute is being started",
    "Preparing": "its image is being pulled and its inputs are being mounted",
    "Queued": "no machine of its compute is free for it yet",
    "Pausing": "it is being paused",
    "Paused": "it is paused",
}
"""By Azure ML's word for the state, while it waits."""

RUNNING_REASONS: Mapping[str, str] = {
    "Finalizing": "its work is done, and its checkpoints are being uploaded",
    "CancelRequested": "its end was asked for, and has not come yet",
    "NotResponding": "its machine was not heard of for a while: it may go on, else `robotrain cancel` and "
    "`robotrain resubmit`",
}
"""By Azure ML's word for the state, while it goes on."""

EXIT_CODE_REASONS: Mapping[int, str] = {
    1: "it failed (exit code 1)",
    2: "the job document cannot be used there (exit code 2)",
    4: "the look before the start found that it would fail (exit code 4)",
    75: f"its surroundings failed, not the job (exit code 75): {TRY_AGAIN}",
    126: "its image cannot run `python3` (exit code 126): another --image",
    127: "its image has no `python3` (exit code 127): another --image",
    130: "it was interrupted (exit code 130)",
    137: f"{causes.OUT_OF_MEMORY} (exit code 137)",
    139: "a program crashed (exit code 139, a segmentation fault)",
    143: "it was stopped from outside (exit code 143)",
}
"""Exit codes of the run itself, whose log says more."""

_EMPTY_MESSAGES = (
    r"Execution failed\.?",
    r"User process '[^']*' exited with status code \d+\.?",
    r"Please check (?:the )?(?:log file )?'?[\w/.-]*'? for (?:more |error )?details\.?",
    r"(?:Job failed with )?non-zero exit code:? ?\d*\.?",
    r"(?:Process|It|Container) exited with (?:status )?code:? ?\d+\.?",
)
"""What Azure ML says beside an exit code, and says nothing with."""


def explain_waiting(job: AzureMLJob, workspace: Workspace, now: float) -> str:
    """Why a job that has not ended is not further; empty while there is nothing to say. now: since the epoch."""
    if not job.is_known:
        return (
            f"Azure ML calls it {_redact_text(job.job_status) or 'nothing'}, a state that this robotrain does not know"
        )
    warned = job.warnings[-1] if job.warnings else ""
    hint = causes.find_cause(warned, job, workspace) if job.state == "pending" else ""
    if hint:
        return _append_message(hint, warned)
    if job.job_status in RUNNING_REASONS or job.state == "running":
        return RUNNING_REASONS.get(job.job_status, "")
    again = "its machine was taken away, and it waits for another: " if job.started is not None else ""
    return f"{again}{PENDING_REASONS.get(job.job_status, 'it waits')}{_format_wait(job, now)}"


def explain_failure(job: AzureMLJob, workspace: Workspace, outcome: Outcome | None) -> str:
    """Why it failed: a time that ran out, what the run itself said last, what Azure ML's words mean, its exit code."""
    if job.has_timed_out:
        again = "`robotrain resume`, or `resubmit`, with a larger --exec-timeout"
        over = f"it ran longer than it may{_format_limit(job.limit)}: {again}"
        return _append_message(over, job.message)
    cause = causes.find_cause(f"{job.code}: {job.message}", job, workspace)
    if cause and job.exit_code is None:
        return _append_message(cause, job.message)
    if own := explain_outcome(job, outcome):
        return own
    return _append_message(cause or _explain_exit_code(job), job.message)


def explain_outcome(job: AzureMLJob, outcome: Outcome | None) -> str:
    """What the run itself says of its failure; empty where that is about another try of it."""
    if outcome is None or outcome.state != "failed" or not outcome.reason:
        return ""
    if job.exit_code not in (None, outcome.exit_code):
        return ""
    said = _redact_text(outcome.reason, longest=800)
    return f"{EXIT_CODE_REASONS[137]} ({said})" if job.exit_code == 137 else said


def explain_cancellation(job: AzureMLJob) -> str:
    """That it was; Azure ML does not say by whom."""
    return _append_message("it was cancelled", job.message)


def _explain_exit_code(job: AzureMLJob) -> str:
    code = job.exit_code
    if code is None:
        return "it failed" if job.message or not job.code else f"it failed ({_redact_text(job.code)})"
    return EXIT_CODE_REASONS.get(code, f"it ended with exit code {code}")


def _format_wait(job: AzureMLJob, now: float) -> str:
    """In steps, so that what waits is not told anew with every look."""
    waited = now - job.created if job.created and job.started is None else 0.0
    step = next((f", for more than {text}" for least, text in _WAIT_STEPS if waited >= least), "")
    return f"{step}{_suggest_next_step(job) if waited >= LONG_WAIT_SECONDS else ''}"


def _suggest_next_step(job: AzureMLJob) -> str:
    if job.job_status == "Queued":
        shows = f"`az ml compute show --name {job.compute or 'COMPUTE'}`"
        return f": its nodes may be in use, or the quota for them be spent ({shows}); another --compute, or wait"
    if job.job_status == "Preparing":
        return ": its image may be very large, or not to be had; the job's page in the studio shows the events"
    return ""


def _append_message(sentence: str, message: str) -> str:
    """The sentence and, in brackets, what Azure ML said, where that says anything more than an exit code."""
    for pattern in _EMPTY_MESSAGES:
        message = re.sub(pattern, " ", message, flags=re.IGNORECASE)
    said = _redact_text(" ".join(message.split()).strip(". "))
    return f"{sentence} (Azure ML: {said})" if said and not re.fullmatch(r"(?i)error:?", said) else sentence


def _format_limit(seconds: float | None) -> str:
    if not seconds:
        return ""
    from robotrain.model.amounts import format_duration

    return f", {format_duration(seconds)}"


def _redact_text(text: str, longest: int = 300) -> str:
    from robotrain.redaction import redact

    return redact(text, max_length=longest)
