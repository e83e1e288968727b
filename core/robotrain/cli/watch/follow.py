"""Following one run to its end, then its loss curve and where everything lies."""

import gc
from typing import TYPE_CHECKING

import typer

from robotrain.cli.output import print_json, print_message, print_message_line, print_problems, print_result
from robotrain.cli.watch import run_summary as summaries
from robotrain.cli.watch.dashboard import draw_curve
from robotrain.cli.watch.follower import EndNotifier, FollowedRun, RunFollower
from robotrain.cli.watch.renderer import LiveLineRenderer, LogRenderer, Renderer
from robotrain.errors import EXIT_INTERRUPTED, Stage
from robotrain.model import scores
from robotrain.model.run import RunRecord

if TYPE_CHECKING:
    from robotrain.model.platform import Platform
    from robotrain.plugins.manager import Plugins


def follow_to_end(
    record: RunRecord, platform: "Platform", as_json: bool = False, plugins: "Plugins | None" = None
) -> None:
    """Show a run that was just sent to its end; raises typer.Exit with 5 when it did not succeed. Ctrl-C only stops the
    watching. plugins: are told that it ended.
    """
    followed = _follow_run(record, platform, LiveLineRenderer(), plugins)
    print_end(followed, as_json, with_tail=True)


def stream_log(
    record: RunRecord, platform: "Platform", as_json: bool = False, plugins: "Plugins | None" = None
) -> None:
    """The same with the log as it comes, on standard error. A log that breaks off is a warning."""
    followed = _follow_run(record, platform, LogRenderer(print_message_line), plugins)
    print_end(followed, as_json, with_tail=False)


def _follow_run(record: RunRecord, platform: "Platform", renderer: Renderer, plugins: "Plugins | None") -> FollowedRun:
    gc.enable()  # this may go on for days
    notice = EndNotifier(plugins, just_sent=True)
    following = RunFollower([(record, platform)], renderer, notice)
    try:
        with renderer, following:
            following.wait_until_over()
    except KeyboardInterrupt:
        print_unfinished([record.run], "wait")
        raise typer.Exit(EXIT_INTERRUPTED) from None
    print_problems(notice.problems)
    (followed,) = following.runs
    if followed.failure:
        raise followed.failure
    return followed


def print_unfinished(runs: list[str], command: str) -> None:
    """Nobody watches any more: what goes on, and how to watch it again or stop it."""
    if not runs:
        return
    names = " ".join(runs)
    verb = "goes" if len(runs) == 1 else "go"
    print_message(f"\nno longer watching; {' and '.join(runs)} {verb} on")
    print_message(f"  robotrain {command} {names}{'':{max(1, len('cancel') - len(command))}}   watch again")
    print_message(f"  robotrain cancel {names}   stop {'it' if len(runs) == 1 else 'them'}")


def print_end(followed: FollowedRun, as_json: bool, with_tail: bool) -> None:
    """The end of a run that was followed; with_tail: with its last lines, which were not shown, if it failed."""
    record, status = followed.record, followed.status
    if as_json:
        print_json(summaries.dump_status(record, status, followed.progress))
    else:
        if status.state in ("failed", "lost") and followed.tail and with_tail and not _has_failed_verdict(followed):
            print_message("the last lines of its log:\n" + "\n".join(f"  | {line}" for line in followed.tail))
        print_result(format_end(followed))
    if status.state != "succeeded":
        raise typer.Exit(Stage.RUN.exit_code)


def _has_failed_verdict(followed: FollowedRun) -> bool:
    """Whether it did its work, and failed by what it found alone: its log explains nothing then."""
    found = followed.progress.evaluated
    return found is not None and found.passed is False


def format_end(followed: FollowedRun) -> str:
    """The loss curve, what became of the run, and where to go from here."""
    from robotrain.cli.watch import run_summary

    record, status, known = followed.record, followed.status, followed.progress
    drawn = (
        draw_curve(known.curve, known.main_metric.name) + "\n\n" if known.main_metric and len(known.curve) > 1 else ""
    )
    ended = f"{record.run} {status.state}" + (f": {status.reason}" if status.reason else "")
    held_out = known.metrics.get(known.validation_metric.name) if known.validation_metric else None
    rows = (
        [(known.validation_metric.name, f"{held_out:.4g}")] if known.validation_metric and held_out is not None else []
    )
    gone = summaries.is_machine_gone(followed.platform, status)
    if known.evaluated:
        rows += [("scores", known.score_text), ("under", scores.format_conditions(known.evaluated))]
    lines = [f"{name:<11} {value}" for name, value in (*rows, *summaries.list_places(known, gone)) if value]
    lines += run_summary.format_next_steps(record.run, status, known)
    return drawn + "\n".join([ended, *(f"  {line}" for line in lines)])
