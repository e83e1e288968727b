"""Reading the log of a run, while it is written or afterwards."""

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

POLL = 0.2
CHUNK = 1 << 16


def lines(path: Path, ended: Callable[[], bool], tail: int | None = None) -> Iterator[str]:
    """Each line once, until `ended` and everything is read. A line that is still being written is waited for.

    tail: only so many of the lines that are there now, read from the end, and all that come after.
    """
    rest, at = b"", 0 if tail is None else _start(path, tail)
    while True:
        over = ended()  # asked before reading: what was written before the end is read after it
        while chunk := _read(path, at):
            at += len(chunk)
            *whole, rest = (rest + chunk).split(b"\n")
            yield from map(_text, whole)
        if over:
            if rest:
                yield _text(rest)
            return
        time.sleep(POLL)


def _start(path: Path, count: int) -> int:
    """Where the last `count` lines begin, the one that is still being written among them."""
    size = os.stat(path).st_size if path.exists() else 0
    if count <= 0 or not size:
        return size
    at, wanted = size, count + (_read(path, size - 1, 1) == b"\n")
    while at > 0:
        begin = max(0, at - CHUNK)
        chunk = _read(path, begin, at - begin)
        found = chunk.count(b"\n")
        if found >= wanted:
            return begin + _nth_last(chunk, wanted) + 1
        at, wanted = begin, wanted - found
    return 0


def _nth_last(chunk: bytes, count: int) -> int:
    """Where the `count`th line end from the right is."""
    at = len(chunk)
    for _ in range(count):
        at = chunk.rindex(b"\n", 0, at)
    return at


def _read(path: Path, at: int, size: int = CHUNK) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(at)
            return file.read(size)
    except FileNotFoundError:
        return b""


def _text(line: bytes) -> str:
    return line.decode(errors="replace").rstrip("\r")
