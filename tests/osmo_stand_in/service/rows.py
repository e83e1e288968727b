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
        row = {"name": f"{name}-{number}", "uuid": os.urandom(16).hex(), "workflow_name": name, **row}
        state.write(f"workflows/{row['name']}", row)
        state.change("order", lambda order: [*order, row["name"]], [])
    return row


def fetch(state: "State", name: str) -> Row:
    """By id. Raises Refusal."""
    if name not in state.read("order", []):
        raise refusal.missing(f"Workflow {name} is not found.")
    row: Row = state.read(f"workflows/{name}")
    return row


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
        "groups": _groups(spec),
    }
    settle(row)
    return row


def _groups(spec: Mapping[str, Any]) -> list[Row]:
    """In the order of the document. upstream: the groups whose outputs are this one's inputs."""
    home = {task["name"]: group["name"] for group in spec["groups"] for task in group["tasks"]}
    made = []
    for group in spec["groups"]:
        wanted = [one.get("task", "") for task in group["tasks"] for one in task.get("inputs", [])]
        upstream = list(dict.fromkeys(home[name] for name in wanted if name in home))
        status = "WAITING" if upstream else "PROCESSING"
        tasks = [task_row(task, 0, status) for task in group["tasks"]]
        made.append({"name": group["name"], "status": "SUBMITTING", "upstream": upstream, "tasks": tasks})
    return made


def task_row(task: Mapping[str, Any], retry: int, status: str = "PROCESSING") -> Row:
    """A task that waits for its turn."""
    wrong = "; ".join(kubernetes.complaints(task))
    return {
        "name": task["name"],
        "retry_id": retry,
        "status": "FAILED_BACKEND_ERROR" if wrong and status == "PROCESSING" else status,
        "failure_message": f"Failed to create the pod: {wrong}" if wrong else None,
        "exit_code": 3001 if wrong else None,
        "start_time": None,
        "end_time": now() if wrong else None,
        "node_name": None,
        "lead": True if task.get("lead") is None else task["lead"],
    }


def latest(row: Mapping[str, Any]) -> list[Row]:
    """The last attempt of each task."""
    last: dict[str, Row] = {}
    for group in row["groups"]:
        last |= {task["name"]: task for task in sorted(group["tasks"], key=lambda task: int(task["retry_id"]))}
    return list(last.values())


def group_status(group: Mapping[str, Any]) -> str:
    """What the tasks' statuses make of the group's: it has fewer words than they."""
    last = latest({"groups": [group]})
    statuses = [task["status"] for task in last]
    if any(status in UNFINISHED for status in statuses):
        began = "RUNNING" in statuses or any(task["retry_id"] or finished(task) for task in last)
        return "RUNNING" if began else str(statuses[0])
    for status in ("FAILED_UPSTREAM", *FIRST, "FAILED_PREEMPTED", "FAILED_EVICTED"):
        if status in statuses:
            return status
    return "COMPLETED" if all(status == "COMPLETED" for status in statuses) else "FAILED"


def rolled_up(row: Mapping[str, Any]) -> str:
    """What the groups' statuses make of the workflow's."""
    statuses = [group_status(group) for group in row["groups"]]
    if any(status in UNFINISHED for status in statuses):
        return "RUNNING" if "RUNNING" in statuses else "PENDING"
    for status in FIRST:
        if status in statuses:
            return status
    failed = {status for status in statuses if status.startswith("FAILED") and status != "FAILED_UPSTREAM"}
    if len(failed) == 1:
        return str(*failed)
    return "FAILED" if failed else "COMPLETED"


def remaining(row: Mapping[str, Any], group: Mapping[str, Any]) -> list[str]:
    """The groups that one still waits for."""
    completed = {one["name"] for one in row["groups"] if group_status(one) == "COMPLETED"}
    return [name for name in group["upstream"] if name not in completed]


def settle(row: Row) -> None:
    """Let what depends on groups that ended go on or fail, and the workflow follow its groups.

    The groups are kept in the order of their last changes, as the database of OSMO gives them.
    """
    specs = {task["name"]: task for group in row["spec"]["groups"] for task in group["tasks"]}
    while changed := [group for group in row["groups"] if group["status"] != group_status(group)]:
        for group in changed:
            group["status"] = group_status(group)
        row["groups"] = [*(group for group in row["groups"] if group not in changed), *changed]
        for group in row["groups"]:
            if group["status"] == "WAITING":
                _release(row, group, specs)
    status = rolled_up(row)
    if status == "RUNNING":
        row["start_time"] = row["start_time"] or now()
    if status not in ALIVE:
        row["end_time"] = row["end_time"] or now()
    row["status"] = status


def _release(row: Row, group: Row, specs: Mapping[str, Row]) -> None:
    """A group that waits goes on when all of those before it completed, and fails with the first that failed."""
    upstream = [one["status"] for one in row["groups"] if one["name"] in group["upstream"]]
    if any(status.startswith("FAILED") for status in upstream):
        values = {"failure_message": "Upstream task failed.", "exit_code": 3000, "end_time": now()}
        for task in group["tasks"]:
            task.update(status="FAILED_UPSTREAM", **values)
    elif not remaining(row, group):
        group["tasks"] = [task_row(specs[task["name"]], 0) for task in group["tasks"]]
