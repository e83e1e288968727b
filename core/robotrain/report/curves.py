"""What a run measured, as curves."""

from collections.abc import Mapping
from html import escape

from robotrain.report.chart import SMALL, Points, chart
from robotrain.report.elements import details, legend, quiet, section
from robotrain.report.facts import Told


def losses(told: Told, expected: bool = True) -> str:
    """The losses on one pair of axes, else the headline score. expected: it is worth saying that there is none."""
    main = told.progress.main
    found = {name: told.series[name] for name in _drawn_first(told) if name in told.series}
    title = main.title if main and main.kind != "loss" else "Loss"
    if not found:
        return (
            section(title, quiet(f"the run told no {'loss' if title == 'Loss' else title}"))
            if expected and main
            else ""
        )
    return section(title, (legend(found) if len(found) > 1 else "") + chart(found))


def others(told: Told) -> str:
    """Everything else; what one episode has is in its row of a table, and scores are told as such."""
    known, first = told.progress, _drawn_first(told)
    found = {
        name: points
        for name, points in sorted(told.series.items())
        if name not in first and not known.is_of_episode(name) and not known.is_score(name)
    }
    return _side_by_side("Other metrics", found, told.progress.unit)


def _drawn_first(told: Told) -> tuple[str, ...]:
    """The names of the metrics that have axes of their own."""
    known = told.progress
    return tuple(one.name for one in (known.main, known.validation) if one)


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
