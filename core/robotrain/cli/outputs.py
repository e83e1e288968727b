"""`robotrain outputs`: what a run left, and bringing it here."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from robotrain.cli.made import make_app
from robotrain.cli.opened import Json, Run, opened
from robotrain.cli.output import say, show, show_json, table
from robotrain.problem import Instead, Problem, Rejected, Stage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from robotrain.run import Output, RunRecord, Status


def outputs(
    ctx: typer.Context,
    run: Run = "",
    to: Annotated[
        Path | None, typer.Option("--to", metavar="FOLDER", show_default=False, help="Bring it into this folder.")
    ] = None,
    checkpoint: Annotated[
        str,
        typer.Option(metavar="STEP|last|all", show_default=False, help="Checkpoints only: of one step, the last, all."),
    ] = "",
    json: Json = False,
) -> None:
    """What a run left, or has left by now: its complete checkpoints and other files; with --to, brought here.

    robotrain outputs --checkpoint last --to ./policy act-train-fab69e8c-1
    """
    from robotrain import amounts
    from robotrain.cli import bringing
    from robotrain.redaction import told

    record, platform = opened(ctx, run)
    found = list(platform.outputs(record.reference))
    if not found:
        raise Rejected([_nothing(record, platform.status(record.reference))])
    chosen = _chosen(found, checkpoint, record)
    if record.makes == "checkpoints" and not any(one.kind == "checkpoint" for one in found):
        say(f"no checkpoint is among them: {_nothing(record, platform.status(record.reference)).why}")
    brought = bringing.bring_all(chosen, platform, record, to) if to else {}
    if json:
        show_json({"run": record.run, "outputs": [_as_data(one, brought) for one in chosen]})
    elif not to:
        rows = [(told(one.name), "" if one.size is None else amounts.size(one.size), told(one.uri)) for one in chosen]
        show(table([("NAME", "SIZE", "WHERE"), *rows]))
        say(f"  robotrain outputs --to FOLDER {record.run}    brings it here")
    else:
        show("\n".join(str(path) for path in brought.values()))


def _chosen(found: "Sequence[Output]", checkpoint: str, record: "RunRecord") -> "list[Output]":
    """Those that were asked for. Raises Rejected when there is none."""
    if not checkpoint:
        return list(found)
    checkpoints = [one for one in found if one.kind == "checkpoint"]
    wanted = checkpoints[-1:] if checkpoint == "last" else checkpoints
    if checkpoint not in ("last", "all"):
        wanted = [one for one in checkpoints if checkpoint.isdecimal() and one.step == int(checkpoint)]
    if not wanted:
        raise Rejected([_no_checkpoint(checkpoint, checkpoints, record)])
    return wanted


def _no_checkpoint(asked: str, checkpoints: "Sequence[Output]", record: "RunRecord") -> Problem:
    from robotrain.redaction import redact

    steps = [str(one.step) for one in checkpoints]
    of = "" if asked in ("last", "all") else f" of step {redact(asked)}"
    return Problem(
        code="checkpoint-missing",
        stage=Stage.USAGE,
        title=f"{record.run} left no checkpoint{of}",
        where="--checkpoint",
        why=f"Its checkpoints: {', '.join(steps) or 'none'}.",
        instead=tuple(Instead(f"--checkpoint {step}") for step in ["last", *steps[-3:]] if steps),
    )


def _nothing(record: "RunRecord", status: "Status") -> Problem:
    """Why there is nothing: an empty list would read like success."""
    why = {
        "pending": "It has not started yet",
        "running": "It is running and has saved nothing by now",
        "succeeded": "It succeeded, and what it made is not there any more, or it made nothing",
    }.get(status.state, f"It {status.state} before it saved anything" if status.state != "lost" else "It was lost")
    watch = (f"robotrain watch {record.run}", "shows its first checkpoint as it comes")
    look = (f"robotrain status {record.run}", "what became of it")
    return Problem(
        code="outputs-missing",
        stage=Stage.SUBMIT,
        title=f"{record.run} left nothing" if status.finished else f"{record.run} has left nothing yet",
        why=f"{why}{': ' + status.reason if status.reason else ''}.",
        instead=(Instead(*(look if status.finished else watch)),),
    )


def _as_data(one: "Output", brought: dict[str, Path]) -> dict[str, Any]:
    """The keys are an API."""
    from robotrain.redaction import told

    names = ("name", "kind", "source", "uri", "step", "model", "digest", "size")
    path = brought.get(one.name)
    known = {name: getattr(one, name) for name in names}
    said = {name: told(value) if isinstance(value, str) else value for name, value in known.items()}
    return said | {"path": str(path) if path else None}


app = make_app(outputs)
