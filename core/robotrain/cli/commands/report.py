"""`robotrain report`: write an HTML page about one run or several."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from robotrain.cli.arguments import (
    JsonOption,
    RunsArgument,
    find_run,
    make_usage_error,
    option,
)
from robotrain.cli.command_factory import get_plugins, make_app
from robotrain.cli.next_commands import describe_fault, list_next_commands
from robotrain.cli.output import print_json, print_message, print_problems
from robotrain.cli.page_file import check_page_place, print_page, read_subject, write_page
from robotrain.cli.run_list import listed_runs
from robotrain.cli.run_list.listed_runs import ListedRun
from robotrain.model import scores
from robotrain.model.amounts import format_duration, format_time
from robotrain.model.run import measure_seconds
from robotrain.plugins.manager import Plugins
from robotrain.report.collect import RunFacts, collect_all_facts
from robotrain.store import name_index
from robotrain.store.listed_results import ListedProgress

if TYPE_CHECKING:
    from robotrain.report.all_runs import RunRow

ALL_NAME, ALL_SUBJECT = "runs", "all runs"
MAX_NAMED = 3
"""How many runs the file of a comparison names at most."""
TO_HELP = "A file, a folder, or - for stdout (default: NAME.html, NAME-vs-NAME.html or runs.html in this folder)."


def report(
    ctx: typer.Context,
    runs: RunsArgument = None,
    to: Annotated[str, option("--to", "FILE", TO_HELP)] = "",
    everything: Annotated[bool, typer.Option("--all", help="One page with a row for each run, newest first.")] = False,
    json: JsonOption = False,
) -> None:
    """Write an HTML page about a run: its loss or its scores and videos, settings and checkpoints. About several runs:
    their curves and scores side by side, and what differs.

    robotrain report

    robotrain report RUN RUN --to pages/

    robotrain report --all
    """
    check_page_place(to)
    if everything:
        if runs:
            raise make_usage_error("--all takes no run", "It is about all of them.", ("robotrain report --all", ""))
        return _report_all(get_plugins(ctx), to, json)
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


def _report_all(plugins: Plugins, to: str, json: bool) -> None:
    """Write the page of all runs, with what `robotrain runs --all` lists."""
    from robotrain.report.all_runs import render_all_page

    selected_runs, _, _ = listed_runs.list_runs(plugins, None, (), None, with_steps=False)
    print_problems(listed_runs.find_silent_platforms(selected_runs))
    now = time.time()
    rows = [_make_row(listed_run, plugins, now) for listed_run in selected_runs]
    file_names = name_index.list_file_names()
    target = write_page(
        to,
        [ALL_NAME],
        ALL_SUBJECT,
        lambda folder: render_all_page(rows, now, _find_run_pages(folder, file_names)),
    )
    if target and json:
        print_json({"runs": [listed_run.run for listed_run in selected_runs], "path": str(target.absolute())})
    elif target:
        print_message(f"{len(rows)} run{'' if len(rows) == 1 else 's'}")
        print_page(target)


def _make_row(listed_run: ListedRun, plugins: Plugins, now: float) -> "RunRow":
    from robotrain.report.all_runs import RunRow, read_progress

    record, progress = listed_run.record, listed_run.progress
    if record is None:
        return RunRow(listed_run.run, "", listed_run.state, reason=listed_run.reason)
    run_progress = read_progress(record, listed_run.steps, plugins)
    seconds = None if listed_run.status is None else measure_seconds(listed_run.status, now, run_progress.last_event)
    cells = (
        "" if progress.loss is None else f"{progress.loss:.4g}",
        progress.winner or scores.format_headline_score(progress.scores, record.metrics),
        _format_steps(progress),
        "" if seconds is None else format_duration(seconds),
    )
    job_title = f"{record.workload} on {record.platform}"
    submitted = format_time(record.created)
    return RunRow(
        listed_run.run,
        record.name,
        listed_run.state,
        job_title,
        submitted,
        run_progress.curve,
        cells,
        listed_run.shown_reason,
        listed_run.best_trial,
        record,
    )


def _format_steps(progress: ListedProgress) -> str:
    """Return how far a run is, with what is counted if that is not steps."""
    if progress.step is None:
        return ""
    step_text = f"{progress.step} of {progress.total}" if progress.total else str(progress.step)
    return step_text if progress.unit == "step" else f"{step_text} {progress.unit}s"


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
    evaluated = facts.progress.evaluated
    declared_metrics = facts.record.metrics
    share = scores.find_share_metric(declared_metrics)
    success = scores.format_success(evaluated, share) if evaluated else ""
    if share and success:
        score = f"{share.brief or share.title} {success}"
    else:
        score = scores.format_scores(evaluated, declared_metrics) if evaluated else ""
    if not (facts.status.finished or facts.progress.has_measured):
        stage = f"in stage {progress_line}, " if (progress_line := facts.progress.format_line()) else ""
        score = f"{stage}no measurements yet; run `robotrain report` again later"
    return "  ".join(filter(None, (facts.record.run, facts.status.state, score)))


def _dump_report(compared_facts: Sequence[RunFacts], target: Path) -> dict[str, Any]:
    """Return what was reported as data; the keys are an API."""
    from robotrain.report import compared_evaluations, several_runs

    if len(compared_facts) == 1:
        return {"run": compared_facts[0].record.run, "path": str(target.absolute())}
    evaluated = [facts.progress.evaluated for facts in compared_facts]
    jobs = several_runs.compare_jobs(compared_facts)
    return {
        "runs": [facts.record.run for facts in compared_facts],
        "path": str(target.absolute()),
        "scores": [dict(evaluation.scores) if evaluation else None for evaluation in evaluated],
        "conditions": [evaluation.conditions if evaluation else None for evaluation in evaluated],
        "verdicts": compared_evaluations.dump_verdicts(compared_facts),
        "metrics": {row.name: list(row.values) for row in several_runs.compare_metrics(compared_facts)},
        "settings": {row.name: list(row.texts) for row in jobs if not row.is_source},
        "sources": {row.name: list(row.texts) for row in jobs if row.is_source},
    }


app = make_app(report)
