"""The log of a workflow: so far, its last lines, all of it as it grows, and the outcome that the run logged."""

import shutil
import time
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence

from robotrain.cluster import reasons
from robotrain.model.reference import STEP_KEY, Reference
from robotrain.network_deadline import PATIENCE_SECONDS
from robotrain_runtime.contract import event
from robotrain_runtime.contract.event import Note, Outcome
from robotrain_runtime.contract.failure import EXIT_FAILED

from robotrain_osmo.client import failures, service
from robotrain_osmo.client.failures import CommandFailed
from robotrain_osmo.observe import pipeline_steps, workflow_state
from robotrain_osmo.observe.log_lines import (
    MAX_LOG_LINES,
    OSMO_MARK,
    TRIMMED_LINE,
    open_log,
    parse_text,
    parse_timestamp,
    read_raw_lines,
    select_lines,
)
from robotrain_osmo.observe.workflow_state import WorkflowState

CURRENT_LOG_SECONDS = 30.0
"""Time limit for the current log of an active workflow, which a pause ends."""
ENDED_LOG_SECONDS = 20.0
"""Longest pause in the log of an ended workflow."""
LONGEST_LOG_SECONDS = 300.0
"""Time limit for the log of an ended workflow."""
START_SECONDS, OUTCOME_SECONDS = 5.0, 10.0
INCOMPLETE_LINE = f"{OSMO_MARK}the rest of the log did not come within {ENDED_LOG_SECONDS:g} s"


def read_outcome(reference: Reference, node: int = 0) -> Outcome | None:
    """Return the outcome that an ended run logged, or that of another node than the lead; or None. Raise Rejected."""
    tail_options = (
        () if pipeline_steps.is_step(reference) else ("-n", str(reasons.OUTCOME_LINES))
    )  # other tasks may go on
    with open_log(reference, *tail_options) as log:
        outcome_lines = select_lines(reference, read_raw_lines(log, START_SECONDS))
        return _find_outcome(map(parse_text, _collect(outcome_lines, 0, OUTCOME_SECONDS)[0]), node)


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
    raw_lines, _ = _read_log(reference, workflow)
    outcomes = {}
    for name in pipeline_steps.list_step_names(reference):
        step_lines = select_lines(pipeline_steps.select_step({**reference, STEP_KEY: name}), iter(raw_lines))
        outcomes[name] = _find_outcome((parse_text(raw) for raw in step_lines if raw is not None), nodes.get(name, 0))
    return outcomes


def read_log(reference: Reference, tail: int | None = None) -> Iterator[str]:
    """Yield the lines of the log so far, or its last ones; OSMO's with OSMO_MARK. Raise RunGone or Rejected."""
    raw_lines, is_cut = _read_log(reference)
    own_lines = [raw for raw in select_lines(reference, iter(raw_lines)) if raw is not None]
    if tail is None and len(own_lines) >= MAX_LOG_LINES:
        yield TRIMMED_LINE
    yield from map(parse_text, own_lines[len(own_lines) - tail :] if tail is not None else own_lines)
    if is_cut:
        yield INCOMPLETE_LINE


_ended_logs: dict[tuple[str, str], tuple[Sequence[str], bool]] = {}
"""The logs of ended workflows, by command and workflow: the steps of a pipeline share one."""


def _read_log(reference: Reference, workflow: WorkflowState | None = None) -> tuple[Sequence[str], bool]:
    """Return the lines of the log of a workflow so far, and whether the rest did not come in time. Raise Rejected.

    :param workflow: its state, if it is known.
    """
    command = workflow_state.get_command(reference)
    key = (shutil.which(command) or command, reference.get("workflow", ""))
    if key in _ended_logs:
        return _ended_logs[key]
    with open_log(reference) as log:  # it starts during the query
        workflow = workflow or workflow_state.query_workflow(reference)
        if workflow.has_no_log:
            return (), False
        try:
            raw_lines = read_raw_lines(log, service.REQUEST_SECONDS, is_awaited=True)
            if workflow.is_finished and not workflow.others_active:
                _ended_logs[key] = _collect(raw_lines, ENDED_LOG_SECONDS, LONGEST_LOG_SECONDS)
                return _ended_logs[key]
            return _collect(raw_lines, 0, CURRENT_LOG_SECONDS)[0], False
        except CommandFailed:
            if workflow.started is None:  # that may mean that there is no log
                return (), False
            raise


