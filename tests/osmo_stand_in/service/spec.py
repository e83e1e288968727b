"""What a workflow may say, as today's OSMO reads it. The models have OSMO's own names: its messages repeat them."""

import datetime
import re
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator, model_validator

from osmo_stand_in import refusal
from osmo_stand_in.service import rules

EXACT = ConfigDict(extra="forbid")
COERCING = ConfigDict(extra="forbid", coerce_numbers_to_str=True)
OUTPUTS = "/osmo/data/output/"
EXIT_CODES = re.compile(r"^(\d+(-\d+)?)+(,\d+(-\d+)?)*$")
EXIT_ACTIONS = ("COMPLETE", "FAIL", "RESCHEDULE")
STORAGE = "|".join(f"({one.pattern})" for one in rules.PLACES.values())

Name = Annotated[str, Field(pattern=f"^{rules.NAME}$")]


class Filtered(BaseModel):
    """What takes some files of all."""

    model_config = EXACT
    regex: str = ""

    @field_validator("regex")
    @classmethod
    def compiles(cls, given: str) -> str:
        try:
            re.compile(given)
        except re.error as error:
            raise ValueError(f"Invalid regex: {given}") from error
        return given


class TaskInputOutput(Filtered):
    task: Annotated[str, Field(pattern=f"^{rules.TASK_NAME}$")]


class URLInputOutput(Filtered):
    url: str


class CheckpointSpec(Filtered):
    path: str
    url: Annotated[str, Field(pattern=STORAGE)]
    frequency: datetime.timedelta

    @field_validator("frequency", mode="before")
    @classmethod
    def is_duration(cls, given: object) -> datetime.timedelta:
        if isinstance(given, bool):
            raise ValueError("Checkpoint frequency must be a duration, not a boolean")
        return rules.duration(given)


class File(BaseModel):
    model_config = COERCING
    base64: bool = False
    path: str
    contents: str

    @field_validator("path")
    @classmethod
    def is_allowed(cls, path: str) -> str:
        parts = [part for part in path.split("/") if part]
        if not path.startswith(OUTPUTS) and (not parts or parts[0] == "osmo"):
            raise ValueError(f'Empty path or adding file to "/osmo" is forbidden for file: {path}')
        return path


class ResourceSpec(BaseModel):
    model_config = COERCING
    cpu: int | None = None
    storage: str | None = None
    memory: str | None = None
    gpu: int | None = None
    platform: str | None = None
    nodesExcluded: list[str] = []

    @field_validator("storage", "memory")
    @classmethod
    def is_size(cls, given: str | None, info: ValidationInfo) -> str | None:
        if given is not None:
            rules.size(given, str(info.field_name))
        return given


def _scalar(value: object) -> bool:
    return isinstance(value, (str, int, float, bool))


