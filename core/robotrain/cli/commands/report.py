"""`robotrain report`: write an HTML page about one run or several."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from robotrain.cli.arguments import (
    JsonOption,
    RunsArgument,
    find_run,
    option,
)
from robotrain.cli.command_factory import get_plugins, make_app
from robotrain.cli.next_commands import describe_fault, list_next_commands
from robotrain.cli.output import print_json, print_message
from robotrain.cli.page_file import check_page_place, print_page, read_subject, write_page
from robotrain.report.collect import RunFacts, collect_all_facts
from robotrain.store import name_index

MAX_NAMED = 3
"""How many runs the file of a comparison names at most."""
TO_HELP = "A file, a folder, or - for stdout (default: NAME.html or NAME-vs-NAME.html in this folder)."


def report(
    ctx: typer.Context,
    runs: RunsArgument = None,
    to: Annotated[str, option("--to", "FILE", TO_HELP)] = "",
    json: JsonOption = False,
) -> None:
    """Write an HTML page about a run: its loss or its scores and videos, settings and checkpoints. About several runs:
    their curves and scores side by side, and what differs.

    robotrain report

    robotrain report RUN RUN --to pages/
    """
    check_page_place(to)
    reported = collect_all_facts(runs or [""], get_plugins(ctx), print_message)
    for run_text in runs or ():
        find_run(run_text)
    file_names = name_index.list_file_names()
    reported_runs = [facts.record.run for facts in reported]
    page_names = _list_page_names(reported_runs, file_names)
    target = write_page(
        to, page_names, " ".join(reported_runs), lambda folder: _render_page(reported, folder, file_names)
    )
    if target is None:
        return
    if json:
        print_json(_dump_report(reported, target))
    else:
        print_message("\n".join(_summarize_run(facts) for facts in reported))
        print_page(target)


def _list_page_names(runs: Sequence[str], file_names: Mapping[str, str]) -> list[str]:
    """Return what the file of a page about these runs may be called, the best name first."""
    names = [file_names.get(run, run) for run in runs]
    if len(runs) > MAX_NAMED:
        return [f"{names[0]}-and-{len(names) - 1}-others"]
    if len(runs) > 1:
        return ["-vs-".join(names)]
    has_run = runs[0] in (names[0], names[0].rpartition(".")[2])
    return names if has_run else [names[0], f"{names[0]}.{runs[0]}"]


def _render_page(runs: Sequence[RunFacts], folder: Path, file_names: Mapping[str, str]) -> str:
    """Return the page, with links to the pages of other runs that are in its folder."""
    from robotrain.report.run_page import render_run_page
    from robotrain.report.several_runs import render_comparison_page

    run_pages = _find_run_pages(folder, file_names)
    if len(runs) > 1:
        return render_comparison_page(runs, run_pages)
    run = runs[0].record.run
    name = name_index.find_unique_name(run)
    record, status, progress = runs[0].record, runs[0].status, runs[0].progress
    has_failed = status.finished and status.state != "succeeded"
    next_commands = list_next_commands(record, status, progress) if has_failed else []
    return render_run_page(
        runs[0], run_pages, name if name != run else "", describe_fault(status, progress), next_commands
    )


def _find_run_pages(folder: Path, file_names: Mapping[str, str]) -> dict[str, str]:
    """Return the file of the page of each run that has one in a folder."""
    pages = {path.stem: read_subject(path) for path in sorted(folder.glob("*.html")) if path.is_file()}
    return {
        run: f"{stem}.html"
        for stem, run in pages.items()
        if stem in (run, name := file_names.get(run, run), f"{name}.{run}")
    }


def _summarize_run(facts: RunFacts) -> str:
    progress, is_finished = facts.progress, facts.status.finished
    score = progress.score_text if progress.evaluated else ""
    if not (is_finished or progress.has_measured):
        stage = f"in stage {progress_line}, " if (progress_line := progress.format_line()) else ""
        score = f"{stage}no measurements yet; run `robotrain report` again later"
    return "  ".join(filter(None, (facts.record.run, facts.status.state, score)))


def _dump_report(compared_facts: Sequence[RunFacts], target: Path) -> dict[str, Any]:
    """Return what was reported as data; the keys are an API."""
    from robotrain.report import compared_evaluations, tables

    path = str(target.absolute())
    if len(compared_facts) == 1:
        return {"run": compared_facts[0].record.run, "path": path}
    return {
        "runs": [facts.record.run for facts in compared_facts],
        "path": path,
        **tables.compare_runs(compared_facts).to_json(),
        "verdicts": compared_evaluations.dump_verdicts(compared_facts),
    }


app = make_app(report)
