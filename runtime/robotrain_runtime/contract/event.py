"""Events: one structured line each among ordinary log lines, written, sent and parsed.

A line is `::robotrain:: {"event": "metrics", "time": 1763622000.5, …}`. Numbers that JSON has no word for travel as
the texts "nan", "inf" and "-inf", so that every line is strict JSON.
"""

import dataclasses
import functools
import json
import math
import os
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import IO, Any, Literal

from robotrain_runtime.contract.document import Scalar, convert_json

PREFIX = "::robotrain:: "
LAST_STEP = 2**53


@dataclass(frozen=True, slots=True, kw_only=True)
class StageEvent:
    """A part of the run began or ended. seconds: how long it took, once it ended."""

    name: Literal["preflight", "environment", "data", "merge", "work", "publish"]
    state: Literal["started", "done", "failed"]
    seconds: float | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Track:
    """What tracking should know of this run; a later one adds to an earlier one."""

    experiment: str = ""
    run_name: str = ""
    params: Mapping[str, Scalar] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tracking:
    """Where the tracking run is. ui: the command or address that shows it."""

    uri: str
    experiment_id: str
    run_id: str
    ui: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Metrics:
    """Exact values at a step, by their tracking names (`train/loss`). step: None for values of the machine.

    Without values it only says how far the work is. unit: what `step` and `total` count.
    """

    values: Mapping[str, float]
    step: int | None = None
    total: int | None = None
    unit: Literal["step", "episode"] = "step"


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A complete checkpoint lies at `path`. model: the part of it that is the model alone; empty for all of it."""

    step: int
    path: str
    model: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """The checkpoint of `step` was copied, whole. to: where it can be found. seconds: how long that took."""

    step: int
    to: str
    seconds: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Withdrawn:
    """A published checkpoint is not there any more: newer ones take its place. to: where it was."""

    to: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Registered:
    """The checkpoint of `step` is a version of a model. uri: what names it (`models:/NAME/VERSION`).

    new: whether it was made now. replaced: the run whose scores an older version had until now; empty for none.
    """

    name: str
    version: str
    step: int
    uri: str = ""
    new: bool = True
    replaced: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluated:
    """A policy was evaluated. episodes: how many, over all ways. scores: by their names (`rollout/success_rate`).

    results: the folder of the files that say more, complete. policy: the folder, named by its step, that holds the
    evaluated policy's files; empty when it is not kept. step: at which the policy was saved; 0 when nobody knows.
    passed: whether it reached what was demanded; None when nothing was. conditions: under which the scores hold, for
    people, as `pusht, easy starts, 80 steps, success from reward 0.842`.
    """

    episodes: int
    scores: Mapping[str, float]
    results: str
    policy: str = ""
    step: int = 0
    passed: bool | None = None
    conditions: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivered:
    """The results of a run were copied, whole. to: where they can be found. seconds: how long that took."""

    to: str
    seconds: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Download:
    """How far the data is. done, total: bytes, of all sources together. rate: bytes a second, lately."""

    done: int
    total: int
    rate: float = 0.0

    @property
    def seconds_left(self) -> float | None:
        """At that rate; None while there is none."""
        return (self.total - self.done) / self.rate if self.rate > 0 else None


Fault = Literal[
    "",
    "stopped",
    "preempted",
    "evicted",
    "network",
    "out_of_memory",
    "disk_full",
    "configuration",
    "data",
    "code",
]
"""What a run ended of. `stopped`: from outside, for a reason it was not told. Empty: nothing, or nobody knows."""

INFRASTRUCTURE: frozenset[Fault] = frozenset({"stopped", "preempted", "evicted", "network", "out_of_memory"})
"""Faults of the surroundings, not of the job: the same run may succeed when it is started again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """Something a person should know."""

    level: Literal["info", "warning", "error"]
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How the run ended; always the last event. exit_code: that of the runtime, 128+n when signal n ended it."""

    state: Literal["succeeded", "failed", "cancelled"]
    exit_code: int
    reason: str = ""
    fault: Fault = ""

    @property
    def worth_a_retry(self) -> bool:
        """Whether the same run may succeed when it is started again."""
        return self.fault in INFRASTRUCTURE


Event = (
    StageEvent
    | Track
    | Tracking
    | Metrics
    | Checkpoint
    | Published
    | Withdrawn
    | Registered
    | Evaluated
    | Delivered
    | Download
    | Note
    | Outcome
)

NUMBER_FIELDS: Mapping[type, tuple[str, ...]] = {Metrics: ("values",), Evaluated: ("scores",)}
"""By event, the fields that are numbers by their names."""
_KINDS: dict[str, type] = {kind.__name__.lower().removesuffix("event"): kind for kind in Event.__args__}
EVENT_NAMES = {kind: name for name, kind in _KINDS.items()}
"""The name of each event in a log line."""


@dataclass(frozen=True, slots=True)
class EventRecord:
    """An event and when it was sent, in seconds since the epoch."""

    time: float
    event: Event


def make_record(event: Event) -> EventRecord:
    """The event as one sent at this moment."""
    return EventRecord(time.time(), event)


def format_event(event: Event, sent_at: float | None = None) -> str:
    """The event as its line, without the line's end."""
    body = {"event": EVENT_NAMES[type(event)], "time": time.time() if sent_at is None else sent_at}
    return PREFIX + json.dumps(make_json_safe(body | dataclasses.asdict(event)), allow_nan=False)


def parse_event(line: str) -> EventRecord | None:
    """The event in a log line; None for an ordinary line, a cut one, or an event of a newer runtime."""
    if not line.startswith(PREFIX):
        return None
    try:
        data = json.loads(line[len(PREFIX) :])
        kind, at = _KINDS[data.pop("event")], float(data.pop("time"))
        for numbers in NUMBER_FIELDS.get(kind, ()):
            data[numbers] = {name: float(value) for name, value in data[numbers].items()}
        known = {field.name for field in dataclasses.fields(kind)}
        wrong: list[str] = []
        found = convert_json(kind, {name: value for name, value in data.items() if name in known}, "", wrong)
        return None if wrong or _has_inexact_count(found) else EventRecord(at, found)
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        return None


def _has_inexact_count(found: Event) -> bool:
    """Whether a count is one that nothing comes to, and no arithmetic with it would be exact."""
    numbers = (getattr(found, name, None) for name in ("step", "total", "done", "episodes"))
    return any(number is not None and abs(number) > LAST_STEP for number in numbers)


def make_json_safe(value: Any) -> Any:
    """`value` with texts in place of the numbers that JSON has no word for."""
    if isinstance(value, Mapping):
        return {name: make_json_safe(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [make_json_safe(part) for part in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value


EVENTS_DESCRIPTOR = "ROBOTRAIN_EVENTS_FD"

_write_lock = threading.Lock()


def emit_event(sent: Event) -> None:
    """Send an event: through the runtime's own pipe, else as a line of standard output. A lost reader is ignored."""
    emit_line(format_event(sent))


def emit_line(text: str) -> None:
    """Send a line, whole, from any thread, the way an event goes."""
    with _write_lock, suppress(OSError):
        to = _open_pipe() or sys.stdout
        to.write(text + "\n")
        to.flush()


@functools.cache
def _open_pipe() -> IO[str] | None:
    number = os.environ.pop(
        EVENTS_DESCRIPTOR, ""
    )  # children must not take it for theirs: the number is something else there
    try:
        return os.fdopen(int(number), "w", encoding="utf-8")
    except (ValueError, OSError):
        return None
