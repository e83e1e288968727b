"""Groups of tasks: a job of several nodes is one task on each node, and that of the first node leads.

OSMO starts the tasks of a group together. If one fails, the group fails; if one is rescheduled, OSMO restarts the
others too.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from robotrain_osmo.spec import environment, node_names

LEAD_ONLY = ("outputs", "checkpoint")
"""What only the lead leaves: the others would write to the same places."""


def make_group(task: Mapping[str, Any], nodes: int) -> dict[str, Any]:
    """Return the group of a task on so many nodes. It is named as OSMO names that of a task without one."""
    name = f"{task['name']}-group"
    if nodes == 1:
        return {"name": name, "tasks": [dict(task)]}
    return {"name": name, "ignoreNonleadStatus": False, "tasks": [_make_node(task, rank) for rank in range(nodes)]}


def _make_node(task: Mapping[str, Any], rank: int) -> dict[str, Any]:
    node_variables = {
        environment.NODE_RANK_VARIABLE: str(rank),
        environment.NODE_ADDRESS_VARIABLE: f"{{{{host:{task['name']}}}}}",
    }
    fields = {name: value for name, value in task.items() if not (rank and name in LEAD_ONLY)}
    name_fields = {"name": node_names.make_node_name(task["name"], rank), **({} if rank else {"lead": True})}
    return {**name_fields, **{name: value for name, value in fields.items() if name != "name"}} | {
        "environment": {**task["environment"], **node_variables}
    }


def is_group(workflow: Mapping[str, Any]) -> bool:
    """Return whether a workflow has groups, not tasks alone."""
    return "groups" in workflow["workflow"]


def list_tasks(workflow: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """Return the tasks of a workflow."""
    body = workflow["workflow"]
    return body.get("tasks") or [task for group in body["groups"] for task in group["tasks"]]
