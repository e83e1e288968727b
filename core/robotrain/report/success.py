"""The success rates of several runs, and what can be said of their differences."""

from collections.abc import Iterator, Sequence
from html import escape

from robotrain import scores
from robotrain.report import difference
from robotrain.report.bars import Bar, bars
from robotrain.report.chart import MOST_LINES
from robotrain.report.difference import Rate
from robotrain.report.elements import section
from robotrain.report.facts import Facts
from robotrain.workload import Metric


def success(compared: Sequence[Facts]) -> str:
    """Each rate with the interval that it lies in, below what has to be known before they are compared."""
    metric = next(filter(None, (scores.share_metric(facts.record.metrics) for facts in compared)), None)
    if metric is None:
        return ""
    rates = [(at, facts, rate) for at, facts in enumerate(compared, 1) if (rate := _rate(facts, metric))]
    if not rates:
        return ""
    said = difference.sentences([rate for *_, rate in rates])
    remarks = "".join(f'<p class="remark">{escape(text)}</p>' for text in said)
    shown = [_bar(min(at, MOST_LINES), facts, rate, metric) for at, facts, rate in rates]
    return section(f"{metric.title[:1].upper()}{metric.title[1:]}, with its 95% interval", remarks + bars(shown, 1.0))


def _rate(facts: Facts, metric: Metric) -> Rate | None:
    found = facts.told.progress.evaluated
    value = scores.share(found.scores, metric.name) if found else None
    if found is None or value is None:
        return None
    low, high = (scores.share(found.scores, name) for name in (metric.low, metric.high))
    where, done = scores.first_conditions(found), dict(_done(facts))
    return Rate(run=facts.record.run, value=value, low=low, high=high, conditions=where, done=done)


def _done(facts: Facts) -> Iterator[tuple[int, bool]]:
    """The seed of each episode, and whether it succeeded."""
    said = facts.evaluation.said if facts.evaluation else None
    for one in said.outcomes if said else ():
        if one.seed is not None and one.success is not None:
            yield one.seed, one.success


def _bar(colour: int, facts: Facts, rate: Rate, metric: Metric) -> Bar:
    found = facts.told.progress.evaluated
    return Bar(rate.run, rate.value, scores.success(found, metric) if found else "", rate.low, rate.high, colour)
