"""The status of a run, a pipeline or a step, and why a workflow waits or failed.

Reasons start in lowercase without a full stop because they follow the run's name and state.
"""

import contextlib
import re
from collections.abc import Iterable, Mapping, Sequence

from robotrain.cluster import reasons
from robotrain.errors import Rejected
from robotrain.model.amounts import format_duration
from robotrain.model.reference import STEP_KEY, Reference
from robotrain.model.run import RunGone, Status, StepStateName, StepStatus
from robotrain_runtime.contract.event import Outcome

from robotrain_osmo.client import service
from robotrain_osmo.observe import log_lines, logs, pipeline_steps, workflow_state
from robotrain_osmo.observe.workflow_state import CANCELLED_STATUS, WorkflowState


def query_status(reference: Reference) -> Status:
    """Return the state and its reason, of a run, a pipeline or a step. Raise RunGone or Rejected."""
    if pipeline_steps.list_step_names(reference) and not reference.get(STEP_KEY):
        return query_pipeline(reference)[0]
    reference = pipeline_steps.select_step(reference)
    workflow = workflow_state.query_workflow(reference)
    return Status(
        state=workflow.state,
        reason=explain_status(reference, workflow),
        exit_code=workflow.exit_code if workflow.is_finished else None,
        started=workflow.started,
        ended=workflow.ended if workflow.is_finished else None,
    )


def find_page(reference: Reference) -> str:
    """Return the address of the workflow's page; empty if OSMO gives only a path, without its host. Raise Rejected."""
    overview = workflow_state.query_workflow(reference).overview
    return overview if overview.startswith(("https://", "http://")) else ""


def list_statuses(references: Sequence[Reference]) -> list[Status | None]:
    """Return the states of the newest workflows by one request for each command. Raise Rejected.

    A list says neither what a pod waits for nor why a workflow failed.
    """
    commands = dict.fromkeys(map(workflow_state.get_command, references))
    workflows_by_command = {command: workflow_state.list_workflows(command) for command in commands}
    return [
        _make_listed_status(
            reference, workflows_by_command[workflow_state.get_command(reference)].get(reference.get("workflow", ""))
        )
        for reference in references
    ]


def _make_listed_status(reference: Reference, workflow: WorkflowState | None) -> Status | None:
    """Return the status from a list. Between two steps of a pipeline, OSMO lists PENDING again: query those."""
    if workflow is None or (pipeline_steps.list_step_names(reference) and workflow.state != "succeeded"):
        return None
    reason = ""
    if not workflow.is_finished and workflow_state.is_cancel_requested(reference):
        reason = CANCELLING_REASON
    elif not workflow.is_known:
        reason = explain_waiting(workflow)
    elif workflow.state == "pending":
        reason = f"OSMO has not started it{reasons.format_wait(workflow.queued_seconds)}"
    exit_code = 0 if workflow.state == "succeeded" else None
    ended_at = workflow.ended if workflow.is_finished else None
    return Status(state=workflow.state, reason=reason, exit_code=exit_code, started=workflow.started, ended=ended_at)


CANCELLING_REASON = "it is being cancelled: OSMO has accepted the request and has not ended it yet"


def explain_status(reference: Reference, workflow: WorkflowState) -> str:
    """Return why a workflow waits, failed or was cancelled, or "". It may ask OSMO for events and the log."""
    if not workflow.is_finished:
        if workflow_state.is_cancel_requested(reference):
            return CANCELLING_REASON
        is_stuck = workflow.state == "pending" and (workflow.queued_seconds or 0.0) >= MIN_WAIT_SECONDS
        return explain_waiting(workflow, query_blocking_event(reference) if is_stuck else "")
    if workflow.state == "succeeded":
        return ""
    outcome = None
    if is_own_failure(workflow):
        with contextlib.suppress(Rejected):  # the state is known without it
            outcome = logs.read_outcome(reference, workflow.node or 0)
    return explain_failure(workflow, outcome)


def is_own_failure(workflow: WorkflowState) -> bool:
    """Return whether the run itself may have logged why it failed."""
    return workflow.failure == "FAILED" and (workflow.exit_code is None or 0 < workflow.exit_code < 256)


