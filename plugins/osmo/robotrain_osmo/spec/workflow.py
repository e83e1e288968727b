"""The workflow, as OSMO's specification has it: its names, its YAML text and its size limit.

Only ASCII, and every text of the environment in quotes: a `true` or a date in it stays a text wherever it is read
again.
"""

import functools
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from robotrain.model.job import Job
from robotrain_runtime.contract.failure import EXIT_RETRY

from robotrain_osmo.settings import OsmoSettings
from robotrain_osmo.spec import environment as spec_environment
from robotrain_osmo.spec import resources
from robotrain_osmo.spec.resources import count_gpus, list_mounts
from robotrain_osmo.spec.submission_spec import WORKFLOW_FILE

if TYPE_CHECKING:
    from robotrain.errors import Problem, Suggestion
    from robotrain.model.plan import Plan

MAX_TASK_NAME_LENGTH = 58
"""OSMO puts a task into a group of its own, `<task>-group`, and takes 64 characters."""
MAX_RUN_NAME_LENGTH = 64
POOL_NAME_PATTERN = r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?"
"""Names of pools and of their platforms."""


_TEMPLATE_SYNTAX = r"\{\{|\{%|\{#|\$\(|\$\$"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?"
_DNS_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_LABEL_KEY = rf"(?:(?=[^/]{{1,253}}/){_DNS_LABEL}(?:\.{_DNS_LABEL})*/)?{_LABEL}"


def find_template_syntax(text: str) -> str:
    """The first characters of `text` that a template of OSMO or a variable of Kubernetes begins with; "" for none."""
    found = re.search(_TEMPLATE_SYNTAX, text)
    return found[0] if found else ""


def is_label_key(text: str) -> bool:
    """Whether Kubernetes takes it as a label's name, with or without a prefix."""
    return bool(re.fullmatch(_LABEL_KEY, text))


def is_label_value(text: str) -> bool:
    """Whether OSMO takes it as a label's value: as Kubernetes does, but never empty."""
    return bool(re.fullmatch(_LABEL, text))


RESOURCE_NAME = "default"
RETRY_EXIT_CODES = (EXIT_RETRY, 3001, 3004, 3006)
"""After which the task is started anew: what may pass by itself, and of OSMO's own codes a cluster that failed, an
eviction and a preemption. OSMO documents that it does so after a preemption; it does where the code is named.
"""


