"""Regular expressions that find metrics and steps in the lines of a program. Imports nothing of core: jobs carry it."""

import re
import signal
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from types import FrameType

from robotrain_workloads.supervision.metric_row import MetricRow, parse_step

STEP_GROUP = "step"
"""The named group of a metric's expression that is the step, beside the group that is the value."""
MAX_CPU_SECONDS = 2.0
"""What the lines between two looks may cost: the expression that is tried then is not read any further."""
ESCAPE = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")


def compile_metric(expression: str) -> re.Pattern[str]:
    """Return the expression of a metric. Raise ValueError with what is wrong with it."""
    pattern = _compile(expression)
    count = pattern.groups - (STEP_GROUP in pattern.groupindex)
    if count != 1:
        raise ValueError(f"it has {count or 'no'} groups, and needs one around the value")
    return pattern


def compile_step(expression: str) -> re.Pattern[str]:
    """Return the expression of the step. Raise ValueError with what is wrong with it."""
    pattern = _compile(expression)
    if pattern.groups not in (1, 2):
        raise ValueError(f"it has {pattern.groups or 'no'} groups, and needs one around the step (a second: the total)")
    return pattern


def _compile(text: str) -> re.Pattern[str]:
    try:
        return re.compile(text)
    except (re.error, RecursionError, OverflowError) as error:
        raise ValueError(f"it is no regular expression: {error}") from None


class LineReader:
    """Finds metrics in lines. Without an expression for the step, the values of each name are counted."""

    def __init__(self, metrics: Mapping[str, str], step: str | None = None) -> None:
        self._metrics = {name: compile_metric(expression) for name, expression in metrics.items()}
        self._step = compile_step(step) if step else None
        self._counts = dict.fromkeys(metrics, 0)
        self._at: tuple[int, int | None] | None = None
        self._tried = ""
        self.max_cpu_seconds = MAX_CPU_SECONDS
        self.slow: list[str] = []
        """The names whose expression took too long; the step's is empty."""

    @property
    def names(self) -> tuple[str, ...]:
        """The names of its metrics."""
        return tuple(self._counts)

    @property
    def unmatched(self) -> list[str]:
        """The names that no line had a value of; the step's is empty."""
        unmatched_names = [name for name in self._metrics if not self._counts[name]]
        return unmatched_names if self._step is None or self._at else [*unmatched_names, ""]

    def read_lines(self, lines: Iterable[bytes]) -> list[MetricRow]:
        """Return the values in the lines, in their order. Only for the main thread.

        An expression that takes too long joins `slow`, and is not read any further.
        """
        rows: list[MetricRow] = []
        remaining_lines = iter(lines)
        while self._metrics or self._step:
            try:
                with _limit_cpu_time(self.max_cpu_seconds):
                    for raw_line in remaining_lines:
                        line = raw_line.decode("utf-8", "replace")
                        rows += self._read_line(ESCAPE.sub("", line) if "\x1b" in line else line)
                return rows
            except _TimeUp:
                self.slow.append(self._tried)
                if self._metrics.pop(self._tried, None) is None:
                    self._step = None
        return rows

    def _read_line(self, line: str) -> list[MetricRow]:
        """Return the rows of a line; one without values tells of the step alone."""
        rows: dict[tuple[int, int | None], dict[str, float]] = {}
        counted_rows: dict[int, dict[str, float]] = {}
        if self._step is not None:
            self._tried = ""
            if match := self._step.search(line):
                step_numbers = [parse_step(text) for text in match.groups()]
                if step_numbers[0] is not None:
                    self._at = step_numbers[0], (step_numbers[1] if len(step_numbers) > 1 else None)
                    rows[self._at] = {}
        for name, pattern in self._metrics.items():
            self._tried = name
            if (match := pattern.search(line)) and (value := _parse_value(match)) is not None:
                self._counts[name] += 1
                line_step = parse_step(match[STEP_GROUP]) if STEP_GROUP in pattern.groupindex else None
                position = (line_step, None) if line_step is not None else self._at
                if position is None:
                    counted_rows.setdefault(self._counts[name], {})[name] = value
                else:
                    rows.setdefault(position, {})[name] = value
        return [
            *(MetricRow(step, values_by_name, total) for (step, total), values_by_name in rows.items()),
            *(MetricRow(number, values_by_name, unit="value") for number, values_by_name in counted_rows.items()),
        ]


def _parse_value(match: re.Match[str]) -> float | None:
    group_number = 2 if match.re.groupindex.get(STEP_GROUP) == 1 else 1
    try:
        return float(match[group_number])
    except (TypeError, ValueError):  # the group took no part, or is no number
        return None


class _TimeUp(Exception):
    pass


@contextmanager
def _limit_cpu_time(seconds: float) -> Iterator[None]:
    """Raise _TimeUp inside the block after so much time of the processor.

    Python looks for signals while it matches: this ends an expression that takes exponential time, too.
    """
    is_open = True

    def handle(number: int, frame: FrameType | None) -> None:
        if is_open:
            raise _TimeUp

    signal.signal(signal.SIGVTALRM, handle)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        is_open = False
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
