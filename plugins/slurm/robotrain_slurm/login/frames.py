"""The frames in which two machines talk: an object as a line of JSON, and bytes that it refers to."""

import json
from collections.abc import Callable
from typing import IO, Any, NamedTuple

MAX_LINE_BYTES = 1 << 26
MAX_BLOB_BYTES = 1 << 31
MAX_ANSWER_BYTES = 1 << 24
"""The most bytes, beside its line, of a frame from a login node: files come in parts."""
PIECE_BYTES = 1 << 16
ALIVE = "alive"
"""What a frame is named that says only that a call is at work."""
ALIVE_SECONDS = 10.0
"""How often there is one."""


class Frame(NamedTuple):
    """What one side says."""

    head: dict[str, Any]
    blobs: list[bytes]


class BrokenFrame(Exception):
    """What came is no frame."""


def write_frame(
    stream: IO[bytes], head: dict[str, Any], blobs: list[bytes], on_piece: Callable[[], object] = lambda: None
) -> None:
    """Write a frame; `on_piece` is called before each piece, which may have to wait. Raise OSError."""
    line = json.dumps({**head, "sizes": [len(blob) for blob in blobs]})
    for content in (line.encode() + b"\n", *blobs):
        for start in range(0, len(content), PIECE_BYTES):
            on_piece()
            stream.write(content[start : start + PIECE_BYTES])
    on_piece()
    stream.flush()


def read_frame(stream: IO[bytes], max_bytes: int = MAX_BLOB_BYTES) -> Frame | None:
    """Return the next frame, with at most `max_bytes` beside its line; None at the end. Raise BrokenFrame, OSError."""
    line = stream.readline(MAX_LINE_BYTES)
    if not line.endswith(b"\n"):
        return None
    try:
        head = json.loads(line)
        sizes = [int(size) for size in head.pop("sizes")]
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise BrokenFrame("a line is no frame") from error
    if any(size < 0 for size in sizes) or sum(sizes) > max_bytes:
        raise BrokenFrame("a frame is too large")
    blobs = [stream.read(size) for size in sizes]
    return Frame(head, blobs) if [len(blob) for blob in blobs] == sizes else None
