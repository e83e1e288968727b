"""The progress of runs, read from their events, and the other lines of their logs."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from robotrain_runtime.contract import event
from robotrain_runtime.contract.document_limits import MAX_LINE_BYTES

from robotrain.errors import Rejected
from robotrain.model.progress import Progress
from robotrain.model.run import RunRecord
from robotrain.store import compared_policies, files

if TYPE_CHECKING:
    from robotrain.model.platform import Platform

BLOCK_SIZE = 1 << 14
"""Larger blocks take a third longer: the memory of their objects is fetched from the system anew for each."""
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

    :param with_incomplete: an incomplete last line counts if it is an event.
    """
    with files.open_regular_file(path) as file:
        progress, offset, incomplete_line = Progress(record.metrics), 0, b""
        while block := file.read(BLOCK_SIZE):
            complete_lines, newline, incomplete_line = (incomplete_line + block).rpartition(b"\n")
            if newline:
                _add_lines(progress, complete_lines)
                offset += len(complete_lines) + 1
            elif len(incomplete_line) > MAX_LINE_BYTES:  # no event
                offset, incomplete_line = offset + len(incomplete_line), b""
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
