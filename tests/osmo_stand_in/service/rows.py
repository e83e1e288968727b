"""The service's database: workflows with their tasks, what a status means, and the answers about them."""

import base64
import datetime
import hashlib
import os
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from osmo_stand_in.service.refusal import Refusal
from osmo_stand_in.service.spec import WorkflowSpec, parse_duration
from osmo_stand_in.state import State

Row = dict[str, Any]
ALIVE = ("PENDING", "RUNNING", "WAITING")
UNFINISHED = ("SUBMITTING", "WAITING", "PROCESSING", "SCHEDULING", "INITIALIZING", "RUNNING")
FIRST = ("FAILED_CANCELED", "FAILED_SERVER_ERROR", "FAILED_EXEC_TIMEOUT", "FAILED_QUEUE_TIMEOUT")
STATUSES = (
    *ALIVE,
    *("COMPLETED", "FAILED", "FAILED_SUBMISSION", *FIRST, "FAILED_BACKEND_ERROR", "FAILED_IMAGE_PULL"),
    *("FAILED_EVICTED", "FAILED_START_ERROR", "FAILED_START_TIMEOUT", "FAILED_PREEMPTED"),
)
LONGEST = "60d"


def now() -> str:
    """As the service writes it: UTC, without saying so."""
    return datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None).isoformat()


def finished(row: Mapping[str, Any]) -> bool:
    """Whether a workflow, or a task, goes on no more."""
    return row["status"] not in (*ALIVE, *UNFINISHED)


def insert(state: State, name: str, row: Row) -> Row:
    """Keep a new workflow; it gets the next number of its name."""
    with state.alone():
        number = state.read("counts", {}).get(name, 0) + 1
        state.change("counts", lambda counts: {**counts, name: number}, {})
        row = {"name": f"{name}-{number}", "uuid": os.urandom(16).hex(), "workflow_name": name, **row}
        state.write(f"workflows/{row['name']}", row)
        state.change("order", lambda order: [*order, row["name"]], [])
    return row


def fetch(state: State, name: str) -> Row:
    """By id. Raises Refusal."""
    if name not in state.read("order", []):
        raise Refusal("DATABASE", f"Workflow {name} is not found.")
    row: Row = state.read(f"workflows/{name}")
    return row


def change(state: State, name: str, change: Callable[[Row], None]) -> None:
    """Change a row in place. Raises Refusal."""
    with state.alone():
        row = fetch(state, name)
        change(row)
        state.write(f"workflows/{name}", row)


def every(state: State) -> list[Row]:
    """All of them, oldest first."""
    return [state.read(f"workflows/{name}") for name in state.read("order", [])]


def make_row(there: Mapping[str, Any], pool: str, priority: str, status: str = "PENDING") -> Row:
    """A row without tasks."""
    return {
        **{"submitted_by": there["user"], "cancelled_by": None, "status": status, "priority": priority},
        **{"submit_time": now(), "start_time": None, "end_time": now() if status.startswith("FAILED") else None},
        **{"exec_timeout": 5184000.0, "queue_timeout": 5184000.0, "pool": pool, "backend": "default"},
        **{"labels": {}, "groups": [], "spec": {}},
    }


def make_workflow_row(workflow: WorkflowSpec, there: Mapping[str, Any], pool: str, priority: str) -> Row:
    """The row of a workflow that was taken: its tasks wait, or their pods cannot be made."""
    spec = workflow.model_dump(mode="json", exclude_defaults=True)
    row = make_row(there, pool, priority)
    for name in ("exec_timeout", "queue_timeout"):
        longest = parse_duration(there["pools"][pool].get(f"max_{name}") or LONGEST)
        row[name] = min(getattr(workflow.timeout, name) or longest, longest).total_seconds()
    home = {task["name"]: group["name"] for group in spec["groups"] for task in group["tasks"]}
    for group in spec["groups"]:
        wanted = [task_input.get("task", "") for task in group["tasks"] for task_input in task.get("inputs", [])]
        upstream = list(dict.fromkeys(home[name] for name in wanted if name in home))
        tasks = [make_task_row(task, 0, "WAITING" if upstream else "PROCESSING") for task in group["tasks"]]
        row["groups"].append({"name": group["name"], "status": "SUBMITTING", "upstream": upstream, "tasks": tasks})
    row |= {"labels": spec.get("labels", {}), "spec": spec}
    settle(row)
    return row


