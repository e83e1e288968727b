"""What a run measured, as curves."""

from collections.abc import Collection, Mapping
from html import escape

from robotrain.progress import HELD_OUT, LOSS, OF_EPISODE
from robotrain.report.chart import SMALL, Points, chart
from robotrain.report.elements import details, legend, quiet, section
from robotrain.report.facts import Told

AGGREGATE = "aggregate_"
"""How tracking calls scores of recorded episodes."""


def losses(told: Told, expected: bool = True) -> str:
    """The losses on one pair of axes. expected: it is worth saying that there is none."""
    found = {name: told.series[name] for name in (LOSS, HELD_OUT) if name in told.series}
    if not found:
        return section("Loss", quiet("the run told no loss")) if expected else ""
    return section("Loss", (legend(found) if len(found) > 1 else "") + chart(found))


def others(told: Told) -> str:
    """Everything else; what one episode has is in its row of a table, and scores are told as such."""
    scores = told.progress.evaluated.scores if told.progress.evaluated else {}
    found = {
        name: points
        for name, points in sorted(told.series.items())
        if name not in (LOSS, HELD_OUT) and not OF_EPISODE.fullmatch(name) and not is_score(name, scores)
    }
    return _side_by_side("Other metrics", found, told.progress.unit)


def is_score(name: str, scores: Collection[str]) -> bool:
    """Whether a metric says what a score does."""
    return name in scores or (bool(scores) and name.startswith(AGGREGATE))


def machine(told: Told) -> str:
    """What the machine was at."""
    return _side_by_side("The machine", told.machine, "second")


def _side_by_side(title: str, series: Mapping[str, Points], unit: str) -> str:
    """Small charts side by side, one a quantity; those that never change say so in a line."""
    moving = {name: points for name, points in series.items() if len({value for _, value in points}) > 1}
    still = {name: points[-1][1] for name, points in series.items() if name not in moving and points}
    drawn = "".join(
        f"<figure><figcaption>{escape(name)}</figcaption>{chart({name: points}, unit, SMALL)}</figure>"
        for name, points in moving.items()
    )
    said = ", ".join(f"{escape(name)} {value:.4g}" for name, value in still.items())
    body = (f'<div class="charts">{drawn}</div>' if drawn else "") + (f'<p class="quiet">{said}</p>' if said else "")
    return details(title, body) if body else ""
