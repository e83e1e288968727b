"""What a workflow may say, as OSMO reads it. The models have OSMO's own names: its messages repeat them.

A validation's context is the version of the service: until 6.3 there were datasets, and no labels.
"""

import datetime
import re
from functools import partial
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from osmo_stand_in.service.refusal import Refusal

NAME = r"[a-zA-Z]([a-zA-Z0-9_-]*[a-zA-Z0-9])?"
PART = r"[^/,;*]+"
PLACES = {
    "swift": re.compile(rf"^swift://{PART}(/{PART}){{2,}}/*$"),
    "s3": re.compile(rf"^s3://{PART}(/{PART})*/*$"),
    "gs": re.compile(rf"^gs://{PART}(/{PART})*/*$"),
    "tos": re.compile(rf"^tos://{PART}(/{PART})+/*$"),
    "azure": re.compile(rf"^azure://{PART}(/{PART})+/*$"),
}
SIZE = re.compile(r"(\d+(?:\.\d+)?)([a-zA-Z]*)")
POWERS = {"T": 40, "G": 30, "M": 20, "K": 10}
UNITS = {f"{unit}{more}": power for unit, power in POWERS.items() for more in ("", "i", "iB")} | {"B": 0, "m": -10}
ISO = re.compile(r"^P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?)?$")
STEPS = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001, "us": 0.000001}
EXIT_CODES = re.compile(r"^(\d+(-\d+)?)+(,\d+(-\d+)?)*$")
MOST_LABELS = 16
LABEL = re.compile(r"^[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$")
DNS_PART = r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?"
PREFIX = re.compile(rf"^(?=.{{1,253}}$){DNS_PART}(?:\.{DNS_PART})*$")
DATASET = r"^([a-zA-Z0-9_{}-]+/)?[a-zA-Z0-9_{}-]+(:[a-zA-Z0-9_{}-]*)?$"
LAST_WITH_DATASETS = (6, 3)


def parse_size(value: str, field: str) -> float:
    """The bytes of `48Gi`. Raises Refusal."""
    match = SIZE.fullmatch(value)
    if not match:
        raise Refusal("RESOURCE", f"Resource {field} field has invalid value {value}")
    if match[2] not in {"", *UNITS}:
        raise Refusal("RESOURCE", f"Resource {field} field has invalid unit: {match[2]}")
    return float(match[1]) * 2.0 ** UNITS.get(match[2], 0)


