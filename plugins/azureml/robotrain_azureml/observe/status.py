"""The status of a job, and its reason in one sentence with what to do.

Sentences begin with a small letter and have no full stop: they follow the name and the state of a run.
"""

import dataclasses
import re
import time
from collections.abc import Mapping

from robotrain.model.run import Reference, Status
from robotrain_azure import credential
from robotrain_azure.arm import ServiceError
from robotrain_azure.credential import UNKNOWN_OBJECT_ID
from robotrain_azure.workspace import Workspace
from robotrain_runtime.contract.event import Outcome

from robotrain_azureml.errors import UNKNOWN_ACCOUNT
from robotrain_azureml.observe import causes, job_state, logs
from robotrain_azureml.observe.causes import TRY_AGAIN
from robotrain_azureml.observe.job_state import AzureMLJob
from robotrain_azureml.service import datastore, jobs


def query_status(reference: Reference) -> Status:
    """Return the state and the reason. Raises RunGone, RequestRejected."""
    job, region_error = job_state.query_job(reference)
    hint = f"the workspace's region gave no details: {region_error}" if region_error else ""
    return Status(
        state=job.state,
        reason="; ".join(part for part in (_explain_state(reference, job), hint) if part),
        exit_code=_get_exit_code(job),
        started=None if job.state == "pending" else job.started,
        ended=job.ended if job.is_finished else None,
    )


def _explain_state(reference: Reference, job: AzureMLJob) -> str:
    workspace = jobs.get_run_workspace(reference)
    if not job.is_finished:
        return explain_waiting(job, workspace, time.time())
    if job.state == "succeeded":
        return ""
    if job.state == "cancelled":
        return explain_cancellation(job)
    return _explain_failed_job(reference, job, workspace)


def _explain_failed_job(reference: Reference, job: AzureMLJob, workspace: Workspace) -> str:
    """Explain a failure; placeholders in the suggested command are looked up."""
    outcome = None if job.has_timed_out else logs.read_outcome(reference, job)
    reason = explain_failure(job, workspace, outcome)
    if not re.search(rf"(?:/storageAccounts/{UNKNOWN_ACCOUNT}|--assignee {UNKNOWN_OBJECT_ID})\b", reason):
        return reason
    job = dataclasses.replace(
        job, storage_account=_find_output_account(reference, workspace), sender=credential.get_caller_object_id()
    )
    return explain_failure(job, workspace, outcome)


def _find_output_account(reference: Reference, workspace: Workspace) -> str:
    """Return the storage account of the output; empty if it is not known."""
    try:
        return datastore.get_datastore(jobs.get_client(), workspace, reference.get("datastore", "")).account
    except ServiceError:
        return ""


def _get_exit_code(job: AzureMLJob) -> int | None:
    if not job.is_finished:
        return None
    return 0 if job.state == "succeeded" else job.exit_code


HOUR_SECONDS = 3600.0
_WAIT_STEPS = ((24 * HOUR_SECONDS, "a day"), (6 * HOUR_SECONDS, "6 h"), (2 * HOUR_SECONDS, "2 h"),
               (HOUR_SECONDS, "1 h"), (1800.0, "30 min"), (600.0, "10 min"), (120.0, "2 min"))  # fmt: skip
LONG_WAIT_SECONDS = 1800.0
"""After so long, the next step is suggested."""

PENDING_REASONS: Mapping[str, str] = {
    "NotStarted": "Azure ML has accepted it but not started it",
    "Unapproved": "it waits for approval in Azure ML",
    "Scheduled": "Azure ML will start it later",
    "Starting": "Azure ML is starting it",
    "Provisioning": "a machine of its compute is being started",
    "Preparing": "its image is being pulled and its inputs are being mounted",
    "Queued": "no machine of its compute is free for it yet",
    "Pausing": "it is being paused",
    "Paused": "it is paused",
}
"""Reasons by Azure ML's state, while the job waits."""

RUNNING_REASONS: Mapping[str, str] = {
    "Finalizing": "its work is done, and its checkpoints are being uploaded",
    "CancelRequested": "its cancellation was requested but is not complete yet",
    "NotResponding": "its machine does not respond: if that lasts, use `robotrain cancel` and `robotrain resubmit`",
}
"""Reasons by Azure ML's state, while the job runs."""

EXIT_CODE_REASONS: Mapping[int, str] = {
    1: "it failed (exit code 1)",
    2: "the job document is not valid there (exit code 2)",
    4: "its preflight check failed (exit code 4)",
    75: f"the infrastructure failed, not the job (exit code 75): {TRY_AGAIN}",
    126: "its image cannot run `python3` (exit code 126): use another --image",
    127: "its image has no `python3` (exit code 127): use another --image",
    130: "it was interrupted (exit code 130)",
    137: f"{causes.OUT_OF_MEMORY} (exit code 137)",
    139: "a program crashed (exit code 139, a segmentation fault)",
    143: "it was terminated (exit code 143)",
}
"""Exit codes of the run itself; its log has details."""

