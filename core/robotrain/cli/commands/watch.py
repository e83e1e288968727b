"""`robotrain watch`, `robotrain wait`, `robotrain submit --wait`: follow runs until they end."""

import gc
import sys
from collections.abc import Callable
from typing import Annotated, Any

import typer

from robotrain.cli import output
from robotrain.cli.arguments import (
    JsonLinesOption,
    JsonOption,
    NotifyOption,
    RunsArgument,
    argument,
    complete_run_names,
    open_run,
    open_runs,
    option,
)
from robotrain.cli.command_factory import get_plugins, make_app
from robotrain.cli.next_commands import list_next_commands
from robotrain.cli.output import print_json, print_message, print_message_line, print_problems, print_text
from robotrain.cli.run_list.listed_runs import find_unfinished_runs
from robotrain.cli.watch.dashboard import choose_printer
from robotrain.cli.watch.follower import FollowedRun, RunFollower
from robotrain.cli.watch.printer import JsonPrinter, Printer
from robotrain.cli.watch.run_view import select_error_lines
from robotrain.errors import EXIT_INTERRUPTED, Problem, Rejected, Stage
from robotrain.messages import Messages
from robotrain.model import amounts
from robotrain.model.platform import Platform
from robotrain.model.run import RunRecord
from robotrain.notifications import open_webhook

make_problem = Messages(__file__)


def watch(
    ctx: typer.Context,
    runs: Annotated[
        list[str] | None,
        argument(
            "[RUN]...",
            "Names of runs or their beginnings (default: all that have not ended, else the newest).",
            complete_run_names,
        ),
    ] = None,
    notify: NotifyOption = False,
    json: JsonLinesOption = False,
) -> None:
    """Show the progress, loss and outputs of runs live, until they end. The exit code is that of `wait`.

    robotrain watch                  all that have not ended, else the newest
    """
    webhook = open_webhook() if notify else ""
    opened_runs = open_runs(ctx, runs) if runs else _open_unfinished_runs(ctx)
    write = output.print_result_line
    printer = JsonPrinter(write) if json else choose_printer(output.get_results(), write)
    follower = RunFollower(opened_runs, printer, get_plugins(ctx), webhook=webhook)
    follow(follower, printer, "watch", lambda: follower.wait_until_over(should_stop=printer.reader_gone.is_set))
    for followed_run in follower.runs:
        if not json and followed_run.is_over and not followed_run.failure:
            print_message(
                "   ".join(list_next_commands(followed_run.record, followed_run.status, followed_run.progress)[0])
            )
    exit_with_outcome(follower)


def wait(
    ctx: typer.Context,
    runs: RunsArgument = None,
    timeout: Annotated[str, option("--timeout", "TIME", "Stop waiting after this time: 90s, 30min, 12h.")] = "",
    notify: NotifyOption = False,
    json: JsonOption = False,
) -> None:
    """Wait until runs end. The exit code is 0 if all succeeded, and 5 if one did not.

    robotrain wait --timeout 12h latest
    """
    seconds, webhook = parse_timeout(timeout), open_webhook() if notify else ""
    opened_runs = open_runs(ctx, runs)
    had_ended = all(_has_ended(record, platform) for record, platform in opened_runs)
    write = print_message_line
    printer = Printer(write) if had_ended else choose_printer(sys.stderr, write, has_summary=True)
    follower = RunFollower(opened_runs, printer, get_plugins(ctx), webhook=webhook)
    in_time = follow(follower, printer, "wait", lambda: follower.wait_until_over(seconds))
    if not in_time:
        print_problems([make_timeout_problem(follower, timeout)])
    elif len(opened_runs) == 1:
        return print_end(follower.runs[0], json, with_tail=not had_ended)
    if json:
        dumped_runs = [_dump_run(followed_run) for followed_run in follower.runs]
        print_json(dumped_runs if len(dumped_runs) > 1 else dumped_runs[0])
    else:
        ended_runs = [followed_run for followed_run in follower.runs if not followed_run.failure]
        print_text("\n".join(followed_run.view.format() for followed_run in ended_runs))
    exit_with_outcome(follower)
    if not in_time:
        raise typer.Exit(Stage.SUBMIT.exit_code)


