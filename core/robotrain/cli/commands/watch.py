"""`robotrain watch`: runs as they go on, drawn on a terminal, a line a change elsewhere."""

import gc
import signal
import sys
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from robotrain.cli.app import get_plugins, make_app
from robotrain.cli.arguments import complete_run_names, open_run, open_runs
from robotrain.cli.output import print_message, print_problems, print_result_line
from robotrain.errors import EXIT_INTERRUPTED, Rejected, Stage

if TYPE_CHECKING:
    from robotrain.cli.watch.dashboard import Screen
    from robotrain.cli.watch.follower import RunFollower

REDRAW_SECONDS = 0.5


def watch(
    ctx: typer.Context,
    runs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[RUN]...",
            show_default=False,
            autocompletion=complete_run_names,
            help="Names of runs or the start of them; default: all that have not ended, else the newest.",
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print a JSON object a line.")] = False,
) -> None:
    """Runs as they go on: how far, their loss, what they leave. Ends with them; the exit code is that of `wait`.

    robotrain watch                  all that have not ended, else the newest
    """
    from robotrain.cli import output
    from robotrain.cli.watch import follow
    from robotrain.cli.watch.follower import EndNotifier, RunFollower
    from robotrain.cli.watch.renderer import ChangeRenderer, JsonRenderer, SilentRenderer

    gc.enable()  # this may go on for days
    found = open_runs(ctx, runs) if runs else _open_unfinished_runs(ctx)
    drawn = not json and output.is_live(sys.stdout)
    teller = (
        JsonRenderer(print_result_line)
        if json
        else SilentRenderer(print_result_line)
        if drawn
        else ChangeRenderer(print_result_line)
    )
    notice = EndNotifier(get_plugins(ctx))
    following = RunFollower(found, teller, notice)
    try:
        with teller, following:
            _draw_until_over(following) if drawn else following.wait_until_over(should_stop=teller.reader_gone.is_set)
    except KeyboardInterrupt:
        follow.print_unfinished([one.record.run for one in following.unfinished], "watch")
        raise typer.Exit(EXIT_INTERRUPTED) from None
    print_problems(notice.problems)
    _finish_watch(following, drawn)


def _open_unfinished_runs(ctx: typer.Context) -> list[Any]:
    """Every run that has not ended, the newest last, where a terminal shows it best; else the newest one."""
    from robotrain.cli.watch.run_list import find_unfinished_runs

    found, unknown = find_unfinished_runs(get_plugins(ctx))
    for one in unknown:
        print_message(f"warning: {one.run} is not watched: {one.reason}")
    return [open_run(ctx, one.run) for one in reversed(found)] or [open_run(ctx, "")]


def _draw_until_over(follower: "RunFollower") -> None:
    """Draw until all is over, at most every half second."""
    from robotrain.cli.watch.dashboard import Screen

    screen = Screen(sys.stdout)
    signal.signal(signal.SIGCONT, lambda *_: screen.release())  # what the shell wrote meanwhile is not ours to erase
    try:
        while not follower.is_over:
            _draw_screen(follower, screen)
            time.sleep(REDRAW_SECONDS)
            follower.notify_ended()
    finally:
        _draw_screen(follower, screen)


def _draw_screen(follower: "RunFollower", screen: "Screen") -> None:
    from robotrain.cli import output
    from robotrain.cli.watch.dashboard import ASCII, Canvas, Glyphs, draw_frame

    columns, rows = output.get_terminal_size(sys.stdout)
    colour = output.has_color(sys.stdout)
    glyphs = Glyphs()
    if not output.can_encode(glyphs.full + glyphs.empty + glyphs.blocks + glyphs.mark + glyphs.dot, sys.stdout):
        glyphs = ASCII
    lines = draw_frame(follower.runs, Canvas(columns - 1, rows - 1, time.time(), glyphs))
    screen.draw(
        [
            ("".join(part.text for part in line), "".join(output.paint_text(*part, colour) for part in line))
            for line in lines
        ]
    )


def _finish_watch(follower: "RunFollower", drawn: bool) -> None:
    """What to type next, and how they ended as the exit code."""
    from robotrain.cli.watch import run_summary

    for one in follower.runs:
        if drawn and one.is_over and not one.failure:
            text, why = run_summary.suggest_commands(one.record.run, one.status, one.progress)[0]
            print_message(f"{text}   {why}")
    if problems := [problem for one in follower.runs if one.failure for problem in one.failure.problems]:
        print_problems(problems)
        raise typer.Exit(Rejected(problems).exit_code)
    if any(one.is_over and one.status.state != "succeeded" for one in follower.runs):
        raise typer.Exit(Stage.RUN.exit_code)


app = make_app(watch)
