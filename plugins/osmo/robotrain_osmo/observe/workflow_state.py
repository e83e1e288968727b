"""The state of a workflow, parsed from OSMO's answer to a query, and the request to cancel it."""

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from robotrain.cluster.answers import as_int, as_mapping, as_mappings, as_number, as_text, parse_time
from robotrain.model.reference import Reference
from robotrain.model.run import RunGone, RunState
from robotrain.store import files, records
from robotrain_runtime.contract.failure import EXIT_RETRY

from robotrain_osmo.client import failures, service
from robotrain_osmo.observe import pipeline_steps
from robotrain_osmo.spec import node_names

CANCELLED_STATUS = "FAILED_CANCELED"
VAGUE_FAILURES = ("FAILED", "FAILED_UPSTREAM")
"""Failures without a cause, which the other status, of the task or the workflow, may give."""
LOST_STATUSES = ("FAILED_PREEMPTED", "FAILED_BACKEND_ERROR", "FAILED_SERVER_ERROR")
LOST_EXIT_CODES = (3001, 3002, 3006)
"""Ends that no change of the job mends: the same job may succeed."""
PENDING_TASK_STATUSES = ("SUBMITTING", "WAITING", "PROCESSING", "SCHEDULING", "INITIALIZING", "RESCHEDULED")
_WORKFLOW_STATES: Mapping[str, RunState] = {
    "PENDING": "pending",
    "WAITING": "pending",
    "RUNNING": "running",
    "COMPLETED": "succeeded",
    CANCELLED_STATUS: "cancelled",
}
_TASK_STATES: Mapping[str, RunState] = {**dict.fromkeys(PENDING_TASK_STATUSES, "pending"), "RUNNING": "running"}


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkflowState:
    """A workflow as OSMO reports it. Times are seconds since the epoch, time limits seconds."""

    name: str
    workflow_status: str
    task_status: str = ""
    """Status of the task's last attempt."""
    retry: int = 0
    """Number of the last attempt, from 0."""
    node: int | None = None
    """The rank of the node whose task these are about: that which explains the state; None for a job of one node."""
    exit_code: int | None = None
    message: str = ""
    """Reason of the failure in OSMO's words."""
    queued_seconds: float | None = None
    queue_timeout: float | None = None
    started: float | None = None
    ended: float | None = None
    cancelled_by: str = ""
    overview: str = ""
    """The workflow's page: an address, or a path of a service that has no host name."""
    others_active: bool = False
    """Whether other tasks may go on, so that the log of the workflow does."""

    @property
    def state(self) -> RunState:
        """The state as robotrain has it. An unknown status has failed if it starts with FAILED, else it is active.

        A workflow stays RUNNING while a task that lost its machine waits for another one, and is it as soon as one of
        several nodes runs: they wait for the others.
        """
        is_waiting = bool(self.retry) or self.node is not None
        if self.workflow_status == "RUNNING" and is_waiting and self.task_status in PENDING_TASK_STATUSES:
            return "pending"
        if state := _WORKFLOW_STATES.get(self.failure or self.workflow_status):
            return state
        if self.failure:
            return "lost" if self.failure in LOST_STATUSES or self.exit_code in LOST_EXIT_CODES else "failed"
        return _TASK_STATES.get(self.task_status) or ("running" if self.started is not None else "pending")

    @property
    def is_known(self) -> bool:
        """Whether robotrain knows the workflow's status."""
        return self.workflow_status in _WORKFLOW_STATES or self.workflow_status.startswith("FAILED")

    @property
    def is_finished(self) -> bool:
        """Whether the workflow has ended."""
        return self.state not in ("pending", "running")

    @property
    def failure(self) -> str:
        """The more precise failure status of task and workflow; empty if the workflow has not failed."""
        if not self.workflow_status.startswith("FAILED"):
            return ""
        is_task_precise = self.task_status.startswith("FAILED") and self.task_status not in VAGUE_FAILURES
        return self.task_status if self.workflow_status in VAGUE_FAILURES and is_task_precise else self.workflow_status

    @property
    def has_no_log(self) -> bool:
        """Whether there cannot be a log yet because the first attempt waits."""
        return self.state == "pending" and not self.retry and self.started is None


def parse_workflow(workflow_answer: object, task: str = "") -> WorkflowState:
    """Parse the answer of `osmo workflow query -t json`. `task`: the task's name; empty for any."""
    workflow_fields = as_mapping(workflow_answer)
    task_groups = as_mappings(workflow_fields.get("groups"))
    attempts = pipeline_steps.list_group_rows(workflow_fields, task)
    attempts = attempts or [row for group in task_groups for row in as_mappings(group.get("tasks"))]
    newest_attempt = _choose_task(attempts, task)
    messages = (row.get("failure_message") for row in (newest_attempt, *task_groups))
    return WorkflowState(
        name=as_text(workflow_fields.get("name")),
        workflow_status=as_text(workflow_fields.get("status")),
        task_status=as_text(newest_attempt.get("status")),
        retry=max((as_int(row.get("retry_id")) or 0 for row in attempts), default=0),
        node=_parse_node(newest_attempt, attempts, task),
        exit_code=as_int(newest_attempt.get("exit_code")),
        message=as_text(next(filter(None, messages), "")),
        queued_seconds=as_number(workflow_fields.get("queued_time")),
        queue_timeout=as_number(workflow_fields.get("queue_timeout")),
        started=parse_time(workflow_fields.get("start_time")) or parse_time(newest_attempt.get("start_time")),
        ended=parse_time(workflow_fields.get("end_time")) or parse_time(newest_attempt.get("end_time")),
        cancelled_by=as_text(workflow_fields.get("cancelled_by")),
        overview=as_text(workflow_fields.get("overview")),
    )


