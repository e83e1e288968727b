"""`robotrain logs`: what a run wrote, and what it goes on to write."""

import functools
import gc
from collections import deque
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from robotrain.cli.app import make_app
from robotrain.cli.arguments import RunArgument, open_run
from robotrain.cli.output import print_message, print_result_line
from robotrain.errors import EXIT_INTERRUPTED

if TYPE_CHECKING:
    from robotrain.cli.watch.renderer import LineFormat
    from robotrain.model.platform import Platform

OVERFETCH = 4
"""`--tail` counts lines that are shown: so many times as many of the log are asked for, as some are never shown."""


def logs(
    ctx: typer.Context,
    run: RunArgument = "",
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
    from robotrain.cli.watch import renderer

    if raw and json:
        from robotrain.cli.arguments import usage_error

        raise usage_error("--raw and --json contradict each other", "JSON has every line already.", ("--json", ""))
    gc.enable()  # this may go on for days
    record, platform = open_run(ctx, run)
    shape = (
        renderer.format_json_line
        if json
        else str
        if raw
        else functools.partial(renderer.format_log_line, declared=record.metrics)
    )
    if follow:
        return _follow_log(record, platform, tail, shape)
    found = (
        _read_all_lines(record, platform, shape) if tail is None else _read_last_lines(record, platform, shape, tail)
    )
    if not _print_lines(found) and tail != 0:
        _explain_empty_log(record, platform)


def _read_all_lines(record: Any, platform: "Platform", shape: "LineFormat") -> Iterator[str]:
    shaped = (shape(line) for line in platform.logs(record.reference, follow=False))
    return (line for line in shaped if line is not None)


def _read_last_lines(record: Any, platform: "Platform", shape: "LineFormat", count: int) -> list[str]:
    """The last `count` lines that are shown, without asking for all of the log where that can be."""
    asked = count
    while True:
        asked = (asked + 1) * OVERFETCH
        lines = list(platform.logs(record.reference, follow=False, tail=asked))
        shown = deque((text for line in lines if (text := shape(line)) is not None), maxlen=count)
        if len(shown) == count or len(lines) < asked:
            return list(shown)


def _print_lines(lines: Iterable[str]) -> bool:
    """Show each line; whether there was one. Where nobody reads any more, nothing more is shown."""
    found = False
    for line in lines:
        found = True
        if not print_result_line(line):
            break
    return found


def _follow_log(record: Any, platform: "Platform", tail: int | None, shape: "LineFormat") -> None:
    from robotrain.cli.watch.follower import RunFollower
    from robotrain.cli.watch.renderer import LogRenderer

    teller = LogRenderer(print_result_line, shape)
    following = RunFollower([(record, platform)], teller, tail=tail)
    try:
        with teller, following:
            following.wait_until_over(should_stop=teller.reader_gone.is_set)
    except KeyboardInterrupt:
        print_message(f"\nno longer following; {record.run} goes on\n  robotrain cancel {record.run}    stop it")
        raise typer.Exit(EXIT_INTERRUPTED) from None
    (one,) = following.runs
    if one.failure:
        raise one.failure
    if one.is_over and one.progress.outcome is None:  # the log itself does not say it
        print_message(f"{record.run} {one.status.state}" + (f": {one.status.reason}" if one.status.reason else ""))


def _explain_empty_log(record: Any, platform: "Platform") -> None:
    """On standard error: nothing that a program could take for a line of the log."""
    now = platform.status(record.reference)
    print_message(
        f"nothing is in the log of {record.run}: it is {now.state}" + (f", {now.reason}" if now.reason else "")
    )
    if not now.finished:
        print_message(f"  robotrain logs -f {record.run}    waits for it")


app = make_app(logs)
