"""`robotrain status`: how a run is, why it waits or stopped, what it left, and what to type next."""

import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import typer

from robotrain.cli.made import make_app
from robotrain.cli.opened import Json, Run, opened
from robotrain.cli.output import show, show_json

if TYPE_CHECKING:
    from robotrain.platforms import Platform
    from robotrain.progress import Progress
    from robotrain.run import RunRecord, Status

WARNINGS = 3


def status(ctx: typer.Context, run: Run = "", json: Json = False) -> None:
    """How a run is, why it waits or stopped, what it left, and what to type next.

    robotrain status act-train-fab69e8c-1
    """
    from robotrain import ended
    from robotrain.cli.watching import summary
    from robotrain.cli.watching.heard import ending, heard, of_platform

    record, platform = opened(ctx, run)
    now = platform.status(record.reference)
    ended.seen(record.run, now)
    known, lines = heard(record, platform)
    if known.outcome and known.outcome.state == "failed":  # it told why: what the platform says of the end adds nothing
        lines = [line for line in lines if not of_platform(line, record)]
    judged = known.evaluated is not None and known.evaluated.passed is False  # its log explains nothing then
    last = ending(lines) if now.state in ("failed", "lost") and not judged else []
    if json:
        shown = dict(summary.natively(record, platform))
        show_json({**summary.as_data(record, now, known), "shown": shown, "log_end": last})
    else:
        show("\n  ".join(_text(record, platform, now, known, last)))


def _text(
    record: "RunRecord", platform: "Platform", now: "Status", known: "Progress", last: list[str]
) -> Iterator[str]:
    from robotrain.cli import terminal
    from robotrain.cli.watching import next_step, summary
    from robotrain.problem import SENTENCE
    from robotrain.redaction import redact

    state = terminal.paint(now.state, terminal.STATES.get(now.state, ""), terminal.has_colour(sys.stdout))
    yield f"{record.run}  {state}  on {record.platform}"
    why, said = _once(now.reason, [redact(text, longest=SENTENCE) for text in known.warnings])
    yield from why
    if last:
        yield "the end of its log:"
        yield from (f"| {line}" for line in last)
    yield from _times(record, now, known)
    if record.makes == "checkpoints" and now.state in ("failed", "cancelled", "lost") and not known.checkpoint:
        yield "it left no checkpoint"
    native = dict(summary.natively(record, platform))
    yield from (f"{name:<11} {value}" for name, value in native.items())
    left = summary.places(known, summary.machine_is_gone(platform, now))
    yield from (f"{name:<11} {value}" for name, value in left if value not in native.values())
    yield from (f"warning: {text}" for text in said[-WARNINGS:])
    yield from record.notes
    yield from next_step.listed(record.run, now, known)


def _once(reason: str, warnings: list[str]) -> tuple[list[str], list[str]]:
    """Why it is so, and the warnings that say anything else. Where the run told each of its reasons in full as well, as
    a look before the start does, those take its place.
    """
    in_full = [next((one for one in warnings if one.startswith(f"{title}.")), "") for title in reason.split("; ")]
    why = in_full if reason and all(in_full) else [reason] * bool(reason)
    return why, [text for text in warnings if text not in why and text not in reason]


def _times(record: "RunRecord", now: "Status", known: "Progress") -> Iterator[str]:
    """How far it came, and how long that took."""
    from robotrain import scores
    from robotrain.progress import duration

    if known.step is not None:
        yield known.line(ended=now.finished)
    elif known.evaluated:
        yield known.score
    elif known.stage:
        yield f"{'ended' if now.finished else 'is'} in stage {known.line(ended=now.finished)}"
    if known.evaluated and (within := scores.conditions(known.evaluated)):
        yield f"under: {within}"
    if now.started and now.finished and now.ended:
        yield f"ran {duration(now.ended - now.started)}, ended {_when(now.ended)}"
    elif now.started and not now.finished:
        yield f"running for {duration(time.time() - now.started)}"
    else:
        yield f"submitted {_when(record.created)}"


def _when(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))


app = make_app(status)
