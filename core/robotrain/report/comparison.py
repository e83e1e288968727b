"""Comparison of runs: what differs, and the page that shows it."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from robotrain_runtime.contract.document import JobSource
from robotrain_runtime.contract.event import Evaluated

from robotrain.model import scores
from robotrain.model.amounts import format_duration
from robotrain.model.code_commit_tags import format_commit
from robotrain.model.job import TRAINER_ARGS
from robotrain.model.workload_profile import Metric
from robotrain.report import compared_evaluations
from robotrain.report.charts import MAX_LINES, Bar
from robotrain.report.collect import RunFacts, format_value, name_sources
from robotrain.report.curves import Curves, capitalize, find_curve_metrics, list_curves
from robotrain.report.evaluation import format_number
from robotrain.report.rate_differences import SuccessRate, compare_rates, describe_differences
from robotrain.report.template import redact_text, render_template
from robotrain.store.run_values import IDENTITIES, join_trainer_args, label_runs, shorten_texts


@dataclass(frozen=True, slots=True)
class DifferingRow:
    """A value that differs between runs; None for a run that does not have it."""

    name: str
    values: tuple[str | float | None, ...]


def compare_metrics(compared: Sequence[RunFacts]) -> list[DifferingRow]:
    """Return the newest value of each metric, without scores and metrics of single episodes."""
    known = [facts.progress for facts in compared]
    names = sorted({name for one in known for name in one.metrics})
    shown = (name for name in names if not any(one.is_episode_metric(name) or one.is_score(name) for one in known))
    return [DifferingRow(name, tuple(one.metrics.get(name) for one in known)) for name in shown]


def compare_settings(compared: Sequence[RunFacts]) -> list[DifferingRow]:
    """Return the settings that differ, each of the trainer's options by its name; sources are compared apart.

    A setting that some workload or platform does not have differs only if another run gives it a value. Runs without a
    stored plan do not count.
    """
    by_run = [_collect_settings(facts) for facts in compared]
    names = dict.fromkeys(name for settings in by_run for name in settings)
    return [
        DifferingRow(
            name, tuple(format_value(settings[name]["value"]) if name in settings else None for settings in by_run)
        )
        for name in names
        if _is_different(by_run, name)
    ]


def _collect_settings(facts: RunFacts) -> dict[str, Mapping[str, Any]]:
    roles = {source.role for source in facts.sources}
    arguments = [value for value in facts.values if value["name"] == TRAINER_ARGS]
    found = {str(value["name"]): value for value in facts.values if value["name"] not in (*roles, TRAINER_ARGS)}
    options = join_trainer_args(arguments)
    return found | {name: {"value": text, "origin": arguments[0]["origin"]} for name, text in options.items()}


def compare_sources(compared: Sequence[RunFacts]) -> list[DifferingRow]:
    """Return the sources that differ, by role."""
    by_run = [_format_sources(facts.sources) for facts in compared]
    roles = dict.fromkeys(role for sources in by_run for role in sources)
    rows = [DifferingRow(role, tuple(sources.get(role) for sources in by_run)) for role in roles]
    return [row for row in rows if len(set(row.values)) > 1]


def _is_different(by_run: Sequence[Mapping[str, Mapping[str, Any]]], name: str) -> bool:
    values = [settings[name] for settings in by_run if name in settings]
    is_missing = any(settings and name not in settings for settings in by_run)
    is_given = any(value["origin"] != "default" for value in values)
    return len({format_value(value["value"]) for value in values}) > 1 or (is_missing and is_given)


def _format_sources(sources: Sequence[JobSource]) -> Mapping[str, str]:
    """Return the sources of each role with their pins."""
    found: dict[str, list[str]] = {}
    for source in sources:
        commit = format_commit(source)
        pin = f" as of {source.pin}" if source.pin else ""
        found.setdefault(source.role, []).append(f"{source.uri}{pin}{f' ({commit})' if commit else ''}")
    return {role: ", ".join(texts) for role, texts in found.items()}


MAX_COLUMNS = 6
"""Up to how many settings that differ are columns of the table of runs; more have a table of their own."""


def render_comparison_page(compared: Sequence[RunFacts], run_pages: Mapping[str, str] | None = None) -> str:
    """Return the page; equal facts give equal pages.

    :param run_pages: the file of the page of each run that has one in the same folder.
    """
    labels = label_runs([facts.record for facts in compared])
    compared = [dataclasses.replace(facts, label=labels[facts.record.run]) for facts in compared]
    workloads: dict[str, list[RunFacts]] = {}  # the settings of different workloads are not compared
    for facts in compared:
        workloads.setdefault(facts.record.workload, []).append(facts)
    differing = [(name, group, compare_settings(group)) for name, group in workloads.items()]
    few = differing[0][2] if len(differing) == 1 and len(differing[0][2]) <= MAX_COLUMNS else []
    run_head, *run_rows = _list_run_rows(compared, few)
    return render_template(
        "comparison.html",
        f"{len(compared)} runs compared",
        max(facts.written for facts in compared),
        run_pages,
        run_head=run_head,
        run_rows=run_rows,
        curves=list(list_curves([Curves(one.label, one.record, one.progress) for one in compared[:MAX_LINES]])),
        metric_head=_make_head(compared),
        metrics=_make_rows(compare_metrics(compared)),
        settings=[(name, _make_head(group), _make_rows(rows)) for name, group, rows in differing if rows and not few],
        is_equal=not any(rows for *_, rows in differing),
        several_workloads=len(workloads) > 1,
        without_plan=[facts.label for facts in compared if not facts.values],
        sources=_make_rows(compare_sources(compared)),
        **_describe_success_rates(compared),
        **_describe_scores(compared),
    )


def _list_run_rows(compared: Sequence[RunFacts], settings: Sequence[DifferingRow]) -> list[tuple[str, ...]]:
    """Return a row for each run, the head first: how it ended, which settings only it has, and what it reached."""
    known = [facts.progress for facts in compared]
    columns = {
        "run": [facts.label for facts in compared],
        "workload": [facts.record.workload for facts in compared],
        "platform": [facts.record.platform for facts in compared],
        "steps": [f"{one.step} of {one.total} {one.unit}s" if one.total else str(one.step or "") for one in known],
    }
    columns = {name: cells for name, cells in columns.items() if name == "run" or len({*cells}) > 1}
    for role in (row.name for row in compare_sources(compared)):
        columns[role] = shorten_texts([name_sources(facts.sources, role, facts.training_run) for facts in compared])
    columns |= {
        redact_text(row.name): [str(value or "") for value in row.values]
        for row in settings
        if row.name not in IDENTITIES
    }
    columns["state"] = [facts.status.state for facts in compared]
    for metric in find_curve_metrics(known).values():
        columns[metric.title] = [format_number(one.metrics.get(metric.name)) for one in known]
    columns["score"] = [
        scores.format_headline_score(one.evaluated.scores, facts.record.metrics) if one.evaluated else ""
        for facts, one in zip(compared, known, strict=True)
    ]
    columns["time"] = ["" if facts.seconds is None else format_duration(facts.seconds) for facts in compared]
    columns["id"] = [facts.record.run if facts.label != facts.record.run else "" for facts in compared]
    return [tuple(columns), *zip(*columns.values(), strict=True)]


def _make_head(compared: Sequence[RunFacts]) -> tuple[str, ...]:
    return ("", *(facts.label for facts in compared))


def _make_rows(rows: Sequence[DifferingRow]) -> list[tuple[str, ...]]:
    return [
        (
            redact_text(row.name),
            *(format_number(value) if isinstance(value, float) else value or "" for value in row.values),
        )
        for row in rows
    ]


def _describe_success_rates(compared: Sequence[RunFacts]) -> dict[str, Any]:
    """Return the bars of the success rates with their intervals, and what is known of their differences."""
    metric = _find_rate_metric(compared)
    if metric is None:
        return {"rate_bars": []}
    found = [(facts, _make_success_rate(facts, metric, facts.label)) for facts in compared]
    return {
        "rate_title": capitalize(metric.title),
        "rate_differences": list(describe_differences([rate for _, rate in found if rate])),
        "rate_verdicts": compared_evaluations.list_verdicts(
            [facts for facts, rate in found if rate and rate.conditions]
        ),
        "rate_bars": [
            Bar(
                rate.run,
                rate.value,
                scores.format_success(facts.progress.evaluated, metric) if facts.progress.evaluated else "",
                rate.low,
                rate.high,
                min(number, MAX_LINES),
            )
            for number, (facts, rate) in enumerate(found, 1)
            if rate
        ],
    }


def dump_differences(compared: Sequence[RunFacts]) -> list[dict[str, Any]]:
    """Return what is known of the differences of the success rates as data; the keys are an API."""
    metric = _find_rate_metric(compared)
    rates = [_make_success_rate(facts, metric, facts.record.run) for facts in compared] if metric else []
    return [dataclasses.asdict(one) for one in compare_rates([rate for rate in rates if rate])]


def _find_rate_metric(compared: Sequence[RunFacts]) -> Metric | None:
    return next(filter(None, (scores.find_share_metric(facts.record.metrics) for facts in compared)), None)


def _make_success_rate(facts: RunFacts, metric: Metric, run: str) -> SuccessRate | None:
    found = facts.progress.evaluated
    value = scores.get_share(found.scores, metric.name) if found else None
    if found is None or value is None:
        return None
    known = facts.results.outcomes if facts.results else ()
    return SuccessRate(
        run=run,
        value=value,
        low=scores.get_share(found.scores, metric.low),
        high=scores.get_share(found.scores, metric.high),
        conditions=scores.format_headline_conditions(found),
        outcomes={
            (one.task, one.trial): one.success for one in known if one.trial is not None and one.success is not None
        },
    )


def _describe_scores(compared: Sequence[RunFacts]) -> dict[str, Any]:
    """Return the table of all scores, the training run of each policy, and notes about the scores."""
    found = [(facts, evaluated) for facts in compared if (evaluated := facts.progress.evaluated)]
    if not found:
        return {"score_rows": []}
    evaluations = [evaluated for _, evaluated in found]
    described = (
        scores.expand_patterns(scores.add_described_metrics(facts.record.metrics, evaluated), evaluated)
        for facts, evaluated in found
    )
    declared = list(dict.fromkeys(metric for metrics in described for metric in metrics))
    rows = [row for row in _list_score_rows(evaluations, declared) if any(row[1:])]
    return {
        "score_head": _make_head([facts for facts, _ in found]),
        "score_rows": [("policy of", *(facts.training_run for facts, _ in found)), *rows],
        "score_notes": list(_list_score_notes(evaluations, declared)),
        "evaluation_remarks": [
            f"{facts.label}: {text}" for facts in compared if facts.evaluation for text in facts.evaluation.remarks
        ],
    }


def _list_score_notes(evaluations: Sequence[Evaluated], declared: Sequence[Metric]) -> Iterator[str]:
    """Yield the notes of the scores that are shown and, for several runs, which direction is better."""
    shown = [
        metric
        for metric in declared
        if metric.kind == "score" and any(metric.name in one.scores for one in evaluations)
    ]
    yield from dict.fromkeys(metric.note for metric in shown if metric.note)
    for better in ("higher", "lower"):
        names = [metric.title for metric in shown if metric.better == better]
        if names and len(evaluations) > 1:
            yield f"{better.capitalize()} is better: {'; '.join(names)}."


def _list_score_rows(evaluations: Sequence[Evaluated], declared: Sequence[Metric]) -> Iterator[tuple[str, ...]]:
    yield "at step", *(str(evaluated.step or "") for evaluated in evaluations)
    yield "conditions", *map(scores.format_conditions, evaluations)
    shown: set[str] = set()
    for metric in declared:
        if metric.kind == "score" and metric.share:
            yield metric.title, *(scores.format_success(evaluated, metric) for evaluated in evaluations)
            shown.add(metric.name)
        shown |= {metric.low, metric.high, *([metric.count] if metric.share else [])}
    known = {metric.name: metric for metric in declared if metric.kind == "score"}
    names = {name for evaluated in evaluations for name in evaluated.scores} - shown
    for name in (*(name for name in known if name in names), *sorted(names.difference(known))):
        title = known[name].title if name in known else redact_text(name)
        yield title, *(_format_score(evaluated, name, known.get(name)) for evaluated in evaluations)


def _format_score(evaluated: Evaluated, name: str, metric: Metric | None) -> str:
    unit = scores.format_unit(metric) if metric else ""
    value = format_number(scores.get_number(evaluated.scores, name), 3 if unit else 4)
    bounds = scores.format_bounds(evaluated, metric) if metric else ""
    return f"{value}{unit}{f' ({bounds})' if bounds else ''}" if value else ""
