"""`robotrain diff`: what differs between runs, on the terminal."""

import dataclasses
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from robotrain.cli.app import get_plugins, make_app
from robotrain.cli.arguments import JsonOption, argument, complete_run_names, usage_error
from robotrain.cli.output import format_table, print_json, print_message, print_result

if TYPE_CHECKING:
    from robotrain.report.collect import RunFacts
    from robotrain.report.comparison import DifferingRow

LONG_PIN = re.compile(r"(?<= as of )(\S{20})\S{5,}?(?=, |$)")
"""A pin that is cut on the terminal; `--json` has all of it."""
ComparedRuns = Annotated[
    list[str] | None,
    argument("RUN [RUN]...", "Runs, their beginnings, or names; one alone: with `latest`.", complete_run_names),
]


def diff(ctx: typer.Context, runs: ComparedRuns = None, json: JsonOption = False) -> None:
    """Show the settings and data that differ between runs, and what each reached.

    robotrain diff pick-v2 pick-v3

    robotrain diff pick-v2
    """
    from robotrain.report import collect, comparison

    named = runs or []
    if not named:
        raise usage_error(
            "`robotrain diff` needs a run", "It compares it with another one.", ("robotrain diff A B", "")
        )
    names = named if len(named) > 1 else [*named, "latest"]
    facts = collect.collect_all_facts(names, get_plugins(ctx), lambda text: None)
    if len(facts) < 2:
        title = f"both runs are {facts[0].record.run}"
        raise usage_error(title, "A run does not differ from itself.", ("robotrain runs", "lists the runs"))
    tables = {
        "settings": comparison.compare_settings(facts),
        "data": comparison.compare_sources(facts),
        "metrics": comparison.compare_metrics(facts),
        "scores": _compare_scores(facts),
    }
    if json:
        compared = [{"run": one.record.run, "name": one.record.name, "state": one.status.state} for one in facts]
        rows = {kind: [dataclasses.asdict(row) for row in found] for kind, found in tables.items()}
        return print_json({"runs": compared, **rows})
    print_result(format_table([["", *(one.record.run for one in facts)], *_format_rows(facts, tables)]))
    if not tables["settings"] and not tables["data"]:
        print_message("the jobs do not differ")
    print_message(f"robotrain report {' '.join(one.record.run for one in facts)}   compares their curves on a page")


def _compare_scores(facts: "Sequence[RunFacts]") -> "list[DifferingRow]":
    from robotrain.report.comparison import DifferingRow

    scores: list[dict[str, Any]] = [
        dict(one.progress.evaluated.scores) if one.progress.evaluated else {} for one in facts
    ]
    names = dict.fromkeys(name for found in scores for name in found)
    return [DifferingRow(name, tuple(found.get(name) for found in scores)) for name in names]


def _format_rows(facts: "Sequence[RunFacts]", tables: "dict[str, list[DifferingRow]]") -> Iterator[list[str]]:
    """Yield the rows of the table: names and states, then each kind of difference below its title."""
    from robotrain.redaction import redact
    from robotrain.report.evaluation import format_number

    yield ["name", *(one.record.name or "–" for one in facts)]
    yield ["state", *(one.status.state for one in facts)]
    for rows in tables.values():
        for row in rows:
            cells = (
                "–" if cell is None else cell if isinstance(cell, str) else format_number(cell) for cell in row.values
            )
            yield [row.name, *(LONG_PIN.sub(r"\1…", redact(cell)) for cell in cells)]


app = make_app(diff)
