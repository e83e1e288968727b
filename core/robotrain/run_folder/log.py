"""What the runtime writes into a run's folder: the log, the events and the outcome."""

import json
import os
import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from robotrain_runtime.contract import event
from robotrain_runtime.contract.event import Checkpoint, Evaluated, Outcome

POLL_SECONDS = 0.2
CHUNK_SIZE = 1 << 16


def read_log_lines(path: Path, has_ended: Callable[[], bool], tail: int | None = None) -> Iterator[str]:
    """Each line once, until `ended` and everything is read. A line that is still being written is waited for.

    tail: only so many of the lines that are there now, read from the end, and all that come after.
    """
    rest, at = b"", 0 if tail is None else _find_tail_start(path, tail)
    while True:
        over = has_ended()  # asked before reading: what was written before the end is read after it
        while chunk := _read_chunk(path, at):
            at += len(chunk)
            *whole, rest = (rest + chunk).split(b"\n")
            yield from map(_decode_line, whole)
        if over:
            if rest:
                yield _decode_line(rest)
            return
        time.sleep(POLL_SECONDS)


def _find_tail_start(path: Path, count: int) -> int:
    """Where the last `count` lines begin, the one that is still being written among them."""
    size = os.stat(path).st_size if path.exists() else 0
    if count <= 0 or not size:
        return size
    at, wanted = size, count + (_read_chunk(path, size - 1, 1) == b"\n")
    while at > 0:
        begin = max(0, at - CHUNK_SIZE)
        chunk = _read_chunk(path, begin, at - begin)
        found = chunk.count(b"\n")
        if found >= wanted:
            return begin + _find_nth_last_newline(chunk, wanted) + 1
        at, wanted = begin, wanted - found
    return 0


def _find_nth_last_newline(chunk: bytes, count: int) -> int:
    """Where the `count`th line end from the right is."""
    at = len(chunk)
    for _ in range(count):
        at = chunk.rindex(b"\n", 0, at)
    return at


def _read_chunk(path: Path, at: int, size: int = CHUNK_SIZE) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(at)
            return file.read(size)
    except FileNotFoundError:
        return b""


def _decode_line(line: bytes) -> str:
    return line.decode(errors="replace").rstrip("\r")


LOG_FILE = "log.txt"
JOB_FILE = "job.json"
EVENTS_FILE = "events.jsonl"
OUTCOME_FILE = "outcome.json"

EventKind = TypeVar("EventKind", Checkpoint, Evaluated)


def read_outcome(folder: Path) -> Outcome | None:
    """How the run ended by its own word; None when it was cut off before it could say."""
    try:
        said = json.loads((folder / OUTCOME_FILE).read_text(encoding="utf-8"))
        return Outcome(**said) if isinstance(said, dict) else None
    except (FileNotFoundError, NotADirectoryError, ValueError, TypeError):  # torn by a power cut, among others
        return None


def read_checkpoint_events(folder: Path) -> Iterator[Checkpoint]:
    """The checkpoints that the run told of, in the order it made them."""
    return _read_events(folder, Checkpoint)


def read_evaluation(folder: Path) -> Evaluated | None:
    """The last evaluation that the run told of."""
    return next(iter(deque(_read_events(folder, Evaluated), maxlen=1)), None)


def _read_events(folder: Path, kind: type[EventKind]) -> Iterator[EventKind]:
    sign = f'"{kind.__name__.lower()}"'
    try:
        with (folder / EVENTS_FILE).open(encoding="utf-8", errors="replace") as lines:
            for line in lines:
                if sign in line and (record := event.parse_event(line)) and isinstance(record.event, kind):
                    yield record.event
    except FileNotFoundError:
        return
