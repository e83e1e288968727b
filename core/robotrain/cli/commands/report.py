"""`robotrain report`: one HTML page about a run, or about several side by side."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from robotrain.cli.app import get_plugins, make_app
from robotrain.cli.arguments import JsonOption, RunsArgument
from robotrain.cli.output import print_json, print_message, print_result

if TYPE_CHECKING:
    from collections.abc import Sequence

    from robotrain.report.collect import RunFacts

COMPARISON_NAME = "comparison"


def report(
    ctx: typer.Context,
    runs: RunsArgument = None,
    to: Annotated[
        str,
        typer.Option(
            "--to",
            metavar="FILE",
            help="Where the page goes: a file, a folder, or - for stdout; default: RUN.html here, or comparison.html.",
        ),
    ] = "",
    json: JsonOption = False,
) -> None:
    """Write a page about a run: its loss or its evaluation, its settings and where they came from, its lineage, what it
    left; or about several runs: their curves on one axis, their scores, and what differs between them.

    robotrain report act-train-fab69e8c-1 --to runs/pusht.html

    robotrain report act-train-fab69e8c-1 act-train-7fe0cca3-1
    """
    from robotrain.report.collect import collect_all_facts
    from robotrain.store import files

    found = collect_all_facts(runs or [""], get_plugins(ctx), print_message)
    if to == "-":
        print_result(_render_page(found, Path()).rstrip("\n"))
        return
    target = Path(to or ".")
    if target.is_dir() or to.endswith("/"):
        target /= f"{found[0].record.run if len(found) == 1 else COMPARISON_NAME}.html"
    target.parent.mkdir(parents=True, exist_ok=True)
    files.write_atomically(target, _render_page(found, target.parent).encode(errors="backslashreplace"))
    if json:
        print_json(_dump_report(found, target))
    else:
        print_message("\n".join(_summarize_run(facts) for facts in found))
        print_message("the page needs no network")
        print_result(str(target))


def _render_page(runs: "Sequence[RunFacts]", folder: Path) -> str:
    from robotrain.report.comparison_page import render_comparison_page
    from robotrain.report.run_page import render_run_page

    beside = {path.stem for path in folder.glob("*.html")}
    return render_run_page(runs[0], beside) if len(runs) == 1 else render_comparison_page(runs, beside)


def _summarize_run(facts: "RunFacts") -> str:
    """A line a run, as short as it can be: the page says the rest."""
    from robotrain.model import scores

    known = facts.log.progress.evaluated
    declared = facts.record.metrics
    share = scores.find_share_metric(declared)
    success = scores.format_success(known, share) if known else ""
    if share and success:
        score = f"{share.brief or share.title} {success}"
    else:
        score = scores.format_scores(known, declared) if known else ""
    return "  ".join(filter(None, (facts.record.run, facts.status.state, score)))


def _dump_report(compared: "Sequence[RunFacts]", target: Path) -> dict[str, Any]:
    """The keys are an API."""
    from robotrain.report import compare

    if len(compared) == 1:
        return {"run": compared[0].record.run, "path": str(target.absolute())}
    differing = {
        "metrics": compare.compare_metrics,
        "settings": compare.compare_settings,
        "sources": compare.compare_sources,
    }
    return {
        "runs": [facts.record.run for facts in compared],
        "path": str(target.absolute()),
        "scores": [_get_scores(facts) for facts in compared],
        "conditions": [_get_conditions(facts) for facts in compared],
        **{name: {row.name: list(row.values) for row in find(compared)} for name, find in differing.items()},
    }


def _get_scores(facts: "RunFacts") -> dict[str, float] | None:
    told = facts.log.progress.evaluated
    return dict(told.scores) if told else None


def _get_conditions(facts: "RunFacts") -> str | None:
    told = facts.log.progress.evaluated
    return told.conditions if told else None


app = make_app(report)
