"""A program's output as clean log lines: progress bars thinned out, and never glued to what follows them."""

import re
import time
from collections.abc import Callable, Iterator

BAR_SECONDS = 10.0
LONGEST = 1 << 16  # bytes; a longer line is cut there, so that neither time nor memory runs away
BAR = re.compile(r"(?P<name>[^%|]{0,200}?)\s*(?:\d{1,3}%\|[^|]*\|[^\[]*|\d+[A-Za-z]* )\[(?:\d+:)?\d\d:\d\d[^\]]*\]")
ESCAPE = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")
END = re.compile(rb"\r\n|\r|\n")


class Lines:
    """Takes output as it comes, in pieces; gives whole lines without their ends."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._rest = b""
        self._shown: dict[str, float] = {}

    def feed(self, piece: bytes) -> Iterator[str]:
        """The lines that `piece` completes."""
        held = b"\r" if piece.endswith(b"\r") else b""  # its \n may be in the next piece
        *whole, self._rest = END.split(self._rest + piece[: len(piece) - len(held)])
        while len(self._rest) > LONGEST:
            whole.append(self._rest[:LONGEST])
            self._rest = self._rest[LONGEST:]
        self._rest += held
        for line in whole:
            yield from self._clean(line)

    def close(self) -> Iterator[str]:
        """What was left without a line's end."""
        yield from self._clean(self._rest)
        self._rest = b""

    def _clean(self, raw: bytes) -> Iterator[str]:
        text = ESCAPE.sub("", raw.decode("utf-8", "replace")).rstrip()
        if bar := BAR.match(text):
            if self._due(bar["name"]):
                yield bar[0].strip()
            text = text[bar.end() :].strip()
        if text:
            yield text

    def _due(self, name: str) -> bool:
        now = self._clock()
        if now - self._shown.get(name, float("-inf")) < BAR_SECONDS:
            return False
        self._shown[name] = now
        return True
