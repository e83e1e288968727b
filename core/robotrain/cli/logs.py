"""`robotrain logs`: what a run wrote, and what it goes on to write."""

import functools
import gc
from collections import deque
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from robotrain.cli.made import make_app
from robotrain.cli.opened import Run, opened
from robotrain.cli.output import say, show_line
from robotrain.problem import INTERRUPTED

if TYPE_CHECKING:
    from robotrain.cli.watching.events import Shape

MORE = 4
"""`--tail` counts lines that are shown: so many times as many of the log are asked for, as some are never shown."""


def logs(
    ctx: typer.Context,
    run: Run = "",
    follow: Annotated[bool, typer.Option("-f", "--follow", help="From before its start to its end.")] = False,
    tail: Annotated[
        int | None, typer.Option("--tail", min=0, metavar="INT", help="Only so many of the last lines.")
    ] = None,
    raw: Annotated[bool, typer.Option("--raw", help="Every line as it is, those for programs too.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print a JSON object a line.")] = False,
) -> None:
    """The log of a run; without -f what there is by now, at once.

    robotrain logs --tail 40 act-train-fab69e8c-1
    """
    from robotrain.cli.watching import events

    if raw and json:
        from robotrain.cli.removing import usage

        raise usage("--raw and --json contradict each other", "JSON has every line already.", ("--json", ""))
    gc.enable()  # this may go on for days
    record, platform = opened(ctx, run)
    shape = events.as_json if json else str if raw else functools.partial(events.readable, declared=record.metrics)
    if follow:
        return _follow(record, platform, tail, shape)
    found = _all(record, platform, shape) if tail is None else _last(record, platform, shape, tail)
    if not _show_all(found) and tail != 0:
        _say_why_empty(record, platform)


def _all(record: Any, platform: Any, shape: "Shape") -> Iterator[str]:
    shaped = (shape(line) for line in platform.logs(record.reference, follow=False))
    return (line for line in shaped if line is not None)


def _last(record: Any, platform: Any, shape: "Shape", count: int) -> list[str]:
    """The last `count` lines that are shown, without asking for all of the log where that can be."""
    asked = count
    while True:
        asked = (asked + 1) * MORE
        lines = list(platform.logs(record.reference, follow=False, tail=asked))
        shown = deque((text for line in lines if (text := shape(line)) is not None), maxlen=count)
        if len(shown) == count or len(lines) < asked:
            return list(shown)


def _show_all(lines: Iterable[str]) -> bool:
    """Show each line; whether there was one. Where nobody reads any more, nothing more is shown."""
    found = False
    for line in lines:
        found = True
        if not show_line(line):
            break
    return found


def _follow(record: Any, platform: Any, tail: int | None, shape: "Shape") -> None:
    from robotrain.cli.watching.following import Following
    from robotrain.cli.watching.telling import LogLines

    teller = LogLines(show_line, shape)
    following = Following([(record, platform)], teller, tail=tail)
    try:
        with teller, following:
            following.until_over(enough=teller.unread.is_set)
    except KeyboardInterrupt:
        say(f"\nno longer following; {record.run} goes on\n  robotrain cancel {record.run}    stop it")
        raise typer.Exit(INTERRUPTED) from None
    (one,) = following.runs
    if one.failure:
        raise one.failure
    if one.over and one.progress.outcome is None:  # the log itself does not say it
        say(f"{record.run} {one.status.state}" + (f": {one.status.reason}" if one.status.reason else ""))


def _say_why_empty(record: Any, platform: Any) -> None:
    """On standard error: nothing that a program could take for a line of the log."""
    now = platform.status(record.reference)
    say(f"nothing is in the log of {record.run}: it is {now.state}" + (f", {now.reason}" if now.reason else ""))
    if not now.finished:
        say(f"  robotrain logs -f {record.run}    waits for it")


app = make_app(logs)
