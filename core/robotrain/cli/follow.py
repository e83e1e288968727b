"""Following a run: its events as they come, then its loss curve and where everything lies."""

import gc
import shutil
import sys
from typing import Any

import typer
from robotrain_runtime import event

from robotrain.cli.curve import curve
from robotrain.cli.output import say, show, show_json
from robotrain.problem import INTERRUPTED, Stage
from robotrain.progress import Progress
from robotrain.run import RunRecord, Status

TAIL = 20


def to_the_end(record: RunRecord, platform: Any, as_json: bool = False) -> None:
    """Show a run to its end; raises typer.Exit with 5 when it did not succeed. Ctrl-C only stops the watching."""
    gc.enable()  # this may go on for days
    progress = Progress()
    tail: list[str] = []
    try:
        line = LiveLine()
        for text in platform.logs(record.reference, follow=True):
            found = event.read(text)
            if found is None:
                tail = [*tail, text][-TAIL:]
                if progress.stage == "environment":
                    line.above(f"  {text}")
                continue
            progress.add(found)
            line.update(progress, found.event)
        line.close()
        status = platform.status(record.reference)
    except KeyboardInterrupt:
        say(f"\nno longer watching; {record.run} goes on\n  robotrain wait {record.run}      watch it again")
        say(f"  robotrain cancel {record.run}    stop it")
        raise typer.Exit(INTERRUPTED) from None
    finish(record, status, progress, tail, as_json)


def finish(record: RunRecord, status: Status, progress: Progress, tail: list[str], as_json: bool) -> None:
    """The end of a run that was followed."""
    if as_json:
        show_json(summary_json(record, status, progress))
    else:
        if status.state != "succeeded" and tail:
            say("the last lines of its log:\n" + "\n".join(f"  | {line}" for line in tail))
        show(summary(record, status, progress))
    if status.state != "succeeded":
        raise typer.Exit(Stage.RUN.exit_code)


def summary(record: RunRecord, status: Status, progress: Progress) -> str:
    """The loss curve, what became of the run, and where to go from here."""
    drawn = curve(progress.losses, "train/loss") + "\n\n" if len(progress.losses) > 1 else ""
    ended = f"{record.run} {status.state}" + (f": {status.reason}" if status.reason else "")
    held_out = progress.metrics.get("val/loss")
    rows = [
        ("val/loss", f"{held_out:.4g}" if held_out is not None else ""),
        ("checkpoint", progress.checkpoint),
        ("tracking", progress.tracking_ui),
        ("log", f"robotrain logs {record.run}"),
    ]
    return drawn + "\n".join([ended, *(f"  {name:<11} {value}" for name, value in rows if value)])


def summary_json(record: RunRecord, status: Status, progress: Progress) -> dict[str, Any]:
    """How a run is, as data; the keys are an API."""
    return {
        "run": record.run,
        "platform": record.platform,
        "workload": record.workload,
        "state": status.state,
        "reason": status.reason,
        "exit_code": status.exit_code,
        "created": record.created,
        "started": status.started,
        "ended": status.ended,
        "stage": progress.stage,
        "step": progress.step,
        "total": progress.total,
        "metrics": progress.metrics,
        "checkpoint": progress.checkpoint or None,
        "tracking": progress.tracking,
    }


class LiveLine:
    """One line that renews itself on a terminal; a line an event where there is none."""

    def __init__(self) -> None:
        self.live = sys.stderr is not None and sys.stderr.isatty()
        self.shown = ""

    def above(self, text: str) -> None:
        """A line that stays, above the live one."""
        self._clear()
        say(text)
        self._draw()

    def update(self, progress: Progress, happened: event.Event) -> None:
        """What an event changes."""
        if isinstance(happened, event.Metrics):
            if happened.step is not None and not happened.values.keys() & {"val/loss"}:
                self._clear()
                self.shown = progress.line()
                self._draw() if self.live else say(f"  {self.shown}")
        elif text := progress.describe(happened):
            self.above(text)

    def close(self) -> None:
        """The last state stays on the screen."""
        if self.live and self.shown:
            sys.stderr.write("\n")

    def _clear(self) -> None:
        if self.live and self.shown:
            sys.stderr.write("\r\x1b[K")

    def _draw(self) -> None:
        if self.live and self.shown:
            width = shutil.get_terminal_size().columns - 1  # a line that wraps could not be renewed
            sys.stderr.write(f"  {self.shown}"[:width])
            sys.stderr.flush()
