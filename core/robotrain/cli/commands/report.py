"""`robotrain report`: write an HTML page about one run or several."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from robotrain.cli.arguments import JsonOption, RunsArgument, check_is_folder, find_run, option
from robotrain.cli.command_factory import get_plugins, make_app
from robotrain.cli.output import print_json, print_message, print_result
from robotrain.model import scores
from robotrain.report.collect import RunFacts, collect_all_facts
from robotrain.store import files, name_index
from robotrain.store.files import open_regular_file

COMPARISON_NAME = "comparison"
TITLE, MAX_HEAD = re.compile(rb"<title>([^<]*)</title>"), 1024
TO_HELP = "A file, a folder, or - for stdout; default: NAME.html or comparison.html in this folder."


def report(
    ctx: typer.Context,
    runs: RunsArgument = None,
    to: Annotated[str, option("--to", "FILE", TO_HELP)] = "",
    json: JsonOption = False,
) -> None:
    """Write an HTML page about a run: loss or evaluation, settings and their origins, lineage, outputs; or about
    several runs: their curves on common axes, their scores, and their differences.

    robotrain report last --to runs/pusht.html

    robotrain report RUN RUN
    """
    if to not in ("", "-"):
        check_is_folder(Path(to) if to.endswith("/") else Path(to).parent, "--to")
    reported = collect_all_facts(runs or [""], get_plugins(ctx), print_message)
    for text in runs or ():
        find_run(text)
    file_names = name_index.list_file_names()
    if to == "-":
        print_result(_render_page(reported, Path(), file_names).rstrip("\n"))
        return
    target = Path(to or ".")
    if target.is_dir() or to.endswith("/"):
        run = reported[0].record.run
        target /= f"{_choose_file_name(run, target, file_names) if len(reported) == 1 else COMPARISON_NAME}.html"
    target.parent.mkdir(parents=True, exist_ok=True)
    files.write_given_file(target, _render_page(reported, target.parent, file_names).encode(errors="backslashreplace"))
    if json:
        print_json(_dump_report(reported, target))
    else:
        print_message("\n".join(_summarize_run(facts) for facts in reported))
        print_message("the page works offline")
        print_result(str(target))


def _choose_file_name(run: str, folder: Path, file_names: Mapping[str, str]) -> str:
    """Return the name of a run's page, with the run behind it if the file of the name is of something else."""
    name = file_names.get(run, run)
    if run in (name, name.rpartition(".")[2]):
        return name
    file = folder / f"{name}.html"
    is_taken = name == COMPARISON_NAME or (file.exists() and _read_run(file) != run)
    return f"{name}.{run}" if is_taken else name


def _read_run(file: Path) -> str:
    """Return the run that a page is about, which is its title or stands in brackets there; empty for another file."""
    try:
        with open_regular_file(file) as page:
            found = TITLE.search(page.read(MAX_HEAD))
    except OSError:
        return ""
    return found[1].decode(errors="replace").rpartition("(")[2].rstrip(")") if found else ""


def _render_page(runs: Sequence[RunFacts], folder: Path, file_names: Mapping[str, str]) -> str:
    """Return the page, with links to the pages of other runs that are in its folder."""
    from robotrain.report.comparison import render_comparison_page
    from robotrain.report.run_page import render_run_page

    pages = {path.stem: _read_run(path) for path in sorted(folder.glob("*.html")) if path.is_file()}
    run_pages = {
        run: f"{stem}.html"
        for stem, run in pages.items()
        if stem in (run, name := file_names.get(run, run), f"{name}.{run}")
    }
    if len(runs) > 1:
        return render_comparison_page(runs, run_pages)
    run = runs[0].record.run
    name = name_index.find_unique_name(run)
    return render_run_page(runs[0], run_pages, name if name != run else "")


def _summarize_run(facts: RunFacts) -> str:
    known = facts.progress.evaluated
    declared = facts.record.metrics
    share = scores.find_share_metric(declared)
    success = scores.format_success(known, share) if known else ""
    if share and success:
        score = f"{share.brief or share.title} {success}"
    else:
        score = scores.format_scores(known, declared) if known else ""
    if not (facts.status.finished or facts.progress.has_measured):
        stage = f"in stage {line}, " if (line := facts.progress.format_line()) else ""
        score = f"{stage}no measurements yet; run `robotrain report` again later"
    return "  ".join(filter(None, (facts.record.run, facts.status.state, score)))


def _dump_report(compared: Sequence[RunFacts], target: Path) -> dict[str, Any]:
    """Return what was reported as data; the keys are an API."""
    from robotrain.report import comparison

    if len(compared) == 1:
        return {"run": compared[0].record.run, "path": str(target.absolute())}
    evaluated = [facts.progress.evaluated for facts in compared]
    differing = {
        "metrics": comparison.compare_metrics,
        "settings": comparison.compare_settings,
        "sources": comparison.compare_sources,
    }
    return {
        "runs": [facts.record.run for facts in compared],
        "path": str(target.absolute()),
        "scores": [dict(one.scores) if one else None for one in evaluated],
        "conditions": [one.conditions if one else None for one in evaluated],
        "differences": comparison.dump_differences(compared),
        **{name: {row.name: list(row.values) for row in find(compared)} for name, find in differing.items()},
    }


app = make_app(report)
