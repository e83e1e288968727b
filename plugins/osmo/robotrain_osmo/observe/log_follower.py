"""The log of a workflow as it grows, to its end: a broken stream is opened again, and no line is yielded twice."""

import time
from collections import Counter, deque
from collections.abc import Generator, Iterator

from robotrain.model.reference import Reference
from robotrain.network_deadline import PATIENCE_SECONDS

from robotrain_osmo.client import failures
from robotrain_osmo.client.failures import CommandFailed
from robotrain_osmo.observe import pipeline_steps, workflow_state
from robotrain_osmo.observe.log_lines import (
    MAX_LOG_LINES,
    TRIMMED_LINE,
    open_log,
    parse_text,
    parse_timestamp,
    read_raw_lines,
    select_lines,
)
from robotrain_osmo.observe.workflow_state import WorkflowState

BEGIN_POLL_SECONDS = 3.0
"""Pause between queries before the start."""
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 15.0
"""Pause before a broken stream is reopened: longer while it has no new lines."""
SILENCE_SECONDS = 30.0
"""Pause after which the state is queried, because the stream may hang."""
STEP_SILENCE_SECONDS = 5.0
"""The same for a step: the stream goes on with other tasks after its end."""
CATCH_UP_SECONDS = 15.0
"""Time limit for reading the existing lines if only the last ones are wanted."""


class LogDeduplicator:
    """Finds the new lines of a log whose stream starts from the beginning after each break.

    If the first line is the same, lines are counted; if OSMO has dropped it, new lines are those after the newest time.
    """

    def __init__(self) -> None:
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
        timestamp = parse_timestamp(raw)
        if timestamp > self._newest:
            self._newest, self._at_newest = timestamp, Counter()
        if timestamp == self._newest:
            self._at_newest[raw] += 1
        return True

    def _was_shown(self, raw: str) -> bool:
        timestamp = parse_timestamp(raw)
        if timestamp > self._newest:
            return False
        if timestamp == self._newest and self._newest:
            self._before = self._remaining[raw] > 0
            self._remaining[raw] -= 1
        elif timestamp:
            self._before = True
        return self._before  # a line without a time belongs to the one before


def follow_log(reference: Reference, tail: int | None) -> Iterator[str]:
    """Yield the lines of the log to its end, beginning with its last ones so far. Raise RunGone or Rejected."""
    return OsmoLogFollower(reference, tail).read_lines()


class OsmoLogFollower:
    """The log of a workflow until its end, starting with the last `tail` existing lines."""

    def __init__(self, reference: Reference, tail: int | None) -> None:
        self._reference, self._tail = reference, tail
        self._deduplicator = LogDeduplicator()
        self._caught_up = False
        self._last_answer = time.monotonic()

    def read_lines(self) -> Iterator[str]:
        """Yield the lines until the workflow ends. Raise RunGone or Rejected."""
        pause = FIRST_PAUSE
        while True:
            line_count = self._deduplicator.count
            workflow = self._query_workflow()
            if workflow is not None and workflow.has_no_log:
                time.sleep(BEGIN_POLL_SECONDS)
                continue
            if workflow is not None and (yield from self._read_stream(workflow)):
                return
            pause = FIRST_PAUSE if self._deduplicator.count > line_count else min(pause * 2, LONGEST_PAUSE)
            time.sleep(pause)

    def _query_workflow(self) -> WorkflowState | None:
        """Query the workflow; return None if OSMO is unreachable for the moment."""
        try:
            workflow = workflow_state.query_workflow(self._reference)
        except CommandFailed as error:
            self._raise_if_permanent(error)
            return None
        self._last_answer = time.monotonic()
        return workflow

    def _read_stream(self, workflow: WorkflowState) -> Generator[str, None, bool]:
        """Yield the new lines of one stream. Return whether the log is complete."""
        try:
            with open_log(self._reference) as log:
                raw_lines = select_lines(self._reference, read_raw_lines(log), with_pauses=True)
                yield from self._limit_lines(self._filter_new_lines(raw_lines))
        except CommandFailed as error:
            if workflow.is_finished and workflow.started is None:  # the error may mean that there is no log
                return True
            self._raise_if_permanent(error)
            return False
        return workflow.is_finished

    def _limit_lines(self, raw_lines: Iterator[str | None]) -> Iterator[str]:
        """Yield the texts of the lines, but only the last `tail` of those that exist at first."""
        tail = self._tail
        held_lines = deque[str](maxlen=self._tail)
        began = time.monotonic()
        for raw in raw_lines:
            self._caught_up = self._caught_up or raw is None or time.monotonic() - began > CATCH_UP_SECONDS
            if tail is not None and self._caught_up:
                yield from held_lines
                tail = self._tail = None
            if raw is None:
                continue
            if tail is not None:
                held_lines.append(parse_text(raw))
            else:
                yield parse_text(raw)
                if self._deduplicator.count == MAX_LOG_LINES and not self._caught_up:
                    yield TRIMMED_LINE
        if tail is not None:
            self._tail = None
            yield from held_lines

    def _filter_new_lines(self, raw_lines: Iterator[str | None]) -> Iterator[str | None]:
        """Yield the new lines of a stream, and None in pauses; end if the stream hangs and the workflow has ended."""
        self._deduplicator.begin_stream()
        last_line = time.monotonic()
        silence_seconds = STEP_SILENCE_SECONDS if pipeline_steps.is_step(self._reference) else SILENCE_SECONDS
        for raw in raw_lines:
            if raw is None:
                yield None
                if time.monotonic() - last_line > silence_seconds:
                    if (workflow := self._query_workflow()) is not None and workflow.is_finished:
                        return
                    last_line = time.monotonic()
                continue
            last_line = time.monotonic()
            if self._deduplicator.is_new(raw):
                yield raw

    def _raise_if_permanent(self, error: CommandFailed) -> None:
        """Raise a failure unless OSMO is unreachable for less than PATIENCE_SECONDS."""
        may_pass = error.failure.code in failures.UNREACHABLE_CODES
        if not may_pass or time.monotonic() - self._last_answer > PATIENCE_SECONDS:
            raise error
