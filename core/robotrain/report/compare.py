"""Comparison of runs: differing settings and metrics, and whether success rates differ significantly."""

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from robotrain_runtime.contract.document import JobSource

from robotrain.report.collect import RunFacts, format_value


@dataclass(frozen=True, slots=True)
class DifferingRow:
    """A value that differs between runs; None for a run that does not have it."""

    name: str
    values: tuple[str | float | None, ...]


def compare_metrics(compared: Sequence[RunFacts]) -> list[DifferingRow]:
    """Return the newest value of each metric, without scores and metrics of single episodes."""
    known = [facts.log.progress for facts in compared]
    names = sorted({name for one in known for name in one.metrics})
    shown = (name for name in names if not any(one.is_episode_metric(name) or one.is_score(name) for one in known))
    return [DifferingRow(name, tuple(one.metrics.get(name) for one in known)) for name in shown]


def compare_settings(compared: Sequence[RunFacts]) -> list[DifferingRow]:
    """Return the settings that differ.

    A setting that some workload or platform does not have differs only if another run gives it a value. Runs without a
    stored plan do not count.
    """
    by_run = [{str(value["name"]): value for value in facts.values} for facts in compared]
    names = dict.fromkeys(name for settings in by_run for name in settings)
    return [
        DifferingRow(
            name, tuple(format_value(settings[name]["value"]) if name in settings else None for settings in by_run)
        )
        for name in names
        if _is_different(by_run, name)
    ]


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
        found.setdefault(source.role, []).append(source.uri + (f" as of {source.pin}" if source.pin else ""))
    return {role: ", ".join(texts) for role, texts in found.items()}


MAX_PAIRS = 6
SIGNIFICANCE = 0.05
"""The probability below which a difference is not explained by chance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SuccessRate:
    """A success rate with its 95 % interval."""

    run: str
    value: float
    low: float | None = None
    high: float | None = None
    conditions: str = ""
    """The conditions of the evaluation; empty if unknown."""
    outcomes: Mapping[int, bool] = field(default_factory=dict)
    """Whether each episode succeeded, by its seed; empty if unknown."""


def describe_differences(rates: Sequence[SuccessRate]) -> Iterator[str]:
    """Yield sentences about the conditions of two or more rates, and about the significance of their differences."""
    groups: dict[str, list[SuccessRate]] = {}
    for rate in rates:
        groups.setdefault(rate.conditions, []).append(rate)
    if len(rates) < 2:
        return
    if len(groups) > 1:
        yield "These rates have different conditions and cannot be compared with each other:"
        for conditions, group in groups.items():
            yield f"{', '.join(rate.run for rate in group)}: {conditions or 'unknown conditions'}"
    elif "" in groups:
        yield "The conditions of these rates are unknown: they can be compared only if the conditions are equal."
    else:
        yield f"Conditions of all: {rates[0].conditions}."
    for conditions, group in groups.items():
        pairs = itertools.islice(itertools.combinations(group, 2), MAX_PAIRS) if conditions else ()
        yield from (_compare_rates(first, second) for first, second in pairs)


def _compare_rates(first: SuccessRate, second: SuccessRate) -> str:
    """Compare two rates by their episodes if these are the same, else by their intervals."""
    if first.outcomes and first.outcomes.keys() == second.outcomes.keys():
        return _compare_outcomes(first, second)
    better, worse = sorted((first, second), key=lambda rate: -rate.value)
    if better.low is None or worse.high is None:
        return f"The uncertainty of the rates of {first.run} and {second.run} is unknown."
    if better.low <= worse.high:
        return f"The intervals of {first.run} and {second.run} overlap: the difference may be chance."
    return f"The intervals of {first.run} and {second.run} do not overlap: {better.run} is better."


def _compare_outcomes(first: SuccessRate, second: SuccessRate) -> str:
    only_first = sum(success and not second.outcomes[seed] for seed, success in first.outcomes.items())
    only_second = sum(success and not first.outcomes[seed] for seed, success in second.outcomes.items())
    same = f"{first.run} and {second.run} had the same {len(first.outcomes)} starts"
    if not only_first + only_second:
        return f"{same} and succeeded in the same ones."
    probability = sign_test(only_first, only_second)
    chance = "is probably not chance" if probability < SIGNIFICANCE else "may be chance"
    return (
        f"{same}: only {first.run} succeeded in {only_first}, only {second.run} in {only_second}; "
        f"the difference {chance} (p {probability:.2g}, sign test)."
    )


def sign_test(first: int, second: int) -> float:
    """Return the probability of a split at least this uneven by chance (exact two-sided sign test)."""
    total = first + second
    tail = sum(math.comb(total, count) for count in range(max(first, second), total + 1))
    return min(1.0, 2 * tail / math.pow(2, total))
