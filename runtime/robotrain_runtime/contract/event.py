"""Events: structured lines among ordinary log lines.

A line is `::robotrain:: {"event": "metrics", "time": 1763622000.5, …}`. Numbers that JSON cannot express are the
strings "nan", "inf" and "-inf", so that every line is strict JSON.
"""

import dataclasses
import functools
import json
import math
import os
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import IO, Any, Literal, NamedTuple, get_args

from robotrain_runtime.contract.document import Scalar
from robotrain_runtime.contract.json_values import MAX_SECONDS, convert_json

PREFIX = "::robotrain:: "
PIPELINE_STEP = "pipeline_step"
LAST_STEP = 2**53
"""The largest count; floats cannot express all larger ones."""


@dataclass(frozen=True, kw_only=True)
class StageEvent:
    """The start or end of a stage of the run."""

    name: Literal["preflight", "environment", "data", "merge", "work", "publish"]
    state: Literal["started", "done", "failed", "stopped"]
    seconds: float | None = None
    """The stage's duration, once it has ended."""
    detail: str = ""


@dataclass(frozen=True, kw_only=True)
class Track:
    """Facts about the run for tracking; a later event adds to an earlier one."""

    experiment: str = ""
    run_name: str = ""
    params: Mapping[str, Scalar] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Tracking:
    """The tracking run that was started or resumed."""

    uri: str
    experiment_id: str
    run_id: str
    ui: str = ""
    """The command or URL that shows it."""


Unit = Literal["step", "epoch", "episode", "value"]
UNITS = get_args(Unit)


