"""Files that the runtime writes to a run folder: log, events and outcome."""

import io
import json
import os
import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from robotrain_runtime.contract import event
from robotrain_runtime.contract.event import (
    Checkpoint,
    Evaluated,
    EventRecord,
    Outcome,
    Published,
    Registered,
    Withdrawn,
)
from robotrain_runtime.contract.files import open_regular_file, read_limited_file

from robotrain.model.progress import Progress

POLL_SECONDS = 0.2
CHUNK_SIZE = 1 << 16
MAX_LINE = 1 << 20
"""A longer line is read in parts."""


class LogReader:
    """A reader of a log that is being written.

    :param tail: begin with so many of the present lines.
    :param start: the offset to begin at, without `tail`.
    """

    def __init__(self, path: Path, tail: int | None = None, start: int = 0) -> None:
        self._path, self._rest = path, b""
        self._at = start if tail is None else _find_tail_start(path, tail)

    def read_lines(self) -> Iterator[str]:
        """Yield the new lines that are complete."""
        while chunk := _read_chunk(self._path, self._at):
            self._at += len(chunk)
            *whole, self._rest = (self._rest + chunk).split(b"\n")
            yield from map(_decode_line, whole)
            if len(self._rest) > MAX_LINE:
                yield from self.read_rest()

    def read_rest(self) -> Iterator[str]:
        """Yield the last line if it is incomplete."""
        rest, self._rest = self._rest, b""
        if rest:
            yield _decode_line(rest)


def read_log_lines(path: Path, has_ended: Callable[[], bool], tail: int | None = None, start: int = 0) -> Iterator[str]:
    """Yield the lines of a log until `has_ended` and all is read; an incomplete line is waited for.

    `tail` and `start` are those of `LogReader`.
    """
    reader = LogReader(path, tail, start)
    while True:
        ended = has_ended()  # before reading, so that the last lines are read
        yield from reader.read_lines()
        if ended:
            yield from reader.read_rest()
            return
        time.sleep(POLL_SECONDS)


def _find_tail_start(path: Path, count: int) -> int:
    """Return the offset of the last `count` lines, an incomplete one included."""
    size = os.stat(path).st_size if path.exists() else 0
    if count <= 0 or not size:
        return size
    at, remaining = size, count + (_read_chunk(path, size - 1, 1) == b"\n")
    while at > 0:
        begin = max(0, at - CHUNK_SIZE)
        chunk = _read_chunk(path, begin, at - begin)
        newlines = chunk.count(b"\n")
        if newlines >= remaining:
            at = len(chunk)
            for _ in range(remaining):
                at = chunk.rindex(b"\n", 0, at)
            return begin + at + 1
        at, remaining = begin, remaining - newlines
    return 0


def _read_chunk(path: Path, at: int, size: int = CHUNK_SIZE) -> bytes:
    try:
        with open_regular_file(path) as file:
            file.seek(at)
            return file.read(size)
    except FileNotFoundError:
        return b""


def _decode_line(line: bytes) -> str:
    return line.decode(errors="replace").rstrip("\r")


LOG_FILE = "log.txt"
JOB_FILE = "job.json"
PAYLOAD_FOLDER = "payload"
EVENTS_FILE = "events.jsonl"
OUTCOME_FILE = "outcome.json"
MAX_OUTCOME_BYTES = 1 << 20

EventKind = TypeVar("EventKind", Checkpoint, Evaluated, Published, Registered, Withdrawn)


def find_events_file(folder: Path) -> Path | None:
    """Return the file of events in a run folder; None before the runtime has begun."""
    path = folder / EVENTS_FILE
    return path if path.is_file() else None


def read_outcome(folder: Path) -> Outcome | None:
    """Return the outcome that the runtime recorded; None if it was stopped before."""
    try:
        fields = json.loads(read_limited_file(folder / OUTCOME_FILE, MAX_OUTCOME_BYTES))
        return Outcome(**fields) if isinstance(fields, dict) else None
    except (FileNotFoundError, NotADirectoryError, ValueError, TypeError):  # for example an incomplete file
        return None


def read_checkpoint_events(folder: Path) -> Iterator[Checkpoint]:
    """Yield the run's checkpoint events, in order."""
    return _read_events(folder, Checkpoint)


def read_published(folder: Path) -> Progress:
    """Return what the run reported of copies and registered models of its checkpoints."""
    progress = Progress()
    events: list[event.Event] = [*_read_events(folder, Published), *_read_events(folder, Withdrawn)]
    for happened in (*events, *_read_events(folder, Registered)):
        progress.add_event(EventRecord(event=happened, time=0.0))
    return progress


def read_evaluation(folder: Path) -> Evaluated | None:
    """Return the run's last evaluation event."""
    return next(iter(deque(_read_events(folder, Evaluated), maxlen=1)), None)


def _read_events(folder: Path, kind: type[EventKind]) -> Iterator[EventKind]:
    marker = f'"{kind.__name__.lower()}"'.encode()
    try:
        with io.BufferedReader(open_regular_file(folder / EVENTS_FILE)) as lines:
            for line in lines:
                record = event.parse_event(_decode_line(line)) if marker in line else None
                if record and isinstance(record.event, kind):
                    yield record.event
    except FileNotFoundError:
        return