def make_task_row(task: Mapping[str, Any], retry: int, status: str = "PROCESSING") -> Row:
    """A task that waits for its turn."""
    wrong = "; ".join(find_complaints(task)) if status == "PROCESSING" else ""
    return {
        "name": task["name"],
        "retry_id": retry,
        "status": "FAILED_BACKEND_ERROR" if wrong else status,
        "failure_message": f"Failed to create the pod: {wrong}" if wrong else None,
        "exit_code": 3001 if wrong else None,
        "start_time": None,
        "end_time": now() if wrong else None,
        "node_name": None,
        "lead": task.get("lead", False),
    }


LARGEST_FILE = 1 << 20
LARGEST_GROUP = 10_000_000


def find_complaints(task: Mapping[str, Any]) -> Iterator[str]:
    """Why Kubernetes does not make its pod after OSMO accepted it."""
    names, total = set(), 0
    for index, file in enumerate(task.get("files", [])):
        base, content = file["path"].rpartition("/")[2], file["contents"]
        encoded = content if file.get("base64") else base64.b64encode(content.encode()).decode()
        total += len(encoded)
        try:
            size = len(base64.b64decode(encoded, validate=True))
        except ValueError as error:
            yield f"Secret in version v1 cannot be handled: illegal base64 data: {error}"
            continue
        if not re.fullmatch(r"[-._a-zA-Z0-9]+", base):
            yield f'data[{base}]: Invalid value: "{base}": a valid config key must consist of alphanumeric characters'
        if size > LARGEST_FILE:
            yield f"data: Too long: may not be more than {LARGEST_FILE} bytes (file {index})"
        if (name := hashlib.sha256(f"content-{encoded}{base}".encode()).hexdigest()[:32]) in names:
            yield f'spec.volumes[{index}].name: Duplicate value: "osmo-{name}"'
        names.add(name)
        if ":" in file["path"]:
            yield f"spec.containers[0].volumeMounts[{index}].mountPath: Invalid value: must not contain ':'"
    if total > LARGEST_GROUP:
        yield f"the group has {total} bytes of files: the connection to the backend was closed"
    for name in task.get("environment", {}):
        if not re.fullmatch(r"[-._a-zA-Z][-._a-zA-Z0-9]*", name):
            yield f'spec.containers[0].env.name: Invalid value: "{name}"'


def latest(row: Mapping[str, Any]) -> list[Row]:
    """The last attempt of each task."""
    last: dict[str, Row] = {}
    for group in row["groups"]:
        last |= {task["name"]: task for task in sorted(group["tasks"], key=lambda task: int(task["retry_id"]))}
    return list(last.values())


def find_group_status(group: Mapping[str, Any]) -> str:
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


def _find_workflow_status(row: Mapping[str, Any]) -> str:
    """What the groups' statuses make of the workflow's."""
    statuses = [find_group_status(group) for group in row["groups"]]
    if any(status in UNFINISHED for status in statuses):
        return "RUNNING" if "RUNNING" in statuses else "PENDING"
    failed = {status for status in statuses if status.startswith("FAILED") and status != "FAILED_UPSTREAM"}
    first = next((status for status in FIRST if status in failed), "FAILED" if failed else "COMPLETED")
    return str(*failed) if len(failed) == 1 else first


def _list_remaining(row: Mapping[str, Any], group: Mapping[str, Any]) -> list[str]:
    """The groups that one still waits for."""
    completed = {other["name"] for other in row["groups"] if find_group_status(other) == "COMPLETED"}
    return [name for name in group["upstream"] if name not in completed]


