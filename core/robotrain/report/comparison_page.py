"""The page that shows several runs side by side: curves, success rates, scores, differences."""

from collections.abc import Collection, Iterator, Sequence
from html import escape

from robotrain_runtime.contract.event import Evaluated

from robotrain.model import scores
from robotrain.model.amounts import format_duration
from robotrain.model.workload import Metric
from robotrain.report import compare
from robotrain.report.charts import MAX_LINES, Bar, draw_bars, draw_chart
from robotrain.report.collect import RunFacts
from robotrain.report.compare import DifferingRow, SuccessRate
from robotrain.report.elements import (
    format_number,
    format_time,
    redact_text,
    render_document,
    render_legend,
    render_remark,
    render_run_link,
    render_section,
    render_state,
    render_table,
    render_warning,
)


def render_comparison_page(compared: Sequence[RunFacts], linked_runs: Collection[str] = ()) -> str:
    """The whole document. Pure: equal facts give equal pages. beside: runs whose pages lie beside it, as RUN.html."""
    title = f"{len(compared)} runs compared"
    return render_document(
        title, _comparison_sections(title, compared, linked_runs), max(facts.written for facts in compared)
    )


def _comparison_sections(title: str, compared: Sequence[RunFacts], linked_runs: Collection[str]) -> Iterator[str]:
    yield f"<header><h1>{escape(title)}</h1></header>"
    yield _render_runs(compared, linked_runs)
    for metric in _list_drawn_metrics(compared):
        yield _render_curves(metric, compared)
    yield render_success_rates(compared)
    yield render_score_table(compared)
    yield _render_differing("Metrics at the end", compare.compare_metrics(compared), compared)
    yield _render_differing_settings(compared)
    yield _render_differing("Sources that differ", compare.compare_sources(compared), compared)


def _render_runs(compared: Sequence[RunFacts], linked_runs: Collection[str]) -> str:
    """Each with its colour."""
    rows = "".join(
        f'<li class="key series-{at}">{render_run_link(facts.record.run, linked_runs)} '
        f"{render_state(facts.status.state)} "
        f'<span class="quiet">{escape(_describe_run(facts))}</span></li>'
        for at, facts in enumerate(compared, 1)
    )
    most = render_remark(f"curves are drawn of the first {MAX_LINES}: more cannot be told apart")
    return f'<ul class="runs">{rows}</ul>' + (most if len(compared) > MAX_LINES else "")


def _describe_run(facts: RunFacts) -> str:
    known, status, record = facts.log.progress, facts.status, facts.record
    parts = [f"{record.workload} on {record.platform}", f"submitted {format_time(record.created)}"]
    if known.step is not None:
        parts.append(f"{known.step}{f' of {known.total}' if known.total else ''} {known.unit}s")
    if status.started:
        parts.append(format_duration((status.ended or facts.written) - status.started))
    if facts.training_run:
        parts.append(f"with the policy of {facts.training_run}")
    return ", ".join(parts)


def _list_drawn_metrics(compared: Sequence[RunFacts]) -> Iterator[Metric]:
    """The metrics that are drawn, each once."""
    known = [facts.log.progress for facts in compared]
    mains = {one.main_metric.name: one.main_metric for one in known if one.main_metric}
    yield from mains.values()
    yield from {one.validation_metric.name: one.validation_metric for one in known if one.validation_metric}.values()


def _render_curves(metric: Metric, compared: Sequence[RunFacts]) -> str:
    """One metric of all runs on one pair of axes; a run keeps its colour where others have no such metric."""
    shown = compared[:MAX_LINES]
    series = {facts.record.run: facts.log.series.get(metric.name, []) for facts in shown}
    silent = (facts for facts in shown if metric in facts.record.metrics and not series[facts.record.run])
    without = ", ".join(facts.record.run for facts in silent)
    if not any(series.values()):
        return ""
    title = metric.title[:1].upper() + metric.title[1:]
    return render_section(
        title, render_legend(series) + draw_chart(series) + (render_remark(f"{without} told none") if without else "")
    )


def _render_differing_settings(compared: Sequence[RunFacts]) -> str:
    """Those of each workload by themselves: another one has other settings."""
    lost = ", ".join(facts.record.run for facts in compared if not facts.values)
    remark = render_remark(f"the plan of {lost} was not kept") if lost else ""
    groups: dict[str, list[RunFacts]] = {}
    for facts in compared:
        groups.setdefault(facts.record.workload, []).append(facts)
    tables = "".join(
        (f"<h3>{escape(workload)}</h3>" if len(groups) > 1 else "") + _render_rows(found, group)
        for workload, group in groups.items()
        if (found := compare.compare_settings(group))
    )
    return render_section("Settings that differ", tables + remark or render_remark("none"))


def _render_differing(title: str, differing_rows: Sequence[DifferingRow], compared: Sequence[RunFacts]) -> str:
    return render_section(title, _render_rows(differing_rows, compared)) if differing_rows else ""


