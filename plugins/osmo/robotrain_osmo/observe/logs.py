"""Logs of a workflow: the lines so far, the last ones, or all as they are printed.

`2026/11/20 06:05:29 [train] text`, `… [train retry-1] text` of a later try, `… [train][osmo] text` of OSMO itself.

OSMO is asked for the log of the whole workflow, which has one task: that of a task is only its newest try, and is kept
ten times shorter. Of a workflow that goes on the command never ends by itself, however few lines are asked for.
"""

import re
import time
from collections import Counter, deque
from collections.abc import Generator, Iterator

from robotrain.model.run import Reference
from robotrain_runtime.contract import event
from robotrain_runtime.contract.event import Outcome, StageEvent

from robotrain_osmo.client import command, failures, service, stream
from robotrain_osmo.client.failures import CommandFailed
from robotrain_osmo.client.stream import CommandStream
from robotrain_osmo.observe import workflow_state
from robotrain_osmo.observe.workflow_state import WorkflowState

MAX_LOG_LINES = 10_000
"""Lines that OSMO keeps of a workflow, if nobody set another number; the newest."""
OSMO_MARK = "[osmo] "
"""Before what OSMO itself said, in place of its own mark."""
TRIMMED_LINE = f"{OSMO_MARK}OSMO keeps the last {MAX_LOG_LINES:,} lines of a log: earlier ones are not there any more"
_HEADER = re.compile(r"Workflow \S+ has (?:error )?logs:")
_STREAM_BREAK = "Log stream has timed out or failed"
_LINE = re.compile(
    r"(?P<stamp>\d{4}/\d\d/\d\d \d\d:\d\d:\d\d) \[[^\]\s]+(?: retry-\d+)?\](?P<osmo>\[osmo\])? ?(?P<text>.*)", re.DOTALL
)


def is_header(raw: str) -> bool:
    """Whether it is the line that the command itself begins with."""
    return _HEADER.fullmatch(raw) is not None


def is_stream_break(raw: str) -> bool:
    """Whether the command says that the stream broke off, which it ends well with."""
    return raw.startswith(_STREAM_BREAK)


def parse_timestamp(raw: str) -> str:
    """When it was printed, in seconds, as a text that sorts; empty for a line that goes on from the one before."""
    found = _LINE.fullmatch(raw)
    return found["stamp"] if found else ""


def parse_text(raw: str) -> str:
    """What the run printed; what OSMO said of it, under its mark."""
    found = _LINE.fullmatch(raw)
    if found is None:
        return raw
    return f"{OSMO_MARK if found['osmo'] else ''}{found['text']}".rstrip("\r")


class LogDeduplicator:
    """What was shown of a log, whose stream begins anew each time that it breaks off.

    A stream that begins with the same line is counted; one whose beginning OSMO has dropped meanwhile goes on after the
    newest time that was shown.
    """

    def __init__(self) -> None:
        self.count = 0
        self._first: str | None = None
        self._newest, self._at_newest = "", Counter[str]()
        self._seeking = False
        self.begin_stream()

    def begin_stream(self) -> None:
        """A new stream begins."""
        self._index = 0
        self._remaining = self._at_newest.copy()
        self._before = True

    def is_new(self, raw: str) -> bool:
        """Whether a line, the next one of the stream, was not shown yet; it counts as shown then."""
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
        at = parse_timestamp(raw)
        if at > self._newest:
            return False
        if at == self._newest and self._newest:
            self._before = self._remaining[raw] > 0
            self._remaining[raw] -= 1
        elif at:
            self._before = True
        return self._before  # a line without a time fares as the one before it

    def _record(self, raw: str) -> None:
        at = parse_timestamp(raw)
        if at > self._newest:
            self._newest, self._at_newest = at, Counter()
        if at == self._newest:
            self._at_newest[raw] += 1


QUIET_SECONDS = 1.5
"""Without a line, until a log counts as read for now: OSMO looks for new ones once a second."""
START_SECONDS = 15.0
"""Until the command has begun to print."""
ERROR_PREFIX = "Error message: "