@dataclass(frozen=True, kw_only=True)
class Metrics:
    """Metrics at a step, by their tracking names (`train/loss`); without values, only the progress of the work."""

    values: Mapping[str, float]
    step: int | None = None
    """None for system metrics."""
    total: int | None = None
    unit: Unit = "step"
    """What `step` and `total` count: `value` numbers the values of a program that tells no step.

    Without values such an event withdraws the steps that were told before: they were none.
    """


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A checkpoint that was completed."""

    step: int
    path: str
    model: str = ""
    """The path of the model inside the checkpoint; empty if it is all model."""


@dataclass(frozen=True, kw_only=True)
class Published:
    """A checkpoint that was copied completely."""

    step: int
    to: str
    """The address of the copy."""
    seconds: float | None = None
    file: str = ""
    """The address of its file alone, if that has one too."""


@dataclass(frozen=True, kw_only=True)
class Withdrawn:
    """A published checkpoint that was removed in favor of newer ones."""

    to: str
    """The address that it had."""


@dataclass(frozen=True, kw_only=True)
class Discarded:
    """A checkpoint that the work does not need any more: its folder is removed once it is published."""

    step: int
    path: str


@dataclass(frozen=True, kw_only=True)
class Registered:
    """A checkpoint or policy that is registered as a version of a model."""

    name: str
    version: str
    step: int
    uri: str = ""
    """`models:/NAME/VERSION`."""
    new: bool = True
    """Whether this run created the version."""
    replaced: str = ""
    """The run whose scores were replaced on an existing version; empty for none."""


@dataclass(frozen=True, kw_only=True)
class Evaluated:
    """The result of an evaluation."""

    episodes: int
    scores: Mapping[str, float]
    """By tracking name (`rollout/success_rate`)."""
    results: str
    """The folder of the complete result files."""
    policy: str = ""
    """The folder of the evaluated policy, named after its step; empty if it is not kept."""
    step: int = 0
    """The step of the policy; 0 if unknown."""
    passed: bool | None = None
    """Whether the acceptance criteria are met; None if there are none."""
    conditions: str = ""
    """For people: `pusht, easy starts, 80 steps, success from reward 0.842`."""
    units: Mapping[str, str] = field(default_factory=dict)
    """The unit of each score that no workload declares, by name; may be empty. `share`: between 0 and 1."""
    better: Mapping[str, str] = field(default_factory=dict)
    """Of these, what is better: `lower` or `higher`."""
    compared: Mapping[str, str | float | bool | None] = field(default_factory=dict)
    """What a comparison of the policy with others found (`comparison.record.summarize`); empty without one."""
    digest: str = ""
    """The SHA-256 of the evaluated policy, which a copy of it has too; empty if it is not known."""


@dataclass(frozen=True, kw_only=True)
class Scored:
    """The scores of one checkpoint, where a run evaluates several; none if it could not be evaluated."""

    step: int
    scores: Mapping[str, float] = field(default_factory=dict)
    """By tracking name, as in `Evaluated`."""
    episodes: int = 0
    conditions: str = ""
    """As in `Evaluated`."""
    passed: bool | None = None
    """Whether the acceptance criteria are met; None if there are none."""
    error: str = ""
    """Why it could not be evaluated."""


@dataclass(frozen=True, kw_only=True)
class Delivered:
    """Results of a run that were copied completely."""

    to: str
    seconds: float | None = None


@dataclass(frozen=True, kw_only=True)
class Download:
    """Progress of the download of all sources together, in bytes."""

    done: int
    total: int
    rate: float = 0.0
    """Bytes per second, recently."""

    @property
    def seconds_left(self) -> float | None:
        """The remaining time at this rate; None if the rate is 0."""
        return (self.total - self.done) / self.rate if self.rate > 0 else None


@dataclass(frozen=True, kw_only=True)
class Processes:
    """The processes that do the work together, as they counted themselves."""

    count: int
    """On all nodes."""
    nodes: int
    samples: int
    """The samples of a step, on all of them: the effective batch size; 0 if it is not known."""
    unit: str = ""
    """What they are in place of samples, in the plural."""


Fault = Literal[
    "",
    "stopped",
    "preempted",
    "evicted",
    "network",
    "out_of_memory",
    "disk_full",
    "machine",
    "access",
    "configuration",
    "data",
    "code",
]
"""What is to blame for a failure. `stopped`: from outside, for an unknown reason. `machine`: it, or its image, lacks
what the job needs. `access`: the job may not read or write something. Empty: none, or unknown."""

INFRASTRUCTURE: frozenset[Fault] = frozenset({"stopped", "preempted", "evicted", "network", "out_of_memory"})
"""Faults of the infrastructure, not of the job: the same run may succeed when it is retried."""


@dataclass(frozen=True, kw_only=True)
class Note:
    """A message to the user."""

    level: Literal["info", "warning", "error"]
    text: str
    ways: tuple[tuple[str, ...], ...] = ()
    """What helps, best first, as the text says it for people: each as `Suggestion` of `finding`."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How the run ended; always the last event."""

    state: Literal["succeeded", "failed", "cancelled"]
    exit_code: int
    """The exit code of the runtime; 128+n if signal n ended it."""
    reason: str = ""
    fault: Fault = ""
    cause: str = ""
    """The name of a known cause, as in `failure_causes`."""
    subject: str = ""
    """The name of what the cause concerns, such as a repository or a file."""
    remedy: str = ""
    """One step that helps, as a sentence without its period."""

    @property
    def worth_a_retry(self) -> bool:
        """Whether the same run may succeed when it is retried."""
        return self.fault in INFRASTRUCTURE


Event = (
    StageEvent
    | Track
    | Tracking
    | Metrics
    | Checkpoint
    | Published
    | Withdrawn
    | Discarded
    | Registered
    | Evaluated
    | Scored
    | Delivered
    | Download
    | Processes
    | Note
    | Outcome
)

NUMBER_FIELDS: Mapping[type, tuple[str, ...]] = {Metrics: ("values",), Evaluated: ("scores",), Scored: ("scores",)}
"""The fields of an event that map names to numbers."""
_KINDS: dict[str, type] = {kind.__name__.lower().removesuffix("event"): kind for kind in Event.__args__}
EVENT_NAMES = {kind: name for name, kind in _KINDS.items()}
"""The name of each event in a log line."""


class EventRecord(NamedTuple):
    """An event and when it was sent, in seconds since the epoch."""

    time: float
    event: Event
    pipeline_step: str = ""
    """The step of a pipeline whose run sent it, in the log of the pipeline."""


def make_record(event: Event) -> EventRecord:
    """Return a record of an event that is sent now."""
    return EventRecord(time.time(), event)


def format_event(event: Event, sent_at: float | None = None) -> str:
    """Return the log line of an event, without a newline. `sent_at` is now by default."""
    body = {"event": EVENT_NAMES[type(event)], "time": time.time() if sent_at is None else sent_at}
    return PREFIX + json.dumps(make_json_safe(body | dataclasses.asdict(event)), allow_nan=False)


