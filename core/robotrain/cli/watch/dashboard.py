"""The dashboard: runs drawn on a terminal, where they change in place."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import TextIO

from robotrain.cli import output
from robotrain.cli.table import to_plain_line
from robotrain.cli.watch.follower import FollowedRun
from robotrain.cli.watch.printer import EventPrinter, LineWriter, Printer
from robotrain.cli.watch.step_rows import format_steps
from robotrain.model.amounts import format_duration
from robotrain.model.progress import Progress
from robotrain.model.run import measure_seconds
from robotrain.model.series import thin_points

BLOCKS = " ▁▂▃▄▅▆▇█"


def draw_sparkline(points: Sequence[tuple[float, float]], width: int) -> str:
    """Return (step, value) pairs drawn on one line, at most `width` long; a value that is not finite is a dot."""
    values = [value for _, value in thin_points(points, width)]
    finite_values = [value for value in values if math.isfinite(value)]
    lowest_value = min(finite_values, default=0.0)
    scale = (max(finite_values, default=0.0) - lowest_value) or 1.0
    return "".join(
        BLOCKS[1 + round((value - lowest_value) / scale * (len(BLOCKS) - 2))] if math.isfinite(value) else "·"
        for value in values
    )


WIDEST_BAR, NARROWEST_BAR = 30, 8
WIDEST_SPARKLINE = 40
REDRAW_SECONDS = 0.5


StyledLine = Sequence[str | tuple[str, str]]
"""The parts of a line; some with a style."""


def choose_printer(stream: TextIO, write: LineWriter, has_summary: bool = False) -> Printer:
    """Return what shows runs on a stream: in place on a terminal, elsewhere a line for each event.

    :param has_summary: how the runs ended is printed after it.
    """
    return Dashboard(stream, has_summary) if output.is_live(stream) else EventPrinter(write, has_summary)


class Dashboard(Printer):
    """Draws runs on a terminal, where they change in place, until they end."""

    def __init__(self, stream: TextIO, transient: bool) -> None:
        super().__init__(output.print_result_line)
        self._stream, self._transient = stream, transient

    def __enter__(self) -> Dashboard:
        from robotrain.cli.watch.live_lines import LiveLines  # imports rich

        self._live = LiveLines(
            self._stream, lambda *size: draw_frame(self.runs, *size), REDRAW_SECONDS, transient=self._transient
        )
        self._live.start()
        return self

    def __exit__(self, *how: object) -> None:
        self._live.stop()
        super().__exit__(*how)

    def _print_trouble(self, followed: FollowedRun, text: str) -> None:
        """Leave it to the picture."""


def draw_frame(runs: Sequence[FollowedRun], columns: int, rows: int) -> list[StyledLine]:
    """Return everything that is known of all runs; where that does not fit, a line for each, and how many more."""
    lines = [line for run in runs for line in [*_draw_run(run, columns), []]][:-1]
    if len(lines) <= rows:
        return lines
    shown_runs = sorted(runs, key=lambda run: run.is_over)[: rows if len(runs) <= rows else max(0, rows - 1)]
    lines = [_draw_one_line(run) for run in runs if run in shown_runs]
    return [*lines, [f"… and {len(runs) - len(lines)} more"]] if len(lines) < len(runs) else lines


def _draw_one_line(run: FollowedRun) -> StyledLine:
    with run.lock:
        return [*_draw_name(run), f"  {run.progress.format_line(has_ended=not _is_running(run))}"]


def _draw_run(run: FollowedRun, columns: int) -> list[StyledLine]:
    """Return the lines of a run: its state, how far it is, scores, machine, outputs, and the last warning."""
    with run.lock:
        progress, status = run.progress, run.status
        lines = [_draw_header(run)]
        if text := run.trouble or status.reason:
            lines.append([(f"  {to_plain_line(text)}", "yellow" if run.trouble else "")])
        if run.record.steps:
            lines += _draw_steps(run, columns)
        elif progress.step is not None:
            lines.append([f"  {_format_progress_bar(progress, not _is_running(run), columns)}"])
        elif progress.download is not None and not run.is_over:
            lines.append([f"  {progress.format_line()}"])
        elif run.tail and _is_running(run):
            lines.append([(f"  {to_plain_line(run.tail[-1])}", "dim")])
        texts = [progress.score_text, _format_curve(progress, columns) if progress.curve else ""]
        texts += [format_machine(progress.machine)] if progress.machine and not run.is_over else []
        lines += [[f"  {text}"] for text in texts if text]
        lines += [[f"  {name}  {to_plain_line(place)}"] for name, place in run.view.list_places()]
        if progress.warnings:
            lines.append([(f"  warning: {to_plain_line(progress.warnings[-1])}", "yellow")])
        return lines


def _draw_header(run: FollowedRun) -> StyledLine:
    status, stage = run.status, run.progress.stage
    parts = _draw_name(run)
    if stage and not status.finished and not run.record.steps:
        parts.append(f"  {stage}")
    if (seconds := measure_seconds(status, time.time(), run.progress.last_event)) is not None:
        parts.append((f"  {format_duration(seconds)}", "dim"))
    return [*parts, (f"  on {run.record.platform}", "dim")]


def _draw_steps(run: FollowedRun, columns: int) -> Iterator[StyledLine]:
    """Yield the steps of a pipeline; below those that run, their progress."""
    for step, text in zip(run.steps, format_steps(run.steps), strict=True):
        yield [(f"  {to_plain_line(text)}", output.STATE_STYLES.get(step.state, ""))]
        progress = run.get_step_progress(step.name)
        if step.state == "running" and progress.step is not None:
            yield [f"    {_format_progress_bar(progress, False, columns)}"]


def _is_running(run: FollowedRun) -> bool:
    """Return whether a run neither has ended nor waits for its next start."""
    return not run.is_over and run.status.state != "pending"


def _draw_name(run: FollowedRun) -> list[str | tuple[str, str]]:
    state = "unknown" if run.failure else run.status.state if run.has_status else "asking"
    style = output.STATE_STYLES.get(state, "")
    name, identifier = run.record.name or run.record.run, run.record.run
    return [(name, "bold"), *([] if name == identifier else [(f"  {identifier}", "dim")]), "  ", (state, style)]


def _format_progress_bar(progress: Progress, is_over: bool, columns: int) -> str:
    """Return the bar, and of steps, rate and time left (unless it is over, or waits) what fits beside it."""
    assert progress.step is not None
    if not progress.total:
        return f"{progress.unit} {progress.step}"
    share = min(1.0, progress.step / progress.total)
    step_text = f"{progress.step}/{progress.total} ({share:.0%})"
    time_left = (
        f"  {format_duration(progress.seconds_left)} left" if progress.seconds_left is not None and not is_over else ""
    )
    rate = f"  {progress.rate_text} {progress.unit}s/s" if progress.rate else ""
    for rate_text in (rate + time_left, time_left, ""):
        bar_width = min(WIDEST_BAR, columns - len(step_text + rate_text) - 4)
        if bar_width >= NARROWEST_BAR:
            full = int(share * bar_width)
            return f"{'█' * full}{'░' * (bar_width - full)}  {step_text}{rate_text}"
    return step_text


def _format_curve(progress: Progress, columns: int) -> str:
    value_text = f"{progress.newest_value_text}  "
    held_out = f"  {progress.validation_text}" if progress.validation_text else ""
    free_columns = min(WIDEST_SPARKLINE, columns - 2 - len(value_text) - len(held_out))
    sparkline = draw_sparkline(progress.curve, free_columns) if free_columns >= NARROWEST_BAR else ""
    return value_text + sparkline + held_out


GPU_PATTERN = re.compile(r"system/gpu_(\d+)_memory_used_megabytes")


def format_machine(machine_metrics: Mapping[str, float]) -> str:
    """Return the machine's load, such as `memory 4.2 of 16.8 GB  cpu 87%  gpu 0 12.1 GB (31%) busy 98%`."""
    parts = []
    used_megabytes = machine_metrics.get("system/memory_used_megabytes")
    free_megabytes = machine_metrics.get("system/memory_available_megabytes")
    if used_megabytes is not None:
        total_text = f" of {(used_megabytes + free_megabytes) / 1000:.1f}" if free_megabytes is not None else ""
        parts.append(f"memory {used_megabytes / 1000:.1f}{total_text} GB")
    if (busy_percent := machine_metrics.get("system/cpu_utilization_percentage")) is not None:
        parts.append(f"cpu {busy_percent:.0f}%")
    for number in sorted(int(match[1]) for name in machine_metrics if (match := GPU_PATTERN.fullmatch(name))):
        name = f"system/gpu_{number}"
        memory_percent = machine_metrics.get(f"{name}_memory_percent")
        busy_percent = machine_metrics.get(f"{name}_utilization_percentage")
        gpu_text = f"gpu {number} {machine_metrics[f'{name}_memory_used_megabytes'] / 1000:.1f} GB"
        gpu_text += "" if memory_percent is None else f" ({memory_percent:.0f}%)"
        parts.append(gpu_text + ("" if busy_percent is None else f" busy {busy_percent:.0f}%"))
    return "  ".join(parts)
