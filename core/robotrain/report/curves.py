"""The curves of several runs on common axes: of each main and validation metric that they have."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from robotrain.model.progress import Progress
from robotrain.model.run import RunRecord
from robotrain.report.charts import Chart, Points, make_chart


class Curves(NamedTuple):
    """A run whose curves are shown; one without events here has none, and keeps its color."""

    label: str
    record: RunRecord | None = None
    progress: Progress | None = None


@dataclass(frozen=True, slots=True)
class Panel:
    """A chart with its title."""

    title: str
    series: Mapping[str, Points]
    chart: Chart
    without: Sequence[str] = ()
    """The runs that declare the metric and logged no value."""


def list_curves(shown: Sequence[Curves]) -> Iterator[Panel]:
    """Yield a panel for each main and validation metric of the runs."""
    known = [one.progress for one in shown if one.progress]
    found = {one.main_metric.name: one.main_metric for one in known if one.main_metric}
    found |= {one.validation_metric.name: one.validation_metric for one in known if one.validation_metric}
    units = {one.unit for one in known}
    unit = units.pop() if len(units) == 1 else "step"
    for metric in found.values():
        series = {one.label: one.progress.get_points(metric.name) if one.progress else [] for one in shown}
        declaring = [one.label for one in shown if one.record and metric in one.record.metrics]
        if any(len(points) > (metric.kind == "score") for points in series.values()):  # one score is no curve
            is_loss = metric.kind in ("loss", "validation")
            better = metric.better or ("lower" if is_loss else "")
            chart = make_chart(series, unit, is_loss=is_loss, better=better)
            yield Panel(capitalize(metric.title), series, chart, [run for run in declaring if not series[run]])


def capitalize(text: str) -> str:
    """Return a text with a capital at its start."""
    return text[:1].upper() + text[1:]
