"""`status`, `logs`, `wait`, `cancel`: what is said of a run needs only its name; the rest lies in its record."""

import gc
import time
from typing import Annotated, Any

import typer

from robotrain.cli.app import plugins_of
from robotrain.cli.output import report, say, show, show_json
from robotrain.problem import INTERRUPTED, Instead, Problem, Rejected, Stage

Run = Annotated[
    str,
    typer.Argument(metavar="[RUN]", show_default=False, help="The run's name or the start of it; default: the newest."),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def status(ctx: typer.Context, run: Run = "", json: Json = False) -> None:
    """How a run is, why it waits or stopped, and what to type next."""
    from robotrain import progress
    from robotrain.cli import follow

    record, platform = _opened(ctx, run)
    now = platform.status(record.reference)
    known = progress.read(platform.logs(record.reference, follow=False))
    if json:
        show_json(follow.summary_json(record, now, known))
    else:
        show(_status_text(record, now, known))


def logs(
    ctx: typer.Context,
    run: Run = "",
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Go on to the run's end.")] = False,
    raw: Annotated[bool, typer.Option("--raw", help="Event lines as they are, one JSON object each.")] = False,
) -> None:
    """The log of a run; without -f what there is by now."""
    from robotrain_runtime import event

    from robotrain.progress import Progress

    gc.enable()  # this may go on for days
    record, platform = _opened(ctx, run)
    try:
        for line in platform.logs(record.reference, follow=follow):
            found = None if raw else event.read(line)
            if found is None:
                show(line)
            elif text := Progress.describe(found.event):
                show(f"[robotrain] {text}")
    except KeyboardInterrupt:
        say(f"\nno longer following; {record.run} goes on\n  robotrain cancel {record.run}    stop it")
        raise typer.Exit(INTERRUPTED) from None


def wait(ctx: typer.Context, run: Run = "", json: Json = False) -> None:
    """Follow a run to its end; the exit code says how it ended: 0 when it succeeded, 5 when it did not."""
    from robotrain.cli import follow

    record, platform = _opened(ctx, run)
    follow.to_the_end(record, platform, as_json=json)


def cancel(ctx: typer.Context, run: Run = "", json: Json = False) -> None:
    """Stop a run. One that ended already is left as it is."""
    record, platform = _opened(ctx, run)
    before = platform.status(record.reference)
    if not before.finished:
        say(f"stopping {record.run} …")
        platform.cancel(record.reference)
        report(plugins_of(ctx).run_changed(record))
    after = platform.status(record.reference)
    if json:
        show_json({"run": record.run, "state": after.state, "was": before.state})
    else:
        show(f"{record.run} {after.state}" + (" already" if before.finished else ""))


def _opened(ctx: typer.Context, run: str) -> tuple[Any, Any]:
    """The record, and the platform it is on. Raises Rejected."""
    from robotrain import store

    record = store.read(store.find(run))
    if record.phase == "sending":
        problem = Problem(
            code="run-not-sent",
            stage=Stage.SUBMIT,
            title=f"sending {record.run} was interrupted before its platform confirmed it",
            why="If it runs, its platform knows it by this name; nothing more is recorded.",
            instead=(Instead("robotrain submit …", "sends the job again, as its next attempt"),),
        )
        raise Rejected([problem])
    return record, plugins_of(ctx).platform(record.platform)


def _status_text(record: Any, now: Any, known: Any) -> str:
    from robotrain.progress import duration

    lines = [f"{record.run}  {now.state}  on {record.platform}"]
    if now.reason:
        lines.append(f"  {now.reason}")
    if known.step is not None:
        lines.append(f"  {known.line()}")
    elif known.stage and not now.finished:
        lines.append(f"  in stage {known.stage}")
    if now.started:
        took = duration((now.ended or time.time()) - now.started)
        lines.append(f"  {'ran' if now.finished else 'running for'} {took}")
    rows = [("checkpoint", known.checkpoint), ("tracking", known.tracking_ui)]
    lines += [f"  {name:<11} {value}" for name, value in rows if value]
    following = "robotrain logs" if now.finished else "robotrain logs -f"
    lines.append(
        f"  next        {following} {record.run}" + ("" if now.finished else f"   or   robotrain cancel {record.run}")
    )
    return "\n".join(lines)


app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
for command in (status, logs, wait, cancel):
    app.command()(command)
