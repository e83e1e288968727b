"""`resubmit` and `resume`: a run once more, from its start or from its last checkpoint."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from robotrain.cli.app import get_plugins, make_app
from robotrain.cli.arguments import JsonOption, RunArgument, open_run
from robotrain.cli.commands import submit
from robotrain.cli.output import print_message

if TYPE_CHECKING:
    from robotrain.submission.prepare import PreparedJob

SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="A value that differs this time, named as in a job file."),
]
WaitOption = Annotated[bool, typer.Option("--wait", help="Follow the run to its end; the exit code says how it ended.")]
StreamOption = Annotated[bool, typer.Option("--stream", help="Show its log, then go on as --wait does.")]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Say what would be sent, and whether it could run.")]
RepinOption = Annotated[
    bool, typer.Option("--repin", help="Take the sources as they are now, not as they were when the run was sent.")
]
NewOption = Annotated[
    bool, typer.Option("--new", help="A run of its own, also where an earlier submit of it was cut off.")
]
RESUME_FROM_FLAG = "--resume-from"
NoPinOption = Annotated[bool, typer.Option("--no-pin", help="Do not ask what moving names mean now.")]


def resubmit(
    ctx: typer.Context,
    run: RunArgument = "",
    set: SetOption = None,
    wait: WaitOption = False,
    stream: StreamOption = False,
    dry_run: DryRunOption = False,
    new: NewOption = False,
    repin: RepinOption = False,
    no_pin: NoPinOption = False,
    json: JsonOption = False,
) -> None:
    """Send a run's very plan once more, as its next attempt; with --set a changed one.

    robotrain resubmit act-train-fab69e8c-1 --set batch_size=16 --dry-run
    """
    stored, prepared = _prepare_again_from_record(ctx, run, set or [], repin)
    given = {"wait": wait, "stream": stream, "dry_run": dry_run, "new": new, "json": json}
    as_it_was = not (set or repin)  # what was not pinned then is not pinned now
    _submit_again(ctx, stored, prepared, given | {"no_pin": no_pin or as_it_was})


def resume(
    ctx: typer.Context,
    run: RunArgument = "",
    training_steps: Annotated[
        str | None,
        typer.Option("--training-steps", "--steps", metavar="INT", help="Train up to this step in total."),
    ] = None,
    resume_from: Annotated[
        str,
        typer.Option(
            RESUME_FROM_FLAG, metavar="CHECKPOINT", show_default=False, help="Not its last: this folder or blob URL."
        ),
    ] = "",
    set: SetOption = None,
    wait: WaitOption = False,
    stream: StreamOption = False,
    dry_run: DryRunOption = False,
    new: NewOption = False,
    repin: RepinOption = False,
    no_pin: NoPinOption = False,
    json: JsonOption = False,
) -> None:
    """Go on from a run's last complete checkpoint, or from one that is named, as a run of its own.

    robotrain resume act-train-fab69e8c-1 --training-steps 20000
    """
    from robotrain.redaction import redact_if_secret
    from robotrain.submission import resume

    more = [f"training_steps={training_steps}"] if training_steps is not None else []
    stored, prepared = _prepare_again_from_record(ctx, run, [*(set or []), *more], repin)
    checkpoint = _find_named_checkpoint(ctx, resume_from) if resume_from else _find_last_checkpoint(ctx, stored)
    at = f"step {checkpoint.step} of {stored.plan.run}, " if checkpoint.step is not None else ""
    print_message(f"going on from {at}{redact_if_secret(checkpoint.uri)}")
    given = {"wait": wait, "stream": stream, "dry_run": dry_run, "new": new, "no_pin": no_pin, "json": json}
    _submit_again(ctx, stored, resume.resume_job(prepared, stored.plan.run, checkpoint, get_plugins(ctx)), given)


def _prepare_again_from_record(ctx: typer.Context, run: str, sets: list[str], repin: bool) -> tuple[Any, Any]:
    """The plan that was sent, and the job of it that is to be sent. Raises Rejected."""
    from robotrain.store import records
    from robotrain.submission import resubmit

    stored = resubmit.read_plan_to_repeat(records.find_run(run))
    start = resubmit.remove_plan_pins(stored) if repin else stored
    return stored, resubmit.change_job(start, sets, get_plugins(ctx)) if sets else resubmit.repeat_job(
        start, get_plugins(ctx)
    )


def _submit_again(ctx: typer.Context, stored: Any, prepared: "PreparedJob", options: dict[str, Any]) -> None:
    """Say what differs, and send it."""
    from robotrain.submission import resubmit

    _print_differences(stored.plan.run, list(resubmit.find_differences(stored, prepared)))
    submit.submit_job(ctx, prepared, options)


def _find_last_checkpoint(ctx: typer.Context, stored: Any) -> Any:
    """The newest checkpoint whose every byte is as it was saved, as far as it lies here; where the run's own are gone,
    the published ones. Raises Rejected when there is none, or the run still goes on.
    """
    from robotrain.errors import Problem, Rejected, Stage, Suggestion
    from robotrain.model.run import RunGone
    from robotrain.submission import resume

    run, why = stored.plan.run, f"{stored.plan.run} left no complete checkpoint to go on from"
    try:
        found = _list_own_checkpoints(ctx, run)
    except RunGone as gone:
        found, why = [], gone.problems[0].title
    if found:
        return resume.find_last_intact_checkpoint(found, print_message)
    if copy := resume.find_published_checkpoint(stored, get_plugins(ctx)):
        print_message(f"{why}: going on from what it published")
        return copy
    ways = (Suggestion(f"robotrain resubmit {run}", "starts the same job over"),)
    raise Rejected([Problem(code="checkpoint-missing", stage=Stage.USAGE, title=why, suggestions=ways)])


def _find_named_checkpoint(ctx: typer.Context, text: str) -> Any:
    from robotrain.submission import resume

    return resume.parse_checkpoint(text, RESUME_FROM_FLAG, get_plugins(ctx))


def _list_own_checkpoints(ctx: typer.Context, run: str) -> list[Any]:
    """What a run that ended has in its own folder. Raises Rejected when it goes on, and RunGone."""
    from robotrain.errors import Problem, Rejected, Stage, Suggestion

    record, platform = open_run(ctx, run)
    status = platform.status(record.reference)
    if not status.finished:
        ways = (
            Suggestion(f"robotrain wait {run}", "until it has ended by itself"),
            Suggestion(f"robotrain cancel {run}", "stops it; what it does after its last checkpoint may be lost"),
        )
        problem = Problem(
            code="run-goes-on", stage=Stage.USAGE, title=f"{run} is still {status.state}", suggestions=ways
        )
        raise Rejected([problem])
    return [one for one in platform.outputs(record.reference) if one.kind == "checkpoint"]


def _print_differences(run: str, differences: list[tuple[str, Any, Any]]) -> None:
    from robotrain.redaction import redact

    if not differences:
        print_message(f"the very plan of {run}")
        return
    print_message(f"as {run}, but for")
    for name, before, after in differences:
        print_message(f"  {name}: {redact(str(before)) or '–'} → {redact(str(after)) or '–'}")


app = make_app(resubmit, resume)
