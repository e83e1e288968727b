"""Progress of runs, stored beside their records with how far their events were read.

Almost all events of a run are metrics at a step: those are added without checking and building each event.

What is stored for another file of events, or is damaged, does not count: the events are then read from the start.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import json
import operator
import os
import re
import zlib
from collections import defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from robotrain_runtime.contract import event
from robotrain_runtime.contract.event import LAST_STEP

from robotrain.model.progress import Progress
from robotrain.model.run import RunRecord
from robotrain.model.series import Point, Series
from robotrain.store import files
from robotrain.store.records import get_run_folder

if TYPE_CHECKING:
    from robotrain.model.platform import Platform

PROGRESS_FILE = "progress.json"
SCHEMA = 3
"""To be increased with each change of what `Progress` makes of events."""
MIN_STORED_BYTES = 1 << 18
"""Fewer new bytes of events are read faster than they are stored."""
BLOCK_SIZE = 1 << 14
"""Larger blocks take a third longer: the memory of their objects is fetched from the system anew for each."""
MAX_LINE = 1 << 20
MIN_ALIKE_BYTES = 1 << 13
"""Fewer bytes are parsed faster than the pattern of their lines is compiled."""
TOGETHER = 64
"""How many events are added at once, if all of them are plain metrics."""
PROBE_SIZE = 256
"""How many bytes at the start, and before the place up to which it was read, identify a file."""
PREFIX = event.PREFIX.encode()
TAIL_LINES = 4000
"""How many lines at the end of a log are searched for those that are no events."""


def read_run_log(
    record: RunRecord,
    platform: Platform,
    max_lines: int = 0,
    on_error: Callable[[Exception], object] | None = None,
) -> tuple[Progress, list[str]]:
    """Return the progress of a run, and at most `max_lines` of the last lines of its log that are not events.

    :param on_error: is given what the platform raises; what was read before then counts.
    """
    known, ordinary = Progress(record.metrics), deque[str](maxlen=max_lines)
    if record.is_sweep:
        return known, []
    try:
        if path := platform.events_file(record.reference):
            known, _ = read_events_file(record, path)
        if path and not max_lines:
            return known, []
        tail = {"tail": TAIL_LINES} if path else {}
        for line in platform.logs(record.reference, follow=False, **tail):
            if not line.startswith(event.PREFIX):
                ordinary.append(line)
            elif not path and (found := event.parse_event(line)):
                known.add_event(found)
    except Exception as error:
        if on_error is None:
            raise
        on_error(error)
    return known, list(ordinary)


def read_events_file(record: RunRecord, path: Path, with_incomplete: bool = True) -> tuple[Progress, int]:
    """Return the progress in a file of events, and the offset after its last complete line. Raise OSError.

    Only what was added since the last call is read.

    :param with_incomplete: an incomplete last line counts if it is an event.
    """
    with files.open_regular_file(path) as file:
        progress, start = _load(record, file) or (Progress(record.metrics), 0)
        file.seek(start)
        offset, rest = start, b""
        while block := file.read(BLOCK_SIZE):
            whole, newline, rest = (rest + block).rpartition(b"\n")
            if newline:
                _add_lines(progress, whole)
                offset += len(whole) + 1
            elif len(rest) > MAX_LINE:  # no event
                offset, rest = offset + len(rest), b""
        if offset - start >= MIN_STORED_BYTES:
            with contextlib.suppress(OSError):
                identity = _identify(record, file, offset)
                data = {"schema": SCHEMA, "offset": offset, "file": identity, "progress": _dump_progress(progress)}
                files.write_checked_json(get_run_folder(record.run) / PROGRESS_FILE, data)
    if rest and with_incomplete:
        _add_lines(progress, rest)
    return progress, offset


def _add_lines(progress: Progress, lines: bytes) -> None:
    """Add the events of whole lines, without the last line's end."""
    if len(lines) >= MIN_ALIKE_BYTES and _add_alike(progress, lines):
        return
    parsed = _parse_lines(lines)
    if parsed is None:  # lines of anything else: each by itself
        for line in lines.split(b"\n"):
            if found := event.parse_event(line.decode(errors="replace").rstrip("\r")):
                progress.add_event(found)
        return
    for start in range(0, len(parsed), TOGETHER):
        objects = parsed[start : start + TOGETHER]
        if not _add_many_step_metrics(progress, objects):
            for data in objects:
                if not _add_step_metrics(progress, data) and (found := event.parse_event_object(data)):
                    progress.add_event(found)


