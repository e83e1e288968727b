"""Files that the runtime writes to a run folder: log, events and outcome."""

import io
import os
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import ClassVar, TypeVar

from robotrain_runtime.contract import event
from robotrain_runtime.contract.document_limits import MAX_LINE_BYTES
from robotrain_runtime.contract.event import (
    Checkpoint,
    Evaluated,
    EventRecord,
    Published,
    Registered,
    Withdrawn,
)
from robotrain_runtime.contract.files import open_regular_file

from robotrain.errors import Rejected
from robotrain.model.progress import Progress
from robotrain.model.run import Status
from robotrain.run_folder.file_names import EVENTS_FILE, LOG_FILE, OUTCOME_FILE

DAMAGED_OUTCOME = f"its {OUTCOME_FILE} is damaged"

POLL_SECONDS = 0.2
CHUNK_SIZE = 1 << 16


class LogReader:
    """A reader of a log that is being written.

    :param tail: begin with so many of the present lines.
    :param start: the offset to begin at, without `tail`.
    """

    chunk_size = CHUNK_SIZE

    def __init__(self, path: Path, tail: int | None = None, start: int = 0) -> None:
        self._path, self._rest = path, b""
        self._at = start if tail is None else _find_tail_start(path, tail)

    def read_lines(self) -> Iterator[str]:
        """Yield the new lines that are complete."""
        while chunk := self.read_chunk():
            self._at += len(chunk)
            *complete_lines, self._rest = (self._rest + chunk).split(b"\n")
            yield from map(_decode_line, complete_lines)
            if len(self._rest) > MAX_LINE_BYTES:
                yield from self.read_rest()
            if len(chunk) < self.chunk_size:
                return

    def read_chunk(self) -> bytes:
        """Return what stands in the file from where this is."""
        return _read_chunk(self._path, self._at)

    def read_rest(self) -> Iterator[str]:
        """Yield the last line if it is incomplete."""
        incomplete_line, self._rest = self._rest, b""
        if incomplete_line:
            yield _decode_line(incomplete_line)


def read_log_lines(path: Path, has_ended: Callable[[], bool], tail: int | None = None, start: int = 0) -> Iterator[str]:
    """Yield the lines of a log until `has_ended` and all is read; an incomplete line is waited for.

    `tail` and `start` are those of `LogReader`.
    """
    reader = LogReader(path, tail, start)
    while True:
        is_last_read = has_ended()  # before reading, so that the last lines are read
        yield from reader.read_lines()
        if is_last_read:
            yield from reader.read_rest()
            return
        time.sleep(POLL_SECONDS)


def _find_tail_start(path: Path, count: int) -> int:
    """Return the offset of the last `count` lines, an incomplete one included."""
    size = os.stat(path).st_size if path.exists() else 0
    if count <= 0 or not size:
        return size
    offset = size
    remaining_lines = count + (_read_chunk(path, size - 1, 1) == b"\n")
    while offset > 0:
        chunk_start = max(0, offset - CHUNK_SIZE)
        chunk = _read_chunk(path, chunk_start, offset - chunk_start)
        newlines = chunk.count(b"\n")
        if newlines >= remaining_lines:
            offset = len(chunk)
            for _ in range(remaining_lines):
                offset = chunk.rindex(b"\n", 0, offset)
            return chunk_start + offset + 1
        offset, remaining_lines = chunk_start, remaining_lines - newlines
    return 0


def _read_chunk(path: Path, offset: int, size: int = CHUNK_SIZE) -> bytes:
    try:
        with open_regular_file(path) as file:
            file.seek(offset)
            return file.read(size)
    except FileNotFoundError:
        return b""


def _decode_line(line: bytes) -> str:
    return line.decode(errors="replace").rstrip("\r")


MAX_END_LINES = 1000
"""Of what an engine adds when it ends a job, the last lines are read."""
QUERY_SECONDS = 5.0
"""Between two questions about a run that is followed: each costs its engine a request."""
END_QUERY_SECONDS = 1.0
"""The same once the run has recorded its outcome."""


