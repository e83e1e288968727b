"""The OSMO workflow: its content, names, YAML text and size limit."""

import base64
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from robotrain.cluster.checks import TemplateGuard
from robotrain.cluster.spec import drop_empty, dump_yaml
from robotrain.errors import Problem, Suggestion
from robotrain.messages import Messages
from robotrain.model.amounts import format_size
from robotrain.model.plan import Plan
from robotrain.store import code_folder
from robotrain_runtime.contract.failure import EXIT_RETRY
from robotrain_runtime.contract.parameter import parse_pairs

from robotrain_osmo.settings import OsmoSettings
from robotrain_osmo.spec import groups
from robotrain_osmo.spec.submission_spec import WORKFLOW_FILE

make_problem = Messages(__file__)

GUARD = TemplateGuard(
    r"\{\{|\{%|\{#|\$\(|\$\$",
    "OSMO and Kubernetes would read `{}` as the start of a template expression or variable.",
)
make_invalid_value_problem = GUARD.make_invalid_value_problem
RESOURCE_NAME = "default"
RETRY_EXIT_CODES = (EXIT_RETRY, 3001, 3004, 3006)
"""Exit codes after which OSMO restarts the task: transient failures, and OSMO's codes of a cluster failure, an eviction
and a preemption. OSMO restarts preempted tasks only if the code is listed.
"""


def build_resource(settings: OsmoSettings) -> dict[str, Any]:
    """Return the resources of a task: all of them, as OSMO's defaults are 1 core, 1 GiB of memory and 1 GiB of disk."""
    return {
        "gpu": settings.gpus,
        "cpu": settings.cpu,
        "memory": settings.memory,
        "storage": settings.storage,
        "platform": settings.gpu_platform,
    }


def assemble_workflow(
    run: str,
    settings: OsmoSettings,
    resources_by_name: Mapping[str, Mapping[str, Any]],
    tasks: Sequence[Mapping[str, Any]],
    nodes: Sequence[int] = (),
) -> dict[str, Any]:
    """Return the workflow of tasks. `nodes`: those of each task, one if not given."""
    has_groups = any(count > 1 for count in nodes)
    of_nodes = [groups.make_group(*pair) for pair in zip(tasks, nodes, strict=True)] if has_groups else ()
    return {
        "workflow": drop_empty(
            {
                "name": run,
                "labels": parse_pairs(settings.labels or ""),
                "timeout": drop_empty({"exec_timeout": settings.exec_timeout, "queue_timeout": settings.queue_timeout}),
                "resources": resources_by_name,
                "tasks": [] if has_groups else list(tasks),
                "groups": of_nodes,
            }
        )
    }


ARCHIVE_PLACEHOLDER = "\x00archive\x00"
"""Replaced by the archive after the YAML is written: YAML would take most of a second for it."""
_OSMO_VARIABLE = r"\{\{(?:workflow_id|output|input:\d+|host:[A-Za-z0-9_-]+)\}\}"
_QUOTED_PLACEHOLDER = '"\\0archive\\0"'


def dump_workflow(workflow: Mapping[str, Any], archive: bytes = b"") -> str:
    """Return the YAML of a workflow with the archive, in base64 on one line, in place of ARCHIVE_PLACEHOLDER.

    Raise ValueError for template syntax in a value: `check` refuses all such values.
    """
    yaml_text = dump_yaml(workflow, "environment")
    if syntax := GUARD.find_syntax(re.sub(_OSMO_VARIABLE, "", yaml_text)):
        raise ValueError(f"a value of the workflow contains {syntax}")
    yaml_before, _, yaml_after = yaml_text.rpartition(_QUOTED_PLACEHOLDER)
    return f"{yaml_before}'{base64.b64encode(archive).decode()}'{yaml_after}" if archive else yaml_text


_ALIAS, _QUOTED_ALIAS = "\x00files\x00", '"\\0files\\0"'


def dump_with_shared_files(workflow: Mapping[str, Any], archive: bytes = b"") -> str:
    """Return the YAML of a workflow whose tasks have equal files: all but the first refer to those of the first."""
    first_task, *_ = groups.list_tasks(workflow)

    def share(tasks: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        return [task if task is first_task or "files" not in task else {**task, "files": _ALIAS} for task in tasks]

    body = dict(workflow["workflow"])
    if groups.is_group(workflow):
        body["groups"] = [{**group, "tasks": share(group["tasks"])} for group in body["groups"]]
    else:
        body["tasks"] = share(body["tasks"])
    yaml_text = dump_workflow({"workflow": body}, archive)
    return yaml_text.replace("files:\n", "files: &files\n", 1).replace(_QUOTED_ALIAS, "*files")


LARGE_WORKFLOW_BYTES = 400 << 10
MAX_WORKFLOW_BYTES = 1 << 20
"""Limits of the text that is sent: OSMO has half a second to render it. A busy service accepted 512 KiB and refused
1,000; an idle one accepted 1.4 MB. Kubernetes limits a task's file to 1 MiB: decoded, it is three quarters of the text.
"""
MAX_EXPANDED_BYTES = 8_000_000
"""Limit of the text with every alias of YAML in full: 4.2 MB were accepted, as 216 KB sent."""


_UPLOAD = Suggestion("--storage-account NAME", "uploads the archive instead")


def compute_expanded_size(byte_count: int, archive: bytes, tasks: int) -> int:
    """Return the size of a workflow in which each of the tasks has the archive."""
    return byte_count + (tasks - 1) * ((len(archive) + 2) // 3 * 4)  # in base64


def is_accepted_size(byte_count: int, expanded: int) -> bool:
    """Return whether OSMO accepts a workflow of this size."""
    return byte_count <= MAX_WORKFLOW_BYTES and expanded <= MAX_EXPANDED_BYTES


def make_too_large_problem(byte_count: int, code: str = "", expanded: int = 0) -> Problem:
    """Return the problem of a workflow that is too large. `code`: the folder of code in it.

    :param expanded: the size with the archive once for each node.
    """
    title = f"the workflow is too large: {format_size(byte_count)}, and OSMO has no time to read more than 1 MiB"
    if byte_count <= MAX_WORKFLOW_BYTES:
        size = f"{format_size(expanded)} in OSMO, which stores the code once for each node"
        title = f"the workflow is too large: {size}, and at most {format_size(MAX_EXPANDED_BYTES)} of it"
    if not code:
        return make_problem("spec-over-limit.compressed", _UPLOAD, title=title)
    ways = [Suggestion("--delivery dataset --storage-account NAME", "uploads the folder, once for each content")]
    if not code_folder.is_commit(code):  # all files of a commit are sent
        ways.append(Suggestion(".gitignore", "files that it names stay here"))
    return make_problem("spec-over-limit.workflow", *ways, given=code, title=title)


def check_workflow_size(plan: Plan) -> Iterator[Problem]:
    """Check the size of a plan's workflow, which `render` has checked unless the plan is from disk."""
    if (size := len(plan.files[WORKFLOW_FILE])) > MAX_WORKFLOW_BYTES:
        yield make_too_large_problem(size)
