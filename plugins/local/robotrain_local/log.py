"""Reading the log of a run, while it is written or afterwards."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

POLL = 0.2
CHUNK = 1 << 16


def lines(path: Path, ended: Callable[[], bool]) -> Iterator[str]:
    """Each line once, until `ended` and everything is read. A line that is still being written is waited for."""
    rest, at = b"", 0
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


def _read(path: Path, at: int) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(at)
            return file.read(CHUNK)
    except FileNotFoundError:
        return b""


def _text(line: bytes) -> str:
    return line.decode(errors="replace").rstrip("\r")