def add_pipeline_step(log_line: str, step: str) -> str:
    """Return the log line of an event with the step of a pipeline that it belongs to; other lines are not changed."""
    name = json.dumps(step)
    return (
        f'{log_line[:-1]}, "{PIPELINE_STEP}": {name}}}'
        if log_line.startswith(PREFIX) and log_line.endswith("}")
        else log_line
    )


def parse_event(line: str) -> EventRecord | None:
    """Return the event in a log line; None for an ordinary line, a cut one, or an event of a newer runtime."""
    if not line.startswith(PREFIX):
        return None
    try:
        event_fields, end = _decode(line, len(PREFIX))
        if end != len(line) and line[end:].strip():
            return None
        kind, sent_at, step = (
            _KINDS[event_fields.pop("event")],
            float(event_fields.pop("time")),
            str(event_fields.pop(PIPELINE_STEP, "")),
        )
        if not abs(sent_at) < MAX_SECONDS:
            return None
        for number_field in NUMBER_FIELDS.get(kind, ()):
            event_fields[number_field] = {name: float(value) for name, value in event_fields[number_field].items()}
        event = _make_metrics(event_fields) if kind is Metrics else _make_event(kind, event_fields)
        return None if event is None else EventRecord(sent_at, event, step)
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        return None


_decode = json.JSONDecoder().raw_decode


def _make_event(kind: type, event_fields: Mapping[str, Any]) -> Any:
    """Return an event of this kind; None for one that is malformed."""
    field_names = {field.name for field in dataclasses.fields(kind)}
    errors: list[str] = []
    event = convert_json(
        kind, {name: field_value for name, field_value in event_fields.items() if name in field_names}, "", errors
    )
    counts = (getattr(event, name, None) for name in ("step", "total", "done", "episodes"))
    return None if errors or any(count is not None and abs(count) > LAST_STEP for count in counts) else event


def _make_metrics(data: Mapping[str, Any]) -> Metrics | None:
    """Return what `_make_event` does, in a tenth of the time: almost all events of a run are metrics."""
    values_by_name = data["values"]
    step = data.get("step")
    total = data.get("total")
    unit = data.get("unit", "step")
    for count in (step, total):
        if count is not None and (type(count) is not int or abs(count) > LAST_STEP):
            return None
    if unit not in UNITS:
        return None
    metrics = object.__new__(Metrics)
    vars(metrics).update(values=values_by_name, step=step, total=total, unit=unit)
    return metrics


def make_json_safe(json_value: Any, replace: Callable[[float], str | None] = str) -> Any:
    """Return `json_value` without the numbers that JSON cannot express: by default, texts stand in their place."""
    if isinstance(json_value, Mapping):
        return {name: make_json_safe(part, replace) for name, part in json_value.items()}
    if isinstance(json_value, list | tuple):
        return [make_json_safe(part, replace) for part in json_value]
    return replace(json_value) if isinstance(json_value, float) and not math.isfinite(json_value) else json_value


EVENTS_DESCRIPTOR = "ROBOTRAIN_EVENTS_FD"

_write_lock = threading.Lock()


def emit_event(event: Event) -> None:
    """Send an event through the runtime's pipe, or as a line of standard output. A closed pipe is ignored."""
    emit_line(format_event(event))


def emit_note(
    text: str, level: Literal["info", "warning", "error"] = "info", *, ways: tuple[tuple[str, ...], ...] = ()
) -> None:
    """Send a message to the user."""
    emit_event(Note(level=level, text=text, ways=ways))


def emit_line(log_line: str) -> None:
    """Send a whole line the same way as an event, from any thread."""
    with _write_lock, suppress(OSError):
        to = _open_pipe() or sys.stdout
        to.write(log_line + "\n")
        to.flush()


@functools.cache
def _open_pipe() -> IO[str] | None:
    descriptor = os.environ.pop(EVENTS_DESCRIPTOR, "")  # not inherited: in a child the number is another file
    try:
        return os.fdopen(int(descriptor), "w", encoding="utf-8")
    except (ValueError, OSError):
        return None