MIN_WAIT_SECONDS = 60.0
"""Events are queried only after this time in the queue."""
EVENTS_START_SECONDS = 2.5
"""Time for the command to start printing."""
EVENTS_QUIET_SECONDS = 0.5
"""A pause that ends the current events: the command itself runs until the workflow's end."""
EVENTS_SECONDS = 3.0
"""Total limit: the status of many runs waits for each."""
_GOOD_EVENT = r"(?i)successfully (?:assigned|pulled)|already present on machine|started container"
_BAD_EVENT = r"(?i)\bfail|insufficient|unschedulable|unbound|back-?off|\berror|errimage|denied|exceeded|not found"
_VAGUE_EVENT = r"(?i)back-?off|errimagepull"
"""Events without a cause, which an earlier event may give."""


def query_blocking_event(reference: Reference) -> str:
    """Return the event that explains why the workflow waits, or ""."""
    words = ("workflow", "events", reference.get("workflow", ""))
    try:
        stream = service.start_stream(workflow_state.get_command(reference), *words)
    except Rejected:  # the state is known without it
        return ""
    with stream:
        event_lines = stream.read_present_lines(EVENTS_START_SECONDS, EVENTS_QUIET_SECONDS, EVENTS_SECONDS)
        return find_blocking_event(log_lines.parse_text(raw) for raw in event_lines if log_lines.parse_timestamp(raw))


def find_blocking_event(events: Iterable[str]) -> str:
    """Return the newest unresolved problem of events in time order, or ""."""
    problem = ""
    for event_text in events:
        if re.search(_GOOD_EVENT, event_text):
            problem = ""
        elif re.search(_BAD_EVENT, event_text) and (
            not problem or re.search(_VAGUE_EVENT, problem) or not re.search(_VAGUE_EVENT, event_text)
        ):
            problem = event_text
    return problem


MAX_NAMED_TIMEOUT = 48 * reasons.HOUR
FAILURE_REASONS: Mapping[str, str] = {
    "FAILED_SUBMISSION": "OSMO did not accept the workflow",
    "FAILED_SERVER_ERROR": f"OSMO failed, not the job: {reasons.RETRY_HINT}",
    "FAILED_BACKEND_ERROR": f"the cluster or the machine failed, not the job: {reasons.RETRY_HINT}",
    "FAILED_EXEC_TIMEOUT": "it reached its time limit: try `robotrain resume` or `resubmit` with a larger "
    "--exec-timeout",
    "FAILED_QUEUE_TIMEOUT": "no machine was free in time: use another --pool or --gpu-platform, or a larger "
    "--queue-timeout",
    "FAILED_START_ERROR": "its container could not start: check --image and `osmo workflow events`",
    "FAILED_START_TIMEOUT": "it did not start in time: its image is large or unreachable, or a secret is missing "
    "(`osmo workflow events` says which)",
    "FAILED_PREEMPTED": "a job of higher priority preempted it, and OSMO did not restart it: try `robotrain resume` "
    "if it published a checkpoint, --priority HIGH, or a pool with retries",
    "FAILED_EVICTED": "it was evicted, probably because disk or memory ran out: use more --storage or --memory",
    "FAILED_UPSTREAM": "something it depends on failed",
}
"""Reasons by OSMO's failure status."""
CODE_STATUSES: Mapping[int, str] = {
    3000: "FAILED_UPSTREAM",
    3001: "FAILED_BACKEND_ERROR",
    3002: "FAILED_SERVER_ERROR",
    3003: "FAILED_START_ERROR",
    3004: "FAILED_EVICTED",
    3005: "FAILED_START_TIMEOUT",
    3006: "FAILED_PREEMPTED",
}
"""The failure status that an exit code of the task means, if the status itself says no more than FAILED."""
OSMO_EXIT_CODES: Mapping[int, str] = {
    124: "it reached its time limit (exit code 124): try a larger --exec-timeout",
    137: "it was killed (exit code 137): if `osmo workflow events` shows OOMKilled, memory ran out, and more --memory, "
    "a smaller --batch-size or fewer --num-workers help",
    2010: "OSMO could not download an input (exit code 2010): check its URL (`osmo data list`) and that the jobs' "
    "identity or data credential may read it",
    2012: "OSMO could not upload the outputs (exit code 2012): the jobs' identity must write to --publish-url",
    2013: "OSMO may not read or write a storage URL of the workflow (exit code 2013): give the jobs' identity the "
    "role Storage Blob Data Contributor, or set a DATA credential for the storage",
    2014: "OSMO is not authorized for a storage URL of the workflow (exit code 2014): the DATA credential for the "
    "storage is missing, wrong or expired (`osmo credential list`)",
}
"""Reasons by the exit code of the task, if its status gives none."""
LARGEST_EXIT_CODE = 255
"""Of a program; larger ones are OSMO's own."""

