"""`robotrain outputs`: list what a run left, and download it with --to."""

from __future__ import annotations

import os
import shutil
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Annotated, Any

import typer
from robotrain_runtime.machine import disk_cache

from robotrain.cli import output
from robotrain.cli.app import make_app
from robotrain.cli.arguments import JsonOption, RunArgument, open_run
from robotrain.cli.columns import truncate
from robotrain.cli.output import format_table, print_json, print_message, print_result
from robotrain.errors import Problem, Rejected, Stage, Suggestion, raise_if_any
from robotrain.model import amounts

if TYPE_CHECKING:
    from robotrain.model.platform import Platform
    from robotrain.model.run import Output, RunRecord, Status


def outputs(
    ctx: typer.Context,
    run: RunArgument = "",
    to: Annotated[
        Path | None, typer.Option("--to", metavar="FOLDER", show_default=False, help="Bring it into this folder.")
    ] = None,
    checkpoint: Annotated[
        str,
        typer.Option(metavar="STEP|last|all", show_default=False, help="Checkpoints only: of one step, the last, all."),
    ] = "",
    json: JsonOption = False,
) -> None:
    """What a run left, or has left by now: its complete checkpoints and other files; with --to, brought here.

    robotrain outputs --checkpoint last --to ./policy act-train-fab69e8c-1
    """
    from robotrain.model import amounts

    pass
    from robotrain.redaction import redact_if_secret

    record, platform = open_run(ctx, run)
    found = list(platform.outputs(record.reference))
    if not found:
        raise Rejected([_outputs_missing_problem(record, platform.status(record.reference))])
    chosen = _select_outputs(found, checkpoint, record)
    if record.makes == "checkpoints" and not any(one.kind == "checkpoint" for one in found):
        print_message(
            f"no checkpoint is among them: {_outputs_missing_problem(record, platform.status(record.reference)).why}"
        )
    brought = download_outputs(chosen, platform, record, to) if to else {}
    if json:
        print_json({"run": record.run, "outputs": [_dump_output(one, brought) for one in chosen]})
    elif not to:
        rows = [
            (
                redact_if_secret(one.name),
                "" if one.size is None else amounts.format_size(one.size),
                redact_if_secret(one.uri),
            )
            for one in chosen
        ]
        print_result(format_table([("NAME", "SIZE", "WHERE"), *rows]))
        print_message(f"  robotrain outputs --to FOLDER {record.run}    brings it here")
    else:
        print_result("\n".join(str(path) for path in brought.values()))


def _select_outputs(available: Sequence[Output], checkpoint: str, record: RunRecord) -> list[Output]:
    """Those that were asked for. Raises Rejected when there is none."""
    if not checkpoint:
        return list(available)
    checkpoints = [one for one in available if one.kind == "checkpoint"]
    wanted = checkpoints[-1:] if checkpoint == "last" else checkpoints
    if checkpoint not in ("last", "all"):
        wanted = [one for one in checkpoints if checkpoint.isdecimal() and one.step == int(checkpoint)]
    if not wanted:
        raise Rejected([_checkpoint_missing_problem(checkpoint, checkpoints, record)])
    return wanted


def _checkpoint_missing_problem(requested: str, checkpoints: Sequence[Output], record: RunRecord) -> Problem:
    from robotrain.redaction import redact

    steps = [str(one.step) for one in checkpoints]
    of = "" if requested in ("last", "all") else f" of step {redact(requested)}"
    return Problem(
        code="checkpoint-missing",
        stage=Stage.USAGE,
        title=f"{record.run} left no checkpoint{of}",
        where="--checkpoint",
        why=f"Its checkpoints: {', '.join(steps) or 'none'}.",
        suggestions=tuple(Suggestion(f"--checkpoint {step}") for step in ["last", *steps[-3:]] if steps),
    )


def _outputs_missing_problem(record: RunRecord, status: Status) -> Problem:
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
        suggestions=(Suggestion(*(look if status.finished else watch)),),
    )


def _dump_output(output: Output, paths: dict[str, Path]) -> dict[str, Any]:
    """The keys are an API."""
    from robotrain.redaction import redact_if_secret

    names = ("name", "kind", "source", "uri", "step", "model", "digest", "size")
    path = paths.get(output.name)
    known = {name: getattr(output, name) for name in names}
    said = {name: redact_if_secret(value) if isinstance(value, str) else value for name, value in known.items()}
    return said | {"path": str(path) if path else None}