def open_log(reference: Reference, *more: str) -> CommandStream:
    """The log of the whole workflow; to be used in a `with`. Raises Rejected when there is no such command."""
    cli = workflow_state.get_command(reference)
    try:
        return stream.start_stream(cli, "workflow", "logs", reference.get("workflow", ""), *more)
    except command.CommandStartError as error:
        raise failures.CommandFailed(failures.make_start_failure(cli, str(error))) from error


def read_raw_lines(log: CommandStream, start: float = START_SECONDS) -> Iterator[str | None]:
    """Each line; None each time that none came for QUIET_SECONDS, or for `start` seconds before the first. Raises
    Rejected when the command failed.
    """
    begun, held = False, list[str]()
    while True:
        try:
            line = log.read_line(QUIET_SECONDS if begun else start)
        except EOFError:
            yield from _drop_command_lines(held)
            service.raise_for_failure(log.make_result())
            return
        if line is None:
            yield from held
            held.clear()
            yield None
        elif parse_timestamp(line):
            begun = True
            yield from held
            held.clear()
            yield line
        elif begun:
            held.append(line)  # what belongs to the line before, or what the command says at its end
        else:
            begun = is_header(line)


def _drop_command_lines(last_lines: list[str]) -> list[str]:
    """Of the last lines without a time, those that are not the command's."""
    said = next(
        (at for at, line in enumerate(last_lines) if is_stream_break(line) or line.startswith(ERROR_PREFIX)), None
    )
    kept = last_lines if said is None else last_lines[:said]
    return kept[:-1] if said is not None and kept and not kept[-1] else kept


CURRENT_LOG_SECONDS = 15.0
"""For what is there of a log that goes on."""
ENDED_LOG_SECONDS = 20.0
"""Without a line of a log that has ended."""
OUTCOME_SECONDS = 5.0
OUTCOME_LINES = 400
"""Lines in which a run's last word is looked for: what OSMO says of its uploads comes after it."""
INCOMPLETE_LINE = f"{OSMO_MARK}the rest of the log did not come within {ENDED_LOG_SECONDS:g} s"


def read_logs(reference: Reference, follow: bool, tail: int | None = None) -> Iterator[str]:
    """What the run printed, its events among it, and OSMO's own lines under a mark. Raises RunGone, Rejected."""
    if follow:
        pass

        return OsmoLogFollower(reference, tail).read_lines()
    return _read_current_log(reference, tail)


def read_outcome(reference: Reference) -> Outcome | None:
    """The last word of a run that has ended; None when there is none. Raises Rejected."""
    last: Outcome | None = None
    until = time.monotonic() + OUTCOME_SECONDS
    with open_log(reference, "-n", str(OUTCOME_LINES)) as log:
        for raw in read_raw_lines(log, OUTCOME_SECONDS):
            if raw is None or time.monotonic() > until:
                break
            found = event.parse_event(parse_text(raw))
            if found and isinstance(found.event, Outcome):
                last = found.event
            elif found and isinstance(found.event, StageEvent) and found.event.state == "started":
                last = None  # that was the word of an earlier try
    return last


def _read_current_log(reference: Reference, tail: int | None) -> Iterator[str]:
    with open_log(reference) as log:  # it starts while the state is asked for
        told = workflow_state.query_workflow(reference)
        if told.has_no_log:
            return
        found, count = deque[str](maxlen=tail), 0
        try:
            for line in (
                _read_to_end(read_raw_lines(log)) if told.is_finished else _read_until_quiet(read_raw_lines(log))
            ):
                found.append(line)
                count += 1
        except CommandFailed:
            if told.started is not None:  # else there is none, and OSMO may say so as an error
                raise
    if tail is None and count >= MAX_LOG_LINES:
        yield TRIMMED_LINE
    yield from found


def _read_until_quiet(raws: Iterator[str | None]) -> Iterator[str]:
    until = time.monotonic() + CURRENT_LOG_SECONDS
    for raw in raws:
        if raw is None or time.monotonic() > until:
            return
        yield parse_text(raw)


