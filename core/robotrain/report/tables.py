"""What differs between runs, as tables: those of `diff`, of the page about several runs, and of `--json`."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from robotrain_runtime.contract.event import Evaluated

from robotrain.model import scores
from robotrain.model.amounts import format_duration
from robotrain.model.workload_profile import Metric
from robotrain.redaction import redact
from robotrain.report.collect import RunFacts
from robotrain.report.evaluation import format_number
from robotrain.store.run_differences import (
    Difference,
    RunValue,
    collect_stored_values,
    fill_placeholders,
    find_differences,
)
from robotrain.store.run_values import IDENTITIES


class Row(NamedTuple):
    """A value of several runs."""

    name: str
    values: tuple[str | float | None, ...]
    """As data; None for a run that does not have it."""
    texts: tuple[str, ...]
    """As people see it; empty for a run that does not have it, or of which it is not known."""
    title: str = ""

    @property
    def cells(self) -> tuple[str, ...]:
        """What it is called, and the texts."""
        return redact(self.title or self.name), *map(redact, self.texts)

    @property
    def differs(self) -> bool:
        """Whether people see a difference: numbers may differ in digits that are not shown."""
        return len({*self.texts}) > 1


class Tables(NamedTuple):
    """What differs between runs."""

    runs: list[Row]
    """What they are, and how far they came."""
    settings: list[Row]
    """Between workloads too; of runs whose plan is not stored here they are not known."""
    data: list[Row]
    metrics: list[Row]
    """The newest value of each, without scores and metrics of single episodes."""
    scores: list[Row]

    def to_json(self) -> dict[str, Any]:
        """Return them as data; the keys are an API."""
        return {
            table: [{"name": row.name, "values": list(row.values)} for row in rows]
            for table, rows in self._asdict().items()
            if table != "runs"
        }


def compare_runs(facts: Sequence[RunFacts]) -> Tables:
    """Return the tables of runs."""
    differences = find_differences([*map(_collect_values, facts)])
    rows = [(row.is_source, _make_row(row, facts)) for row in differences if row.name not in IDENTITIES]
    return Tables(
        runs=list(_describe_runs(facts)),
        settings=[row for is_source, row in rows if not is_source],
        data=[row for is_source, row in rows if is_source],
        metrics=list(_list_metrics(facts)),
        scores=list(_list_scores(facts)),
    )


def list_unknown(facts: Sequence[RunFacts]) -> list[str]:
    """Return the labels of the runs whose plan is not stored here: their settings are not known."""
    return [run_facts.label or run_facts.record.run for run_facts in facts if not run_facts.values]


def _collect_values(facts: RunFacts) -> dict[str, RunValue]:
    if not facts.values:
        return {}
    return fill_placeholders(collect_stored_values(facts.values, facts.sources, is_sweep=facts.record.is_sweep))


def _make_row(difference: Difference, facts: Sequence[RunFacts]) -> Row:
    cells = [cell if run_facts.values else "" for cell, run_facts in zip(difference.cells, facts, strict=True)]
    return Row(difference.name, difference.shown_texts, tuple(cells))


def _describe_runs(facts: Sequence[RunFacts]) -> Iterator[Row]:
    columns: dict[str, list[str]] = {
        "state": [run_facts.status.state for run_facts in facts],
        "workload": [run_facts.record.workload for run_facts in facts],
        "platform": [run_facts.record.platform for run_facts in facts],
        "steps": list(map(_format_steps, facts)),
        "score": list(map(_format_headline, facts)),
        "best trial": [run_facts.best_trial for run_facts in facts],
        "note": [run_facts.record.note for run_facts in facts],
        "time": ["" if run_facts.seconds is None else format_duration(run_facts.seconds) for run_facts in facts],
    }
    for name, cells in columns.items():
        if name == "state" or len({*cells}) > 1:
            yield Row(name, tuple(cells), tuple(cells))


def _format_steps(facts: RunFacts) -> str:
    progress = facts.compared_progress
    if progress.step is None:
        return ""
    step_text = f"{progress.step} of {progress.total}" if progress.total else str(progress.step)
    return step_text if progress.unit == "step" else f"{step_text} {progress.unit}s"


def _format_headline(facts: RunFacts) -> str:
    evaluated = facts.compared_progress.evaluated
    return scores.format_headline_score(evaluated.scores, facts.record.metrics) if evaluated else ""


def _list_metrics(facts: Sequence[RunFacts]) -> Iterator[Row]:
    progresses = [run_facts.compared_progress for run_facts in facts]
    for name in sorted({name for progress in progresses for name in progress.metrics}):
        if not any(progress.is_episode_metric(name) or progress.is_score(name) for progress in progresses):
            values = tuple(progress.metrics.get(name) for progress in progresses)
            yield Row(name, values, tuple(map(format_number, values)))


def _list_scores(facts: Sequence[RunFacts]) -> Iterator[Row]:
    """Yield the step and the conditions of the evaluations, and each score; bounds and counts have no text."""
    evaluations = [run_facts.progress.evaluated for run_facts in facts]
    evaluated_steps = tuple(evaluated.step if evaluated else None for evaluated in evaluations)
    if any(evaluated_steps):
        yield Row("step", evaluated_steps, tuple(str(step or "") for step in evaluated_steps), "at step")
    conditions = tuple(scores.format_conditions(evaluated) if evaluated else None for evaluated in evaluations)
    if any(conditions):
        yield Row("conditions", conditions, tuple(text or "" for text in conditions))
    metrics = {metric.name: metric for metric in list_score_metrics(facts)}
    bounds = {name for metric in metrics.values() for name in (metric.low, metric.high, metric.share and metric.count)}
    given_names = {name for evaluated in evaluations if evaluated for name in evaluated.scores}
    for name in (*(name for name in metrics if name in given_names), *sorted(given_names.difference(metrics))):
        metric = metrics.get(name)
        values = tuple(scores.get_number(evaluated.scores, name) if evaluated else None for evaluated in evaluations)
        texts = tuple(
            _format_score(evaluated, name, metric) if evaluated and name not in bounds else ""
            for evaluated in evaluations
        )
        yield Row(name, values, texts, metric.title if metric else "")


def list_score_metrics(facts: Sequence[RunFacts]) -> list[Metric]:
    """Return the scores that runs declare, and those that their evaluations describe, each once."""
    described_metrics = (
        scores.expand_patterns(scores.add_described_metrics(run_facts.record.metrics, evaluated), evaluated)
        for run_facts in facts
        if (evaluated := run_facts.progress.evaluated)
    )
    every_metric = dict.fromkeys(metric for metrics in described_metrics for metric in metrics)
    return [metric for metric in every_metric if metric.kind == "score"]


def _format_score(evaluated: Evaluated, name: str, metric: Metric | None) -> str:
    if metric and metric.share:
        return scores.format_success(evaluated, metric)
    unit = scores.format_unit(metric) if metric else ""
    score_text = format_number(scores.get_number(evaluated.scores, name), 3 if unit else 4)
    bounds = scores.format_bounds(evaluated, metric) if metric else ""
    return f"{score_text}{unit}{f' ({bounds})' if bounds else ''}" if score_text else ""
