"""Steps of a pipeline, which are tasks of one workflow: their references, and OSMO's answers about one task."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from robotrain.cluster.answers import as_int, as_mappings, as_text
from robotrain.model.reference import STEP_KEY, Reference

TASKS_KEY = "tasks"
"""The key of a reference with the names of the tasks of several nodes, between commas: the lead's first."""
STEPS_KEY = "steps"
"""The key of a reference with the names of all steps, between commas."""


EMPTY: Mapping[str, Sequence[str]] = MappingProxyType({})


def get_publish_key(step: str) -> str:
    """Return the key of a reference with the URL that a step copies its outputs to."""
    return f"publishes:{step}"


def make_reference(published: Mapping[str, str], tasks: Mapping[str, Sequence[str]] = EMPTY) -> dict[str, str]:
    """Return the part of a pipeline's reference about its steps.

    :param published: the URL of each step, or "".
    :param tasks: the names of the tasks of each step of several nodes.
    """
    urls = {get_publish_key(name): url for name, url in published.items() if url}
    nodes = {f"{TASKS_KEY}:{name}": ",".join(node_names) for name, node_names in tasks.items() if node_names}
    return {STEPS_KEY: ",".join(published), **urls, **nodes}


def list_step_names(reference: Reference) -> list[str]:
    """Return the steps of a pipeline in their order; none for a run of one task."""
    return reference.get(STEPS_KEY, "").split(",") if reference.get(STEPS_KEY) else []


def is_step(reference: Reference) -> bool:
    """Return whether a reference, as `select_step` returns it, is that of a step."""
    return "submission" in reference


def get_whole_run(reference: Reference) -> str:
    """Return the recorded run: of a step, that of its pipeline."""
    return reference.get("whole") or reference.get("run", "")


def get_submission(reference: Reference) -> str:
    """Return the id by which the checkpoints of a run or a step are known."""
    return reference.get("submission") or reference.get("workflow", "")


def select_step(reference: Reference) -> Reference:
    """Return the reference of a step as that of a run of one task; any other one as it is."""
    step = reference.get(STEP_KEY, "")
    if not step:
        return reference
    step_fields: Mapping[str, str] = {
        "task": reference.get("task") or step,
        "run": f"{reference['run']}-{step}",
        "whole": reference["run"],
        "submission": f"{reference['workflow']}-{step}",
        "publishes": reference.get(get_publish_key(step), ""),
    }
    if tasks := reference.get(f"{TASKS_KEY}:{step}"):
        step_fields = {**step_fields, TASKS_KEY: tasks}
    keys = ("workflow", "cli", "server")
    return {**{key: reference[key] for key in keys if key in reference}, **step_fields}


def list_group_rows(answer: Mapping[str, Any], task: str) -> list[Mapping[str, Any]]:
    """Return OSMO's rows of the attempts of a task, and of those of its group; none if it has no such task."""
    rows_by_group = ([*as_mappings(group.get("tasks"))] for group in as_mappings(answer.get("groups")))
    return next((rows for rows in rows_by_group if any(row.get("name") == task for row in rows)), [])


def select_task(workflow_answer: Mapping[str, Any], task: str) -> Mapping[str, Any]:
    """Return OSMO's answer about a workflow as if the group of `task` were its only one."""
    task_groups = as_mappings(workflow_answer.get("groups"))
    task_group = next(
        (group for group in task_groups if any(row.get("name") == task for row in as_mappings(group.get("tasks")))), {}
    )
    rows = [row for row in as_mappings(task_group.get("tasks")) if row.get("name") == task]
    newest_attempt: Mapping[str, Any] = max(rows, key=lambda row: as_int(row.get("retry_id")) or 0, default={})
    has_nodes = len({row.get("name") for row in as_mappings(task_group.get("tasks"))}) > 1
    status = as_text((task_group if has_nodes else newest_attempt).get("status"))
    is_final = status == "COMPLETED" or status.startswith("FAILED")
    return {
        **workflow_answer,
        "groups": [task_group],
        "status": status if is_final else "RUNNING" if status == "RUNNING" else "PENDING",
        "start_time": newest_attempt.get("start_time"),
        "end_time": newest_attempt.get("end_time"),
        "queued_time": None,
    }