class TaskSpec(BaseModel):
    model_config = COERCING
    name: Name
    image: str
    command: list[str]
    inputs: list[TaskInputOutput | URLInputOutput] = []
    outputs: list[URLInputOutput] = []
    args: list[str] = []
    lead: bool = False
    environment: dict[str, str] = {}
    files: list[File] = []
    privileged: bool = False
    hostNetwork: bool = False
    volumeMounts: list[str] = []
    credentials: dict[str, str | dict[str, str]] = {}
    downloadType: str | None = None
    cacheSize: str | None = None
    exitActions: dict[str, str] = {}
    checkpoint: list[CheckpointSpec] = []
    resources: ResourceSpec = ResourceSpec()
    backend: str = ""
    resource: str = "default"

    @field_validator("environment", "exitActions", mode="before")
    @classmethod
    def is_text(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        return {str(name): str(value) if _scalar(value) else value for name, value in given.items()}

    @field_validator("credentials", mode="before")
    @classmethod
    def is_credentials(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            raise ValueError(f"credentials must be a str or dict, got {type(given).__name__}")
        return {str(name): _credential(name, value) for name, value in given.items()}

    @field_validator("name")
    @classmethod
    def is_free(cls, name: str) -> str:
        if rules.kubernetes_name(name) == "osmo-ctrl":
            raise ValueError(f'Container {name} cannot be named "osmo-ctrl". This is a restricted name.')
        return name

    @field_validator("command")
    @classmethod
    def says_something(cls, command: list[str], info: ValidationInfo) -> list[str]:
        if not command:
            raise ValueError(f"Container {info.data.get('name', '')} should have at least one command.")
        return command

    @field_validator("files")
    @classmethod
    def are_apart(cls, files: list[File], info: ValidationInfo) -> list[File]:
        paths = [file.path for file in files]
        for index, path in enumerate(paths):
            if path in paths[:index]:
                raise ValueError(
                    f'Task "{info.data.get("name", "")}" has multiple files at the same path "{path}". '
                    "Each file path must be unique."
                )
        return files

    @field_validator("exitActions")
    @classmethod
    def are_actions(cls, actions: dict[str, str], info: ValidationInfo) -> dict[str, str]:
        task = info.data.get("name", "")
        for action, codes in actions.items():
            if action.upper() not in EXIT_ACTIONS:
                raise ValueError(f"Invalid exit action {action} for task {task}.")
            if not EXIT_CODES.fullmatch(codes):
                raise ValueError(f"Invalid exit codes {codes} for action {action} for task {task}.")
        return actions


def _credential(name: object, value: Any) -> Any:
    if isinstance(value, dict):
        for key, one in value.items():
            if not _scalar(one):
                text = f"credential key mapping value for {name}.{key} must be a scalar, got {type(one).__name__}"
                raise ValueError(text)
        return {str(key): str(one) for key, one in value.items()}
    if _scalar(value):
        return str(value)
    raise ValueError(f"credential value for {name} must be a str or dict, got {type(value).__name__}")


class TaskGroupSpec(BaseModel):
    model_config = EXACT
    name: Name
    barrier: bool = True
    ignoreNonleadStatus: bool = True
    tasks: list[TaskSpec]

    @field_validator("tasks")
    @classmethod
    def is_led(cls, tasks: list[TaskSpec], info: ValidationInfo) -> list[TaskSpec]:
        group = info.data.get("name", "<unknown>")
        if not tasks:
            raise ValueError(f'Group "{group}" needs to have at least one task.')
        if len(tasks) == 1:
            tasks[0].lead = True
        leaders = sum(task.lead for task in tasks)
        if leaders != 1:
            raise ValueError(f'Group "{group}" has {leaders} leader(s) but must have exactly one.')
        return tasks


class TimeoutSpec(BaseModel):
    model_config = EXACT
    exec_timeout: datetime.timedelta | None = None
    queue_timeout: datetime.timedelta | None = None

    @field_validator("exec_timeout", "queue_timeout", mode="before")
    @classmethod
    def is_duration(cls, given: object) -> datetime.timedelta | None:
        return None if given is None else rules.duration(given)


class AnyWorkflow(BaseModel):
    """What every version has."""

    GROUP: ClassVar[type[TaskGroupSpec]] = TaskGroupSpec
    model_config = EXACT
    name: Name
    pool: str = ""
    groups: list[TaskGroupSpec] = []
    tasks: list[TaskSpec] = []
    resources: dict[str, ResourceSpec] = {"default": ResourceSpec()}
    timeout: TimeoutSpec = TimeoutSpec()
    backend: str = ""

    @model_validator(mode="before")
    @classmethod
    def has_tasks(cls, values: Any) -> Any:
        groups, tasks = values.get("groups") or [], values.get("tasks") or []
        if groups and tasks:
            raise ValueError("Cannot use both groups and tasks in the same workflow.")
        if not groups and not tasks:
            raise ValueError("Workflows need to have at least one group or one task.")
        _all_differ([*tasks, *groups, *(task for group in groups for task in _of(group, "tasks") or [])])
        return values


class WorkflowSpec(AnyWorkflow):
    labels: dict[str, str] = {}

    @field_validator("labels")
    @classmethod
    def are_labels(cls, given: dict[str, str]) -> dict[str, str]:
        return rules.labels(given)


def _all_differ(named: list[Any]) -> None:
    seen: set[str] = set()
    for one in named:
        if not isinstance(name := _of(one, "name"), str):
            continue
        name = rules.kubernetes_name(name)
        if name in seen:
            raise ValueError(
                f'Multiple tasks/groups have the same name: "{name}". Note that names are not case sensitive and '
                'we consider "-" and "_" the same. For example, "Group_1" and "group-1" are considered the same name.'
            )
        seen.add(name)


def _of(one: Any, name: str) -> Any:
    return one.get(name) if isinstance(one, dict) else getattr(one, name, None)


class VersionedWorkflowSpec(BaseModel):
    model_config = EXACT
    version: int = 2
    workflow: WorkflowSpec

    @field_validator("version", mode="before")
    @classmethod
    def is_two(cls, given: object) -> int:
        if isinstance(given, bool) or str(given) not in ("2", "2.0"):
            raise ValueError(f"Unsupported workflow version: {given}.")
        return 2


def read(document: dict[str, Any], service: tuple[int, int, int]) -> AnyWorkflow:
    """A workflow, as that version of the service reads it. Raises Refusal, which names every wrong place."""
    kind: type[BaseModel] = VersionedWorkflowSpec
    if service < (6, 4, 0):
        from osmo_stand_in.service import spec_before_6_4

        kind = spec_before_6_4.Versioned
    section = document.get("workflow", {})
    name = section.get("name", "") if isinstance(section, dict) else ""
    try:
        workflow: AnyWorkflow = kind(**document).workflow  # type: ignore[attr-defined]
    except ValidationError as error:
        raise refusal.usage(str(error), str(name)) from error
    return workflow