def _render_rows(differing_rows: Sequence[DifferingRow], compared: Sequence[RunFacts]) -> str:
    head = ("", *(facts.record.run for facts in compared))
    return render_table(head, [(redact_text(row.name), *map(_format_cell, row.values)) for row in differing_rows])


def _format_cell(value: str | float | None) -> str:
    return format_number(value) if isinstance(value, float) else value or ""


def render_score_table(compared: Sequence[RunFacts]) -> str:
    """All scores of those that evaluated, and what each of them is of."""
    found = [(facts, told) for facts in compared if (told := facts.log.progress.evaluated)]
    if not found:
        return ""
    declared = list(dict.fromkeys(metric for facts, _ in found for metric in facts.record.metrics))
    rows = [row for row in _score_rows([told for _, told in found], declared) if any(row[1:])]
    policies = ("policy left by", *(facts.training_run for facts, _ in found))
    head = ("", *(facts.record.run for facts, _ in found))
    body = render_table(head, [policies, *rows]) + "".join(
        map(render_remark, _list_score_notes([told for _, told in found], declared))
    )
    return render_section("Evaluations", "".join(_render_remarks(compared)) + body)


def _render_remarks(compared: Sequence[RunFacts]) -> Iterator[str]:
    """Why something of an evaluation is missing."""
    for facts in compared:
        for text in facts.evaluation.remarks if facts.evaluation else ():
            yield render_warning(f"{facts.record.run}: {text}")


def _list_score_notes(evaluations: Sequence[Evaluated], declared: Sequence[Metric]) -> Iterator[str]:
    """What has to be known of the scores that are shown: notes, and of several runs which direction is better."""
    shown = [one for one in declared if one.kind == "score" and any(one.name in told.scores for told in evaluations)]
    yield from dict.fromkeys(one.note for one in shown if one.note)
    for better in ("higher", "lower"):
        names = [one.title for one in shown if one.better == better]
        if names and len(evaluations) > 1:
            yield f"{better.capitalize()} is better: {'; '.join(names)}."


def _score_rows(evaluations: Sequence[Evaluated], declared: Sequence[Metric]) -> Iterator[tuple[str, ...]]:
    yield "at step", *(str(told.step or "") for told in evaluations)
    yield "conditions", *map(scores.format_conditions, evaluations)
    one_row: set[str] = set()
    for metric in declared:
        if metric.kind == "score" and metric.share:
            yield metric.title, *(scores.format_success(told, metric) for told in evaluations)
            one_row |= {metric.name, metric.low, metric.high, metric.count}
    names = {name for told in evaluations for name in told.scores} - one_row
    known = {one.name: one for one in declared if one.kind == "score"}
    for name in (*known, *sorted(names.difference(known))):
        if name in names:
            of = known.get(name)
            unit = scores.format_unit(of) if of else ""
            yield of.title if of else redact_text(name), *(_format_score(told, name, unit) for told in evaluations)


def _format_score(evaluated: Evaluated, name: str, unit: str) -> str:
    value = format_number(scores.get_number(evaluated.scores, name), 3 if unit else 4)
    return f"{value}{unit}" if value else ""


def render_success_rates(compared: Sequence[RunFacts]) -> str:
    """Each rate with the interval that it lies in, below what has to be known before they are compared."""
    metric = next(filter(None, (scores.find_share_metric(facts.record.metrics) for facts in compared)), None)
    if metric is None:
        return ""
    rates = [(at, facts, rate) for at, facts in enumerate(compared, 1) if (rate := _success_rate(facts, metric))]
    if not rates:
        return ""
    said = compare.describe_differences([rate for *_, rate in rates])
    remarks = "".join(f'<p class="remark">{escape(text)}</p>' for text in said)
    shown = [_success_bar(min(at, MAX_LINES), facts, rate, metric) for at, facts, rate in rates]
    return render_section(
        f"{metric.title[:1].upper()}{metric.title[1:]}, with its 95% interval", remarks + draw_bars(shown, 1.0)
    )


def _success_rate(facts: RunFacts, metric: Metric) -> SuccessRate | None:
    found = facts.log.progress.evaluated
    value = scores.get_share(found.scores, metric.name) if found else None
    if found is None or value is None:
        return None
    low, high = (scores.get_share(found.scores, name) for name in (metric.low, metric.high))
    where, done = scores.format_headline_conditions(found), dict(_episode_outcomes(facts))
    return SuccessRate(run=facts.record.run, value=value, low=low, high=high, conditions=where, outcomes=done)


def _episode_outcomes(facts: RunFacts) -> Iterator[tuple[int, bool]]:
    """The seed of each episode, and whether it succeeded."""
    said = facts.evaluation.results if facts.evaluation else None
    for one in said.outcomes if said else ():
        if one.seed is not None and one.success is not None:
            yield one.seed, one.success


def _success_bar(color: int, facts: RunFacts, rate: SuccessRate, metric: Metric) -> Bar:
    found = facts.log.progress.evaluated
    return Bar(rate.run, rate.value, scores.format_success(found, metric) if found else "", rate.low, rate.high, color)