_NO_MESSAGE = (r"Failure reason: ?-? ?Exit code \d+ due to [\w. -]+ failure",)


def explain_waiting(workflow: WorkflowState, event: str = "") -> str:
    """Return why an active run waits, or "". `event`: the event that explains it."""
    subject = "it" if workflow.node is None else f"node {workflow.node}"
    restart = f"{subject} was restarted after losing its machine (retry {workflow.retry})" if workflow.retry else ""
    if not workflow.is_known:
        return f"its OSMO status {workflow.workflow_status or '(empty)'} is unknown to robotrain"
    if workflow.state == "running":
        return restart
    wait_note = reasons.format_wait(workflow.queued_seconds)
    limit = workflow.queue_timeout
    if workflow.task_status == "INITIALIZING":
        waiting_reason = "its image is being pulled and its inputs downloaded"
    elif workflow.task_status in ("SUBMITTING", "WAITING", "PROCESSING"):
        waiting_reason = f"OSMO is preparing it{wait_note}"
    else:
        timeout_text = format_duration(limit) if limit and limit < MAX_NAMED_TIMEOUT else ""
        timeout_note = f"; OSMO gives up after {timeout_text} (--queue-timeout)" if timeout_text else ""
        waiting_reason = f"no machine of the pool is free{wait_note}{timeout_note}"
    is_about_image = re.search("(?i)image", event)
    waiting_reason = _explain_image_failure(event) if is_about_image else _append_message(waiting_reason, event)
    return f"{restart}: {waiting_reason}" if restart else waiting_reason


def explain_failure(workflow: WorkflowState, outcome: Outcome | None = None) -> str:
    """Return why a workflow failed, from its status, exit code and message, or who cancelled it.

    :param outcome: what the run itself logged at its end, which counts more.
    """
    reason = _explain_task_failure(workflow, outcome)
    is_named = workflow.node is not None and reason and workflow.failure != CANCELLED_STATUS
    return f"node {workflow.node}: {reason}" if is_named else reason


def _explain_task_failure(workflow: WorkflowState, outcome: Outcome | None) -> str:
    code = workflow.exit_code
    status = CODE_STATUSES.get(code or 0, "FAILED") if workflow.failure == "FAILED" else workflow.failure
    if is_own_failure(workflow) and (reason := reasons.explain_outcome(outcome, code)):
        explanation = OSMO_EXIT_CODES.get(code or 0)
        return f"{explanation} ({reason})" if explanation else reason
    if status == CANCELLED_STATUS:
        user = workflow.cancelled_by
        return f"{user} cancelled it" if user and user.lower() != "osmo" else "it was cancelled"
    if status == "FAILED_IMAGE_PULL":
        return _explain_image_failure(workflow.message)
    if status == "FAILED_START_ERROR" and re.search(r"(?i)\bsecret\b", workflow.message):
        cause = "its container could not start without a secret: `osmo credential list` shows those that there are"
        return _append_message(cause, workflow.message)
    if status in FAILURE_REASONS:
        return _append_message(FAILURE_REASONS[status], workflow.message)
    if status != "FAILED":
        return _append_message(f"its OSMO status is {status}", workflow.message)
    if explanation := OSMO_EXIT_CODES.get(code or 0):
        return explanation
    if code is None:
        reason = "it failed"
    elif 2020 <= code <= 2040:
        reason = f"the pod lost the connection to OSMO (exit code {code}): {reasons.RETRY_HINT}"
    elif code > LARGEST_EXIT_CODE:
        reason = f"OSMO ended it (exit code {code}): see `osmo workflow events`"
    else:
        reason = reasons.EXIT_REASONS.get(code, f"it ended with exit code {code}")
    return _append_message(reason, workflow.message)


def _explain_image_failure(message: str) -> str:
    match = re.search(r"image \\?\"([^\"\\\s]+)", message)
    name = f" {reasons.redact_text(match[1])}" if match else ""
    fix = "check --image and that the pool may read its registry (`osmo credential set NAME --type REGISTRY …`)"
    return _append_message(f"its image{name} could not be pulled: {fix}", message)


