"""Lines on a terminal that are renewed in place: cursor movements and erasing only, nothing that outlives us."""

import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TextIO

from robotrain.cli import terminal
from robotrain.cli.columns import width


class Screen:
    """The last lines of a terminal. A line may carry colours: its plain text beside it says how wide it is."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._shown: list[tuple[str, str]] = []
        self._columns = 0

    def draw(self, lines: Sequence[tuple[str, str]]) -> None:
        """Put (plain text, the same with colours) pairs in place of what was drawn before."""
        columns, _ = terminal.size(self._stream)
        if list(lines) == self._shown and columns == self._columns:
            return
        rows = sum(max(1, -(-width(text) // columns)) for text, _ in self._shown)  # a narrower terminal wrapped them
        up = f"\x1b[{rows}A" if rows else ""
        with _whole():
            self._stream.write(f"{up}\r" + "".join(f"{coloured}\x1b[K\n" for _, coloured in lines) + "\x1b[J")
            self._stream.flush()
            self._shown, self._columns = list(lines), columns

    def leave(self) -> None:
        """What is drawn stays; what comes next is drawn below it."""
        self._shown = []


@contextmanager
def _whole() -> Iterator[None]:
    """Ctrl-C waits until this is done: who draws next has to know what is on the terminal."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    heard: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, frame: heard.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        if heard and callable(before):
            before(signal.SIGINT, None)