def _read_to_end(raws: Iterator[str | None]) -> Iterator[str]:
    """To its end, however long that takes while lines come."""
    heard = time.monotonic()
    for raw in raws:
        if raw is not None:
            heard = time.monotonic()
            yield parse_text(raw)
        elif time.monotonic() - heard > ENDED_LOG_SECONDS - QUIET_SECONDS:
            yield INCOMPLETE_LINE
            return


BEGIN_POLL_SECONDS = 3.0
"""Between two looks for its beginning."""
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 15.0
"""Seconds until a stream that ended is asked for again: longer while it brings nothing."""
SILENCE_SECONDS = 30.0
"""Of silence, until it is asked whether the workflow goes on: a stream may hang."""
CATCH_UP_SECONDS = 15.0
"""For what is there already, where only the last lines of it are wanted."""
PATIENCE_SECONDS = 600.0
"""For an OSMO that cannot be reached: a network that is away comes back."""


class OsmoLogFollower:
    """The log of a workflow as it comes. tail: only so many of the last lines of what there is at first."""

    def __init__(self, reference: Reference, tail: int | None) -> None:
        self._reference, self._tail = reference, tail
        self._deduplicator = LogDeduplicator()
        self._caught_up = False
        self._last_answer = time.monotonic()

    def read_lines(self) -> Iterator[str]:
        """All of it, to the workflow's end. Raises RunGone, Rejected."""
        pause = FIRST_PAUSE
        while True:
            before, told = self._deduplicator.count, self._query_workflow()
            if told is not None and told.has_no_log:
                time.sleep(BEGIN_POLL_SECONDS)
                continue
            if told is not None and (yield from self._read_stream(told)):
                return
            pause = FIRST_PAUSE if self._deduplicator.count > before else min(pause * 2, LONGEST_PAUSE)
            time.sleep(pause)

    def _query_workflow(self) -> WorkflowState | None:
        """How it is; None where OSMO cannot be reached for the moment."""
        try:
            told = workflow_state.query_workflow(self._reference)
        except CommandFailed as refused:
            self._raise_if_permanent(refused)
            return None
        self._last_answer = time.monotonic()
        return told

    def _read_stream(self, workflow: WorkflowState) -> Generator[str, None, bool]:
        """What is new of one stream; answers whether that was the last of it."""
        try:
            with open_log(self._reference) as log:
                yield from self._limit_lines(self._filter_new_lines(read_raw_lines(log)))
        except CommandFailed as refused:
            if workflow.is_finished and workflow.started is None:  # there is none, and OSMO may say so as an error
                return True
            self._raise_if_permanent(refused)
            return False
        return workflow.is_finished

    def _limit_lines(self, raw_lines: Iterator[str | None]) -> Iterator[str]:
        """The lines as they are shown; of those that are there at first only the last, where only they are wanted."""
        wanted, held, began = self._tail, deque[str](maxlen=self._tail), time.monotonic()
        for raw in raw_lines:
            self._caught_up = self._caught_up or raw is None or time.monotonic() - began > CATCH_UP_SECONDS
            if wanted is not None and self._caught_up:
                yield from held
                wanted = self._tail = None
            if raw is None:
                continue
            if wanted is not None:
                held.append(parse_text(raw))
            else:
                yield parse_text(raw)
                if self._deduplicator.count == MAX_LOG_LINES and not self._caught_up:
                    yield TRIMMED_LINE
        if wanted is not None:
            self._tail = None
            yield from held

    def _filter_new_lines(self, raws: Iterator[str | None]) -> Iterator[str | None]:
        """The lines of a stream that were not told, and None in a silence; a stream that only hangs is left."""
        self._deduplicator.begin_stream()
        heard = time.monotonic()
        for raw in raws:
            if raw is None:
                yield None
                if time.monotonic() - heard > SILENCE_SECONDS:
                    if (told := self._query_workflow()) is not None and told.is_finished:
                        return
                    heard = time.monotonic()
                continue
            heard = time.monotonic()
            if self._deduplicator.is_new(raw):
                yield raw

    def _raise_if_permanent(self, failed: CommandFailed) -> None:
        """Raise what does not pass by itself, or has not for long."""
        if (
            failed.failure.code not in failures.UNREACHABLE_CODES
            or time.monotonic() - self._last_answer > PATIENCE_SECONDS
        ):
            raise failed