def settle(row: Row) -> None:
    """Let what depends on groups that ended go on or fail, and the workflow follow its groups.

    The groups are kept in the order of their last changes, as the database of OSMO gives them.
    """
    while changed := [group for group in row["groups"] if group["status"] != find_group_status(group)]:
        for group in changed:
            group["status"] = find_group_status(group)
        row["groups"] = [*(group for group in row["groups"] if group not in changed), *changed]
        for group in row["groups"]:
            if group["status"] == "WAITING":
                _release(row, group)
    row["status"] = _find_workflow_status(row)
    set_times(row)


def set_times(row: Row) -> None:
    """Let a workflow, or a task, have begun or ended now, if its status says so."""
    if row["status"] == "RUNNING":
        row["start_time"] = row["start_time"] or now()
    elif finished(row):
        row["end_time"] = row["end_time"] or now()


def _release(row: Row, group: Row) -> None:
    """A group that waits goes on when all of those before it completed, and fails with the first that failed."""
    upstream = [other["status"] for other in row["groups"] if other["name"] in group["upstream"]]
    if any(status.startswith("FAILED") for status in upstream):
        values = {"failure_message": "Upstream task failed.", "exit_code": 3000, "end_time": now()}
        for task in group["tasks"]:
            task.update(status="FAILED_UPSTREAM", **values)
    elif not _list_remaining(row, group):
        specs = {task["name"]: task for spec_group in row["spec"]["groups"] for task in spec_group["tasks"]}
        group["tasks"] = [make_task_row(specs[task["name"]], 0) for task in group["tasks"]]


def cancel(state: State, name: str, how: str, message: str | None) -> dict[str, Any]:
    """The answer to a cancel. how: as `OsmoStandIn.cancelling` says. Raises Refusal."""
    if finished(fetch(state, name)):
        raise Refusal("USER", f"Workflow {name} is already finished.")
    if how == "refused":
        raise Refusal("USER", f"User is not allowed to cancel workflow {name}.")
    state.change("cancels", lambda there: [*there, name], [])

    def end(row: Row) -> None:
        row["cancelled_by"] = row["submitted_by"]
        text = f"Task was canceled by user: {row['submitted_by']}." + (f" {message}" if message else "")
        for task in latest(row):
            if not finished(task):
                task.update(status="FAILED_CANCELED", failure_message=text, end_time=now())
        settle(row)

    if how == "at-once":
        change(state, name, end)
    return {"name": name}


STORED = ("name", "submit_time", "start_time", "end_time", "status", "pool", "priority", "labels")
OF_A_QUERY = ("uuid", "submitted_by", "cancelled_by", "exec_timeout", "queue_timeout", "backend")


def describe(row: Mapping[str, Any]) -> dict[str, Any]:
    """A line of a list."""
    base = f"/api/workflow/{row['name']}"
    stored = {name: row[name] for name in STORED}
    waited, ran = _measure(row["submit_time"], row["start_time"] or row["end_time"] or now()), None
    if row["start_time"]:
        ran = _measure(row["start_time"], row["end_time"] or now())
    addresses = {"overview": base, "logs": f"{base}/logs"}
    return {"user": row["submitted_by"], **stored, "queued_time": waited, "duration": ran, **addresses}


def query(row: Mapping[str, Any]) -> dict[str, Any]:
    """Everything about one, with the last attempt of each task."""
    more = {name: row[name] for name in OF_A_QUERY}
    return {**describe(row), **more, "groups": [_describe_group(row, group) for group in row["groups"]], "warnings": []}


def _describe_group(row: Mapping[str, Any], group: Mapping[str, Any]) -> dict[str, Any]:
    last = latest({"groups": [group]})
    return {
        **{"name": group["name"], "status": find_group_status(group)},
        **{"start_time": last[0]["start_time"], "end_time": last[0]["end_time"]},
        "remaining_upstream_groups": _list_remaining(row, group),
        "failure_message": next((task["failure_message"] for task in last if task["failure_message"]), None),
        "tasks": last,
    }


def _measure(start: str, end: str) -> float:
    first, last = map(datetime.datetime.fromisoformat, (start, end))
    return (last - first).total_seconds()
