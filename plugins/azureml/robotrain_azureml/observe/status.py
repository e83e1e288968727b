"""The status of a job, a pipeline or a step, and its reason: the cause, as Azure ML's messages tell it, and what to do.

Reasons begin with a small letter and have no full stop: they follow the name and the state of a run.
"""

import contextlib
import time
from collections.abc import Mapping, Sequence
from typing import Any

from robotrain.cluster import reasons
from robotrain.errors import Rejected
from robotrain.model.reference import STEP_KEY, Reference
from robotrain.model.run import Status, StepStatus
from robotrain_azure.arm import ArmError
from robotrain_azure.workspace import Workspace
from robotrain_runtime.contract.event import Outcome

from robotrain_azureml.observe import job_state, logs
from robotrain_azureml.observe.job_state import AzureMLJob
from robotrain_azureml.service import jobs
from robotrain_azureml.spec.pipeline_spec import STEPS_KEY, parse_steps


def query_status(reference: Reference) -> Status:
    """Return the state and the reason of a job, a step or a pipeline. Raises RunGone, Rejected."""
    reference = job_state.select_step(reference)
    job, region_error = job_state.query_job(reference)
    steps: Sequence[tuple[StepStatus, Status | None]] = ()
    if job.state == "failed" and reference.get(STEPS_KEY):
        with contextlib.suppress(Rejected):  # the state is known anyway
            steps = query_steps(reference, True)
    return explain_failed_pipeline(steps, job) or make_job_status(reference, job, region_error)


def list_steps(reference: Reference) -> list[StepStatus]:
    """Return the steps in the plan's order. Raises RunGone, Rejected."""
    return [step for step, _ in query_steps(reference, job_state.query_job(reference)[0].is_finished)]


def query_pipeline(reference: Reference) -> tuple[Status, list[StepStatus]]:
    """Return the status of a pipeline and its steps; both are asked for once. Raises RunGone, Rejected."""
    job, region_error = job_state.query_job(reference)
    steps = query_steps(reference, job.is_finished)
    judged_states = ("failed", "succeeded")  # a whole that Azure ML calls completed may have failed steps
    failed_status = explain_failed_pipeline(steps, job) if job.state in judged_states else None
    return failed_status or make_job_status(reference, job, region_error), [step for step, _ in steps]


STOPPED_STATES = ("failed", "cancelled", "lost", "skipped")


def query_steps(reference: Reference, has_ended: bool) -> list[tuple[StepStatus, Status | None]]:
    """Return the steps in the plan's order, each with the status of its job if it has one. Raises RunGone, Rejected.

    :param has_ended: whether the pipeline has, so that nothing begins any more.
    """
    runs = job_state.fetch_step_runs(reference)
    steps_by_name: dict[str, tuple[StepStatus, Status | None]] = {}
    for name, facts in parse_steps(reference).items():
        status = make_listed_status(runs.get(name))
        if status and status.state in ("failed", "cancelled"):  # its job is asked why
            status = query_status(job_state.select_step({**reference, STEP_KEY: name}, runs[name]))
        blocking_step = next(
            (
                needed_step
                for needed_step in facts.needs
                if needed_step in steps_by_name and steps_by_name[needed_step][0].state in STOPPED_STATES
            ),
            "",
        )
        is_open = status is None or not status.finished
        if (status is None or status.started is None) and (blocking_step or (has_ended and is_open)):
            reason = (
                f"step {blocking_step} {steps_by_name[blocking_step][0].state}"
                if blocking_step
                else "the pipeline ended before"
            )
            steps_by_name[name] = (StepStatus(name=name, state="skipped", reason=reason), None)
        elif status is None:
            steps_by_name[name] = (StepStatus(name=name, state="waiting"), None)
        else:
            step = StepStatus(
                name=name,
                state=status.state,
                reason=status.reason,
                started=status.started,
                ended=status.ended,
            )
            steps_by_name[name] = (step, status)
    return list(steps_by_name.values())


def explain_failed_pipeline(steps: Sequence[tuple[StepStatus, Status | None]], job: AzureMLJob) -> Status | None:
    """Return the status of a failed pipeline, with the reason of the step that failed first; None if no step did.

    :param steps: as `query_steps` returns them.
    """
    failed_steps = [(step, status) for step, status in steps if step.state == "failed" and status]
    if not failed_steps:
        return None
    step, status = min(failed_steps, key=lambda pair: pair[0].ended or float("inf"))
    reason = f"step {step.name} failed" + (f": {status.reason}" if status.reason else "")
    return Status(state="failed", reason=reason, exit_code=status.exit_code, started=job.started, ended=job.ended)


