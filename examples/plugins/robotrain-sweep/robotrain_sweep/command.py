"""`robotrain sweep`: a job over every combination of some values, checked first, then sent."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from robotrain import render, submit
from robotrain.plugin import Problem, Rejected

from robotrain_sweep import grid
from robotrain_sweep.checking import check
from robotrain_sweep.sent import Sent, data, table

ROBOTRAIN_API = 1
FAILED, INTERRUPTED = 5, 130

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command()
def sweep(
    job: Annotated[Path, typer.Argument(help="The job file.", metavar="JOB.yaml")],
    platform: Annotated[str, typer.Option(help="Where the runs go.", metavar="PLATFORM")] = "",
    over: Annotated[
        list[str] | None, typer.Option(help="A value's name and what to try; again for another.", metavar="NAME=V,V")
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Until all have ended.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The runs as data.")] = False,
) -> None:
    """Submit a job once for each combination of values; nothing is sent while one of them is wrong.

    robotrain sweep job.yaml --platform local --over learning_rate=1e-4,3e-4 --over seed=1,2 --wait
    """
    points = grid.points(over or ())
    check(points, lambda point: render(job, platform=platform, **point))
    sent: list[Sent] = []
    try:
        _send(job, platform, points, sent)
        if wait:
            _wait(sent)
    except KeyboardInterrupt:
        _show(sent, as_json)
        _goes_on(sent, len(points))
        raise typer.Exit(INTERRUPTED) from None
    except Rejected:  # with --json the problems are the data
        if not as_json:
            _show(sent, as_json)
        _goes_on(sent, len(points))
        raise
    _show(sent, as_json)
    if wait and any(one.state != "succeeded" for one in sent):
        raise typer.Exit(FAILED)


def _send(job: Path, platform: str, points: list[grid.Point], sent: list[Sent]) -> None:
    for number, point in enumerate(points, 1):
        run = submit(job, platform=platform, **point)
        _remark(run.warnings, sent)
        sent.append(Sent(run, point))
        typer.echo(f"{number} of {len(points)}: {run.name}  {grid.told(point)}", err=True)


def _wait(sent: list[Sent]) -> None:
    for one in sent:
        known = len(one.run.warnings)
        one.wait()
        _remark(one.run.warnings[known:])
        typer.echo(f"{one.run.name} {one.state}", err=True)


def _remark(remarks: Sequence[Problem], before: Sequence[Sent] = ()) -> None:
    """Warnings and notes as `robotrain submit` shows them; what was said of a run before is not said again."""
    said = {remark for one in before for remark in one.run.warnings}
    for remark in dict.fromkeys(remarks):
        if remark not in said:
            typer.echo(remark, err=True)


def _show(sent: list[Sent], as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(data(sent), indent=2))
    elif sent:
        typer.echo(table(sent))


def _goes_on(sent: list[Sent], count: int) -> None:
    """What is not stopped by this command's end."""
    names = " ".join(one.run.name for one in sent if one.state == "sent")
    if count > len(sent):
        typer.echo(f"{len(sent)} of {count} runs were sent", err=True)
    if names:
        typer.echo(f"they go on: robotrain wait {names}   (robotrain cancel {names} stops them)", err=True)
