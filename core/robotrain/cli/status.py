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
    from robotrain.progress import Progress
    from robotrain.run import RunRecord, Status

WARNINGS = 3


def status(ctx: typer.Context, run: Run = "", json: Json = False) -> None:
    """How a run is, why it waits or stopped, what it left, and what to type next.

    robotrain status lerobot-train-fab69e8c-1
    """
    from robotrain.cli.watching import summary
    from robotrain.cli.watching.heard import ending, heard

    record, platform = opened(ctx, run)
    now = platform.status(record.reference)
    known, lines = heard(record, platform)
    last = ending(lines) if now.state in ("failed", "lost") else []
    if json:
        show_json({**summary.as_data(record, now, known), "log_end": last})
    else:
        show("\n  ".join(_text(record, now, known, last)))


def _text(record: "RunRecord", now: "Status", known: "Progress", last: list[str]) -> Iterator[str]:
    from robotrain.cli import terminal
    from robotrain.cli.watching import next_step
    from robotrain.cli.watching.summary import places
    from robotrain.problem import SENTENCE
    from robotrain.redaction import redact

    state = terminal.paint(now.state, terminal.STATES.get(now.state, ""), terminal.has_colour(sys.stdout))
    yield f"{record.run}  {state}  on {record.platform}"
    if now.reason:
        yield now.reason
    if last:
        yield "the end of its log:"
        yield from (f"| {line}" for line in last)
    yield from _times(record, now, known)
    if now.state in ("failed", "cancelled", "lost") and not known.checkpoint:
        yield "it left no checkpoint"
    yield from (f"{name:<11} {value}" for name, value in places(known))
    said = [text for text in known.warnings if text not in now.reason]
    yield from (f"warning: {redact(text, longest=SENTENCE)}" for text in said[-WARNINGS:])
    yield from record.notes
    yield from next_step.listed(record.run, now, known)


def _times(record: "RunRecord", now: "Status", known: "Progress") -> Iterator[str]:
    """How far it came, and how long that took."""
    from robotrain.progress import duration

    if known.step is not None:
        yield known.line(ended=now.finished)
    elif known.stage:
        yield f"{'ended' if now.finished else 'is'} in stage {known.line(ended=now.finished)}"
    if now.started and now.finished and now.ended:
        yield f"ran {duration(now.ended - now.started)}, ended {_when(now.ended)}"
    elif now.started and not now.finished:
        yield f"running for {duration(time.time() - now.started)}"
    else:
        yield f"submitted {_when(record.created)}"


def _when(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))


app = make_app(status)
