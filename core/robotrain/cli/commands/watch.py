"""`robotrain watch`: show runs live, drawn on a terminal, one line per change elsewhere."""

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
            help="Names of runs or their beginnings; default: all that have not ended, else the newest.",
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object per line.")] = False,
) -> None:
    """Show the progress, loss and outputs of runs live, until they end. The exit code is that of `wait`.

    robotrain watch                  all that have not ended, else the newest
    """
    from robotrain.cli import output
    from robotrain.cli.watch import follow
    from robotrain.cli.watch.follower import EndNotifier, RunFollower
    from robotrain.cli.watch.renderer import ChangeRenderer, JsonRenderer, SilentRenderer

    gc.enable()  # watching may take days
    opened = open_runs(ctx, runs) if runs else _open_unfinished_runs(ctx)
    drawn = not json and output.is_live(sys.stdout)
    renderer = (JsonRenderer if json else SilentRenderer if drawn else ChangeRenderer)(print_result_line)
    notifier = EndNotifier(get_plugins(ctx))
    follower = RunFollower(opened, renderer, notifier)
    try:
        with renderer, follower:
            _draw_until_over(follower) if drawn else follower.wait_until_over(should_stop=renderer.reader_gone.is_set)
    except KeyboardInterrupt:
        follow.print_unfinished([one.record.run for one in follower.unfinished], "watch")
        raise typer.Exit(EXIT_INTERRUPTED) from None
    print_problems(notifier.problems)
    _finish_watch(follower, drawn)


def _open_unfinished_runs(ctx: typer.Context) -> list[Any]:
    """Return every run that has not ended, newest last, nearest to the prompt; else the newest run."""
    from robotrain.cli.watch.run_list import find_unfinished_runs

    unfinished, unknown = find_unfinished_runs(get_plugins(ctx))
    for one in unknown:
        print_message(f"warning: {one.run} is not watched: {one.reason}")
    return [open_run(ctx, one.run) for one in reversed(unfinished)] or [open_run(ctx, "")]


def _draw_until_over(follower: "RunFollower") -> None:
    """Draw twice a second until all runs have ended."""
    from robotrain.cli.watch.dashboard import Screen

    screen = Screen(sys.stdout)
    signal.signal(signal.SIGCONT, lambda *_: screen.release())  # keep what the shell wrote meanwhile
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
    """Print the next commands, and exit with the code that says how the runs ended."""
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
