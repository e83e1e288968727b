"""`resubmit` and `resume`: a run once more, from its start or from its last checkpoint."""

from typing import Annotated, Any

import typer

from robotrain.cli import sending
from robotrain.cli.app import plugins_of
from robotrain.cli.made import make_app
from robotrain.cli.opened import Json, Run, opened
from robotrain.cli.output import say

Sets = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="A value that differs this time, named as in a job file."),
]
Wait = Annotated[bool, typer.Option("--wait", help="Follow the run to its end; the exit code says how it ended.")]
Stream = Annotated[bool, typer.Option("--stream", help="Show its log, then go on as --wait does.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be sent, and whether it could run.")]
Repin = Annotated[
    bool, typer.Option("--repin", help="Take the sources as they are now, not as they were when the run was sent.")
]
New = Annotated[bool, typer.Option("--new", help="A run of its own, also where an earlier submit of it was cut off.")]
FROM = "--resume-from"
NoPin = Annotated[bool, typer.Option("--no-pin", help="Do not ask what moving names mean now.")]


def resubmit(
    ctx: typer.Context,
    run: Run = "",
    set: Sets = None,
    wait: Wait = False,
    stream: Stream = False,
    dry_run: DryRun = False,
    new: New = False,
    repin: Repin = False,
    no_pin: NoPin = False,
    json: Json = False,
) -> None:
    """Send a run's very plan once more, as its next attempt; with --set a changed one.

    robotrain resubmit act-train-fab69e8c-1 --set batch_size=16 --dry-run
    """
    stored, prepared = _prepared(ctx, run, set or [], repin)
    given = {"wait": wait, "stream": stream, "dry_run": dry_run, "new": new, "json": json}
    as_it_was = not (set or repin)  # what was not pinned then is not pinned now
    _send(ctx, stored, prepared, given | {"no_pin": no_pin or as_it_was})


def resume(
    ctx: typer.Context,
    run: Run = "",
    training_steps: Annotated[
        str | None,
        typer.Option("--training-steps", "--steps", metavar="INT", help="Train up to this step in total."),
    ] = None,
    resume_from: Annotated[
        str,
        typer.Option(FROM, metavar="CHECKPOINT", show_default=False, help="Not its last: this folder or blob URL."),
    ] = "",
    set: Sets = None,
    wait: Wait = False,
    stream: Stream = False,
    dry_run: DryRun = False,
    new: New = False,
    repin: Repin = False,
    no_pin: NoPin = False,
    json: Json = False,
) -> None:
    """Go on from a run's last complete checkpoint, or from one that is named, as a run of its own.

    robotrain resume act-train-fab69e8c-1 --training-steps 20000
    """
    from robotrain import again
    from robotrain.redaction import told

    more = [f"training_steps={training_steps}"] if training_steps is not None else []
    stored, prepared = _prepared(ctx, run, [*(set or []), *more], repin)
    checkpoint = _named(ctx, resume_from) if resume_from else _last_checkpoint(ctx, stored)
    at = f"step {checkpoint.step} of {stored.plan.run}, " if checkpoint.step is not None else ""
    say(f"going on from {at}{told(checkpoint.uri)}")
    given = {"wait": wait, "stream": stream, "dry_run": dry_run, "new": new, "no_pin": no_pin, "json": json}
    _send(ctx, stored, again.resumed(prepared, stored.plan.run, checkpoint, plugins_of(ctx)), given)


def _prepared(ctx: typer.Context, run: str, sets: list[str], repin: bool) -> tuple[Any, Any]:
    """The plan that was sent, and the job of it that is to be sent. Raises Rejected."""
    from robotrain import again, store

    stored = again.kept(store.find(run))
    start = again.unpinned(stored) if repin else stored
    return stored, again.changed(start, sets, plugins_of(ctx)) if sets else again.same(start, plugins_of(ctx))


def _send(ctx: typer.Context, stored: Any, prepared: Any, given: dict[str, Any]) -> None:
    """Say what differs, and send it."""
    from robotrain import again

    _say_differences(stored.plan.run, list(again.differences(stored, prepared)))
    sending.send(ctx, prepared, given)


def _last_checkpoint(ctx: typer.Context, stored: Any) -> Any:
    """The newest checkpoint whose every byte is as it was saved, as far as it lies here; where the run's own are gone,
    the published ones. Raises Rejected when there is none, or the run still goes on.
    """
    from robotrain import again, going_on
    from robotrain.problem import Instead, Problem, Rejected, Stage
    from robotrain.run import RunGone

    run, why = stored.plan.run, f"{stored.plan.run} left no complete checkpoint to go on from"
    try:
        found = _own_checkpoints(ctx, run)
    except RunGone as gone:
        found, why = [], gone.problems[0].title
    if found:
        return again.last_whole(found, say)
    if copy := going_on.published(stored, plugins_of(ctx)):
        say(f"{why}: going on from what it published")
        return copy
    ways = (Instead(f"robotrain resubmit {run}", "starts the same job over"),)
    raise Rejected([Problem(code="checkpoint-missing", stage=Stage.USAGE, title=why, instead=ways)])


def _named(ctx: typer.Context, text: str) -> Any:
    from robotrain import going_on

    return going_on.named(text, FROM, plugins_of(ctx))


def _own_checkpoints(ctx: typer.Context, run: str) -> list[Any]:
    """What a run that ended has in its own folder. Raises Rejected when it goes on, and RunGone."""
    from robotrain.problem import Instead, Problem, Rejected, Stage

    record, platform = opened(ctx, run)
    status = platform.status(record.reference)
    if not status.finished:
        ways = (
            Instead(f"robotrain wait {run}", "until it has ended by itself"),
            Instead(f"robotrain cancel {run}", "stops it; what it does after its last checkpoint may be lost"),
        )
        problem = Problem(code="run-goes-on", stage=Stage.USAGE, title=f"{run} is still {status.state}", instead=ways)
        raise Rejected([problem])
    return [one for one in platform.outputs(record.reference) if one.kind == "checkpoint"]


def _say_differences(run: str, found: list[tuple[str, Any, Any]]) -> None:
    from robotrain.redaction import redact

    if not found:
        say(f"the very plan of {run}")
        return
    say(f"as {run}, but for")
    for name, before, after in found:
        say(f"  {name}: {redact(str(before)) or '–'} → {redact(str(after)) or '–'}")


app = make_app(resubmit, resume)
