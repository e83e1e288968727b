"""The service's answers about stored workflows: about one, and as a list. The real ones have more fields."""

import datetime
from collections.abc import Mapping
from typing import Any

from osmo_stand_in.service import rows

STORED = (
    *("name", "uuid", "submitted_by", "cancelled_by", "submit_time", "start_time", "end_time"),
    *("exec_timeout", "queue_timeout", "status", "pool", "backend", "priority", "labels"),
)
OF_A_TASK = (
    "name",
    "retry_id",
    "status",
    "failure_message",
    "exit_code",
    "start_time",
    "end_time",
    "node_name",
    "lead",
)


def query(row: Mapping[str, Any], verbose: bool) -> dict[str, Any]:
    """Everything about one. verbose: with the earlier attempts of its tasks."""
    base = f"/api/workflow/{row['name']}"
    return {
        **{name: row[name] for name in STORED},
        "spec": f"{base}/spec",
        "logs": f"{base}/logs?last_n_lines=1000",
        "events": f"{base}/events",
        "overview": base,
        "dashboard_url": None,
        "duration": _ran(row),
        "queued_time": _waited(row),
        "groups": [_group(row, group, verbose) for group in row["groups"]],
        "warnings": [],
    }


def entry(row: Mapping[str, Any]) -> dict[str, Any]:
    """A line of a list."""
    base = f"/api/workflow/{row['name']}"
    shown = ("name", "submit_time", "start_time", "end_time", "status", "pool", "priority", "labels")
    return {
        "user": row["submitted_by"],
        **{name: row[name] for name in shown},
        "queued_time": _waited(row),
        "duration": _ran(row),
        "overview": base,
        "logs": f"{base}/logs",
    }


def _group(row: Mapping[str, Any], group: Mapping[str, Any], verbose: bool) -> dict[str, Any]:
    last = rows.latest({"groups": [group]})
    return {
        "name": group["name"],
        "status": rows.group_status(group),
        "start_time": last[0]["start_time"],
        "end_time": last[0]["end_time"],
        "remaining_upstream_groups": rows.remaining(row, group),
        "failure_message": next((task["failure_message"] for task in last if task["failure_message"]), None),
        "tasks": [{name: task[name] for name in OF_A_TASK} for task in (group["tasks"] if verbose else last)],
    }


def _between(start: str, end: str | None) -> float:
    first = datetime.datetime.fromisoformat(start)
    return (datetime.datetime.fromisoformat(end or rows.now()) - first).total_seconds()


def _waited(row: Mapping[str, Any]) -> float:
    return _between(row["submit_time"], row["start_time"] or row["end_time"])


def _ran(row: Mapping[str, Any]) -> float | None:
    return _between(row["start_time"], row["end_time"]) if row["start_time"] else None
