"""The curves of several runs on common axes: of each main and validation metric that they have."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from robotrain.model.progress import Progress
from robotrain.model.run import RunRecord
from robotrain.model.workload_profile import Metric
from robotrain.report.charts import Chart, Points, Span, make_chart, split_panels


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
    """Return the main and the validation metrics of runs, by name; the main ones first."""
    main_metrics = {progress.main_metric.name: progress.main_metric for progress in progresses if progress.main_metric}
    return main_metrics | {
        progress.validation_metric.name: progress.validation_metric
        for progress in progresses
        if progress.validation_metric
    }


def list_curves(run_curves: Sequence[Curves]) -> Iterator[Panel]:
    """Yield a panel for each main and validation metric of the runs."""
    progresses = [curves.progress for curves in run_curves if curves.progress]
    curve_metrics = find_curve_metrics(progresses)
    units = {progress.unit for progress in progresses}
    unit = units.pop() if len(units) == 1 else "step"
    all_points = [progress.get_points(name) for progress in progresses for name in curve_metrics]
    for metric in curve_metrics.values():
        series = {
            curves.label: curves.progress.get_points(metric.name) if curves.progress else [] for curves in run_curves
        }
        declaring_runs = [curves.label for curves in run_curves if curves.record and metric in curves.record.metrics]
        if any(len(points) > (metric.kind == "score") for points in series.values()):  # one score is no curve
            chart = make_chart(series, unit, is_loss=metric.is_loss, better=metric.direction, other_series=all_points)
            yield Panel(capitalize(metric.title), series, chart, [run for run in declaring_runs if not series[run]])


def list_panels(progress: Progress, checkpoints: Sequence[int], spans: Sequence[Span] = ()) -> Iterator[Panel]:
    """Yield one panel of the main and the validation metric of a run, or two if one of them would be flat there.

    The best value is that of the validation, if there is one.

    :param spans: the parts that are marked: those of earlier runs.
    """
    metrics_by_title = {metric.title: metric for metric in (progress.main_metric, progress.validation_metric) if metric}
    series = {
        title: points for title, metric in metrics_by_title.items() if (points := progress.get_points(metric.name))
    }
    judged_title = next(reversed(series), "")
    for panel in split_panels(series) if series else ():
        drawn_titles = [title for title, points in panel.items() if points]
        chart = make_chart(
            panel,
            "step"
            if progress.unit == "episode" and metrics_by_title[drawn_titles[0]].is_loss
            else progress.unit,  # of a later evaluation
            is_loss=metrics_by_title[drawn_titles[0]].is_loss,
            better=metrics_by_title[judged_title].direction if judged_title in drawn_titles else "",
            best_of=judged_title,
            checkpoints=checkpoints,
            other_series=[*series.values()],
            spans=spans,
        )
        yield Panel("Loss" if len(drawn_titles) > 1 else capitalize(drawn_titles[0]), panel, chart)


def capitalize(text: str) -> str:
    """Return a text with a capital at its start."""
    return text[:1].upper() + text[1:]
