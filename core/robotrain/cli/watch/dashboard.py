"""Drawings of runs on a terminal: curves, and the lines of a dashboard."""

import itertools
import math
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from robotrain.cli import output
from robotrain.cli.columns import measure_width, to_plain_line
from robotrain.cli.watch.follower import FollowedRun
from robotrain.cli.watch.run_summary import format_steps
from robotrain.model.amounts import format_duration
from robotrain.model.progress import Progress
from robotrain.model.run import measure_seconds

BLOCKS = " ▁▂▃▄▅▆▇█"
MAX_SAMPLES = 16
CURVE_WIDTH, CURVE_HEIGHT = 60, 8
"""The columns and rows of a curve below a run that ended."""


def draw_curve(points: Sequence[tuple[float, float]], title: str) -> str:
    """Return a bar chart of (step, value) pairs with its range; values that are not finite are left out."""
    finite = [(step, value) for step, value in points if math.isfinite(value)]
    if not finite:
        return f"{title}: no finite value"
    wide = min(6, max(1, CURVE_WIDTH // len(finite)))  # few values are repeated
    means = map(_compute_mean, _slice_points(finite, CURVE_WIDTH))
    columns = [mean for mean in means if mean is not None for _ in range(wide)]
    low = min(0.0, *columns)
    high = max(columns)
    scale = (high - low) or 1.0
    eighths = [max(1, round((value - low) / scale * CURVE_HEIGHT * 8)) for value in columns]
    rows = []
    for row in range(CURVE_HEIGHT - 1, -1, -1):
        label = {CURVE_HEIGHT - 1: f"{high:.3g}", 0: f"{low:.3g}"}.get(row, "")
        bar = "".join(BLOCKS[min(8, max(0, eighth - row * 8))] for eighth in eighths)
        rows.append(f"{label:>8} │{bar}")
    first, last = finite[0], finite[-1]
    foot = (
        f"{'':>8} └{'─' * len(columns)}\n{'':>9} step {first[0]} to {last[0]}: {title} {first[1]:.4g} → {last[1]:.4g}"
    )
    return "\n".join([*rows, foot])


def _slice_points(points: Sequence[tuple[float, float]], width: int) -> Iterator[Sequence[tuple[float, float]]]:
    """Yield at most `width` slices of neighboring points."""
    count = min(width, len(points))
    edges = [index * len(points) // count for index in range(count + 1)] if count > 0 else []
    return (points[a:b] for a, b in itertools.pairwise(edges))


def draw_sparkline(points: Sequence[tuple[float, float]], width: int, blocks: str = BLOCKS[1:], dot: str = "·") -> str:
    """Return (step, value) pairs drawn on one line, at most `width` long; a slice without a finite value is a dot.

    Long slices are sampled, since the line is redrawn often.
    """
    means = [_compute_mean(part[:: 1 + len(part) // MAX_SAMPLES]) for part in _slice_points(points, width)]
    finite = [mean for mean in means if mean is not None]
    low = min(finite, default=0.0)
    scale = (max(finite, default=0.0) - min(finite, default=0.0)) or 1.0
    return "".join(dot if mean is None else blocks[round((mean - low) / scale * (len(blocks) - 1))] for mean in means)


def _compute_mean(points: Sequence[tuple[float, float]]) -> float | None:
    finite = [value for _, value in points if math.isfinite(value)]
    return sum(finite) / len(finite) if finite else None


WIDEST_BAR, NARROWEST_BAR = 30, 8
WIDEST_SPARKLINE = 40


class Glyphs(NamedTuple):
    """The characters to draw with."""

    full: str = "█"
    empty: str = "░"
    blocks: str = BLOCKS[1:]
    mark: str = "…"
    dot: str = "·"


ASCII = Glyphs(full="#", empty=".", blocks="_.-=+*#", mark="~", dot="?")


class Canvas(NamedTuple):
    """The size of the drawing in columns and rows."""

    columns: int
    rows: int
    glyphs: Glyphs


StyledLine = Sequence[str | tuple[str, str]]
"""The parts of a line; some with a style."""


def draw_frame(runs: Sequence[FollowedRun], columns: int, rows: int, ascii_only: bool) -> list[StyledLine]:
    """Return the lines of all runs, in as much detail as fits; runs that do not fit are counted."""
    canvas = Canvas(columns, rows, ASCII if ascii_only else Glyphs())
    for level in (_draw_full, _draw_brief):
        gap: list[StyledLine] = [[]] if level is _draw_full else []
        lines = [line for run in runs for line in [*_draw_run(run, level, canvas), *gap]]
        if len(lines) - len(gap) <= canvas.rows:
            return lines[: len(lines) - len(gap)]
    shown = sorted(runs, key=lambda run: run.is_over)[
        : canvas.rows if len(runs) <= canvas.rows else max(0, canvas.rows - 1)
    ]
    lines = [line for run in runs if run in shown for line in _draw_run(run, _draw_one_line, canvas)]
    hidden = len(runs) - len(shown)
    return [*lines, [f"{canvas.glyphs.mark} and {hidden} more"]] if hidden else lines


def _draw_run(
    run: FollowedRun, level: Callable[[FollowedRun, Canvas], Iterator[StyledLine]], canvas: Canvas
) -> list[StyledLine]:
    with run.lock:
        return list(level(run, canvas))


def _draw_full(run: FollowedRun, canvas: Canvas) -> Iterator[StyledLine]:
    """Yield a line for everything that is known of a run."""
    run_progress = run.progress
    header, *progress = _draw_brief(run, canvas)
    yield header
    if text := run.trouble or run.status.reason:
        yield [(f"  {to_plain_line(text)}", "yellow" if run.trouble else "")]
    yield from _draw_steps(run, canvas) if run.record.steps else progress
    texts = [run_progress.score_text, *([_format_curve(run_progress, canvas)] if run_progress.curve else [])]
    texts += [format_machine(run_progress.machine)] if run_progress.machine and not run.is_over else []
    yield from ((f"  {text}",) for text in (*texts, *_list_outputs(run_progress, canvas)) if text)
    if run_progress.warnings:
        yield [(f"  warning: {to_plain_line(run_progress.warnings[-1])}", "yellow")]


def _draw_steps(run: FollowedRun, canvas: Canvas, only_running: bool = False) -> Iterator[StyledLine]:
    """Yield the steps of a pipeline; below those that run, their progress."""
    steps = [step for step in run.steps if step.state == "running" or not only_running]
    for step, text in zip(steps, format_steps(steps), strict=True):
        yield [(f"  {to_plain_line(text)}", output.STATE_STYLES.get(step.state, ""))]
        progress = run.get_step_progress(step.name)
        if step.state == "running" and progress.step is not None:
            yield [f"    {_format_progress_bar(progress, False, canvas)}"]


def _draw_brief(run: FollowedRun, canvas: Canvas) -> Iterator[StyledLine]:
    status, stage = run.status, run.progress.stage
    parts = _draw_name(run)
    if stage and not status.finished and not run.record.steps:
        parts.append(f"  {stage}")
    if (seconds := measure_seconds(status, time.time(), run.progress.last_event)) is not None:
        parts.append((f"  {format_duration(seconds)}", "dim"))
    yield [*parts, (f"  on {run.record.platform}", "dim")]
    if run.record.steps:  # each step has its own
        yield from _draw_steps(run, canvas, only_running=True)
    elif run.progress.step is not None:
        yield [f"  {_format_progress_bar(run.progress, not _is_running(run), canvas)}"]
    elif run.progress.download is not None and not run.is_over:
        yield [f"  {run.progress.format_line()}"]


def _draw_one_line(run: FollowedRun, canvas: Canvas) -> Iterator[StyledLine]:
    yield [*_draw_name(run), f"  {run.progress.format_line(ended=not _is_running(run))}"]


def _is_running(run: FollowedRun) -> bool:
    """Return whether a run neither has ended nor waits for its next start."""
    return not run.is_over and run.status.state != "pending"


def _draw_name(run: FollowedRun) -> list[str | tuple[str, str]]:
    state = "unknown" if run.failure else run.status.state if run.has_status else "asking"
    style = output.STATE_STYLES.get(state, "")
    name, identifier = run.record.name or run.record.run, run.record.run
    return [(name, "bold"), *([] if name == identifier else [(f"  {identifier}", "dim")]), "  ", (state, style)]


def _format_progress_bar(progress: Progress, over: bool, canvas: Canvas) -> str:
    """Return the bar, and of steps, rate and time left (unless it is over, or waits) what fits beside it."""
    assert progress.step is not None
    if not progress.total:
        return f"{progress.unit} {progress.step}"
    share = min(1.0, progress.step / progress.total)
    said = f"{progress.step}/{progress.total} ({share:.0%})"
    left = f"  {format_duration(progress.seconds_left)} left" if progress.seconds_left is not None and not over else ""
    rate = f"  {progress.rate_text} {progress.unit}s/s" if progress.rate else ""
    for more in (rate + left, left, ""):
        bar = min(WIDEST_BAR, canvas.columns - len(said + more) - 4)
        if bar >= NARROWEST_BAR:
            full = int(share * bar)
            return f"{canvas.glyphs.full * full}{canvas.glyphs.empty * (bar - full)}  {said}{more}"
    return said


def _format_curve(progress: Progress, canvas: Canvas) -> str:
    said = f"{progress.newest_value_text}  "
    held_out = f"  {progress.validation_text}" if progress.validation_text else ""
    left = min(WIDEST_SPARKLINE, canvas.columns - 2 - len(said) - len(held_out))
    drawn = (
        draw_sparkline(progress.curve, left, canvas.glyphs.blocks, canvas.glyphs.dot) if left >= NARROWEST_BAR else ""
    )
    return said + drawn + held_out


def _list_outputs(progress: Progress, canvas: Canvas) -> Iterator[str]:
    """Yield the newest checkpoint or results, their copy, and the registered model; long addresses show their end."""
    if progress.checkpoint:
        yield _format_place(f"checkpoint {progress.checkpoint_step}", progress.checkpoint, canvas)
    for copy in progress.published[-1:]:
        yield _format_place(f"published {copy.step}", copy.to, canvas)
    if progress.evaluated and progress.evaluated.results:
        yield _format_place("results", progress.evaluated.results, canvas)
    for address in progress.results[-1:]:
        yield _format_place("copied to", address, canvas)
    for registration in progress.registered[-1:]:
        yield f"registered {registration.name} version {registration.version}" + (
            f" (step {registration.step})" if registration.step else ""
        )


def _format_place(name: str, where: str, canvas: Canvas) -> str:
    where = to_plain_line(where)
    left = canvas.columns - len(name) - 4
    if measure_width(where) > left > 1:
        where = canvas.glyphs.mark + where[len(where) - left + 1 :]
    return f"{name}  {where}"


GPU_PATTERN = re.compile(r"system/gpu_(\d+)_memory_used_megabytes")


def format_machine(values: Mapping[str, float]) -> str:
    """Return the machine's load, such as `memory 4.2 of 16.8 GB  cpu 87%  gpu 0 12.1 GB (31%) busy 98%`."""
    parts = []
    used = values.get("system/memory_used_megabytes")
    free = values.get("system/memory_available_megabytes")
    if used is not None:
        of = f" of {(used + free) / 1000:.1f}" if free is not None else ""
        parts.append(f"memory {used / 1000:.1f}{of} GB")
    if (busy := values.get("system/cpu_utilization_percentage")) is not None:
        parts.append(f"cpu {busy:.0f}%")
    for number in sorted(int(match[1]) for name in values if (match := GPU_PATTERN.fullmatch(name))):
        name = f"system/gpu_{number}"
        share = values.get(f"{name}_memory_percent")
        busy = values.get(f"{name}_utilization_percentage")
        text = f"gpu {number} {values[f'{name}_memory_used_megabytes'] / 1000:.1f} GB"
        text += "" if share is None else f" ({share:.0f}%)"
        parts.append(text + ("" if busy is None else f" busy {busy:.0f}%"))
    return "  ".join(parts)