def _has_ended(record: RunRecord, platform: Platform) -> bool:
    """Return whether a run has ended; False also where that cannot be asked, which following reports."""
    try:
        return platform.engine.status(record.reference).finished
    except (Rejected, OSError):
        return False


def follow(follower: RunFollower, printer: Printer, command: str, wait_until_over: Callable[[], bool]) -> bool:
    """Follow runs; return what waiting returns. After Ctrl-C, say which runs continue, and leave the command."""
    gc.enable()  # following may take days
    printer.runs = follower.runs
    try:
        with printer, follower:
            in_time = wait_until_over()
    except KeyboardInterrupt:
        if runs := [followed_run.record.run for followed_run in follower.unfinished]:
            run_names = " ".join(runs)
            watch_command = f"{command} {run_names}{_format_notify(follower)}"
            verb, pronoun = ("continues", "it") if len(runs) == 1 else ("continue", "them")
            width = max(len(watch_command), len(f"cancel {run_names}"))
            print_message(f"\nstopped watching; {' and '.join(runs)} {verb}")
            print_message(f"  robotrain {watch_command:<{width}}   watch again")
            print_message(f"  robotrain {f'cancel {run_names}':<{width}}   stop {pronoun}")
        raise typer.Exit(EXIT_INTERRUPTED) from None
    print_problems(follower.problems)
    return in_time


def exit_with_outcome(follower: RunFollower) -> None:
    """Exit with the code of the first failure; return if no run failed."""
    if problems := [
        problem for followed_run in follower.runs if followed_run.failure for problem in followed_run.failure.problems
    ]:
        print_problems(problems)
        raise typer.Exit(Rejected(problems).exit_code)
    if any(followed_run.is_over and followed_run.status.state != "succeeded" for followed_run in follower.runs):
        raise typer.Exit(Stage.RUN.exit_code)


def _open_unfinished_runs(ctx: typer.Context) -> list[Any]:
    """Return every run that has not ended, newest last, nearest to the prompt; else the newest run."""
    unfinished, unknown_runs = find_unfinished_runs(get_plugins(ctx))
    for listed_run in unknown_runs:
        print_message(f"warning: {listed_run.run} is not watched: {listed_run.reason}")
    return [open_run(ctx, listed_run.run) for listed_run in reversed(unfinished)] or [open_run(ctx, "")]


def _dump_run(followed_run: FollowedRun) -> dict[str, Any]:
    unknown = {"state": "unknown", "reason": followed_run.reported_state[1]} if followed_run.failure else {}
    return followed_run.view.to_json() | unknown


def parse_timeout(text: str) -> float | None:
    """Return a duration in seconds, None for an empty text; raise Rejected when it is invalid."""
    bare_number = text.removesuffix("s")
    try:
        return (
            (float(bare_number) if bare_number.replace(".", "", 1).isdecimal() else amounts.parse_duration(text))
            if text
            else None
        )
    except ValueError:
        raise Rejected([make_problem("value-invalid.timeout", given=text)]) from None


def make_timeout_problem(follower: RunFollower, timeout: str) -> Problem:
    """Return the problem of runs that did not end in time, with the lines that wait again and that stop them."""
    runs = [followed_run.record.run for followed_run in follower.unfinished]
    duration = f"{timeout} s" if timeout[-1:].isdigit() else timeout
    wait_words = f"{' '.join(runs)}{_format_notify(follower)}"
    return make_problem(
        "wait-timeout", names=" and ".join(runs), duration=duration, runs=" ".join(runs), again=wait_words
    )


def _format_notify(follower: RunFollower) -> str:
    """Return the option that tells the webhook, after a space; empty if it is not told."""
    return " --notify" if follower.webhook else ""


def print_end(followed_run: FollowedRun, as_json: bool, with_tail: bool) -> None:
    """Print how one run ended; raise typer.Exit if it did not succeed, and why if it could not be followed.

    :param with_tail: if it failed, also print the last lines of its log.
    """
    if followed_run.failure:
        raise followed_run.failure
    view = followed_run.view
    if as_json:
        print_json(view.to_json())
    else:
        log_end = select_error_lines([*followed_run.tail]) if with_tail and view.is_explained else []
        print_text(view.format([line for line in log_end if line != view.status.reason]))
    if view.status.state != "succeeded":
        raise typer.Exit(Stage.RUN.exit_code)


app = make_app(watch, wait)
