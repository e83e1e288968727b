"""The curves of several runs on common axes: of each main and validation metric that they have."""

import dataclasses
import math
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
MAX_RANKED = 3
"""How many runs a sentence names beside the best."""


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


def describe_best(run_curves: Sequence[Curves]) -> str:
    """Return which training has the best value of the metric that judges them; empty where fewer than two have one.

    A metric of the validation comes before that of the training. Scores have conditions and intervals: others judge.
    """
    curve_metrics = find_curve_metrics([curves.progress for curves in run_curves if curves.progress])
    for metric in reversed([metric for metric in curve_metrics.values() if metric.kind != "score"]):
        sign = -1 if metric.direction == "higher" else 1
        best_points = []
        for curves in run_curves:
            points = curves.progress.get_points(metric.name) if curves.progress else []
            finite_points = [(step, value) for step, value in points if math.isfinite(value)]
            if finite_points:
                best_points.append((curves, *min(finite_points, key=lambda point: sign * point[1])))
        if metric.direction and len(best_points) > 1:
            best_points.sort(key=lambda best_point: sign * best_point[2])
            return _format_ranking(metric, best_points)
    return ""


def describe_names(run_curves: Sequence[Curves]) -> str:
    """Return a sentence if runs have losses of different names, which are not compared; empty otherwise."""
    metrics = find_curve_metrics([curves.progress for curves in run_curves if curves.progress])
    names = [metric.name for metric in metrics.values() if metric.kind == "loss"]
    if len(names) < 2:
        return ""
    return f"The programs name their losses differently ({', '.join(names)}), so these are not compared."


def _format_ranking(metric: Metric, best_points: Sequence[tuple[Curves, float, float]]) -> str:
    """Return a sentence.

    :param best_points: of each run the step and value of its best point, the best run first.
    """
    extreme = f"{'highest' if metric.direction == 'higher' else 'lowest'} {metric.title}"
    texts = [f"{value:.4g}" for _, _, value in best_points]
    (best_curves, best_step, _), *others = best_points
    if texts[0] == texts[-1]:
        return f"The {extreme} of all is the same: {texts[0]}."
    unit = best_curves.progress.axis if best_curves.progress else "step"
    other_texts = [f"{text} by {curves.label}" for (curves, _, _), text in zip(others, texts[1:], strict=True)]
    omitted_count = len(other_texts) - MAX_RANKED
    omitted_text = f" and {omitted_count} more" if omitted_count > 0 else ""
    return (
        f"{capitalize(extreme)}: {texts[0]} by {best_curves.label} at {unit} {best_step:.0f}, "
        f"then {', '.join(other_texts[:MAX_RANKED])}{omitted_text}."
    )


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
