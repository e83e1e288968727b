"""Lines of a log as `osmo workflow logs` prints them: OSMO's own marks taken off, and which were shown before. Pure.

`2026/11/20 06:05:29 [train] text`, `… [train retry-1] text` of a later try, `… [train][osmo] text` of OSMO itself.
"""

import re
from collections import Counter

KEPT = 10_000
"""Lines that OSMO keeps of a workflow, if nobody set another number; the newest."""
MARK = "[osmo] "
"""Before what OSMO itself said, in place of its own mark."""
TRIMMED = f"{MARK}OSMO keeps the last {KEPT:,} lines of a log: earlier ones are not there any more"
_HEADER = re.compile(r"Workflow \S+ has (?:error )?logs:")
_BROKEN = "Log stream has timed out or failed"
_LINE = re.compile(
    r"(?P<stamp>\d{4}/\d\d/\d\d \d\d:\d\d:\d\d) \[[^\]\s]+(?: retry-\d+)?\](?P<osmo>\[osmo\])? ?(?P<text>.*)", re.DOTALL
)


def is_header(raw: str) -> bool:
    """Whether it is the line that the command itself begins with."""
    return _HEADER.fullmatch(raw) is not None


def is_break(raw: str) -> bool:
    """Whether the command says that the stream broke off, which it ends well with."""
    return raw.startswith(_BROKEN)


def stamp(raw: str) -> str:
    """When it was printed, in seconds, as a text that sorts; empty for a line that goes on from the one before."""
    found = _LINE.fullmatch(raw)
    return found["stamp"] if found else ""


def text(raw: str) -> str:
    """What the run printed; what OSMO said of it, under its mark."""
    found = _LINE.fullmatch(raw)
    if found is None:
        return raw
    return f"{MARK if found['osmo'] else ''}{found['text']}".rstrip("\r")


class Shown:
    """What was shown of a log, whose stream begins anew each time that it breaks off.

    A stream that begins with the same line is counted; one whose beginning OSMO has dropped meanwhile goes on after the
    newest time that was shown.
    """

    def __init__(self) -> None:
        self.count = 0
        self._first: str | None = None
        self._newest, self._at_newest = "", Counter[str]()
        self._seeking = False
        self.begin()

    def begin(self) -> None:
        """A new stream begins."""
        self._index = 0
        self._left = self._at_newest.copy()
        self._before = True

    def is_new(self, raw: str) -> bool:
        """Whether a line, the next one of the stream, was not shown yet; it counts as shown then."""
        self._index += 1
        if self._index == 1 and raw != self._first:
            self._seeking = self._first is not None
            self._first = raw
        if self._seeking and self._was_there(raw):
            self.count = self._index
            return False
        if not self._seeking and self._index <= self.count:
            return False
        self._seeking = False
        self.count = self._index
        self._note(raw)
        return True

    def _was_there(self, raw: str) -> bool:
        at = stamp(raw)
        if at > self._newest:
            return False
        if at == self._newest and self._newest:
            self._before = self._left[raw] > 0
            self._left[raw] -= 1
        elif at:
            self._before = True
        return self._before  # a line without a time fares as the one before it

    def _note(self, raw: str) -> None:
        at = stamp(raw)
        if at > self._newest:
            self._newest, self._at_newest = at, Counter()
        if at == self._newest:
            self._at_newest[raw] += 1
