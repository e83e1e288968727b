"""Logs of a workflow: the lines so far, the last ones, or all as they are printed.

Lines are `2026/11/20 06:05:29 [train] text`, with `[train retry-1]` for a later attempt and `[train][osmo]` for OSMO.

The log is that of the whole workflow: a task's log has only the last attempt and fewer lines. While a workflow is
active, the command for its log never ends.
"""

import re
import shutil
import time
from collections import Counter, deque
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from robotrain.cluster import reasons
from robotrain.external_command import CommandStream
from robotrain.model.reference import STEP_KEY, Reference
from robotrain.network_deadline import PATIENCE_SECONDS
from robotrain_runtime.contract import event
from robotrain_runtime.contract.event import Note, Outcome
from robotrain_runtime.contract.failure import EXIT_FAILED

from robotrain_osmo.client import failures, service
from robotrain_osmo.client.failures import CommandFailed
from robotrain_osmo.observe import pipeline_steps, workflow_state
from robotrain_osmo.observe.workflow_state import WorkflowState

MAX_LOG_LINES = 10_000
"""Lines that OSMO keeps of a workflow by default; the newest."""
OSMO_MARK = "[osmo] "
"""Prefix of OSMO's own lines."""
TRIMMED_LINE = f"{OSMO_MARK}OSMO keeps the last {MAX_LOG_LINES:,} lines of a log: earlier ones are lost"
_HEADER = re.compile(r"Workflow \S+ has (?:error )?logs:")
"""The first line of the command's output."""
STREAM_BREAK = "Log stream has timed out or failed"
"""Start of the line that reports a broken stream, after which the command succeeds."""
_LINE = re.compile(
    r"(?P<stamp>\d{4}/\d\d/\d\d \d\d:\d\d:\d\d) \[(?P<task>[^\]\s]+)(?: retry-\d+)?\](?P<osmo>\[osmo\])? ?(?P<text>.*)",
    re.DOTALL,
)


def parse_timestamp(raw: str) -> str:
    """Return the sortable time of a line, or "" if it continues the line before."""
    match = _LINE.fullmatch(raw)
    return match["stamp"] if match else ""


def parse_text(raw: str) -> str:
    """Return the text of a line, with OSMO_MARK if OSMO printed it."""
    match = _LINE.fullmatch(raw)
    if match is None:
        return raw
    return f"{OSMO_MARK if match['osmo'] else ''}{match['text']}".rstrip("\r")


QUIET_SECONDS = 1.5
"""A pause after which the current log counts as complete: OSMO sends new lines once a second."""
START_SECONDS = 15.0
"""Time for the command to start printing."""
ERROR_PREFIX = "Error message: "


def open_log(reference: Reference, *more: str) -> CommandStream:
    """Return the log stream of a workflow as a context manager. Raise Rejected if the command cannot start."""
    name = reference.get("workflow", "")
    return service.start_stream(workflow_state.get_command(reference), "workflow", "logs", name, *more)


def read_raw_lines(log: CommandStream, start: float = START_SECONDS, is_awaited: bool = False) -> Iterator[str | None]:
    """Yield each line, and None after a pause of QUIET_SECONDS, or of `start` seconds before the first line.

    Raise Rejected if the command fails.

    :param is_awaited: raise Rejected also if the command prints nothing at all in `start` seconds.
    """
    has_started, held_lines = False, list[str]()
    while True:
        try:
            log_line = log.read_line(QUIET_SECONDS if has_started else start)
        except EOFError:
            yield from _drop_command_lines(held_lines)
            if failure := failures.diagnose_failure(log.make_result()):
                raise CommandFailed(failure) from None
            return
        if log_line is None:
            if is_awaited and not has_started:
                raise CommandFailed(failures.SLOW)  # it has answered about the workflow
            yield from held_lines
            held_lines.clear()
            yield None
        elif parse_timestamp(log_line):
            has_started = True
            yield from held_lines
            held_lines.clear()
            yield log_line
        elif has_started:
            held_lines.append(log_line)  # a continuation, or the command's own last lines
        else:
            has_started = _HEADER.fullmatch(log_line) is not None