def _append_message(sentence: str, message: str) -> str:
    return reasons.append_message(sentence, "OSMO", message, _NO_MESSAGE)


SKIPPED_STATUS = "FAILED_UPSTREAM"


def list_steps(reference: Reference) -> list[StepStatus]:
    """Return the steps of a pipeline by their tasks. Raise RunGone or Rejected."""
    steps = _parse_steps(reference, workflow_state.query_answer(reference))
    return [_make_step_status(name, step) for name, step in steps.items()]


def query_pipeline(reference: Reference) -> tuple[Status, list[StepStatus]]:
    """Return the status of a pipeline and its steps, by one request. Raise RunGone or Rejected."""
    workflow_answer = workflow_state.query_answer(reference)
    steps = _parse_steps(reference, workflow_answer)
    workflow = workflow_state.parse_workflow(workflow_answer)
    outcomes: Mapping[str, Outcome | None] = {}
    if workflow.is_finished and any(is_own_failure(step) for step in steps.values()):
        with contextlib.suppress(Rejected):  # the states are known without the log
            outcomes = logs.read_outcomes(reference, workflow, {name: step.node or 0 for name, step in steps.items()})
    pipeline_status = _make_pipeline_status(reference, workflow, steps, outcomes)
    return pipeline_status, [_make_step_status(name, step, outcomes.get(name)) for name, step in steps.items()]


def has_step_output(reference: Reference) -> bool:
    """Return whether OSMO still has the workflow of a step: only then it is an input of another one. Raise Rejected."""
    try:
        workflow_state.query_answer(reference)
    except RunGone:
        return False
    return True


def _parse_steps(reference: Reference, workflow_answer: object) -> dict[str, WorkflowState]:
    return {
        name: workflow_state.parse_step(workflow_answer, name) for name in pipeline_steps.list_step_names(reference)
    }


def _make_pipeline_status(
    reference: Reference,
    workflow: WorkflowState,
    steps: Mapping[str, WorkflowState],
    outcomes: Mapping[str, Outcome | None],
) -> Status:
    """Return the status of the whole: the reason is that of the first step that failed, never of a skipped one."""
    started_at = min((step.started for step in steps.values() if step.started), default=None)
    if not workflow.is_finished:
        cancelling = CANCELLING_REASON if workflow_state.is_cancel_requested(reference) else ""
        waiting_reasons = {name: explain_waiting(step) for name, step in steps.items() if _has_begun(step)}
        reason = cancelling or "; ".join(
            f"step {name}: {explanation}" for name, explanation in waiting_reasons.items() if explanation
        )
        return Status(state="running" if started_at else "pending", reason=reason, started=started_at)
    ended_at = workflow.ended
    unsuccessful_steps = [(name, step) for name, step in steps.items() if step.failure not in ("", SKIPPED_STATUS)]
    if not unsuccessful_steps:
        reason = "" if workflow.state == "succeeded" else explain_failure(workflow)
        return Status(state=workflow.state, reason=reason, started=started_at, ended=ended_at)
    failed_steps = [pair for pair in unsuccessful_steps if pair[1].state in ("failed", "lost")]
    name, first_step = min(failed_steps or unsuccessful_steps, key=lambda pair: pair[1].ended or float("inf"))
    explanation = explain_failure(first_step, outcomes.get(name))
    return Status(
        state="failed" if failed_steps else "cancelled",
        reason=f"step {name} {first_step.state}" + (f": {explanation}" if explanation else ""),
        exit_code=first_step.exit_code,
        started=started_at,
        ended=ended_at,
    )


def _has_begun(step: WorkflowState) -> bool:
    """Return whether a step waits only for OSMO, or runs."""
    return not step.is_finished and step.task_status != "WAITING"


def _make_step_status(name: str, step: WorkflowState, outcome: Outcome | None = None) -> StepStatus:
    state: StepStateName = step.state
    reason = ""
    if step.failure == SKIPPED_STATUS:
        state = "skipped"
    elif not step.is_finished:
        state, reason = (state, explain_waiting(step)) if _has_begun(step) else ("waiting", "")
    elif state != "succeeded":
        reason = explain_failure(step, outcome)
    ended_at = step.ended if step.is_finished else None
    return StepStatus(name=name, state=state, reason=reason, started=step.started, ended=ended_at)
