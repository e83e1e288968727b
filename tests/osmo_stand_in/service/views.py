"""The service's answers about stored workflows: about one, and as a list."""

import datetime
from collections.abc import Mapping
from typing import Any

from osmo_stand_in.service import rows

TIMES = ("processing_start_time", "scheduling_start_time", "initializing_start_time")


def query(row: Mapping[str, Any], verbose: bool) -> dict[str, Any]:
    """Everything about one. verbose: with the earlier attempts of its tasks."""
    base = f"/api/workflow/{row['name']}"
    given = ("name", "uuid", "submitted_by", "cancelled_by", "parent_name", "submit_time", "start_time", "end_time")
    then = ("exec_timeout", "queue_timeout", "status", "pool", "backend", "priority", "labels")
    queued, ran = _waited(row), _ran(row)
    return {
        **{name: row[name] for name in given},
        "spec": f"{base}/spec",
        "template_spec": f"{base}/spec?use_template=true",
        "logs": f"{base}/logs?last_n_lines=1000",
        "events": f"{base}/events",
        "overview": base,
        "parent_job_id": None,
        "dashboard_url": None,
        "grafana_url": None,
        "tags": [],
        "duration": ran,
        "queued_time": queued,
        "outputs": "",
        **{name: row[name] for name in then},
        "groups": [_group(row, group, verbose) for group in row["groups"]],
        "app_owner": None,
        "app_name": None,
        "app_version": None,
        "plugins": {"rsync": False},
        "warnings": [],
    }


def entry(row: Mapping[str, Any]) -> dict[str, Any]:
    """A line of a list."""
    base = f"/api/workflow/{row['name']}"
    return {
        "user": row["submitted_by"],
        "name": row["name"],
        "workflow_uuid": row["uuid"],
        **{name: row[name] for name in ("submit_time", "start_time", "end_time")},
        "queued_time": _waited(row),
        "duration": _ran(row),
        "status": row["status"],
        "overview": base,
        "logs": f"{base}/logs",
        "error_logs": None,
        "grafana_url": None,
        "dashboard_url": None,
        "pool": row["pool"],
        "app_owner": None,
        "app_name": None,
        "app_version": None,
        "priority": row["priority"],
        "labels": row["labels"],
    }


def _group(row: Mapping[str, Any], group: Mapping[str, Any], verbose: bool) -> dict[str, Any]:
    last = rows.latest({"groups": [group]})
    tasks = group["tasks"] if verbose else last
    lead = last[0]
    return {
        "name": group["name"],
        "status": rows.group_status(group),
        "start_time": lead["start_time"],
        "end_time": lead["end_time"],
        **{name: lead[name] for name in TIMES},
        "remaining_upstream_groups": rows.remaining(row, group),
        "downstream_groups": [one["name"] for one in row["groups"] if group["name"] in one["upstream"]],
        "failure_message": next((task["failure_message"] for task in last if task["failure_message"]), None),
        "tasks": [_task(row, task) for task in tasks],
    }


def _task(row: Mapping[str, Any], task: Mapping[str, Any]) -> dict[str, Any]:
    base, of = f"/api/workflow/{row['name']}", f"task_name={task['name']}&retry_id={task['retry_id']}"
    failed = task["status"] == "RESCHEDULED" or task["status"] in ("FAILED", "FAILED_PREEMPTED", "FAILED_BACKEND_ERROR")
    return {
        **{name: task[name] for name in ("name", "retry_id", "status", "failure_message", "exit_code")},
        "logs": f"{base}/logs?last_n_lines=1000&{of}",
        "error_logs": f"{base}/error_logs?{of}" if failed else None,
        **{name: task[name] for name in (*TIMES, "start_time", "end_time")},
        "events": f"{base}/events?{of}",
        "input_download_start_time": None,
        "input_download_end_time": None,
        "output_upload_start_time": None,
        "dashboard_url": None,
        "pod_name": f"{row['uuid'][:16]}-{task['task_uuid'][:16]}",
        "pod_ip": None,
        "task_uuid": task["task_uuid"],
        "node_name": task["node_name"],
        "lead": task["lead"],
    }


def _between(start: str, end: str | None) -> float:
    first = datetime.datetime.fromisoformat(start)
    return (datetime.datetime.fromisoformat(end or rows.now()) - first).total_seconds()


def _waited(row: Mapping[str, Any]) -> float:
    return _between(row["submit_time"], row["start_time"] or row["end_time"])


def _ran(row: Mapping[str, Any]) -> float | None:
    return _between(row["start_time"], row["end_time"]) if row["start_time"] else None
