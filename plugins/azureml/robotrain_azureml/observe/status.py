"""The status of a job, a pipeline or a step, and its reason: the cause, as Azure ML's messages tell it, and what to do.

Reasons begin with a small letter and have no full stop: they follow the name and the state of a run.
"""

import contextlib
import dataclasses
import functools
import re
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import tomllib
from robotrain.cluster import reasons
from robotrain.cluster.reasons import RETRY_HINT
from robotrain.errors import Rejected
from robotrain.model.reference import STEP_KEY, Reference
from robotrain.model.run import Status, StepStatus
from robotrain_azure import credential, storage
from robotrain_azure.arm import ArmError, ServiceError
from robotrain_azure.credential import UNKNOWN_OBJECT_ID
from robotrain_azure.errors import make_role_command
from robotrain_azure.roles import BLOB_CONTRIBUTOR_ROLE, BLOB_READER_ROLE
from robotrain_azure.storage import UNKNOWN_ACCOUNT, make_account_id, make_identity_auth_command
from robotrain_azure.workspace import Workspace
from robotrain_runtime.contract.event import Outcome

from robotrain_azureml.observe import job_state, logs, step_runs
from robotrain_azureml.observe.job_state import AzureMLJob
from robotrain_azureml.service import jobs
from robotrain_azureml.spec.pipeline_spec import STEPS_KEY, parse_steps


def query_status(reference: Reference) -> Status:
    """Return the state and the reason of a job, a step or a pipeline. Raises RunGone, Rejected."""
    reference = step_runs.select_step(reference)
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
    runs = step_runs.fetch_step_runs(reference)
    steps_by_name: dict[str, tuple[StepStatus, Status | None]] = {}
    for name, facts in parse_steps(reference).items():
        status = make_listed_status(jobs.get_run_workspace(reference), runs.get(name))
        if status and status.state in ("failed", "cancelled"):  # its job is asked why
            status = query_status(step_runs.select_step({**reference, STEP_KEY: name}, runs[name]))
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
    return [make_listed_status(workspace, runs_by_name.get((workspace, name))) for workspace, name in job_keys]


def make_listed_status(workspace: Workspace, run: Mapping[str, Any] | None) -> Status | None:
    """Return the status of a job from a list, without why it failed; None if the list does not show it."""
    if not run or not run.get("status"):
        return None
    resource = {"name": run.get("runId"), "properties": {"computeId": run.get("target")}}
    job = job_state.parse_job(resource, {**run, "createdTimeUtc": run.get("createdUtc")})
    return _make_status(job, "" if job.is_finished else explain_waiting(job, workspace, time.time()))


def _explain_state(reference: Reference, job: AzureMLJob) -> str:
    workspace = jobs.get_run_workspace(reference)
    if not job.is_finished:
        return explain_waiting(job, workspace, time.time())
    if job.state == "succeeded":
        return ""
    if job.state == "cancelled":  # Azure ML does not tell by whom
        return _append_message("it was cancelled", job.message)
    outcome = None if job.has_timed_out else logs.read_outcome(reference, job)
    reason = explain_failure(job, workspace, outcome)
    if not re.search(rf"(?:/storageAccounts/{UNKNOWN_ACCOUNT}|--assignee {UNKNOWN_OBJECT_ID})\b", reason):
        return reason
    account = ""  # what the suggested command lacks is looked up
    with contextlib.suppress(ServiceError):
        account = storage.get_datastore(jobs.get_client(), workspace, reference.get("datastore", "")).account
    job = dataclasses.replace(job, storage_account=account, sender=credential.get_caller_object_id())
    return explain_failure(job, workspace, outcome)


OTHER_INSTANCE_TYPE = "`robotrain resubmit --set instance_type=NAME`"
"""For a job that exists; for a rejected one, the option itself is suggested."""
OUT_OF_MEMORY = "out of memory: use {} with more, a smaller --batch-size or fewer --num-workers"
KILLED = "it was killed (exit code 137): if memory ran out, use {} with more, or a smaller --batch-size"
_ACCOUNT_PATTERN = r"(?:https://(?=[a-z0-9]+\.(?:blob|dfs)\.)|account[ :]*')([a-z0-9]{3,24})"
_IMAGE_PATTERN = r"image[ :]+\\?[\"']?([\w./-]+[:@][\w.:@-]+)"


@functools.cache
def _load_causes() -> tuple[tuple[str, str], ...]:
    """Return the pattern and the sentence of each known cause, in the order in which they are compared."""
    causes_table = tomllib.loads(Path(__file__).with_name("failure_causes.toml").read_text(encoding="utf-8"))
    causes = []
    for row in causes_table["cause"]:
        pattern = "".join(row["pattern"])
        for name, word in causes_table["words"].items():
            pattern = pattern.replace(f"{{{name}}}", word)
        causes.append((pattern, row["sentence"]))
    return tuple(causes)


