"""`robotrain diff`: what differs between runs, on the terminal."""

import shlex
from collections.abc import Sequence
from typing import Annotated

import typer

from robotrain.cli.arguments import JsonOption, argument, complete_run_names, find_run, make_usage_error
from robotrain.cli.command_factory import get_plugins, make_app
from robotrain.cli.output import format_table, print_json, print_message, print_result
from robotrain.errors import Problem, collect_problems, raise_if_any
from robotrain.store import name_index, run_differences

LIST_RUNS = ("robotrain runs", "lists the runs")
ComparedRuns = Annotated[
    list[str] | None,
    argument(
        "RUN RUN...",
        "Names, or beginnings of identifiers.",
        complete_run_names,
    ),
]


def diff(ctx: typer.Context, runs: ComparedRuns = None, json: JsonOption = False) -> None:
    """Show the settings, data and scores that differ between runs.

    robotrain diff pick-v2 pick-v3
    """
    from robotrain.report import collect, tables
    from robotrain.store import code_changes

    typed_runs = runs or []
    if len(typed_runs) < 2:
        raise make_usage_error("`robotrain diff` needs two runs", "It compares them with each other.", LIST_RUNS)
    run_names = _find_runs(typed_runs)
    facts = collect.collect_all_facts(run_names, get_plugins(ctx), lambda text: None)
    compared = tables.compare_runs(facts)
    unknown_jobs = tables.list_unknown(facts)
    code = [
        (other_facts, code_changes.find_code_changes(facts[0].sources, other_facts.sources))
        for other_facts in facts[1:]
    ]
    changed_code = [(other_facts.record.run, changes) for other_facts, changes in code if changes]
    if json:
        run_rows = [
            {"run": run_facts.record.run, "name": run_facts.record.name, "state": run_facts.status.state}
            for run_facts in facts
        ]
        paths_by_run = {run: changes.paths for run, changes in changed_code}
        return print_json({"runs": run_rows, **compared.to_json(), "unknown": unknown_jobs, "code": paths_by_run})
    labels = run_differences.label_runs([run_facts.record for run_facts in facts])
    rows = [row.cells for table in compared for row in table if row.differs or row.name == "state"]
    shown_rows = [[name, *(cell or "–" for cell in cells)] for name, *cells in rows]
    print_result(format_table([["", *labels.values()], ["run", *labels], *shown_rows]))
    for run, changes in changed_code:
        commit_range = f"from {run_names[0]} to {run}" if len(facts) > 2 else ""
        print_message(f"code{commit_range and ' '}{commit_range}: {changes}")
        print_message(f"  {shlex.join(['diff', '-r', str(changes.before), str(changes.after)])}   shows the lines")
    if unknown_jobs:
        print_message(f"settings are not known, as their plan is not stored here: {', '.join(unknown_jobs)}")
    elif not (compared.settings or compared.data):
        print_message("the jobs have the same sources and settings")
    workloads = dict.fromkeys(run_facts.record.workload for run_facts in facts if not run_facts.record.steps)
    if len(workloads) > 1:
        print_message(f"they are jobs of {' and '.join(workloads)}, which have different settings")
    runs_text = " ".join(name_index.find_unique_name(run_facts.record.run) for run_facts in facts)
    print_message(f"robotrain report {runs_text}   shows them side by side on a page")


def _find_runs(typed_runs: Sequence[str]) -> list[str]:
    """Return the runs to compare, each once. Raise Rejected with the problems of all, or if they are one run."""
    runs = list[str]()
    problems = list[Problem]()
    for typed_run in typed_runs:
        with collect_problems(problems):
            runs.append(find_run(typed_run))
    raise_if_any(problems)
    if len(run_names := list(dict.fromkeys(runs))) == 1:
        raise make_usage_error(f"all of them are {runs[0]}", "A run does not differ from itself.", LIST_RUNS)
    return run_names


app = make_app(diff)