app = make_app(outputs)


PROGRESS_SECONDS = 0.5


def download_outputs(outputs: Sequence[Output], platform: Platform, record: RunRecord, to: Path) -> dict[str, Path]:
    """Copy each to its name below `to`: where each lies now, by name. Raises Rejected before anything is copied when
    one cannot be; those that were copied before a later one fails stay.
    """
    places = {one.name: to / one.name for one in outputs}
    raise_if_any(_find_unsafe_names(outputs))
    raise_if_any([*_find_existing_files(places.values()), *_check_disk_space(outputs, to)])
    for number, one in enumerate(outputs, 1):
        count = f"{number} of {len(outputs)}: " if len(outputs) > 1 else ""
        _download_output(one, platform, record, places[one.name], f"{count}{one.name}")
    return places


def _download_output(output: Output, platform: Platform, record: RunRecord, target: Path, title: str) -> None:
    """Into a folder beside the place first: what has the name is whole."""
    target.parent.mkdir(parents=True, exist_ok=True)
    scratch = target.with_name(f".{target.name}.part-{os.getpid()}")
    failed: list[BaseException] = []

    def copy() -> None:
        try:
            platform.download(record.reference, output, scratch)
        except BaseException as error:
            failed.append(error)

    copying = threading.Thread(target=copy, daemon=True)
    try:
        copying.start()
        _show_progress(copying, scratch, output, title)
        if failed:
            raise failed[0]
        os.replace(scratch, target)
    finally:
        _remove_path(scratch)


def _show_progress(copying: threading.Thread, scratch: Path, one: Output, title: str) -> None:
    """Until it is copied; on a terminal with what is there by now."""
    live = output.is_live(sys.stderr)
    copying.join(PROGRESS_SECONDS)
    while copying.is_alive():
        if live:
            of = f" of {amounts.format_size(one.size)}" if one.size else ""
            text = f"  {title}  {amounts.format_size(_measure_size(scratch))}{of}"
            sys.stderr.write("\r" + truncate(text, output.get_terminal_size(sys.stderr)[0] - 1) + "\x1b[K")
            sys.stderr.flush()
        copying.join(PROGRESS_SECONDS)
    if live:
        sys.stderr.write("\r\x1b[K")
    print_message(f"  {title}  {amounts.format_size(_measure_size(scratch))}")


def _find_unsafe_names(outputs: Sequence[Output]) -> Iterator[Problem]:
    """A name that leads out of the folder: where names come from is not always ours."""
    for one in outputs:
        path = PurePosixPath(one.name)
        if not one.name or path.is_absolute() or ".." in path.parts:
            title = f"the platform calls an output {one.name!r}, which is no place below a folder"
            yield Problem(code="output-name-unsafe", stage=Stage.SUBMIT, title=title)


def _find_existing_files(places: Iterator[Path] | Sequence[Path] | Any) -> Iterator[Problem]:
    for place in places:
        if os.path.lexists(place):
            yield Problem(
                code="output-there-already",
                stage=Stage.PREFLIGHT,
                title="something is there already, and is not overwritten",
                where="--to",
                given=str(place),
                suggestions=(
                    Suggestion("--to FOLDER", "another folder"),
                    Suggestion(f"rm -r {place}", "when it is not needed"),
                ),
            )


def _check_disk_space(outputs: Sequence[Output], to: Path) -> Iterator[Problem]:
    needed = sum(one.size or 0 for one in outputs)
    free = disk_cache.get_free_bytes(to.absolute())
    if needed > free:
        yield Problem(
            code="disk-too-small",
            stage=Stage.PREFLIGHT,
            title=f"{amounts.format_size(needed)} would be brought, and the disk has room for {amounts.format_size(free)}",
            where="--to",
            given=str(to),
            suggestions=(Suggestion("--checkpoint last", "the newest checkpoint alone"),),
        )


def _measure_size(path: Path) -> int:
    """Bytes that are there by now, of a file or a folder."""
    if path.is_file():
        return path.stat().st_size
    total = 0
    for folder, _, names in os.walk(path):
        for name in names:
            try:
                total += os.lstat(os.path.join(folder, name)).st_size
            except OSError:  # renamed while we look
                continue
    return total


def _remove_path(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
