"""The rows of the service's database: workflows with their tasks, and what a status means."""

import datetime
import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from osmo_stand_in import refusal
from osmo_stand_in.service import kubernetes, rules

if TYPE_CHECKING:
    from osmo_stand_in.service.spec import AnyWorkflow
    from osmo_stand_in.state import State

Row = dict[str, Any]
ALIVE = ("PENDING", "RUNNING", "WAITING")
BEGUN = ("RUNNING",)
UNFINISHED = ("SUBMITTING", "WAITING", "PROCESSING", "SCHEDULING", "INITIALIZING", "RUNNING")
FIRST = ("FAILED_CANCELED", "FAILED_SERVER_ERROR", "FAILED_EXEC_TIMEOUT", "FAILED_QUEUE_TIMEOUT")
STATUSES = (
    *ALIVE,
    *("COMPLETED", "FAILED", "FAILED_SUBMISSION", *FIRST, "FAILED_BACKEND_ERROR", "FAILED_IMAGE_PULL"),
    *("FAILED_EVICTED", "FAILED_START_ERROR", "FAILED_START_TIMEOUT", "FAILED_PREEMPTED"),
)


def now() -> str:
    """As the service writes it: UTC, without saying so."""
    return datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None).isoformat()


def finished(row: Mapping[str, Any]) -> bool:
    """Whether a workflow, or a task, goes on no more."""
    return row["status"] not in (*ALIVE, *UNFINISHED)


def insert(state: "State", name: str, row: Row) -> Row:
    """Keep a new workflow; it gets the next number of its name."""
    with state.alone():
        number = state.read("counts", {}).get(name, 0) + 1
        state.change("counts", lambda counts: {**counts, name: number}, {})
        row = {"name": f"{name}-{number}", "uuid": os.urandom(16).hex(), "workflow_name": name, "job_id": number, **row}
        state.write(f"workflows/{row['name']}", row)
        state.change("order", lambda order: [*order, row["name"]], [])
    return row


def fetch(state: "State", name: str) -> Row:
    """By id or by UUID. Raises Refusal."""
    known = state.read("order", [])
    if name in known:
        row: Row = state.read(f"workflows/{name}")
        return row
    for other in known:
        row = state.read(f"workflows/{other}")
        if row["uuid"] == name:
            return row
    raise refusal.missing(f"Workflow {name} is not found.")


def change(state: "State", name: str, change: Callable[[Row], None]) -> Row:
    """Change a row in place. Raises Refusal."""
    with state.alone():
        row = fetch(state, name)
        change(row)
        state.write(f"workflows/{row['name']}", row)
    return row


def every(state: "State") -> list[Row]:
    """All of them, oldest first."""
    return [state.read(f"workflows/{name}") for name in state.read("order", [])]


def fresh(there: Mapping[str, Any], pool: str, priority: str, status: str = "PENDING", message: str = "") -> Row:
    """A row without tasks."""
    return {
        "submitted_by": there["user"],
        "cancelled_by": None,
        "parent_name": None,
        "submit_time": now(),
        "start_time": None,
        "end_time": now() if status.startswith("FAILED") else None,
        "exec_timeout": 5184000.0,
        "queue_timeout": 5184000.0,
        "status": status,
        "failure_message": message,
        "pool": pool,
        "backend": "default",
        "priority": priority,
        "labels": {},
        "groups": [],
        "spec": {},
    }


def of(workflow: "AnyWorkflow", there: Mapping[str, Any], pool: str, priority: str) -> Row:
    """The row of a workflow that was taken: its tasks wait, or their pods cannot be made."""
    spec = workflow.model_dump(mode="json", exclude_defaults=True)
    longest = rules.duration(there["pools"][pool]["max_exec_timeout"] or there["limits"]["max_exec_timeout"])
    longest_queue = rules.duration(there["limits"]["max_queue_timeout"])
    row = fresh(there, pool, priority)
    row |= {
        "exec_timeout": min(workflow.timeout.exec_timeout or longest, longest).total_seconds(),
        "queue_timeout": min(workflow.timeout.queue_timeout or longest_queue, longest_queue).total_seconds(),
        "labels": spec.get("labels", {}),
        "spec": spec,
        "groups": [_group(group) for group in spec["groups"]],
    }
    settle(row)
    return row


def _group(group: Mapping[str, Any]) -> Row:
    return {"name": group["name"], "tasks": [task_row(task, 0) for task in group["tasks"]]}


def task_row(task: Mapping[str, Any], retry: int) -> Row:
    """A task that waits for its turn."""
    wrong = "; ".join(kubernetes.complaints(task))
    return {
        "name": task["name"],
        "retry_id": retry,
        "status": "FAILED_BACKEND_ERROR" if wrong else "PROCESSING",
        "failure_message": f"Failed to create the pod: {wrong}" if wrong else None,
        "exit_code": 3001 if wrong else None,
        "start_time": None,
        "end_time": now() if wrong else None,
        "processing_start_time": now(),
        "scheduling_start_time": None,
        "initializing_start_time": None,
        "node_name": None,
        "task_uuid": os.urandom(16).hex(),
        "lead": True if task.get("lead") is None else task["lead"],
    }


def latest(row: Mapping[str, Any]) -> list[Row]:
    """The last attempt of each task."""
    last: dict[str, Row] = {}
    for group in row["groups"]:
        last |= {task["name"]: task for task in sorted(group["tasks"], key=lambda task: int(task["retry_id"]))}
    return list(last.values())


def rolled_up(row: Mapping[str, Any]) -> str:
    """What the tasks' statuses make of the workflow's."""
    statuses = [task["status"] for task in latest(row)]
    if any(status in UNFINISHED for status in statuses):
        return "RUNNING" if "RUNNING" in statuses else "PENDING"
    for status in FIRST:
        if status in statuses:
            return status
    failed = {status for status in statuses if status.startswith("FAILED") and status != "FAILED_UPSTREAM"}
    if len(failed) == 1:
        return str(*failed)
    return "FAILED" if failed else "COMPLETED"


def settle(row: Row) -> None:
    """Let the workflow follow its tasks."""
    status = rolled_up(row)
    if status == "RUNNING":
        row["start_time"] = row["start_time"] or now()
    if status not in ALIVE:
        row["end_time"] = row["end_time"] or now()
    row["status"] = status