def find_cause(message: str, job: AzureMLJob, workspace: Workspace) -> str:
    """Return the sentence for a message of Azure ML's; empty if none matches."""
    flags = re.IGNORECASE | re.DOTALL
    sentence = next((sentence for pattern, sentence in _load_causes() if re.search(pattern, message, flags)), "")
    if not sentence:
        return ""
    name = _match_group(_ACCOUNT_PATTERN, message)
    account = make_account_id(workspace, name)
    output = make_account_id(workspace, name or job.storage_account)
    holder = job.identity or UNKNOWN_OBJECT_ID
    facts = {
        "compute": job.compute or "COMPUTE",
        "instance_type": f" {job.instance_type}" if job.instance_type else "",
        "identity": f" ({job.identity})" if job.identity else "",
        "another_type": OTHER_INSTANCE_TYPE if job.job_status else "--instance-type NAME",
        "image": f" {image}" if (image := _match_group(_IMAGE_PATTERN, message)) else "",
        "reader": make_role_command(holder, BLOB_READER_ROLE, account),
        "writer": make_role_command(holder, BLOB_CONTRIBUTOR_ROLE, output),
        "sender_writer": make_role_command(job.sender or UNKNOWN_OBJECT_ID, BLOB_CONTRIBUTOR_ROLE, account),
        "workspace_reader": make_role_command("PRINCIPAL-ID-OF-THE-WORKSPACE", BLOB_READER_ROLE, account),
        "by_identity": make_identity_auth_command(workspace),
        "out_of_memory": OUT_OF_MEMORY.format(job.other_machine),
        "killed": KILLED.format(job.other_machine),
        "other_machine": job.other_machine,
        "retry_hint": RETRY_HINT,
    }
    return sentence.format_map(facts)


def _match_group(pattern: str, message: str) -> str:
    match = re.search(pattern, message, re.IGNORECASE)
    return match[1] if match else ""


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

KILLED_CODE = 137

_EMPTY_MESSAGES = (
    r"Execution failed\.?",
    r"User process '[^']*' exited with status code \d+\.?",
    r"Please check (?:the )?(?:log file )?'?[\w/.-]*'? for (?:more |error )?details\.?",
    r"(?:Job failed with )?non-zero exit code:? ?\d*\.?",
    r"(?:Process|It|Container) exited with (?:status )?code:? ?\d+\.?",
    r"^\s*error:?\s*$",
)
"""Messages of Azure ML that add nothing to an exit code."""


def explain_waiting(job: AzureMLJob, workspace: Workspace, now: float) -> str:
    """Return why a job has not ended; empty if there is nothing to say. `now`: seconds since the epoch."""
    if not job.is_known:
        return f"Azure ML reports an unknown state: {reasons.redact_text(job.job_status) or 'none'}"
    warning = job.warnings[-1] if job.warnings else ""
    cause = find_cause(warning, job, workspace) if job.state == "pending" else ""
    if cause:
        return _append_message(cause, warning)
    if job.job_status in RUNNING_REASONS or job.state == "running":
        return RUNNING_REASONS.get(job.job_status, "")
    preemption_note = "its machine was preempted, and it waits for another: " if job.started is not None else ""
    waited = now - job.created if job.created and job.started is None else 0.0
    reason = f"{preemption_note}{PENDING_REASONS.get(job.job_status, 'it waits')}{reasons.format_wait(waited)}"
    if waited >= LONG_WAIT_SECONDS and job.job_status == "Queued":
        command = f"`az ml compute show --name {job.compute or 'COMPUTE'}`"
        return f"{reason}: its nodes may be busy or its quota used up ({command}); use another --compute, or wait"
    if waited >= LONG_WAIT_SECONDS and job.job_status == "Preparing":
        return f"{reason}: its image may be very large or missing; the job's page in the studio shows the events"
    return reason


def _explain_exit_code(code: int, job: AzureMLJob) -> str:
    """Return the reason by the exit code of the run itself; its log has details."""
    explanations = {**reasons.EXIT_REASONS, KILLED_CODE: KILLED.format(job.other_machine)}
    return explanations.get(code, f"it ended with exit code {code}")


def explain_failure(job: AzureMLJob, workspace: Workspace, outcome: Outcome | None) -> str:
    """Return why a job failed: a timeout, its own outcome, the meaning of Azure ML's message, or its exit code."""
    if job.has_timed_out:
        remedy = "use `robotrain resume` or `robotrain resubmit` with a larger --exec-timeout"
        return _append_message(f"it reached its time limit{reasons.format_limit(job.limit)}: {remedy}", job.message)
    cause = find_cause(f"{job.code}: {job.message}", job, workspace)
    if cause and job.exit_code is None:
        return _append_message(cause, job.message)
    if explanation := reasons.explain_outcome(outcome, job.exit_code):
        return f"{KILLED.format(job.other_machine)} ({explanation})" if job.exit_code == KILLED_CODE else explanation
    if not cause and job.exit_code is None:
        cause = "it failed" if job.message or not job.code else f"it failed ({reasons.redact_text(job.code)})"
    code = job.exit_code or 0
    return _append_message(cause or _explain_exit_code(code, job), job.message)


def _append_message(sentence: str, message: str) -> str:
    return reasons.append_message(sentence, "Azure ML", message, _EMPTY_MESSAGES)
