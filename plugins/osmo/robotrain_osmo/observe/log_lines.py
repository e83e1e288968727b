"""Lines of a workflow's log: what they look like, and a stream of them from OSMO's command.

Lines are `2026/11/20 06:05:29 [train] text`, with `[train retry-1]` for a later attempt and `[train][osmo]` for OSMO.

The log is that of the whole workflow: a task's log has only the last attempt and fewer lines. While a workflow is
active, the command for its log never ends.
"""

import re
import time
from collections.abc import Iterator

from robotrain.model.reference import Reference
from robotrain_runtime.contract import event

from robotrain_osmo.client import failures, service
from robotrain_osmo.client.command_stream import CommandStream
from robotrain_osmo.client.failures import CommandFailed
from robotrain_osmo.observe import pipeline_steps, workflow_state

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
                raise CommandFailed(failures.TIMEOUT)  # it has answered about the workflow
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


def select_lines(
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
