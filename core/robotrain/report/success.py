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


def success(compared: Sequence[Facts]) -> str:
    """Each rate with the interval that it lies in, below what has to be known before they are compared."""
    rates = [(at, facts, rate) for at, facts in enumerate(compared, 1) if (rate := _rate(facts))]
    if not rates:
        return ""
    said = difference.sentences([rate for *_, rate in rates])
    remarks = "".join(f'<p class="remark">{escape(text)}</p>' for text in said)
    shown = [_bar(min(at, MOST_LINES), facts, rate) for at, facts, rate in rates]
    return section("Success, with its 95% interval", remarks + bars(shown, 1.0))


def _rate(facts: Facts) -> Rate | None:
    found = facts.told.progress.evaluated
    value = scores.share(found.scores, scores.RATE) if found else None
    if found is None or value is None:
        return None
    low, high = (scores.share(found.scores, name) for name in (scores.LOW, scores.HIGH))
    where, done = scores.of_rollouts(found), dict(_done(facts))
    return Rate(run=facts.record.run, value=value, low=low, high=high, conditions=where, done=done)


def _done(facts: Facts) -> Iterator[tuple[int, bool]]:
    """The seed of each episode, and whether it succeeded."""
    said = facts.evaluation.said if facts.evaluation else None
    for one in said.rolled if said else ():
        if one.seed is not None and one.success is not None:
            yield int(one.seed), one.success


def _bar(colour: int, facts: Facts, rate: Rate) -> Bar:
    found = facts.told.progress.evaluated
    return Bar(rate.run, rate.value, scores.success(found) if found else "", rate.low, rate.high, colour)