def _add_alike(progress: Progress, lines: bytes) -> bool:
    """Add lines of metrics at steps that differ in numbers only; return False, and add nothing, for any others.

    The first line is parsed; the others are what `json.dumps` writes of the same object with other numbers.
    """
    try:
        first = json.loads(lines[len(PREFIX) : lines.index(b"\n")])
        names = [*first["values"]]
        marks = {"time": FLOAT_MARK, "values": dict.fromkeys(names, FLOAT_MARK), "step": STEP_MARK}
        if [*first][:4] != ["event", *marks]:
            return False
        found = _make_pattern(json.dumps(first | marks)).findall(lines)
    except (ValueError, LookupError, TypeError, RecursionError):
        return False
    if len(found) != lines.count(b"\n") + 1 or not names:
        return False
    times, *values, steps = zip(*found, strict=True)
    columns = {name: [*map(float, column)] for name, column in zip(names, values, strict=True)}
    return _add_step_columns(progress, first, float(times[-1]), [*map(int, steps)], columns)


UNITS, FLOAT, NUMBER_TYPES = ("step", "episode"), {float}, {float, int}


def _add_step_metrics(progress: Progress, data: Any) -> bool:
    """Add the JSON object of an event, if it is one of metrics at a step without oddities; return whether it is.

    This is `Progress.add_event` without the time that checking and building an event takes.
    """
    try:
        kind, at, values, step = data["event"], data["time"], data["values"], data["step"]
        total, unit = data.get("total"), data.get("unit", "step")
        plain = kind == "metrics" and type(at) is float and type(step) is int and abs(step) <= LAST_STEP
        plain = plain and (total is None or (type(total) is int and abs(total) <= LAST_STEP))
        if not plain or unit not in UNITS:
            return False
        if (types := set(map(type, values.values()))) != FLOAT:
            if not types <= NUMBER_TYPES:
                return False
            values = {name: float(value) for name, value in values.items()}
    except (LookupError, TypeError, AttributeError, OverflowError):
        return False
    progress.add_metrics(at, values, step, total, unit)
    return True


def _add_many_step_metrics(progress: Progress, objects: Sequence[Any]) -> bool:
    """Do what `_add_step_metrics` does for several events at once, if they differ in time, step and values only."""
    try:
        times, steps = [data["time"] for data in objects], [data["step"] for data in objects]
        kinds = {(data["event"], data.get("total"), data.get("unit")) for data in objects}
        ((*names,),) = {(*data["values"],) for data in objects}
        columns = {name: [data["values"][name] for data in objects] for name in names}
    except (LookupError, TypeError, AttributeError, ValueError):
        return False
    plain = len(kinds) == 1 and set(map(type, steps)) == {int}
    plain = plain and all(set(map(type, column)) == FLOAT for column in (times, *columns.values()))
    return plain and _add_step_columns(progress, objects[0], times[-1], steps, columns)


def _add_step_columns(
    progress: Progress,
    first: Mapping[str, Any],
    end: float,
    steps: Sequence[int],
    columns: Mapping[str, Sequence[float]],
) -> bool:
    """Add events of metrics that differ in time, step and values only, as `_add_many_step_metrics` does.

    :param first: the JSON object of the first one.
    :param end: the time of the last one.
    :param columns: the values of all, by metric.
    """
    total = first.get("total")
    ascending = (progress.step or 0) < steps[0] and steps[-1] <= LAST_STEP
    ascending = ascending and all(map(operator.lt, steps, steps[1:]))
    plain = first.get("unit") == "step" and (total is None or type(total) is int)
    if not (ascending and plain and abs(total or 0) <= LAST_STEP and _add_step_metrics(progress, first)):
        return False
    if len(steps) > 1:
        progress.extend_metrics(steps[1:], {name: column[1:] for name, column in columns.items()}, end)
    return True