def _choose_task(attempts: Sequence[Mapping[str, Any]], task: str) -> Mapping[str, Any]:
    """Return the last attempt that explains the state: of several nodes, that which failed, or waits again.

    A node that was ended because another one failed has no exit code, or that of a lost connection.
    """
    last_attempts: dict[str, Mapping[str, Any]] = {}
    for row in sorted(attempts, key=lambda row: as_int(row.get("retry_id")) or 0):
        last_attempts[as_text(row.get("name"))] = row
    failed_attempts = [row for row in last_attempts.values() if as_text(row.get("status")).startswith("FAILED")]
    if task in last_attempts and failed_attempts:
        return min(failed_attempts, key=lambda row: (_rank_cause(row), as_text(row.get("end_time"))))
    waiting_attempts = [row for row in last_attempts.values() if row.get("status") in PENDING_TASK_STATUSES]
    if task in last_attempts:
        restarted_attempts = [row for row in last_attempts.values() if row.get("retry_id")]
        return next(iter(waiting_attempts or restarted_attempts), last_attempts[task])
    return max(attempts, key=lambda row: as_int(row.get("retry_id")) or 0, default={})


def _rank_cause(row: Mapping[str, Any]) -> int:
    """Return how far a node's end is from the cause of the others': one that OSMO explains, its own, a consequence."""
    if as_text(row.get("status")) not in (*VAGUE_FAILURES, CANCELLED_STATUS):
        return 0
    return 2 if as_int(row.get("exit_code")) in (None, EXIT_RETRY) else 1


def _parse_node(row: Mapping[str, Any], attempts: Sequence[Mapping[str, Any]], task: str) -> int | None:
    """Return the rank of the node of a task; None if there is one node."""
    ranks = {node_names.parse_node(as_text(attempt.get("name")), task) for attempt in attempts}
    return node_names.parse_node(as_text(row.get("name")), task) if task and len(ranks) > 1 else None


def parse_step(answer: object, task: str) -> WorkflowState:
    """Parse the state of one task of several, as that of a workflow of that task alone."""
    task_state = parse_workflow(pipeline_steps.select_task(as_mapping(answer), task), task)
    return replace(task_state, others_active=not parse_workflow(answer).is_finished)


def query_workflow(reference: Reference) -> WorkflowState:
    """Query the workflow, or the task of a step. Raise RunGone if OSMO does not know it, Rejected if the query fails.

    :param reference: of a run, a whole pipeline, or a step as `pipeline_steps.select_step` returns it.
    """
    workflow_answer = query_answer(reference)
    task = reference.get("task", "")
    return (
        parse_step(workflow_answer, task)
        if pipeline_steps.is_step(reference)
        else parse_workflow(workflow_answer, task)
    )


def query_answer(reference: Reference) -> Any:
    """Return OSMO's answer about the workflow. Raise RunGone or Rejected."""
    name = reference.get("workflow", "")
    try:
        return service.query_json(get_command(reference), "workflow", "query", name, "-t", "json")
    except failures.CommandFailed as error:
        if error.failure.code == failures.UNKNOWN_WORKFLOW_CODE:
            raise RunGone(f"OSMO has no workflow {name}: it was removed, or the command uses another OSMO") from None
        raise


LISTED = "1000"
"""How many workflows one request lists: the newest of the user."""


def list_workflows(command: str) -> dict[str, WorkflowState]:
    """Return the user's newest workflows by name, without their tasks. Raise Rejected."""
    answer = service.query_json(command, "workflow", "list", "-c", LISTED, "-t", "json")
    rows = as_mappings(as_mapping(answer).get("workflows"))
    return {workflow.name: workflow for workflow in map(parse_workflow, rows)}


def get_command(reference: Reference) -> str:
    """Return the `osmo` command of the submit."""
    return reference.get("cli") or "osmo"


CANCEL_MESSAGE = "robotrain cancel"


def has_ended(reference: Reference) -> bool:
    """Return whether the workflow has ended. Raise RunGone or Rejected."""
    return query_workflow(reference).is_finished


def request_cancel(reference: Reference) -> str:
    """Ask OSMO to cancel the workflow; return why it refused. The command reports success even then. Raise Rejected."""
    name = reference["workflow"]
    words = ("workflow", "cancel", name, "-m", CANCEL_MESSAGE, "-t", "json")
    output = service.query_text(get_command(reference), *words)
    refusal = " ".join(output.partition("cancelation failed for workflow")[2].partition(":")[2].split())
    if not refusal and '"name"' not in output:
        refusal = " ".join(output.split()) or "OSMO gave no reason"
    if not refusal and reference.get("run"):
        with contextlib.suppress(OSError):  # OSMO itself shows nothing of it until the end
            files.write_private_file(_get_cancel_note(reference), name.encode())
    return refusal


CANCEL_NOTE = "osmo.cancelling"
"""The file in a run's state folder that names the workflow whose cancellation OSMO has accepted."""


def is_cancel_requested(reference: Reference) -> bool:
    """Return whether OSMO has accepted a cancellation from this machine."""
    try:
        return _get_cancel_note(reference).read_text(encoding="utf-8") == reference["workflow"]
    except (OSError, ValueError, KeyError):
        return False


def _get_cancel_note(reference: Reference) -> Path:
    return records.get_run_folder(pipeline_steps.get_whole_run(reference)) / CANCEL_NOTE