def _collect(raw_lines: Iterator[str | None], pause: float, seconds: float) -> tuple[Sequence[str], bool]:
    """Return the lines until a longer pause, or for `seconds` in all, and whether they broke off."""
    lines: list[str] = []
    began = last_time = time.monotonic()
    for raw in raw_lines:
        now = time.monotonic()
        if raw is not None:
            lines.append(raw)
            last_time = now
        if now - last_time > pause or now - began > seconds:
            return lines, True
    return lines, False


BEGIN_POLL_SECONDS = 3.0
"""Pause between queries before the start."""
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 15.0
"""Pause before a broken stream is reopened: longer while it has no new lines."""
SILENCE_SECONDS, STEP_SILENCE_SECONDS = 30.0, 5.0
"""Pause after which the state is queried, as the stream may hang: that of a step goes on with other tasks."""


class SeenLines:
    """The newest lines of a log that were read, by which they are known when its stream begins again.

    A line without a time belongs to the one before. Equal lines of one time are counted.
    """

    def __init__(self) -> None:
        self._keys = deque[tuple[str, str]](maxlen=MAX_LOG_LINES)
        self.count = 0
        self.begin_stream()

    def begin_stream(self) -> None:
        """Start a new stream."""
        self._remaining, self._timestamp = Counter(self._keys), ""
        first = self._keys[0][0] if self._keys else ""
        self._oldest = first if len(self._keys) == MAX_LOG_LINES else first[:1]  # the begin of a line may be dropped

    def is_new(self, raw: str) -> bool:
        """Return whether the next line of the stream is new, and record it."""
        self._timestamp = parse_timestamp(raw) or self._timestamp
        key = (self._timestamp, raw)
        if self._remaining[key] > 0:
            self._remaining[key] -= 1
            return False
        if self._timestamp < self._oldest:
            return False
        self._keys.append(key)
        self.count += 1
        return True


def follow_log(reference: Reference, tail: int | None) -> Iterator[str]:
    """Yield the lines of the log to its end, beginning with its last ones so far. Raise RunGone or Rejected."""
    seen, answer_time, pause = SeenLines(), time.monotonic(), FIRST_PAUSE
    while True:
        count, workflow = seen.count, None
        try:
            workflow = workflow_state.query_workflow(reference)
            answer_time = time.monotonic()
            if workflow.has_no_log:
                time.sleep(BEGIN_POLL_SECONDS)
                continue
            if tail is not None:
                raw_lines, _ = _read_log(reference, workflow)
                new_lines = [raw for raw in select_lines(reference, iter(raw_lines)) if raw and seen.is_new(raw)]
                yield from map(parse_text, new_lines[max(0, len(new_lines) - tail) :])
                tail = None
            yield from map(parse_text, _read_new_lines(reference, seen))
            if workflow.is_finished:
                return
        except CommandFailed as error:
            if workflow and workflow.is_finished and workflow.started is None:  # it may mean that there is no log
                return
            may_pass = error.failure.code in failures.UNREACHABLE_CODES
            if not may_pass or time.monotonic() - answer_time > PATIENCE_SECONDS:
                raise
        pause = FIRST_PAUSE if seen.count > count else min(pause * 2, LONGEST_PAUSE)
        time.sleep(pause)


def _read_new_lines(reference: Reference, seen: SeenLines) -> Iterator[str]:
    """Yield the new lines of one stream; end if it hangs and the workflow has ended. Raise CommandFailed."""
    seen.begin_stream()
    last_time = time.monotonic()
    silence_seconds = STEP_SILENCE_SECONDS if pipeline_steps.is_step(reference) else SILENCE_SECONDS
    with open_log(reference) as log:
        for raw in select_lines(reference, read_raw_lines(log), with_pauses=True):
            if raw is not None:
                last_time = time.monotonic()
                if seen.is_new(raw):
                    yield raw
            elif time.monotonic() - last_time > silence_seconds:
                if workflow_state.query_workflow(reference).is_finished:
                    return
                last_time = time.monotonic()
