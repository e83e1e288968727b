"""Logs that an engine's command streams from their beginning each time: which lines are new."""

from collections import Counter
from collections.abc import Callable


class LogDeduplicator:
    """Finds the new lines of a log whose stream starts from the beginning after each break.

    If the first line is the same, lines are counted; if the engine has dropped it, new lines are those after the newest
    time.

    :param parse_timestamp: returns the sortable time of a line, or "" if it continues the line before.
    """

    def __init__(self, parse_timestamp: Callable[[str], str]) -> None:
        self._parse_timestamp = parse_timestamp
        self.count = 0
        self._first: str | None = None
        self._newest, self._at_newest = "", Counter[str]()
        self._seeking = False
        self.begin_stream()

    def begin_stream(self) -> None:
        """Start a new stream."""
        self._index = 0
        self._remaining = self._at_newest.copy()
        self._before = True

    def is_new(self, raw: str) -> bool:
        """Return whether the next line of the stream is new, and record it."""
        self._index += 1
        if self._index == 1 and raw != self._first:
            self._seeking = self._first is not None
            self._first = raw
        if self._seeking and self._was_shown(raw):
            self.count = self._index
            return False
        if not self._seeking and self._index <= self.count:
            return False
        self._seeking = False
        self.count = self._index
        self._record(raw)
        return True

    def _was_shown(self, raw: str) -> bool:
        at = self._parse_timestamp(raw)
        if at > self._newest:
            return False
        if at == self._newest and self._newest:
            self._before = self._remaining[raw] > 0
            self._remaining[raw] -= 1
        elif at:
            self._before = True
        return self._before  # a line without a time belongs to the one before

    def _record(self, raw: str) -> None:
        at = self._parse_timestamp(raw)
        if at > self._newest:
            self._newest, self._at_newest = at, Counter()
        if at == self._newest:
            self._at_newest[raw] += 1
