"""`robotrain sweep`: check a job for every combination of some values, then submit them."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer
from robotrain import render, submit
from robotrain.plugin import Problem, Rejected

from robotrain_sweep.grid import Point, format_point, parse_grid
from robotrain_sweep.results import SubmittedPoint, format_table, make_data

ROBOTRAIN_API = 1
FAILED, INTERRUPTED = 5, 130

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command()
def sweep(
    job: Annotated[Path, typer.Argument(help="The job file.", metavar="JOB.yaml")],
    platform: Annotated[str, typer.Option(help="Where the runs go.", metavar="PLATFORM")] = "",
    over: Annotated[
        list[str] | None, typer.Option(help="An option and the values to try; repeatable.", metavar="NAME=V,V")
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until all runs have ended.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the runs as data.")] = False,
) -> None:
    """Submit a job once for each combination of values; nothing is submitted if one of them is invalid.

    robotrain sweep job.yaml --platform local --over learning_rate=1e-4,3e-4 --over seed=1,2 --wait
    """
    points = parse_grid(over or ())
    check_points(points, lambda point: render(job, platform=platform, **point))
    runs: list[SubmittedPoint] = []
    try:
        _submit_points(job, platform, points, runs)
        if wait:
            _wait_for_runs(runs)
    except KeyboardInterrupt:
        _print_runs(runs, as_json)
        _print_remaining(runs, len(points))
        raise typer.Exit(INTERRUPTED) from None
    except Rejected:
        if not as_json:  # with --json the problems are the output
            _print_runs(runs, as_json)
        _print_remaining(runs, len(points))
        raise
    _print_runs(runs, as_json)
    if wait and any(one.state != "succeeded" for one in runs):
        raise typer.Exit(FAILED)


def check_points(points: Sequence[Point], render: Callable[[Point], Any]) -> None:
    """Render every combination. Raise Rejected with the problems of all, each once."""
    found: dict[Problem, list[Point]] = {}
    is_rejected = False
    for point in points:
        try:
            render(point)
        except Rejected as rejected:
            is_rejected = True
            for problem in rejected.problems:
                found.setdefault(problem, []).append(point)
    if is_rejected:
        raise Rejected(_add_points(problem, affected, len(points)) for problem, affected in found.items())


def _add_points(problem: Problem, affected: Sequence[Point], count: int) -> Problem:
    """Return the problem with the combinations that have it, unless all have."""
    if len(affected) == count:
        return problem
    runs = f"Of {len(affected)} of {count} runs: {'; '.join(map(format_point, affected))}."
    return replace(problem, why=f"{problem.why}\n{runs}".strip())


def _submit_points(job: Path, platform: str, points: list[Point], runs: list[SubmittedPoint]) -> None:
    for number, point in enumerate(points, 1):
        run = submit(job, platform=platform, **point)
        _print_warnings(run.warnings, runs)
        runs.append(SubmittedPoint(run, point))
        typer.echo(f"{number} of {len(points)}: {run.name}  {format_point(point)}", err=True)


def _wait_for_runs(runs: list[SubmittedPoint]) -> None:
    for one in runs:
        printed = len(one.run.warnings)
        one.wait()
        _print_warnings(one.run.warnings[printed:])
        typer.echo(f"{one.run.name} {one.state}", err=True)


def _print_warnings(warnings: Sequence[Problem], runs: Sequence[SubmittedPoint] = ()) -> None:
    """Print warnings and notes as `robotrain submit` does, but for those of the earlier `runs`."""
    printed = {warning for one in runs for warning in one.run.warnings}
    for warning in dict.fromkeys(warnings):
        if warning not in printed:
            typer.echo(warning, err=True)


def _print_runs(runs: list[SubmittedPoint], as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(make_data(runs), indent=2))
    elif runs:
        typer.echo(format_table(runs))


def _print_remaining(runs: list[SubmittedPoint], count: int) -> None:
    """Print which runs continue after this command ends."""
    names = " ".join(one.run.name for one in runs if one.state == "sent")
    if count > len(runs):
        typer.echo(f"{len(runs)} of {count} runs were submitted", err=True)
    if names:
        typer.echo(f"still running: robotrain wait {names}   (robotrain cancel {names} stops them)", err=True)
