"""Following one run to its end, and the summary after it."""

import gc
from typing import TYPE_CHECKING

import typer

from robotrain.cli.output import print_json, print_message, print_message_line, print_problems, print_result
from robotrain.cli.watch import run_summary
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
    """Follow a run that was just submitted; raise typer.Exit with 5 if it does not succeed.

    :param plugins: the plugins to notify of the end.
    """
    followed = _follow_run(record, platform, LiveLineRenderer(), plugins)
    print_end(followed, as_json, with_tail=True)


def stream_log(
    record: RunRecord, platform: "Platform", as_json: bool = False, plugins: "Plugins | None" = None
) -> None:
    """Follow a run that was just submitted, and print its log on stderr."""
    followed = _follow_run(record, platform, LogRenderer(print_message_line), plugins)
    print_end(followed, as_json, with_tail=False)


def _follow_run(record: RunRecord, platform: "Platform", renderer: Renderer, plugins: "Plugins | None") -> FollowedRun:
    gc.enable()  # following may take days
    notifier = EndNotifier(plugins, just_sent=True)
    follower = RunFollower([(record, platform)], renderer, notifier)
    try:
        with renderer, follower:
            follower.wait_until_over()
    except KeyboardInterrupt:
        print_unfinished([record.run], "wait")
        raise typer.Exit(EXIT_INTERRUPTED) from None
    print_problems(notifier.problems)
    (followed,) = follower.runs
    if followed.failure:
        raise followed.failure
    return followed


def print_unfinished(runs: list[str], command: str) -> None:
    """Print which runs continue after watching stopped, and how to watch them again or stop them."""
    if not runs:
        return
    names = " ".join(runs)
    verb = "continues" if len(runs) == 1 else "continue"
    print_message(f"\nstopped watching; {' and '.join(runs)} {verb}")
    print_message(f"  robotrain {command} {names}{'':{max(1, len('cancel') - len(command))}}   watch again")
    print_message(f"  robotrain cancel {names}   stop {'it' if len(runs) == 1 else 'them'}")


def print_end(followed: FollowedRun, as_json: bool, with_tail: bool) -> None:
    """Print how a followed run ended.

    :param with_tail: if it failed, also print the last lines of its log.
    """
    record, status = followed.record, followed.status
    if as_json:
        print_json(run_summary.dump_status(record, status, followed.progress))
    else:
        if status.state in ("failed", "lost") and followed.tail and with_tail and not _has_failed_verdict(followed):
            print_message("the last lines of its log:\n" + "\n".join(f"  | {line}" for line in followed.tail))
        print_result(format_end(followed))
    if status.state != "succeeded":
        raise typer.Exit(Stage.RUN.exit_code)


def _has_failed_verdict(followed: FollowedRun) -> bool:
    """Whether the run failed only because its scores are below a threshold, which its log does not explain."""
    evaluated = followed.progress.evaluated
    return evaluated is not None and evaluated.passed is False


def format_end(followed: FollowedRun) -> str:
    """Return the loss curve, the end of the run, its outputs, and the next commands."""
    record, status, known = followed.record, followed.status, followed.progress
    has_curve = known.main_metric and len(known.curve) > 1
    curve = draw_curve(known.curve, known.main_metric.name) + "\n\n" if known.main_metric and has_curve else ""
    first_line = f"{record.run} {status.state}" + (f": {status.reason}" if status.reason else "")
    validation = known.metrics.get(known.validation_metric.name) if known.validation_metric else None
    rows = []
    if known.validation_metric and validation is not None:
        rows = [(known.validation_metric.name, f"{validation:.4g}")]
    gone = run_summary.is_machine_gone(followed.platform, status)
    if known.evaluated:
        rows += [("scores", known.score_text), ("under", scores.format_conditions(known.evaluated))]
    lines = [f"{name:<11} {value}" for name, value in (*rows, *run_summary.list_places(known, gone)) if value]
    lines += run_summary.format_next_steps(record.run, status, known)
    return curve + "\n".join([first_line, *(f"  {line}" for line in lines)])