def make_job_status(reference: Reference, job: AzureMLJob, region_error: str) -> Status:
    """Return the status of a queried job. `region_error`: why its region gave no details."""
    hint = f"the workspace's region gave no details: {region_error}" if region_error else ""
    return _make_status(job, "; ".join(part for part in (_explain_state(reference, job), hint) if part))


def _make_status(job: AzureMLJob, reason: str) -> Status:
    return Status(
        state=job.state,
        reason=reason,
        exit_code=0 if job.state == "succeeded" else job.exit_code if job.is_finished else None,
        started=None if job.state == "pending" else job.started,
        ended=job.ended if job.is_finished else None,
    )


def list_statuses(references: Sequence[Reference]) -> list[Status | None]:
    """Return the states of jobs by one request for each workspace, without why one failed; None for unknown ones."""
    runs_by_name: dict[tuple[Workspace, str], Mapping[str, Any]] = {}
    job_keys = [(jobs.get_run_workspace(reference), reference.get("job", "")) for reference in references]
    for workspace in dict.fromkeys(workspace for workspace, _ in job_keys):
        with contextlib.suppress(ArmError):  # the region may be out of reach, and the resource manager not
            runs = jobs.fetch_runs(workspace, [name for run_workspace, name in job_keys if run_workspace == workspace])
            runs_by_name |= {(workspace, name): run for name, run in runs.items()}
    return [make_listed_status(runs_by_name.get((workspace, name))) for workspace, name in job_keys]


def make_listed_status(run: Mapping[str, Any] | None) -> Status | None:
    """Return the status of a job from a list, without why it failed; None if the list does not show it."""
    if not run or not run.get("status"):
        return None
    resource = {"name": run.get("runId"), "properties": {"computeId": run.get("target")}}
    job = job_state.parse_job(resource, {**run, "createdTimeUtc": run.get("createdUtc")})
    return _make_status(job, "" if job.is_finished else explain_waiting(job, time.time()))


def _explain_state(reference: Reference, job: AzureMLJob) -> str:
    if not job.is_finished:
        return explain_waiting(job, time.time())
    if job.state == "succeeded":
        return ""
    if job.state == "cancelled":  # Azure ML does not tell by whom
        return _append_message("it was cancelled", job.message)
    return explain_failure(job, None if job.has_timed_out else logs.read_outcome(reference, job))


KILLED = "it was killed (exit code 137): if memory ran out, use {} with more, or a smaller --batch-size"
"""With what to choose instead of the machine."""
KILLED_CODE = 137
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

_EMPTY_MESSAGES = (
    r"Execution failed\.?",
    r"User process '[^']*' exited with status code \d+\.?",
    r"Please check (?:the )?(?:log file )?'?[\w/.-]*'? for (?:more |error )?details\.?",
    r"(?:Job failed with )?non-zero exit code:? ?\d*\.?",
    r"(?:Process|It|Container) exited with (?:status )?code:? ?\d+\.?",
    r"^\s*error:?\s*$",
)
"""Messages of Azure ML that add nothing to an exit code."""


def explain_waiting(job: AzureMLJob, now: float) -> str:
    """Return why a job has not ended; empty if there is nothing to say. `now`: seconds since the epoch."""
    if not job.is_known:
        return f"Azure ML reports an unknown state: {reasons.redact_text(job.job_status) or 'none'}"
    if job.job_status in RUNNING_REASONS or job.state == "running":
        return RUNNING_REASONS.get(job.job_status, "")
    preemption_note = "its machine was preempted, and it waits for another: " if job.started is not None else ""
    waited = now - job.created if job.created and job.started is None else 0.0
    reason = f"{preemption_note}{PENDING_REASONS.get(job.job_status, 'it waits')}{reasons.format_wait(waited)}"
    return _append_message(reason, job.warnings[-1] if job.warnings else "")


def explain_failure(job: AzureMLJob, outcome: Outcome | None) -> str:
    """Return why a job failed: a timeout, its own outcome, or its exit code and what Azure ML says."""
    if job.has_timed_out:
        remedy = "use `robotrain resume` or `robotrain resubmit` with a larger --exec-timeout"
        return _append_message(f"it reached its time limit{reasons.format_limit(job.limit)}: {remedy}", job.message)
    code = job.exit_code
    if explanation := reasons.explain_outcome(outcome, code):
        return f"{KILLED.format(job.other_machine)} ({explanation})" if code == KILLED_CODE else explanation
    if code is None:
        cause = "it failed" if job.message or not job.code else f"it failed ({reasons.redact_text(job.code)})"
    else:
        meanings = {**reasons.EXIT_REASONS, KILLED_CODE: KILLED.format(job.other_machine)}
        cause = meanings.get(code, f"it ended with exit code {code}")
    return _append_message(cause, job.message)


def _append_message(sentence: str, message: str) -> str:
    return reasons.append_message(sentence, "Azure ML", message, _EMPTY_MESSAGES)
