"""`robotrain watch`: runs as they go on, drawn on a terminal, a line a change elsewhere."""

import gc
import signal
import sys
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from robotrain.cli.app import plugins_of
from robotrain.cli.made import make_app
from robotrain.cli.opened import complete, opened, opened_all
from robotrain.cli.output import report, say, show_line
from robotrain.problem import INTERRUPTED, Rejected, Stage

if TYPE_CHECKING:
    from robotrain.cli.watching.following import Following
    from robotrain.cli.watching.screen import Screen

DRAWN_SECONDS = 0.5


def watch(
    ctx: typer.Context,
    runs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[RUN]...",
            show_default=False,
            autocompletion=complete,
            help="Names of runs or the start of them; default: all that have not ended, else the newest.",
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print a JSON object a line.")] = False,
) -> None:
    """Runs as they go on: how far, their loss, what they leave. Ends with them; the exit code is that of `wait`.

    robotrain watch                  all that have not ended, else the newest
    """
    from robotrain.cli import terminal
    from robotrain.cli.watching import follow
    from robotrain.cli.watching.following import Following
    from robotrain.cli.watching.notice import Notice
    from robotrain.cli.watching.telling import Changes, JsonLines, Quiet

    gc.enable()  # this may go on for days
    found = opened_all(ctx, runs) if runs else _all_going_on(ctx)
    drawn = not json and terminal.is_live(sys.stdout)
    teller = JsonLines(show_line) if json else Quiet(show_line) if drawn else Changes(show_line)
    notice = Notice(plugins_of(ctx))
    following = Following(found, teller, notice)
    try:
        with teller, following:
            _draw(following) if drawn else following.until_over(enough=teller.unread.is_set)
    except KeyboardInterrupt:
        follow.say_goes_on([one.record.run for one in following.going_on], "watch")
        raise typer.Exit(INTERRUPTED) from None
    report(notice.problems)
    _end(following, drawn)


def _all_going_on(ctx: typer.Context) -> list[Any]:
    """Every run that has not ended, the newest last, where a terminal shows it best; else the newest one."""
    from robotrain.cli.watching.listing import unfinished

    found, unknown = unfinished(plugins_of(ctx))
    for one in unknown:
        say(f"warning: {one.run} is not watched: {one.reason}")
    return [opened(ctx, one.run) for one in reversed(found)] or [opened(ctx, "")]


def _draw(following: "Following") -> None:
    """Draw until all is over, at most every half second."""
    from robotrain.cli.watching.screen import Screen

    screen = Screen(sys.stdout)
    signal.signal(signal.SIGCONT, lambda *_: screen.leave())  # what the shell wrote meanwhile is not ours to erase
    try:
        while not following.over:
            _picture(following, screen)
            time.sleep(DRAWN_SECONDS)
            following.tell_ended()
    finally:
        _picture(following, screen)


def _picture(following: "Following", screen: "Screen") -> None:
    from robotrain.cli import terminal
    from robotrain.cli.watching.dashboard import ASCII, Glyphs, Room, frame

    columns, rows = terminal.size(sys.stdout)
    colour = terminal.has_colour(sys.stdout)
    glyphs = Glyphs()
    if not terminal.can_show(glyphs.full + glyphs.empty + glyphs.blocks + glyphs.mark + glyphs.dot, sys.stdout):
        glyphs = ASCII
    lines = frame(following.runs, Room(columns - 1, rows - 1, time.time(), glyphs))
    screen.draw(
        [
            ("".join(part.text for part in line), "".join(terminal.paint(*part, colour) for part in line))
            for line in lines
        ]
    )


def _end(following: "Following", drawn: bool) -> None:
    """What to type next, and how they ended as the exit code."""
    from robotrain.cli.watching import next_step

    for one in following.runs:
        if drawn and one.over and not one.failure:
            text, why = next_step.commands(one.record.run, one.status, one.progress)[0]
            say(f"{text}   {why}")
    if problems := [problem for one in following.runs if one.failure for problem in one.failure.problems]:
        report(problems)
        raise typer.Exit(Rejected(problems).exit_code)
    if any(one.over and one.status.state != "succeeded" for one in following.runs):
        raise typer.Exit(Stage.RUN.exit_code)


app = make_app(watch)
