"""Following one run to its end, then its loss curve and where everything lies."""

import gc
from typing import Any

import typer

from robotrain import scores
from robotrain.cli.output import report, say, say_line, show, show_json
from robotrain.cli.watching import summary as summaries
from robotrain.cli.watching.curve import curve
from robotrain.cli.watching.followed import Followed
from robotrain.cli.watching.following import Following
from robotrain.cli.watching.live_line import LiveLine
from robotrain.cli.watching.notice import Notice
from robotrain.cli.watching.telling import LogLines, Telling
from robotrain.problem import INTERRUPTED, Stage
from robotrain.run import RunRecord


def to_the_end(record: RunRecord, platform: Any, as_json: bool = False, plugins: Any = None) -> None:
    """Show a run that was just sent to its end; raises typer.Exit with 5 when it did not succeed. Ctrl-C only stops the
    watching. plugins: are told that it ended.
    """
    followed = _followed(record, platform, LiveLine(), plugins)
    finish(followed, as_json, with_tail=True)


def stream(record: RunRecord, platform: Any, as_json: bool = False, plugins: Any = None) -> None:
    """The same with the log as it comes, on standard error. A log that breaks off is a warning."""
    followed = _followed(record, platform, LogLines(say_line), plugins)
    finish(followed, as_json, with_tail=False)


def _followed(record: RunRecord, platform: Any, teller: Telling, plugins: Any) -> Followed:
    gc.enable()  # this may go on for days
    notice = Notice(plugins, just_sent=True)
    following = Following([(record, platform)], teller, notice)
    try:
        with teller, following:
            following.until_over()
    except KeyboardInterrupt:
        say_goes_on([record.run], "wait")
        raise typer.Exit(INTERRUPTED) from None
    report(notice.problems)
    (followed,) = following.runs
    if followed.failure:
        raise followed.failure
    return followed


def say_goes_on(runs: list[str], again: str) -> None:
    """Nobody watches any more: what goes on, and how to watch it again or stop it."""
    if not runs:
        return
    names = " ".join(runs)
    verb = "goes" if len(runs) == 1 else "go"
    say(f"\nno longer watching; {' and '.join(runs)} {verb} on")
    say(f"  robotrain {again} {names}{'':{max(1, len('cancel') - len(again))}}   watch again")
    say(f"  robotrain cancel {names}   stop {'it' if len(runs) == 1 else 'them'}")


def finish(followed: Followed, as_json: bool, with_tail: bool) -> None:
    """The end of a run that was followed; with_tail: with its last lines, which were not shown, if it failed."""
    record, status = followed.record, followed.status
    if as_json:
        show_json(summaries.as_data(record, status, followed.progress))
    else:
        if status.state in ("failed", "lost") and followed.tail and with_tail and not _judged(followed):
            say("the last lines of its log:\n" + "\n".join(f"  | {line}" for line in followed.tail))
        show(summary(followed))
    if status.state != "succeeded":
        raise typer.Exit(Stage.RUN.exit_code)


def _judged(followed: Followed) -> bool:
    """Whether it did its work, and failed by what it found alone: its log explains nothing then."""
    found = followed.progress.evaluated
    return found is not None and found.passed is False


def summary(followed: Followed) -> str:
    """The loss curve, what became of the run, and where to go from here."""
    from robotrain.cli.watching import next_step

    record, status, known = followed.record, followed.status, followed.progress
    drawn = curve(known.curve, known.main.name) + "\n\n" if known.main and len(known.curve) > 1 else ""
    ended = f"{record.run} {status.state}" + (f": {status.reason}" if status.reason else "")
    held_out = known.metrics.get(known.validation.name) if known.validation else None
    rows = [(known.validation.name, f"{held_out:.4g}")] if known.validation and held_out is not None else []
    gone = summaries.machine_is_gone(followed.platform, status)
    if known.evaluated:
        rows += [("scores", known.score), ("under", scores.conditions(known.evaluated))]
    lines = [f"{name:<11} {value}" for name, value in (*rows, *summaries.places(known, gone)) if value]
    lines += next_step.listed(record.run, status, known)
    return drawn + "\n".join([ended, *(f"  {line}" for line in lines)])