def _drop_command_lines(last_lines: list[str]) -> list[str]:
    for index, line in enumerate(last_lines):
        if line.startswith((STREAM_BREAK, ERROR_PREFIX)):
            log_lines = last_lines[:index]
            return log_lines[:-1] if log_lines and not log_lines[-1] else log_lines
    return last_lines


CURRENT_LOG_SECONDS = 15.0
"""Time limit for the current log of an active workflow."""
ENDED_LOG_SECONDS = 20.0
"""Longest pause in the log of an ended workflow."""
LEAST_CHARACTERS, SLOW_LOG_SECONDS = 1 << 10, 60.0
"""An ended workflow's log that comes more slowly is as good as a pause: a character a second has no end."""
OUTCOME_SECONDS = 5.0
INCOMPLETE_LINE = f"{OSMO_MARK}the rest of the log did not come within {ENDED_LOG_SECONDS:g} s"


def read_outcome(reference: Reference, node: int = 0) -> Outcome | None:
    """Return the outcome that an ended run logged, or that of another node than the lead; or None. Raise Rejected."""
    tail_options = (
        () if pipeline_steps.is_step(reference) else ("-n", str(reasons.OUTCOME_LINES))
    )  # other tasks may go on
    with open_log(reference, *tail_options) as log:
        outcome_lines = _select_lines(reference, read_raw_lines(log, OUTCOME_SECONDS))
        return _find_outcome(map(parse_text, _read_until_quiet(outcome_lines, OUTCOME_SECONDS)), node)


def _find_outcome(log_lines: Iterable[str], node: int) -> Outcome | None:
    """Return the outcome in the log of a run. Another node than the lead logs an error in its place."""
    if not node:
        return reasons.find_outcome(log_lines)
    notes = (record.event for line in log_lines if (record := event.parse_event(line)))
    began = f"node {node} failed: "
    failure_texts = [note.text for note in notes if isinstance(note, Note) and note.text.startswith(began)]
    return (
        Outcome(state="failed", exit_code=EXIT_FAILED, reason=failure_texts[-1].removeprefix(began))
        if failure_texts
        else None
    )


def read_outcomes(reference: Reference, workflow: WorkflowState, nodes: Mapping[str, int]) -> dict[str, Outcome | None]:
    """Return the outcome that each step of an ended pipeline logged, or None. Raise Rejected.

    :param nodes: the rank of the node, of a step of several, that its outcome is that of.
    """
    workflow_log = _find_ended_log(reference) or _read_log(reference, workflow)
    outcomes = {}
    for name in pipeline_steps.list_step_names(reference):
        step_lines = _select_lines(pipeline_steps.select_step({**reference, STEP_KEY: name}), iter(workflow_log.lines))
        outcomes[name] = _find_outcome((parse_text(raw) for raw in step_lines if raw is not None), nodes.get(name, 0))
    return outcomes


def read_log(reference: Reference, tail: int | None = None) -> Iterator[str]:
    """Yield the lines of the log so far, or its last ones; OSMO's with OSMO_MARK. Raise RunGone or Rejected."""
    workflow_log = _find_ended_log(reference) or _read_log(reference)
    if workflow_log.failure is not None:
        raise workflow_log.failure
    last_lines, count = deque[str](maxlen=tail), 0
    for raw in _select_lines(reference, iter(workflow_log.lines)):
        last_lines.append(parse_text(raw or ""))
        count += 1
    if tail is None and count >= MAX_LOG_LINES:
        yield TRIMMED_LINE
    yield from last_lines
    if workflow_log.is_cut:
        yield INCOMPLETE_LINE


class _ReadLog(NamedTuple):
    """What was read of a workflow's log."""

    lines: Sequence[str] = ()
    is_cut: bool = False
    """Whether the rest did not come in time."""
    failure: CommandFailed | None = None


