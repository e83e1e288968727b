"""Comparison of runs: differing settings and metrics, and whether success rates differ significantly."""

import dataclasses
import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from robotrain_runtime.contract.document import JobSource

from robotrain.report.collect import RunFacts
from robotrain.report.elements import format_value


@dataclasses.dataclass(frozen=True, slots=True)
class DifferingRow:
    """Something that is not the same in all runs. values: by run, in their order; None where a run has none of it."""

    name: str
    values: tuple[str | float | None, ...]


def compare_metrics(compared: Sequence[RunFacts]) -> list[DifferingRow]:
    """The newest value of each metric; what is a score, or one episode's alone, is left out."""
    known = [facts.log.progress for facts in compared]
    names = sorted({name for one in known for name in one.metrics})
    shown = (name for name in names if not any(one.is_episode_metric(name) or one.is_score(name) for one in known))
    return [DifferingRow(name, tuple(one.metrics.get(name) for one in known)) for name in shown]


def compare_settings(compared: Sequence[RunFacts]) -> list[DifferingRow]:
    """The settings that are not the same in all runs. One that a run's workload or platform does not have differs only
    where somebody said it elsewhere; a run whose plan was not kept says nothing.
    """
    told = [{str(value["name"]): value for value in facts.values} for facts in compared]
    names = dict.fromkeys(name for one in told for name in one)
    return [
        DifferingRow(name, tuple(_format_setting(one, name) for one in told))
        for name in names
        if _is_different(told, name)
    ]


def compare_sources(compared: Sequence[RunFacts]) -> list[DifferingRow]:
    """The sources that are not the same in all runs, by what they are for."""
    told = [_group_by_role(facts.sources) for facts in compared]
    roles = dict.fromkeys(role for one in told for role in one)
    rows = [DifferingRow(role, tuple(one.get(role) for one in told)) for role in roles]
    return [row for row in rows if len(set(row.values)) > 1]


def _is_different(settings_by_run: Sequence[Mapping[str, Mapping[str, Any]]], name: str) -> bool:
    has = [one[name] for one in settings_by_run if name in one]
    lacks = any(one and name not in one for one in settings_by_run)
    was_said = any(value["origin"] != "default" for value in has)
    return len({format_value(value["value"]) for value in has}) > 1 or (lacks and was_said)


def _format_setting(run_settings: Mapping[str, Mapping[str, Any]], name: str) -> str | None:
    return format_value(run_settings[name]["value"]) if name in run_settings else None


def _group_by_role(run_sources: Sequence[JobSource]) -> Mapping[str, str]:
    found: dict[str, list[str]] = {}
    for source in run_sources:
        found.setdefault(source.role, []).append(source.uri + (f" as of {source.pin}" if source.pin else ""))
    return {role: ", ".join(texts) for role, texts in found.items()}


MAX_PAIRS = 6
SIGNIFICANCE = 0.05
"""A difference that chance makes so seldom is taken as one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SuccessRate:
    """A success rate with its 95 % interval. conditions: under which it holds, empty where nobody said.

    done: by the seed of each episode, whether it succeeded; empty where nobody said.
    """

    run: str
    value: float
    low: float | None = None
    high: float | None = None
    conditions: str = ""
    outcomes: Mapping[int, bool] = field(default_factory=dict)


def describe_differences(rates: Sequence[SuccessRate]) -> Iterator[str]:
    """What has to be known before two rates are compared; nothing for less than two."""
    alike: dict[str, list[SuccessRate]] = {}
    for rate in rates:
        alike.setdefault(rate.conditions, []).append(rate)
    if len(rates) < 2:
        return
    if len(alike) > 1:
        yield "These rates hold under different conditions, so they cannot be compared with each other:"
        yield from (f"{_join_run_names(group)}: {where or 'nobody said under which'}" for where, group in alike.items())
    elif "" in alike:
        yield "Nobody said under which conditions these rates hold: only with equal ones they can be compared."
    else:
        yield f"All of them: {rates[0].conditions}."
    for where, group in alike.items():
        pairs = itertools.islice(itertools.combinations(group, 2), MAX_PAIRS) if where else ()
        yield from (_compare_rates(one, other) for one, other in pairs)


def _join_run_names(rates: Sequence[SuccessRate]) -> str:
    return ", ".join(rate.run for rate in rates)


def _compare_rates(first: SuccessRate, second: SuccessRate) -> str:
    """Of two under equal conditions: by their episodes where both had the same, else by their intervals."""
    if first.outcomes and first.outcomes.keys() == second.outcomes.keys():
        return _compare_paired(first, second)
    better, worse = sorted((first, second), key=lambda rate: -rate.value)
    if better.low is None or worse.high is None:
        return f"How sure the rates of {first.run} and {second.run} are is not known."
    if better.low <= worse.high:
        return f"The intervals of {first.run} and {second.run} overlap: their difference may be chance."
    return f"The intervals of {first.run} and {second.run} do not overlap: {better.run} is better."


def _compare_paired(first: SuccessRate, second: SuccessRate) -> str:
    only_one = sum(done and not second.outcomes[seed] for seed, done in first.outcomes.items())
    only_other = sum(done and not first.outcomes[seed] for seed, done in second.outcomes.items())
    same = f"{first.run} and {second.run} had the same {len(first.outcomes)} starts"
    if not only_one + only_other:
        return f"{same}, and both did the same ones."
    split = (
        f"{first.run} did {only_one} that {second.run} did not, {second.run} did {only_other} that {first.run} did not"
    )
    share = sign_test(only_one, only_other)
    chance = f"that {'is hardly' if share < SIGNIFICANCE else 'may be'} chance (p {share:.2g} by the sign test)"
    return f"{same}: {split}; {chance}."


def sign_test(first: int, second: int) -> float:
    """How often two that are equally good differ so unevenly, or more so (exact sign test, both sides)."""
    of = first + second
    tail = sum(math.comb(of, at) for at in range(max(first, second), of + 1))
    return min(1.0, 2 * tail / math.pow(2, of))
