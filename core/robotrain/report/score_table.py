"""The scores of several evaluations in one table, in the words and the order of the page about one."""

from collections.abc import Iterator, Sequence

from robotrain_runtime.event import Evaluated

from robotrain import scores
from robotrain.report.elements import number, plain, quiet, section, table, warning
from robotrain.report.facts import Facts

WORDS = {
    "rollout/avg_max_reward": ("greatest reward, mean", ""),
    "rollout/avg_sum_reward": ("sum of rewards, mean", ""),
    "rollout/avg_length": ("steps an episode", ""),
    "replay/episodes": ("recorded episodes", ""),
    "replay/mse": ("mse", ""),
    "replay/mae": ("mae", ""),
    "replay/latency_p50_ms": ("p50 latency", " ms"),
    "replay/latency_p95_ms": ("p95 latency", " ms"),
    "replay/latency_p99_ms": ("p99 latency", " ms"),
    "replay/throughput_hz": ("actions a second", ""),
}
"""By score: its name and unit, for people."""
SUCCESS = (scores.RATE, scores.LOW, scores.HIGH, scores.ROLLED)
"""They make one row."""
UNITS = "Errors (mse, mae) are in the dataset's own units."


def score_table(compared: Sequence[Facts]) -> str:
    """All scores of those that evaluated, and what each of them is of."""
    found = [(facts, told) for facts in compared if (told := facts.told.progress.evaluated)]
    if not found:
        return ""
    rows = [row for row in _rows([told for _, told in found]) if any(row[1:])]
    policies = ("policy left by", *(facts.trained for facts, _ in found))
    head = ("", *(facts.record.run for facts, _ in found))
    errors = any(name in told.scores for _, told in found for name in (scores.SQUARED, scores.ABSOLUTE))
    body = table(head, [policies, *rows]) + (quiet(UNITS) if errors else "")
    return section("Evaluations", "".join(_remarks(compared)) + body)


def _remarks(compared: Sequence[Facts]) -> Iterator[str]:
    """Why something of an evaluation is missing."""
    for facts in compared:
        for text in facts.evaluation.remarks if facts.evaluation else ():
            yield warning(f"{facts.record.run}: {text}")


def _rows(found: Sequence[Evaluated]) -> Iterator[tuple[str, ...]]:
    yield "at step", *(str(told.step or "") for told in found)
    yield "conditions", *map(scores.conditions, found)
    yield "success", *map(scores.success, found)
    names = {name for told in found for name in told.scores}.difference(SUCCESS)
    for name in (*WORDS, *sorted(names.difference(WORDS))):
        if name in names:
            words, unit = WORDS.get(name, (plain(name), ""))
            yield words, *(_text(told, name, unit) for told in found)


def _text(told: Evaluated, name: str, unit: str) -> str:
    value = number(scores.number(told.scores, name), 3 if unit else 4)
    return f"{value}{unit}" if value else ""
