"""`robotrain leaderboard`: the runs of this machine with the best values of a metric."""

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Annotated

import typer
from robotrain import Run, runs
from robotrain.plugin import Rejected

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@dataclass(frozen=True)
class Entry:
    """A run with its value of the metric."""

    run: str
    score: float
    workload: str
    platform: str
    state: str
    name: str
    values: dict[str, str]
    """What its job says other than the defaults."""


@app.command()
def leaderboard(
    metric: Annotated[str, typer.Argument(help="The metric, as runs report it.", metavar="METRIC")],
    lowest: Annotated[bool, typer.Option("--lowest", help="Put the lowest values first.")] = False,
    count: Annotated[int, typer.Option(help="How many runs to show.", min=1, metavar="N")] = 10,
    as_json: Annotated[bool, typer.Option("--json", help="Print the runs as data.")] = False,
) -> None:
    """List the runs with the best values of a metric.

    robotrain leaderboard val/loss --lowest
    """
    found = rank_entries(read_entries(runs(), metric), lowest)[:count]
    if as_json:
        typer.echo(json.dumps({"metric": metric, "runs": [asdict(entry) for entry in found]}, indent=2))
    elif found:
        typer.echo(format_table(found))
    else:
        typer.echo(f"no run reports {metric}", err=True)


def read_entries(known: Iterable[Run], metric: str) -> list[Entry]:
    """Return the runs that have the metric; one that cannot be asked is named on stderr."""
    entries = []
    for run in known:
        try:
            progress, state = run.progress(), run.status().state
        except (Rejected, OSError) as error:
            typer.echo(f"{run.name} is left out: {error}", err=True)
            continue
        scores = {**progress.metrics, **(progress.evaluated.scores if progress.evaluated else {})}
        if math.isfinite(score := scores.get(metric, math.nan)):
            record = run.record
            values = {name: value for name, (value, _) in record.values.items()}
            entries.append(Entry(run.name, score, record.workload, record.platform, state, record.name, values))
    return entries


def rank_entries(entries: Iterable[Entry], lowest: bool) -> list[Entry]:
    """Return the entries, best first; of equal ones the newer run, which `robotrain.runs` returns first."""
    return sorted(entries, key=lambda entry: entry.score, reverse=not lowest)


def format_table(entries: Sequence[Entry]) -> str:
    """Return the entries as a table, with the values that differ between them."""
    names = dict.fromkeys(name for one in entries for name in one.values)
    differing = [name for name in names if len({one.values.get(name) for one in entries}) > 1]
    rows = [("RUN", "SCORE", "NAME", "WORKLOAD", "PLATFORM", "STATE", "DIFFERS IN")]
    for one in entries:
        differs = ", ".join(f"{name} {one.values[name]}" for name in differing if name in one.values)
        rows.append((one.run, f"{one.score:.4g}", one.name, one.workload, one.platform, one.state, differs))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)
