"""Progress of runs, stored beside their records with how far their events were read.

What is stored for another file of events, or is damaged, does not count: the events are then read from the start.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import zlib
from collections import defaultdict, deque
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from robotrain_runtime.contract import event
from robotrain_runtime.contract.document_limits import MAX_LINE_BYTES

from robotrain.errors import Rejected
from robotrain.model.progress import Progress
from robotrain.model.run import RunRecord
from robotrain.model.series import Point, Series
from robotrain.store import compared_policies, files
from robotrain.store.records import get_run_folder

if TYPE_CHECKING:
    from robotrain.model.platform import Platform

PROGRESS_FILE = "progress.json"
SCHEMA = 5
"""To be increased with each change of what `Progress` makes of events."""
MIN_STORED_BYTES = 1 << 18
"""Fewer new bytes of events are read faster than they are stored."""
BLOCK_SIZE = 1 << 14
"""Larger blocks take a third longer: the memory of their objects is fetched from the system anew for each."""
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
    progress = Progress(record.metrics)
    ordinary_lines = deque[str](maxlen=max_lines)
    if record.is_sweep:
        return progress, []
    try:
        if path := platform.engine.events_file(record.reference):
            progress, _ = read_events_file(record, path)
        if path and not max_lines:
            return progress, []
        tail_option = {"tail": TAIL_LINES} if path else {}
        for line in platform.engine.logs(record.reference, follow=False, **tail_option):
            if not line.startswith(event.PREFIX):
                ordinary_lines.append(line)
            elif not path and (event_record := event.parse_event(line)):
                progress.add_event(event_record)
        if not path:
            compared_policies.store_answer(record.run, progress.evaluated)
    except (Rejected, OSError) as error:
        if on_error is None:
            raise
        on_error(error)
    return progress, list(ordinary_lines)


def read_events_file(record: RunRecord, path: Path, with_incomplete: bool = True) -> tuple[Progress, int]:
    """Return the progress in a file of events, and the offset after its last complete line. Raise OSError.

    Only what was added since the last call is read.

    :param with_incomplete: an incomplete last line counts if it is an event.
    """
    with files.open_regular_file(path) as file:
        progress, start = _load(record, file) or (Progress(record.metrics), 0)
        file.seek(start)
        offset, incomplete_line = start, b""
        while block := file.read(BLOCK_SIZE):
            complete_lines, newline, incomplete_line = (incomplete_line + block).rpartition(b"\n")
            if newline:
                _add_lines(progress, complete_lines)
                offset += len(complete_lines) + 1
            elif len(incomplete_line) > MAX_LINE_BYTES:  # no event
                offset, incomplete_line = offset + len(incomplete_line), b""
        if offset - start >= MIN_STORED_BYTES:
            with contextlib.suppress(OSError):
                identity = _identify(record, file, offset)
                data = {"schema": SCHEMA, "offset": offset, "file": identity, "progress": _dump_progress(progress)}
                files.write_checked_json(get_run_folder(record.run) / PROGRESS_FILE, data)
    if incomplete_line and with_incomplete:
        _add_lines(progress, incomplete_line)
    return progress, offset


def _add_lines(progress: Progress, event_bytes: bytes) -> None:
    """Add the events of whole lines, without the last line's end."""
    for line_bytes in event_bytes.split(b"\n"):
        if line_bytes.startswith(PREFIX) and (
            event_record := event.parse_event(line_bytes.decode(errors="replace").rstrip("\r"))
        ):
            progress.add_event(event_record)


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
    status = os.fstat(file.fileno())
    start, end = (
        os.pread(file.fileno(), PROBE_SIZE, position).decode("latin-1") for position in (0, max(0, offset - PROBE_SIZE))
    )
    return [
        status.st_dev,
        status.st_ino,
        status.st_size >= offset,
        start,
        end,
        zlib.crc32(repr(record.metrics).encode()),
    ]


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
        return [event.format_event(stored_event, 0.0) for stored_event in value]
    if name in _SERIES:
        return {
            key: [*_split(series.closed), *_split(series.tail), series.size, series.count]
            for key, series in value.items()
        }
    return value


def _parse_field(name: str, value: Any) -> Any:
    if name in _EVENTS:
        return value and _parse_stored_event(value)
    if name in _EVENT_LISTS:
        return [_parse_stored_event(event_line) for event_line in value]
    if name in _SERIES:
        series_by_name = {
            key: Series(
                [*zip(closed_positions, closed_values, strict=True)],
                [*zip(tail_positions, tail_values, strict=True)],
                size,
                count,
            )
            for key, (closed_positions, closed_values, tail_positions, tail_values, size, count) in value.items()
        }
        return defaultdict(Series, series_by_name)
    return tuple(value) if name == "_first_measurement" and value else value


def _parse_stored_event(line: str) -> event.Event:
    if event_record := event.parse_event(line):
        return event_record.event
    raise ValueError


def _split(points: list[Point]) -> tuple[list[float], list[float]]:
    """Return the positions of the points, and their values."""
    return [position for position, _ in points], [value for _, value in points]
