"""`robotrain report`: one HTML page about a run, or about several side by side."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from robotrain.cli.app import plugins_of
from robotrain.cli.made import make_app
from robotrain.cli.opened import Json, Runs
from robotrain.cli.output import say, show, show_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from robotrain.report.facts import Facts

SEVERAL = "comparison"


def report(
    ctx: typer.Context,
    runs: Runs = None,
    to: Annotated[
        str,
        typer.Option(
            "--to",
            metavar="FILE",
            help="Where the page goes: a file, a folder, or - for stdout; default: RUN.html here, or comparison.html.",
        ),
    ] = "",
    json: Json = False,
) -> None:
    """Write a page about a run: its loss or its evaluation, its settings and where they came from, its lineage, what it
    left; or about several runs: their curves on one axis, their scores, and what differs between them.

    robotrain report act-train-fab69e8c-1 --to runs/pusht.html

    robotrain report act-train-fab69e8c-1 act-train-7fe0cca3-1
    """
    from robotrain import durable
    from robotrain.report.comparison import gather_all

    found = gather_all(runs or [""], plugins_of(ctx), say)
    if to == "-":
        show(_page(found, Path()).rstrip("\n"))
        return
    target = Path(to or ".")
    if target.is_dir() or to.endswith("/"):
        target /= f"{found[0].record.run if len(found) == 1 else SEVERAL}.html"
    target.parent.mkdir(parents=True, exist_ok=True)
    durable.write(target, _page(found, target.parent).encode(errors="backslashreplace"))
    if json:
        show_json(_as_data(found, target))
    else:
        say("\n".join(_told(facts) for facts in found))
        say("the page needs no network")
        show(str(target))


def _page(found: "Sequence[Facts]", folder: Path) -> str:
    from robotrain.report.comparison_page import comparison_page
    from robotrain.report.page import page

    beside = {path.stem for path in folder.glob("*.html")}
    return page(found[0], beside) if len(found) == 1 else comparison_page(found, beside)


def _told(facts: "Facts") -> str:
    """A line a run, as short as it can be: the page says the rest."""
    from robotrain import scores

    known = facts.told.progress.evaluated
    declared = facts.record.metrics
    share = scores.share_metric(declared)
    success = scores.success(known, share) if known else ""
    if share and success:
        score = f"{share.brief or share.title} {success}"
    else:
        score = scores.said(known, declared) if known else ""
    return "  ".join(filter(None, (facts.record.run, facts.status.state, score)))


def _as_data(found: "Sequence[Facts]", target: Path) -> dict[str, Any]:
    """The keys are an API."""
    from robotrain.report import comparison

    if len(found) == 1:
        return {"run": found[0].record.run, "path": str(target.absolute())}
    differing = {"metrics": comparison.metrics, "settings": comparison.settings, "sources": comparison.sources}
    return {
        "runs": [facts.record.run for facts in found],
        "path": str(target.absolute()),
        "scores": [_scores(facts) for facts in found],
        "conditions": [_conditions(facts) for facts in found],
        **{name: {row.name: list(row.values) for row in find(found)} for name, find in differing.items()},
    }


def _scores(facts: "Facts") -> dict[str, float] | None:
    told = facts.told.progress.evaluated
    return dict(told.scores) if told else None


def _conditions(facts: "Facts") -> str | None:
    told = facts.told.progress.evaluated
    return told.conditions if told else None


app = make_app(report)
