"""`robotrain wait`: runs to their end, and how they ended as the exit code."""

import gc
from typing import TYPE_CHECKING, Annotated, Any

import typer

from robotrain.cli.app import plugins_of
from robotrain.cli.made import make_app
from robotrain.cli.opened import Json, Runs, opened_all
from robotrain.cli.output import report, say_line, show, show_json
from robotrain.problem import INTERRUPTED, Instead, Problem, Rejected, Stage

if TYPE_CHECKING:
    from robotrain.cli.watching.followed import Followed
    from robotrain.cli.watching.following import Following


def wait(
    ctx: typer.Context,
    runs: Runs = None,
    timeout: Annotated[
        str, typer.Option(metavar="TIME", show_default=False, help="Give up after `90s`, `30min`, `12h`.")
    ] = "",
    json: Json = False,
) -> None:
    """Follow runs to their end; the exit code says how they ended: 0 when all succeeded, 5 when one did not.

    robotrain wait --timeout 12h act-train-fab69e8c-1
    """
    from robotrain.cli.watching import follow
    from robotrain.cli.watching.following import Following
    from robotrain.cli.watching.live_line import LiveLine
    from robotrain.cli.watching.notice import Notice
    from robotrain.cli.watching.telling import Changes

    seconds = seconds_of(timeout)
    found = opened_all(ctx, runs)
    gc.enable()  # this may go on for days
    teller = LiveLine() if len(found) == 1 else Changes(say_line)
    notice = Notice(plugins_of(ctx))
    following = Following(found, teller, notice)
    try:
        with teller, following:
            in_time = following.until_over(seconds)
    except KeyboardInterrupt:
        follow.say_goes_on([one.record.run for one in following.going_on], "wait")
        raise typer.Exit(INTERRUPTED) from None
    report(notice.problems)
    if not in_time:
        report([_too_long(following, timeout)])
    if len(found) == 1 and in_time:
        (one,) = following.runs
        if one.failure:
            raise one.failure
        return follow.finish(one, json, with_tail=True)
    end(following, json)
    if not in_time:
        raise typer.Exit(Stage.SUBMIT.exit_code)


def end(following: "Following", as_json: bool) -> None:
    """What became of several runs. Raises typer.Exit when one failed, or could not be followed."""
    known = [_as_data(one) for one in following.runs]
    if as_json:
        show_json(known if len(known) > 1 else known[0])
    else:
        show("\n".join(line for one in following.runs for line in _ended(one)))
    if problems := [problem for one in following.runs if one.failure for problem in one.failure.problems]:
        report(problems)
        raise typer.Exit(Rejected(problems).exit_code)
    if any(one.over and one.status.state != "succeeded" for one in following.runs):
        raise typer.Exit(Stage.RUN.exit_code)


def _as_data(one: "Followed") -> dict[str, Any]:
    from robotrain.cli.watching import summary

    known = summary.as_data(one.record, one.status, one.progress)
    return known | ({"state": "unknown", "reason": one.word[1]} if one.failure else {})


def seconds_of(text: str) -> float | None:
    """A time as a person writes it; None for none. Raises Rejected."""
    if not text:
        return None
    from robotrain.amounts import parse_span

    bare = text.removesuffix("s")
    try:
        seconds = float(bare) if bare.replace(".", "", 1).isdecimal() else parse_span(text)
    except ValueError:
        from robotrain.redaction import redact

        problem = Problem(
            code="time-malformed",
            stage=Stage.USAGE,
            title="this is no time to wait",
            where="--timeout",
            given=redact(text),
            instead=(Instead("--timeout 90s"), Instead("--timeout 30min"), Instead("--timeout 12h")),
        )
        raise Rejected([problem]) from None
    return seconds


def _ended(one: "Followed") -> list[str]:
    from robotrain import scores
    from robotrain.cli.watching import next_step

    status, known = one.status, one.progress
    if one.failure:
        return [f"{one.record.run} unknown: {one.word[1]}"]
    said = ": ".join(part for part in (status.state, status.reason) if part)
    lines = [f"{one.record.run} {said}"]
    if known.step is not None:
        lines.append(f"  {known.line(ended=one.over)}")
    if known.evaluated and (within := scores.conditions(known.evaluated)):
        lines.append(f"  under: {within}")
    text, why = next_step.commands(one.record.run, status, known)[0]
    return [*lines, f"  {'next':<11} {text}   {why}"]


def _too_long(following: "Following", timeout: str) -> Problem:
    runs = [one.record.run for one in following.going_on]
    return Problem(
        code="wait-timeout",
        stage=Stage.SUBMIT,
        title=f"{' and '.join(runs)} did not end within {timeout}{' s' if timeout[-1:].isdigit() else ''}",
        where="--timeout",
        why="Nothing was stopped: only the waiting is over.",
        instead=(Instead(f"robotrain wait {' '.join(runs)}"), Instead(f"robotrain cancel {' '.join(runs)}")),
    )


app = make_app(wait)
