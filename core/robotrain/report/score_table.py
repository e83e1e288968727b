"""The scores of several evaluations in one table, in the words and the order of the page about one."""

from collections.abc import Iterator, Sequence

from robotrain_runtime.event import Evaluated

from robotrain import scores
from robotrain.report.elements import number, plain, quiet, section, table, warning
from robotrain.report.facts import Facts
from robotrain.workload import Metric


def score_table(compared: Sequence[Facts]) -> str:
    """All scores of those that evaluated, and what each of them is of."""
    found = [(facts, told) for facts in compared if (told := facts.told.progress.evaluated)]
    if not found:
        return ""
    declared = list(dict.fromkeys(metric for facts, _ in found for metric in facts.record.metrics))
    rows = [row for row in _rows([told for _, told in found], declared) if any(row[1:])]
    policies = ("policy left by", *(facts.trained for facts, _ in found))
    head = ("", *(facts.record.run for facts, _ in found))
    body = table(head, [policies, *rows]) + "".join(map(quiet, _notes([told for _, told in found], declared)))
    return section("Evaluations", "".join(_remarks(compared)) + body)


def _remarks(compared: Sequence[Facts]) -> Iterator[str]:
    """Why something of an evaluation is missing."""
    for facts in compared:
        for text in facts.evaluation.remarks if facts.evaluation else ():
            yield warning(f"{facts.record.run}: {text}")


def _notes(found: Sequence[Evaluated], declared: Sequence[Metric]) -> Iterator[str]:
    """What has to be known of the scores that are shown: notes, and of several runs which direction is better."""
    shown = [one for one in declared if one.kind == "score" and any(one.name in told.scores for told in found)]
    yield from dict.fromkeys(one.note for one in shown if one.note)
    for better in ("higher", "lower"):
        names = [one.title for one in shown if one.better == better]
        if names and len(found) > 1:
            yield f"{better.capitalize()} is better: {'; '.join(names)}."


def _rows(found: Sequence[Evaluated], declared: Sequence[Metric]) -> Iterator[tuple[str, ...]]:
    yield "at step", *(str(told.step or "") for told in found)
    yield "conditions", *map(scores.conditions, found)
    one_row: set[str] = set()
    for metric in declared:
        if metric.kind == "score" and metric.share:
            yield metric.title, *(scores.success(told, metric) for told in found)
            one_row |= {metric.name, metric.low, metric.high, metric.count}
    names = {name for told in found for name in told.scores} - one_row
    known = {one.name: one for one in declared if one.kind == "score"}
    for name in (*known, *sorted(names.difference(known))):
        if name in names:
            of = known.get(name)
            unit = scores.unit_of(of) if of else ""
            yield of.title if of else plain(name), *(_text(told, name, unit) for told in found)


def _text(told: Evaluated, name: str, unit: str) -> str:
    value = number(scores.number(told.scores, name), 3 if unit else 4)
    return f"{value}{unit}" if value else ""
