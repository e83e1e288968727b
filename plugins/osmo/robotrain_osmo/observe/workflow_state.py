"""A workflow as OSMO reports it: one query, its answer parsed into a state."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from robotrain.model.run import Reference, RunGone

from robotrain_osmo.client import failures, service

if TYPE_CHECKING:
    from robotrain.model.run import RunState

CANCELLED_STATUS = "FAILED_CANCELED"
VAGUE_FAILURES = ("FAILED", "FAILED_UPSTREAM")
"""Failures that say nothing more: a task's word, or the workflow's, may."""
PENDING_TASK_STATUSES = ("SUBMITTING", "WAITING", "PROCESSING", "SCHEDULING", "INITIALIZING", "RESCHEDULED")
"""A task that does not run yet."""
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
    """A workflow as OSMO tells it. word: its status. task: that of its task in its newest try. retry: which, from 0.

    message: why it failed, in OSMO's words. queued, exec_timeout, queue_timeout: seconds. started, ended: since the
    epoch. by: who cancelled it. overview: its page.
    """

    name: str
    workflow_status: str
    task_status: str = ""
    retry: int = 0
    exit_code: int | None = None
    message: str = ""
    queued_seconds: float | None = None
    exec_timeout: float | None = None
    queue_timeout: float | None = None
    started: float | None = None
    ended: float | None = None
    cancelled_by: str = ""
    overview: str = ""

    @property
    def state(self) -> RunState:
        """What it is to robotrain. Whatever begins with FAILED has failed; another word nobody knows ends nothing."""
        if known := _WORKFLOW_STATES.get(self.failure or self.workflow_status):
            return known
        if self.failure:
            return "failed"
        return _TASK_STATES.get(self.task_status) or ("running" if self.started is not None else "pending")

    @property
    def is_known(self) -> bool:
        """Whether this robotrain knows the word that OSMO has for it."""
        return self.workflow_status in _WORKFLOW_STATES or self.workflow_status.startswith("FAILED")

    @property
    def is_finished(self) -> bool:
        """Whether nothing more will happen."""
        return self.state not in ("pending", "running")

    @property
    def failure(self) -> str:
        """The word that says most of how it failed, the task's or the workflow's; empty while it did not.

        OSMO counts a lost machine as a plain failure of the workflow: the task says which.
        """
        if not self.workflow_status.startswith("FAILED"):
            return ""
        vague = self.workflow_status in VAGUE_FAILURES
        return (
            self.task_status
            if vague and self.task_status.startswith("FAILED") and self.task_status not in VAGUE_FAILURES
            else self.workflow_status
        )

    @property
    def has_no_log(self) -> bool:
        """Whether nothing can have been printed yet: its first try waits."""
        return self.state == "pending" and not self.retry and self.started is None


def parse_workflow(answer: object, task: str = "") -> WorkflowState:
    """What `osmo workflow query -t json` answered. task: the name of the one that counts; empty for the first."""
    told = answer if isinstance(answer, Mapping) else {}
    tries = [one for one in _iterate_tasks(told) if not task or one.get("name") == task] or list(_iterate_tasks(told))
    newest = max(tries, key=lambda one: _parse_int(one.get("retry_id")) or 0, default={})
    groups = [group for group in _parse_list(told.get("groups")) if group.get("failure_message")]
    message = newest.get("failure_message") or (groups[0]["failure_message"] if groups else "")
    return WorkflowState(
        name=_parse_text(told.get("name")),
        workflow_status=_parse_text(told.get("status")),
        task_status=_parse_text(newest.get("status")),
        retry=_parse_int(newest.get("retry_id")) or 0,
        exit_code=_parse_int(newest.get("exit_code")),
        message=_parse_text(message),
        queued_seconds=_parse_seconds(told.get("queued_time")),
        exec_timeout=_parse_seconds(told.get("exec_timeout")),
        queue_timeout=_parse_seconds(told.get("queue_timeout")),
        started=_parse_time(told.get("start_time")) or _parse_time(newest.get("start_time")),
        ended=_parse_time(told.get("end_time")) or _parse_time(newest.get("end_time")),
        cancelled_by=_parse_text(told.get("cancelled_by")),
        overview=_parse_text(told.get("overview")),
    )


def _iterate_tasks(data: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for group in _parse_list(data.get("groups")):
        yield from _parse_list(group.get("tasks"))


def _parse_list(value: object) -> list[Mapping[str, Any]]:
    return [one for one in value if isinstance(one, Mapping)] if isinstance(value, list) else []


def _parse_text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _parse_int(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _parse_seconds(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _parse_time(value: object) -> float | None:
    """An ISO time in seconds since the epoch; OSMO writes UTC and does not say so."""
    try:
        found = datetime.fromisoformat(_parse_text(value))
    except ValueError:
        return None
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


QUERY_SECONDS = 20.0


def query_workflow(reference: Reference) -> WorkflowState:
    """What OSMO says of it now. Raises RunGone when it knows no such workflow, Rejected when it cannot be asked."""
    name = reference.get("workflow", "")
    try:
        answer = service.query_json(
            get_command(reference), "workflow", "query", name, "-t", "json", seconds=QUERY_SECONDS
        )
    except failures.CommandFailed as refused:
        if refused.failure.code == failures.UNKNOWN_WORKFLOW:
            raise RunGone(f"OSMO knows no workflow {name} any more: it was removed, or this is another OSMO") from None
        raise
    return parse_workflow(answer, reference.get("task", ""))


def get_command(reference: Reference) -> str:
    """The `osmo` command that the run was sent with."""
    return reference.get("cli") or "osmo"