def parse_duration(value: object) -> datetime.timedelta:
    """A time, as `12h`, `PT12H` or seconds. Raises ValueError."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return datetime.timedelta(seconds=value)
    text = str(value)
    if (match := ISO.match(text)) and any(match.groups()):
        days, hours, minutes, seconds = (float(part or 0) for part in match.groups())
        return datetime.timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
    if match := re.fullmatch(rf"([+-]?\d+)({'|'.join(STEPS)})", text):
        return datetime.timedelta(seconds=int(match[1]) * STEPS[match[2]])
    raise ValueError(
        f"Cannot recognize duration: {value}. Only support ISO 8601 (e.g. PT10S) or xd, xh, xm, xs, xms, xus"
    )


def compare_name(name: str) -> str:
    """A name as Kubernetes takes it: two names that become one are the same."""
    return name.lower().replace("_", "-")


def _to_text(value: object) -> object:
    return str(value) if isinstance(value, (str, int, float, bool)) else value


def _check_path(path: str) -> str:
    parts = [part for part in path.split("/") if part]
    if not path.startswith("/osmo/data/output/") and (not parts or parts[0] == "osmo"):
        raise ValueError(f'Empty path or adding file to "/osmo" is forbidden for file: {path}')
    return path


def _check_memory(value: str) -> str:
    parse_size(value, "memory")
    return value


def _check_storage(value: str) -> str:
    parse_size(value, "storage")
    return value


def _check_task_name(name: str) -> str:
    if compare_name(name) == "osmo-ctrl":
        raise ValueError(f'Container {name} cannot be named "osmo-ctrl". This is a restricted name.')
    return name


def _check_actions(actions: dict[str, str]) -> dict[str, str]:
    for action, codes in actions.items():
        if action.upper() not in ("COMPLETE", "FAIL", "RESCHEDULE"):
            raise ValueError(f"Invalid exit action {action}.")
        if not EXIT_CODES.fullmatch(codes):
            raise ValueError(f"Invalid exit codes {codes} for action {action}.")
    return actions


def _check_labels(labels: dict[str, str], info: ValidationInfo) -> dict[str, str]:
    _check_version(labels, info, is_old=False)
    if len(labels) > MOST_LABELS:
        raise ValueError(f"Workflows can have at most {MOST_LABELS} labels.")
    for key, value in labels.items():
        prefix, separator, name = key.rpartition("/")
        if separator and not PREFIX.fullmatch(prefix):
            raise ValueError(f'Workflow label key "{key}" has an invalid DNS prefix.')
        if not LABEL.fullmatch(name):
            raise ValueError(f'Workflow label key "{key}" has an invalid name segment.')
        if not LABEL.fullmatch(value):
            raise ValueError(f'Workflow label value "{value}" is not a valid non-empty Kubernetes label value.')
    return labels


def _check_version(version: Any, info: ValidationInfo, is_old: bool) -> Any:
    if (info.context[:2] <= LAST_WITH_DATASETS) is not is_old:
        raise PydanticCustomError("extra_forbidden", "Extra inputs are not permitted")
    return version


Name = Annotated[str, Field(pattern=f"^{NAME}$")]
Text = Annotated[str, BeforeValidator(_to_text)]
Duration = Annotated[datetime.timedelta, BeforeValidator(parse_duration)]
Storage = "|".join(f"({place.pattern})" for place in PLACES.values())


class Exact(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Coercing(BaseModel):
    model_config = ConfigDict(extra="forbid", coerce_numbers_to_str=True)


class Filtered(Exact):
    """What takes some files of all."""

    regex: re.Pattern[str] | None = None


class TaskInputOutput(Filtered):
    task: Annotated[str, Field(pattern=f"^{NAME}(:{NAME})?$")]


class URLInputOutput(Filtered):
    url: str


class Dataset(Filtered):
    name: Annotated[str, Field(pattern=DATASET)]


class DatasetInputOutput(Exact):
    dataset: Annotated[Dataset, BeforeValidator(partial(_check_version, is_old=True))]


class CheckpointSpec(Filtered):
    path: str
    url: Annotated[str, Field(pattern=Storage)]
    frequency: Duration


class File(Coercing):
    base64: bool = False
    path: Annotated[str, AfterValidator(_check_path)]
    contents: str


class ResourceSpec(Coercing):
    cpu: int | None = None
    storage: Annotated[str, AfterValidator(_check_storage)] | None = None
    memory: Annotated[str, AfterValidator(_check_memory)] | None = None
    gpu: int | None = None
    platform: str | None = None


class TaskSpec(Coercing):
    name: Annotated[Name, AfterValidator(_check_task_name)]
    image: str
    command: Annotated[list[str], Field(min_length=1)]
    inputs: list[TaskInputOutput | DatasetInputOutput | URLInputOutput] = []
    outputs: list[DatasetInputOutput | URLInputOutput] = []
    args: list[str] = []
    lead: bool = False
    environment: dict[str, Text] = {}
    files: list[File] = []
    volumeMounts: list[str] = []
    credentials: dict[str, Text | dict[str, Text]] = {}
    exitActions: Annotated[dict[str, Text], AfterValidator(_check_actions)] = {}
    checkpoint: list[CheckpointSpec] = []
    resource: str = "default"

    @field_validator("files")
    @classmethod
    def are_apart(cls, files: list[File]) -> list[File]:
        paths = [file.path for file in files]
        if twice := [path for path in paths if paths.count(path) > 1]:
            raise ValueError(f'Multiple files at the same path "{twice[0]}". Each file path must be unique.')
        return files


class TaskGroupSpec(Exact):
    name: Name
    ignoreNonleadStatus: bool = True
    tasks: Annotated[list[TaskSpec], Field(min_length=1)]

    @field_validator("tasks")
    @classmethod
    def is_led(cls, tasks: list[TaskSpec]) -> list[TaskSpec]:
        tasks[0].lead = tasks[0].lead or len(tasks) == 1
        leaders = sum(task.lead for task in tasks)
        if leaders != 1:
            raise ValueError(f"Group has {leaders} leader(s) but must have exactly one.")
        return tasks


class TimeoutSpec(Exact):
    exec_timeout: Duration | None = None
    queue_timeout: Duration | None = None


class WorkflowSpec(Exact):
    name: Name
    groups: list[TaskGroupSpec] = []
    tasks: list[TaskSpec] = []
    resources: dict[str, ResourceSpec] = {"default": ResourceSpec()}
    timeout: TimeoutSpec = TimeoutSpec()
    labels: Annotated[dict[str, str], AfterValidator(_check_labels)] = {}

    @model_validator(mode="after")
    def has_tasks(self) -> "WorkflowSpec":
        if self.groups and self.tasks:
            raise ValueError("Cannot use both groups and tasks in the same workflow.")
        if not self.groups and not self.tasks:
            raise ValueError("Workflows need to have at least one group or one task.")
        self.groups += [TaskGroupSpec.model_construct(name=f"{task.name}-group", tasks=[task]) for task in self.tasks]
        for task in self.tasks:
            task.lead = True
        self.tasks = []
        seen: set[str] = set()
        for part in (*self.groups, *(task for group in self.groups for task in group.tasks)):
            if (name := compare_name(part.name)) in seen:
                raise ValueError(
                    f'Multiple tasks/groups have the same name: "{name}". Note that names are not case sensitive and '
                    'we consider "-" and "_" the same. For example, "Group_1" and "group-1" are considered the same '
                    "name."
                )
            seen.add(name)
        return self


class VersionedWorkflowSpec(Exact):
    workflow: WorkflowSpec


def read_workflow(document: Any, service: tuple[int, ...]) -> WorkflowSpec:
    """A workflow, a group around each task, as that version reads it. Raises Refusal, which names every wrong place."""
    try:
        return VersionedWorkflowSpec.model_validate(document, context=service).workflow
    except ValidationError as error:
        raise Refusal("USAGE", str(error), _find_name(document)) from error


def _find_name(document: Any) -> str:
    workflow = document.get("workflow") if isinstance(document, dict) else None
    return str(workflow.get("name", "")) if isinstance(workflow, dict) else ""