@dataclass(frozen=True)
class FolderLog:
    """The log of all attempts at a run, with what its job printed before the runtime began."""

    folder: Path
    output_file: str
    """What the job printed, in the folder; empty for nothing."""
    prefix: str
    """Of lines that the log itself does not have: those of the job, and why the run waits."""
    end_sign: str = ""
    """How lines begin that the engine adds to what the job printed when it ends it; empty for none."""
    poll_seconds: ClassVar[float] = POLL_SECONDS

    def read_present(self, tail: int | None) -> Iterator[str]:
        """Yield the lines that are there, or the last ones.

        What the engine adds when it ends a job comes last, unless the run went on since.
        """
        main_log, printed_log = self._open(tail)
        end_lines = deque[str](maxlen=MAX_END_LINES)
        went_on = self.get_modified(LOG_FILE) > self.get_modified(self.output_file)

        def read_before() -> Iterator[str]:
            for line in chain(printed_log.read_lines(), printed_log.read_rest()) if printed_log else ():
                if self.end_sign and line.startswith(self.end_sign) and not went_on:
                    end_lines.append(self.prefix + line)
                else:
                    yield self.prefix + line

        lines = chain(read_before(), main_log.read_lines(), main_log.read_rest(), end_lines)
        return lines if tail is None else iter(deque(lines, maxlen=tail))

    def follow(
        self, query_status: Callable[[], Status], tail: int | None, query_seconds: float = QUERY_SECONDS
    ) -> Iterator[str]:
        """Yield the lines until the run ends, over all its attempts, and why it waits before each.

        :param query_status: raises RunGone, or Rejected, which may pass.
        :param query_seconds: between two questions.
        """
        main_log, printed_log = self._open(tail)
        first_lines = chain(self._read_printed(printed_log), main_log.read_lines())
        yield from first_lines if tail is None else deque(first_lines, maxlen=tail)
        next_query, waited = 0.0, ""
        while True:
            status, now = None, time.monotonic()
            has_outcome = bool(self.get_modified(OUTCOME_FILE))
            if now >= next_query - (max(0.0, query_seconds - END_QUERY_SECONDS) if has_outcome else 0.0):
                next_query = now + query_seconds
                status = _try_query(query_status)  # before reading: the last lines are read
            yield from self._read_printed(printed_log)
            yield from main_log.read_lines()
            if status and status.finished:
                yield from main_log.read_rest()
                return
            if status:
                reason = status.reason if status.state == "pending" else ""
                if reason and reason != waited:
                    yield f"{self.prefix}waiting: {reason}"
                waited = reason
            time.sleep(self.poll_seconds)

    def _open(self, tail: int | None) -> tuple[LogReader, LogReader | None]:
        """Return readers of the log, and of what the job printed."""
        printed_log = self.open(self.output_file, tail) if self.output_file else None
        return self.open(LOG_FILE, tail), printed_log

    def open(self, name: str, tail: int | None) -> LogReader:
        """Return a reader of a file of the run folder."""
        return LogReader(self.folder / name, tail)

    def get_modified(self, name: str) -> float:
        """Return when a file of the run folder was modified; 0 if there is none."""
        try:
            return (self.folder / name).stat().st_mtime
        except FileNotFoundError:
            return 0.0

    def _read_printed(self, printed_log: LogReader | None) -> Iterator[str]:
        return (self.prefix + line for line in printed_log.read_lines()) if printed_log else iter(())


def _try_query(query_status: Callable[[], Status]) -> Status | None:
    """Return the status; None if the engine does not answer now. Raise RunGone, Rejected."""
    try:
        return query_status()
    except Rejected as rejected:
        if not rejected.transient:
            raise
        return None


EventKind = TypeVar("EventKind", Checkpoint, Evaluated, Published, Registered, Withdrawn)


def find_events_file(folder: Path) -> Path | None:
    """Return the file of events in a run folder; None before the runtime has begun."""
    path = folder / EVENTS_FILE
    return path if path.is_file() else None


def read_checkpoint_events(folder: Path) -> Iterator[Checkpoint]:
    """Yield the run's checkpoint events, in order."""
    return _read_events(folder, Checkpoint)


def read_published(folder: Path) -> Progress:
    """Return what the run reported of copies and registered models of its checkpoints."""
    progress = Progress()
    events: list[event.Event] = [*_read_events(folder, Published), *_read_events(folder, Withdrawn)]
    for publish_event in (*events, *_read_events(folder, Registered)):
        progress.add_event(EventRecord(event=publish_event, time=0.0))
    return progress


def read_evaluation(folder: Path) -> Evaluated | None:
    """Return the run's last evaluation event."""
    return next(iter(deque(_read_events(folder, Evaluated), maxlen=1)), None)


def _read_events(folder: Path, kind: type[EventKind]) -> Iterator[EventKind]:
    marker = f'"{kind.__name__.lower()}"'.encode()
    try:
        with io.BufferedReader(open_regular_file(folder / EVENTS_FILE)) as events_file:
            for line_bytes in events_file:
                record = event.parse_event(_decode_line(line_bytes)) if marker in line_bytes else None
                if record and isinstance(record.event, kind):
                    yield record.event
    except FileNotFoundError:
        return