def build_workflow(
    job: Job,
    settings: OsmoSettings,
    run: str,
    *,
    command: Sequence[str],
    environment: Mapping[str, str],
    inputs: Sequence[Mapping[str, Any]],
    checkpoint: Mapping[str, str] | None,
    files: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    """The specification; what is empty is left out. files come last: they are what no person reads."""
    wanted = resources.resolve_resources(job.profile, settings)
    task = {
        "name": job.workload,
        "image": wanted.image,
        "command": list(command),
        "inputs": [dict(entry) for entry in inputs],
        "environment": dict(environment),
        "credentials": spec_environment.make_credential_references(spec_environment.collect_credentials(job, settings)),
        "volumeMounts": list(list_mounts(settings)),
        "exitActions": {"RESCHEDULE": ",".join(map(str, RETRY_EXIT_CODES))},
        "checkpoint": [dict(checkpoint)] if checkpoint else [],
        "files": [dict(file) for file in files],
    }
    return {
        "workflow": _drop_empty(
            {
                "name": run,
                "labels": parse_labels(settings),
                "timeout": _drop_empty({"exec_timeout": wanted.exec_timeout, "queue_timeout": settings.queue_timeout}),
                "resources": {RESOURCE_NAME: _build_resources(job, settings)},
                "tasks": [_drop_empty(task)],
            }
        )
    }


def parse_labels(settings: OsmoSettings) -> dict[str, str]:
    """Those of the workflow."""
    from robotrain.config.coerce import parse_pairs

    return parse_pairs(settings.labels or "")


def _build_resources(job: Job, settings: OsmoSettings) -> dict[str, Any]:
    """All four: what is left out is 1 core and 1 GiB of memory and of disk, by OSMO's own defaults."""
    wanted = resources.resolve_resources(job.profile, settings)
    return {
        "gpu": count_gpus(job, settings),
        "cpu": wanted.cpu,
        "memory": wanted.memory,
        "storage": wanted.storage,
        "platform": settings.gpu_platform,
    }


def _drop_empty(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value}


ARCHIVE_PLACEHOLDER = "\x00archive\x00"
"""Stands for the archive until the text is made: to look at each of its letters would take YAML most of a second."""
_OSMO_VARIABLE = r"\{\{(?:workflow_id|input:\d+)\}\}"
_QUOTED_PLACEHOLDER = '"\\0archive\\0"'


class WorkflowTemplateError(ValueError):
    """A workflow that would come out of OSMO's templates as another one. `check` refuses every value that does this."""


def dump_workflow(workflow: Mapping[str, Any], archive: str = "") -> str:
    """The text of a workflow. archive: what takes the place of ARCHIVE, as base64. Raises TemplateError."""
    import yaml

    text = yaml.dump(
        _mark_styles(workflow),
        Dumper=_make_dumper(),
        sort_keys=False,
        default_flow_style=False,
        allow_unicode=False,
        width=float("inf"),
    )
    if read := find_template_syntax(re.sub(_OSMO_VARIABLE, "", text)):
        raise WorkflowTemplateError(f"a value of the workflow holds {read}")
    before, _, after = text.rpartition(_QUOTED_PLACEHOLDER)
    return f"{before}'{archive}'{after}" if archive else text


class _Quoted(str):
    pass


class _Block(str):
    pass


def _mark_styles(value: Any, quoted: bool = False) -> Any:
    """The same, each text marked with how it is written."""
    if isinstance(value, Mapping):
        return {key: _mark_styles(part, quoted or key == "environment") for key, part in value.items()}
    if isinstance(value, list):
        return [_mark_styles(part, quoted) for part in value]
    if isinstance(value, str):
        return _Block(value) if "\n" in value else _Quoted(value) if quoted else value
    return value


@functools.cache
def _make_dumper() -> Any:
    import yaml

    class Dumper(yaml.SafeDumper):
        """Without anchors: OSMO's own readers, and people, see each value where it counts."""

        def ignore_aliases(self, data: Any) -> bool:
            return True

        def increase_indent(self, flow: bool = False, indentless: bool = False) -> Any:
            return super().increase_indent(flow, False)

    def scalar(style: str) -> Any:
        return lambda dumper, data: dumper.represent_scalar("tag:yaml.org,2002:str", str(data), style=style)

    Dumper.add_representer(_Quoted, scalar("'"))
    Dumper.add_representer(_Block, scalar("|"))
    return Dumper


LARGE_WORKFLOW_BYTES = 400 << 10
MAX_WORKFLOW_BYTES = 1 << 20
"""Bytes. A service was seen to take 1.4 MB when it had nothing else to do, and to give up on 2.8 MB; Kubernetes takes
1 MiB in a file of a task, and three quarters of this are that file. A busy one needs several times as long: LARGE
leaves it that. Ordinary jobs stay below; the archive of a larger one is uploaded where there is a place for it.
"""


def make_too_large_problem(byte_count: int) -> "Problem":
    """Why a workflow of so many bytes is none."""
    from robotrain.errors import Problem, Stage
    from robotrain.model.amounts import format_size

    return Problem(
        code="osmo-workflow-too-large",
        stage=Stage.CHECK,
        title=f"the workflow has {format_size(byte_count)}, and OSMO takes about 1 MB",
        why="The runtime and the modules of the job travel in it.",
        suggestions=_suggest_upload(),
    )


def _suggest_upload() -> "tuple[Suggestion, ...]":
    from robotrain.errors import Suggestion

    return (Suggestion("--storage-account NAME", "then the archive in it is uploaded there, and read from there"),)


def check_workflow_size(plan: "Plan") -> "Iterator[Problem]":
    """What is to be said of the size of a plan's workflow."""
    from robotrain.errors import Problem, Stage
    from robotrain.model.amounts import format_size

    found = len(plan.files[WORKFLOW_FILE])
    if found > MAX_WORKFLOW_BYTES:  # of a plan that was kept
        yield make_too_large_problem(found)
    elif found > LARGE_WORKFLOW_BYTES:
        yield Problem(
            code="osmo-workflow-large",
            stage=Stage.PREFLIGHT,
            title=f"the workflow has {format_size(found)}: OSMO may refuse it when it is busy",
            why="It gives the reading of a workflow half a second. What it refused for that may be sent again.",
            suggestions=_suggest_upload(),
            severity="warning",
        )
