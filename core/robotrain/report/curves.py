"""The curves of several runs on common axes: of each main and validation metric that they have."""

import dataclasses
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from robotrain.model.progress import Progress
from robotrain.model.run import RunRecord
from robotrain.model.workload_profile import Metric
from robotrain.report.charts import Chart, Points, make_chart, split_panels

METRIC_NAME = re.compile(r"\w+[/_.]\S+")


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


def find_curve_metrics(progresses: Sequence[Progress]) -> dict[str, Metric]:
    """Return the main and the validation metrics of runs, by name; the main ones first.

    Where programs name one quantity differently, the title of each is the name that it prints.
    """
    main_metrics = {progress.main_metric.name: progress.main_metric for progress in progresses if progress.main_metric}
    validation_metrics = {
        progress.validation_metric.name: progress.validation_metric
        for progress in progresses
        if progress.validation_metric
    }
    curve_metrics = main_metrics | validation_metrics
    title_counts = Counter(metric.title for metric in curve_metrics.values())
    return {
        name: metric if title_counts[metric.title] == 1 else dataclasses.replace(metric, label=name)
        for name, metric in curve_metrics.items()
    }


def list_curves(run_curves: Sequence[Curves]) -> Iterator[Panel]:
    """Yield a panel for each main and validation metric of the runs."""
    progresses = [curves.progress for curves in run_curves if curves.progress]
    curve_metrics = find_curve_metrics(progresses)
    units = {progress.axis for progress in progresses}
    unit = units.pop() if len(units) == 1 else "step"
    all_points = [progress.get_points(name) for progress in progresses for name in curve_metrics]
    for metric in curve_metrics.values():
        series = {
            curves.label: curves.progress.get_points(metric.name) if curves.progress else [] for curves in run_curves
        }
        declaring_runs = [
            curves.label
            for curves in run_curves
            if curves.record and any(metric.name == declared.name for declared in curves.record.metrics)
        ]
        if any(len(points) > (metric.kind == "score") for points in series.values()):  # one score is no curve
            chart = make_chart(series, unit, is_loss=metric.is_loss, other_series=all_points)
            yield Panel(capitalize(metric.title), series, chart, [run for run in declaring_runs if not series[run]])


def list_panels(progress: Progress, checkpoints: Sequence[int]) -> Iterator[Panel]:
    """Yield one panel of the main and the validation metric of a run, or two if one of them would be flat there."""
    metrics_by_title = {metric.title: metric for metric in find_curve_metrics([progress]).values()}
    series = {
        title: points for title, metric in metrics_by_title.items() if (points := progress.get_points(metric.name))
    }
    for panel in split_panels(series) if series else ():
        drawn_titles = [title for title, points in panel.items() if points]
        chart = make_chart(
            panel,
            "step"
            if progress.axis == "episode" and metrics_by_title[drawn_titles[0]].is_loss
            else progress.axis,  # of a later evaluation
            is_loss=metrics_by_title[drawn_titles[0]].is_loss,
            checkpoints=checkpoints,
            other_series=[*series.values()],
        )
        yield Panel("Loss" if len(drawn_titles) > 1 else capitalize(drawn_titles[0]), panel, chart)


def capitalize(text: str) -> str:
    """Return a text with a capital at its start; the name of a metric, with `/` or `_`, stays as it is."""
    return text if METRIC_NAME.fullmatch(text) else text[:1].upper() + text[1:]
