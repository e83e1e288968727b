"""The log of a workflow so far, its last lines, and the outcome that the run logged."""

import shutil
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from robotrain.cluster import reasons
from robotrain.model.reference import STEP_KEY, Reference
from robotrain_runtime.contract import event
from robotrain_runtime.contract.event import Note, Outcome
from robotrain_runtime.contract.failure import EXIT_FAILED

from robotrain_osmo.client import service
from robotrain_osmo.client.failures import CommandFailed
from robotrain_osmo.observe import pipeline_steps, workflow_state
from robotrain_osmo.observe.log_lines import (
    MAX_LOG_LINES,
    OSMO_MARK,
    QUIET_SECONDS,
    TRIMMED_LINE,
    open_log,
    parse_text,
    read_raw_lines,
    select_lines,
)
from robotrain_osmo.observe.workflow_state import WorkflowState

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
        outcome_lines = select_lines(reference, read_raw_lines(log, OUTCOME_SECONDS))
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
        step_lines = select_lines(pipeline_steps.select_step({**reference, STEP_KEY: name}), iter(workflow_log.lines))
        outcomes[name] = _find_outcome((parse_text(raw) for raw in step_lines if raw is not None), nodes.get(name, 0))
    return outcomes


def read_log(reference: Reference, tail: int | None = None) -> Iterator[str]:
    """Yield the lines of the log so far, or its last ones; OSMO's with OSMO_MARK. Raise RunGone or Rejected."""
    workflow_log = _find_ended_log(reference) or _read_log(reference)
    if workflow_log.failure is not None:
        raise workflow_log.failure
    last_lines, count = deque[str](maxlen=tail), 0
    for raw in select_lines(reference, iter(workflow_log.lines)):
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