ENDED_LOG_SECONDS_KEPT = 60.0
_ended_logs: dict[tuple[str, str], tuple[float, _ReadLog]] = {}
"""What was last read of the log of an ended workflow, by command and workflow, and when.

The steps of a pipeline share it: each reading may wait until OSMO has sent nothing for a while.
"""


def _find_ended_log(reference: Reference) -> _ReadLog | None:
    read_time, ended_log = _ended_logs.get(_get_log_key(reference), (0.0, None))
    return ended_log if time.monotonic() - read_time < ENDED_LOG_SECONDS_KEPT else None


def _get_log_key(reference: Reference) -> tuple[str, str]:
    command = workflow_state.get_command(reference)
    return shutil.which(command) or command, reference.get("workflow", "")


def _read_log(reference: Reference, workflow: WorkflowState | None = None) -> _ReadLog:
    """Read the log of a workflow so far. Raise Rejected if the workflow cannot be queried.

    :param workflow: its state, if it is known.
    """
    with open_log(reference) as log:  # it starts during the query
        workflow = workflow or workflow_state.query_workflow(reference)
        if workflow.has_no_log:
            return _ReadLog()
        has_ended = workflow.is_finished and not workflow.others_active
        try:
            raw_lines = read_raw_lines(log, service.REQUEST_SECONDS, is_awaited=True)
            read_lines = list(_read_to_end(raw_lines) if has_ended else _read_until_quiet(raw_lines))
            is_cut = read_lines[-1:] == [INCOMPLETE_LINE]
            workflow_log = _ReadLog(read_lines[:-1] if is_cut else read_lines, is_cut)
        except CommandFailed as failure:  # if it has not started, that may mean that there is no log
            workflow_log = _ReadLog(failure=failure if workflow.started is not None else None)
    if has_ended:
        _ended_logs.clear()  # one is enough: only one command asks for several steps
        _ended_logs[_get_log_key(reference)] = time.monotonic(), workflow_log
    return workflow_log


def _select_lines(
    reference: Reference, raw_lines: Iterator[str | None], with_pauses: bool = False
) -> Iterator[str | None]:
    """Yield the lines of a step's task, all of a run of one task, and None in pauses.

    Of several nodes, they are those of the lead, and the events of the others: their errors.

    :param with_pauses: also in pauses that other tasks fill.
    """
    nodes = reference.get(pipeline_steps.TASKS_KEY, "").split(",")
    task = reference.get("task", "") if pipeline_steps.is_step(reference) or len(nodes) > 1 else ""
    other_nodes = nodes[1:] if task == nodes[0] else []
    is_own, last_line_time = not task, time.monotonic()
    for raw in raw_lines:
        if task and raw and (match := _LINE.fullmatch(raw)):  # other lines belong to the one before
            is_own = match["task"] == task or (match["task"] in other_nodes and match["text"].startswith(event.PREFIX))
        if raw is None or is_own:
            yield raw
        elif with_pauses and time.monotonic() - last_line_time > QUIET_SECONDS:
            yield None
        else:
            continue
        last_line_time = time.monotonic()


def _read_until_quiet(raw_lines: Iterator[str | None], seconds: float = CURRENT_LOG_SECONDS) -> Iterator[str]:
    deadline = 0.0
    for raw in raw_lines:
        deadline = deadline or time.monotonic() + seconds  # a slow service takes longer to begin
        if raw is None or time.monotonic() > deadline:
            return
        yield raw


def _read_to_end(raw_lines: Iterator[str | None]) -> Iterator[str]:
    """Yield all lines to the end, without a limit while they come faster than a few characters a second."""
    last_line = start_time = time.monotonic()
    characters = 0
    for raw in raw_lines:
        now = time.monotonic()
        if raw is not None:
            last_line = now
            characters += len(raw)
            yield raw
        if characters > LEAST_CHARACTERS:
            start_time, characters = now, 0
        if now - last_line > ENDED_LOG_SECONDS - QUIET_SECONDS or now - start_time > SLOW_LOG_SECONDS:
            yield INCOMPLETE_LINE
            return


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
                raw_lines = _select_lines(self._reference, read_raw_lines(log), with_pauses=True)
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
