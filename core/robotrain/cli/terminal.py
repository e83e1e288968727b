"""What the terminal behind a stream can show: its size, colours, and whether what is on it can be renewed.

A stream that is no terminal, and a terminal that calls itself `dumb`, get no escape code at all.
"""

import os
from typing import TextIO

COLUMNS, ROWS = 80, 24
STYLES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}
STATES = {
    "running": "cyan",
    "succeeded": "green",
    "failed": "red",
    "lost": "red",
    "gone": "red",
    "broken": "red",
    "cancelled": "yellow",
    "interrupted": "yellow",
    "unknown": "yellow",
}
"""The style of each state that has one."""


def is_terminal(stream: TextIO | None) -> bool:
    """Whether a person reads it as it is written."""
    try:
        return stream is not None and stream.isatty()
    except ValueError:  # closed
        return False


def is_live(stream: TextIO | None) -> bool:
    """Whether what was written can be renewed in place."""
    return is_terminal(stream) and os.environ.get("TERM", "dumb") not in ("dumb", "unknown", "")


def has_colour(stream: TextIO | None) -> bool:
    """Whether colours are wanted there: NO_COLOR, with any value, says no."""
    return is_live(stream) and not os.environ.get("NO_COLOR")


def size(stream: TextIO) -> tuple[int, int]:
    """Columns and rows, as of now."""
    try:
        columns, rows = os.get_terminal_size(stream.fileno())
    except (OSError, ValueError):
        columns, rows = 0, 0
    return columns or COLUMNS, rows or ROWS  # a terminal that was never told its size says 0


def columns(stream: TextIO | None) -> int | None:
    """The columns of a terminal; None where nothing has to fit, as in a pipe."""
    return size(stream)[0] if stream is not None and is_terminal(stream) else None


def paint(text: str, style: str, colour: bool) -> str:
    """`text` in a style, where there is colour."""
    return f"\x1b[{STYLES[style]}m{text}\x1b[0m" if colour and style and text else text


def can_show(text: str, stream: TextIO | None) -> bool:
    """Whether the stream's encoding knows every character of `text`."""
    try:
        text.encode(getattr(stream, "encoding", None) or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True
