"""`robotrain cancel`: runs are stopped, and what they leave is told."""

import threading
from typing import TYPE_CHECKING, Any

import typer

from robotrain.cli.app import plugins_of
from robotrain.cli.made import make_app
from robotrain.cli.opened import Json, Runs, opened_all
from robotrain.cli.output import report, say, show, show_json
from robotrain.problem import INTERRUPTED, Problem, Rejected, Stage

if TYPE_CHECKING:
    from robotrain.run import RunRecord, Status

KEPT = ("checkpoint", "published", "results", "copied to")
"""Of what a run left, what is worth a word when it was stopped."""


def cancel(ctx: typer.Context, runs: Runs = None, json: Json = False) -> None:
    """Stop runs, and say what they leave. One that ended already is left as it is.

    robotrain cancel act-train-fab69e8c-1
    """
    stopping = [Stopping(record, platform) for record, platform in opened_all(ctx, runs)]
    _at_once([one for one in stopping if not one.before.finished])
    for one in stopping:
        if not one.before.finished and not one.problems:
            report(plugins_of(ctx).run_changed(one.record, "cancelled", one.after))
    told = [one.told() for one in stopping]
    if json:
        show_json([data for data, _ in told] if len(told) > 1 else told[0][0])
    else:
        show("\n".join(text for _, text in told))
    if problems := [problem for one in stopping for problem in one.problems]:
        report(problems)
        raise typer.Exit(Rejected(problems).exit_code)


class Stopping:
    """A run that is stopped. before, after: how it was, and is. problems: why it could not be."""

    def __init__(self, record: "RunRecord", platform: Any) -> None:
        self.record, self.platform = record, platform
        self.before: Status = platform.status(record.reference)
        self.after = self.before
        self.problems: list[Problem] = []

    def stop(self) -> None:
        """Ask for its end, and wait for it as long as the platform does."""
        from robotrain.cli.watching.asking import why

        try:
            self.platform.cancel(self.record.reference)
            self.after = self.platform.status(self.record.reference)
        except Rejected as rejected:
            self.problems += rejected.problems
        except Exception as error:  # whatever a plugin raises: the others are stopped all the same
            title = f"{self.record.platform} could not stop {self.record.run}"
            self.problems.append(Problem(code="cancel-failed", stage=Stage.SUBMIT, title=title, why=f"{why(error)}."))

    def told(self) -> tuple[dict[str, Any], str]:
        """How it is now, as data (the keys are an API) and in lines."""
        from robotrain import ended
        from robotrain.cli.watching import next_step
        from robotrain.cli.watching.heard import heard
        from robotrain.cli.watching.summary import machine_is_gone, places

        known, _ = heard(self.record, self.platform)
        data = {
            "run": self.record.run,
            "state": self.after.state,
            "was": self.before.state,
            "checkpoint": known.checkpoint or None,
            "checkpoint_step": known.checkpoint_step,
        }
        lines = [f"{self.record.run} {self.after.state}" + (" already" if self.before.finished else "")]
        ended.seen(self.record.run, self.after)
        left = places(known, machine_is_gone(self.platform, self.after))
        kept = [f"{name:<11} {value}" for name, value in left if name in KEPT]
        nothing = self.after.finished and self.after.state != "succeeded" and self.record.makes == "checkpoints"
        lines += kept or ["it left no checkpoint"] * nothing
        lines += next_step.listed(self.record.run, self.after, known)[:1]
        return data, "\n  ".join(lines)


def _at_once(stopping: list[Stopping]) -> None:
    """A run may take its time to save what it has: several do so side by side."""
    threads = [threading.Thread(target=one.stop, daemon=True) for one in stopping]
    for one, thread in zip(stopping, threads, strict=True):
        say(f"stopping {one.record.run} …")
        thread.start()
    try:
        for thread in threads:
            thread.join()
    except KeyboardInterrupt:
        names = " ".join(one.record.run for one in stopping)
        say(f"\nno longer waiting for the end; it was asked for all the same\n  robotrain wait {names}   to see it")
        raise typer.Exit(INTERRUPTED) from None


app = make_app(cancel)
