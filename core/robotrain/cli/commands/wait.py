"""`robotrain wait`: wait until runs end."""

import gc
from typing import TYPE_CHECKING, Annotated, Any

import typer

from robotrain.cli.app import get_plugins, make_app
from robotrain.cli.arguments import JsonOption, RunsArgument, open_runs
from robotrain.cli.output import print_json, print_message_line, print_problems, print_result
from robotrain.errors import EXIT_INTERRUPTED, Problem, Rejected, Stage, Suggestion

if TYPE_CHECKING:
    from robotrain.cli.watch.follower import FollowedRun, RunFollower


def wait(
    ctx: typer.Context,
    runs: RunsArgument = None,
    timeout: Annotated[
        str, typer.Option(metavar="TIME", show_default=False, help="Stop waiting after this time: 90s, 30min, 12h.")
    ] = "",
    json: JsonOption = False,
) -> None:
    """Wait until runs end. The exit code is 0 if all succeeded, and 5 if one did not.

    robotrain wait --timeout 12h act-train-fab69e8c-1
    """
    from robotrain.cli.watch import follow
    from robotrain.cli.watch.follower import EndNotifier, RunFollower
    from robotrain.cli.watch.renderer import ChangeRenderer, LiveLineRenderer

    seconds = parse_timeout(timeout)
    opened = open_runs(ctx, runs)
    gc.enable()  # waiting may take days
    renderer = LiveLineRenderer() if len(opened) == 1 else ChangeRenderer(print_message_line)
    notifier = EndNotifier(get_plugins(ctx))
    follower = RunFollower(opened, renderer, notifier)
    try:
        with renderer, follower:
            in_time = follower.wait_until_over(seconds)
    except KeyboardInterrupt:
        follow.print_unfinished([one.record.run for one in follower.unfinished], "wait")
        raise typer.Exit(EXIT_INTERRUPTED) from None
    print_problems(notifier.problems)
    if not in_time:
        print_problems([_wait_timeout_problem(follower, timeout)])
    if len(opened) == 1 and in_time:
        (followed,) = follower.runs
        if followed.failure:
            raise followed.failure
        return follow.print_end(followed, json, with_tail=True)
    finish_runs(follower, json)
    if not in_time:
        raise typer.Exit(Stage.SUBMIT.exit_code)


def finish_runs(follower: "RunFollower", as_json: bool) -> None:
    """Print how several runs ended; raise typer.Exit when one failed or could not be followed."""
    known = [_dump_run(one) for one in follower.runs]
    if as_json:
        print_json(known if len(known) > 1 else known[0])
    else:
        print_result("\n".join(line for one in follower.runs for line in _format_end(one)))
    if problems := [problem for one in follower.runs if one.failure for problem in one.failure.problems]:
        print_problems(problems)
        raise typer.Exit(Rejected(problems).exit_code)
    if any(one.is_over and one.status.state != "succeeded" for one in follower.runs):
        raise typer.Exit(Stage.RUN.exit_code)


def _dump_run(followed_run: "FollowedRun") -> dict[str, Any]:
    from robotrain.cli.watch import run_summary

    known = run_summary.dump_status(followed_run.record, followed_run.status, followed_run.progress)
    return known | ({"state": "unknown", "reason": followed_run.reported_state[1]} if followed_run.failure else {})


def parse_timeout(text: str) -> float | None:
    """Return a duration in seconds, None for an empty text; raise Rejected when it is invalid."""
    if not text:
        return None
    from robotrain.model.amounts import parse_duration

    bare = text.removesuffix("s")
    try:
        seconds = float(bare) if bare.replace(".", "", 1).isdecimal() else parse_duration(text)
    except ValueError:
        from robotrain.redaction import redact

        problem = Problem(
            code="time-malformed",
            stage=Stage.USAGE,
            title="--timeout needs a duration",
            where="--timeout",
            given=redact(text),
            suggestions=(Suggestion("--timeout 90s"), Suggestion("--timeout 30min"), Suggestion("--timeout 12h")),
        )
        raise Rejected([problem]) from None
    return seconds


def _format_end(followed_run: "FollowedRun") -> list[str]:
    from robotrain.cli.watch import run_summary
    from robotrain.model import scores

    status, known = followed_run.status, followed_run.progress
    if followed_run.failure:
        return [f"{followed_run.record.run} unknown: {followed_run.reported_state[1]}"]
    said = ": ".join(part for part in (status.state, status.reason) if part)
    lines = [f"{followed_run.record.run} {said}"]
    if known.step is not None:
        lines.append(f"  {known.format_line(ended=followed_run.is_over)}")
    if known.evaluated and (within := scores.format_conditions(known.evaluated)):
        lines.append(f"  under: {within}")
    text, why = run_summary.suggest_commands(followed_run.record.run, status, known)[0]
    return [*lines, f"  {'next':<11} {text}   {why}"]


def _wait_timeout_problem(follower: "RunFollower", timeout: str) -> Problem:
    runs = [one.record.run for one in follower.unfinished]
    return Problem(
        code="wait-timeout",
        stage=Stage.SUBMIT,
        title=f"{' and '.join(runs)} did not end within {timeout}{' s' if timeout[-1:].isdigit() else ''}",
        where="--timeout",
        why="Only the waiting stopped; the runs continue.",
        suggestions=(Suggestion(f"robotrain wait {' '.join(runs)}"), Suggestion(f"robotrain cancel {' '.join(runs)}")),
    )


app = make_app(wait)