FLOAT_MARK, STEP_MARK = "<float>", "<step>"
NUMBERS = {
    FLOAT_MARK: rb"(-?(?:0|[1-9][0-9]*)(?:\.[0-9]+(?:[eE][-+]?[0-9]+)?|[eE][-+]?[0-9]+))",
    STEP_MARK: rb"(-?(?:0|[1-9][0-9]{0,15}))",
}
"""The numbers of JSON (RFC 8259) that `json.loads` returns as float, and as int; a step has few digits."""


@functools.lru_cache(maxsize=8)
def _make_pattern(shape: str) -> re.Pattern[bytes]:
    """Return the pattern of a line whose JSON is `shape`, with numbers for its marks."""
    pattern = re.escape(PREFIX + shape.encode())
    for mark, number in NUMBERS.items():
        pattern = pattern.replace(re.escape(json.dumps(mark).encode()), number)
    return re.compile(b"^%b$" % pattern, re.MULTILINE)


def _parse_lines(lines: bytes) -> list[Any] | None:
    """Return the JSON values of lines, parsed at once; None if a line is no event line."""
    count = lines.count(b"\n") + 1
    if not lines.startswith(PREFIX) or lines.count(PREFIX) != count:
        return None
    try:
        objects = lines[len(PREFIX) :].replace(b"\n" + PREFIX, b",\n").decode()
        parsed = json.loads(f"[{objects}]")
    except (ValueError, RecursionError):
        return None
    return parsed if len(parsed) == count else None


def _load(record: RunRecord, file: BinaryIO) -> tuple[Progress, int] | None:
    """Return the stored progress of a file, and how far it was read; None if there is none, or it does not count."""
    try:
        data = files.read_checked_json(get_run_folder(record.run) / PROGRESS_FILE)
        offset = data["offset"]
        if data["schema"] != SCHEMA or data["file"] != _identify(record, file, offset):
            return None
        progress = Progress(record.metrics)
        for field in dataclasses.fields(progress):
            if field.name not in _DERIVED:
                setattr(progress, field.name, _parse_field(field.name, data["progress"][field.name]))
        progress.update_names()
        return progress, offset
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return None


def _identify(record: RunRecord, file: BinaryIO, offset: int) -> list[Any]:
    """Return a fingerprint of a file of events up to `offset`."""
    found = os.fstat(file.fileno())
    start, end = (os.pread(file.fileno(), PROBE_SIZE, at).decode("latin-1") for at in (0, max(0, offset - PROBE_SIZE)))
    return [found.st_dev, found.st_ino, found.st_size >= offset, start, end, zlib.crc32(repr(record.metrics).encode())]


_EVENTS = ("download", "evaluated", "processes", "outcome")
_EVENT_LISTS = ("published", "registered", "delivered", "stages", "notes", "scored")
_SERIES = ("series", "machine_series")
_DERIVED = ("declared_metrics", "_main_name", "_validation_name", "_later_copies")
"""Fields that the record determines, and the files beside it."""


def _dump_progress(progress: Progress) -> dict[str, Any]:
    return {
        field.name: _dump_field(field.name, getattr(progress, field.name))
        for field in dataclasses.fields(progress)
        if field.name not in _DERIVED
    }


def _dump_field(name: str, value: Any) -> Any:
    if name in _EVENTS:
        return value and event.format_event(value, 0.0)
    if name in _EVENT_LISTS:
        return [event.format_event(one, 0.0) for one in value]
    if name in _SERIES:
        return {key: [*_split(one.closed), *_split(one.tail), one.size, one.count] for key, one in value.items()}
    return value


def _parse_field(name: str, value: Any) -> Any:
    if name in _EVENTS:
        return value and _parse_stored_event(value)
    if name in _EVENT_LISTS:
        return [_parse_stored_event(line) for line in value]
    if name in _SERIES:
        found = {
            key: Series([*zip(a, b, strict=True)], [*zip(c, d, strict=True)], size, count)
            for key, (a, b, c, d, size, count) in value.items()
        }
        return defaultdict(Series, found)
    return tuple(value) if name == "_first_measurement" and value else value


def _parse_stored_event(line: str) -> event.Event:
    if found := event.parse_event(line):
        return found.event
    raise ValueError


def _split(points: list[Point]) -> tuple[list[float], list[float]]:
    """Return the positions of the points, and their values."""
    return [at for at, _ in points], [value for _, value in points]