_EMPTY_MESSAGES = (
    r"Execution failed\.?",
    r"User process '[^']*' exited with status code \d+\.?",
    r"Please check (?:the )?(?:log file )?'?[\w/.-]*'? for (?:more |error )?details\.?",
    r"(?:Job failed with )?non-zero exit code:? ?\d*\.?",
    r"(?:Process|It|Container) exited with (?:status )?code:? ?\d+\.?",
)
"""Messages of Azure ML that add nothing to an exit code."""


def explain_waiting(job: AzureMLJob, workspace: Workspace, now: float) -> str:
    """Return why a job has not ended; empty if there is nothing to say. `now`: seconds since the epoch."""
    if not job.is_known:
        return f"Azure ML reports an unknown state: {_redact_text(job.job_status) or 'none'}"
    warning = job.warnings[-1] if job.warnings else ""
    cause = causes.find_cause(warning, job, workspace) if job.state == "pending" else ""
    if cause:
        return _append_message(cause, warning)
    if job.job_status in RUNNING_REASONS or job.state == "running":
        return RUNNING_REASONS.get(job.job_status, "")
    preempted = "its machine was preempted, and it waits for another: " if job.started is not None else ""
    return f"{preempted}{PENDING_REASONS.get(job.job_status, 'it waits')}{_format_wait(job, now)}"


def explain_failure(job: AzureMLJob, workspace: Workspace, outcome: Outcome | None) -> str:
    """Return why a job failed: a timeout, its own outcome, the meaning of Azure ML's message, or its exit code."""
    if job.has_timed_out:
        remedy = "use `robotrain resume` or `robotrain resubmit` with a larger --exec-timeout"
        return _append_message(f"it reached its time limit{_format_limit(job.limit)}: {remedy}", job.message)
    cause = causes.find_cause(f"{job.code}: {job.message}", job, workspace)
    if cause and job.exit_code is None:
        return _append_message(cause, job.message)
    if own := explain_outcome(job, outcome):
        return own
    return _append_message(cause or _explain_exit_code(job), job.message)


def explain_outcome(job: AzureMLJob, outcome: Outcome | None) -> str:
    """Return the run's own reason for its failure; empty if the outcome is that of another try."""
    if outcome is None or outcome.state != "failed" or not outcome.reason:
        return ""
    if job.exit_code not in (None, outcome.exit_code):
        return ""
    reason = _redact_text(outcome.reason, longest=800)
    return f"{EXIT_CODE_REASONS[137]} ({reason})" if job.exit_code == 137 else reason


def explain_cancellation(job: AzureMLJob) -> str:
    """Return that the job was cancelled; Azure ML does not tell by whom."""
    return _append_message("it was cancelled", job.message)


def _explain_exit_code(job: AzureMLJob) -> str:
    code = job.exit_code
    if code is None:
        return "it failed" if job.message or not job.code else f"it failed ({_redact_text(job.code)})"
    return EXIT_CODE_REASONS.get(code, f"it ended with exit code {code}")


def _format_wait(job: AzureMLJob, now: float) -> str:
    """Return how long the job waits, in steps, so that the text rarely changes."""
    waited = now - job.created if job.created and job.started is None else 0.0
    step = next((f", for more than {text}" for least, text in _WAIT_STEPS if waited >= least), "")
    return f"{step}{_suggest_next_step(job) if waited >= LONG_WAIT_SECONDS else ''}"


def _suggest_next_step(job: AzureMLJob) -> str:
    if job.job_status == "Queued":
        command = f"`az ml compute show --name {job.compute or 'COMPUTE'}`"
        return f": its nodes may be busy or its quota used up ({command}); use another --compute, or wait"
    if job.job_status == "Preparing":
        return ": its image may be very large or missing; the job's page in the studio shows the events"
    return ""


def _append_message(sentence: str, message: str) -> str:
    """Append Azure ML's message in brackets if it says more than an exit code."""
    for pattern in _EMPTY_MESSAGES:
        message = re.sub(pattern, " ", message, flags=re.IGNORECASE)
    detail = _redact_text(" ".join(message.split()).strip(". "))
    return f"{sentence} (Azure ML: {detail})" if detail and not re.fullmatch(r"(?i)error:?", detail) else sentence


def _format_limit(seconds: float | None) -> str:
    if not seconds:
        return ""
    from robotrain.model.amounts import format_duration

    return f", {format_duration(seconds)}"


def _redact_text(text: str, longest: int = 300) -> str:
    from robotrain.redaction import redact

    return redact(text, max_length=longest)
