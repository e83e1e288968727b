"""Several runs side by side: what each came to, and what differs between them."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from robotrain_runtime.document import Source

from robotrain.problem import Problem, Rejected
from robotrain.report.elements import said
from robotrain.report.facts import Facts, gather

if TYPE_CHECKING:
    from robotrain.plugins import Plugins


@dataclasses.dataclass(frozen=True, slots=True)
class Differing:
    """Something that is not the same in all runs. values: by run, in their order; None where a run has none of it."""

    name: str
    values: tuple[str | float | None, ...]


def gather_all(runs: Sequence[str], plugins: "Plugins", say: Callable[[str], None]) -> list[Facts]:
    """The facts of runs, each once, in the order given; of one alone everything. Raises Rejected with all problems."""
    from robotrain import store

    names: dict[str, None] = {}
    problems: list[Problem] = []
    for run in runs:
        try:
            names[store.find(run)] = None
        except Rejected as rejected:
            problems += rejected.problems
    if problems:
        raise Rejected(problems)
    found: list[Facts] = []
    for name in names:
        try:
            found.append(gather(name, plugins, say, whole=len(names) == 1))
        except Rejected as rejected:
            problems += rejected.problems
    if problems:
        raise Rejected(problems)
    return found


def metrics(compared: Sequence[Facts]) -> list[Differing]:
    """The newest value of each metric; what is a score, or one episode's alone, is left out."""
    known = [facts.told.progress for facts in compared]
    names = sorted({name for one in known for name in one.metrics})
    shown = (name for name in names if not any(one.is_of_episode(name) or one.is_score(name) for one in known))
    return [Differing(name, tuple(one.metrics.get(name) for one in known)) for name in shown]


def settings(compared: Sequence[Facts]) -> list[Differing]:
    """The settings that are not the same in all runs. One that a run's workload or platform does not have differs only
    where somebody said it elsewhere; a run whose plan was not kept says nothing.
    """
    told = [{str(value["name"]): value for value in facts.values} for facts in compared]
    names = dict.fromkeys(name for one in told for name in one)
    return [Differing(name, tuple(_setting(one, name) for one in told)) for name in names if _differs(told, name)]


def sources(compared: Sequence[Facts]) -> list[Differing]:
    """The sources that are not the same in all runs, by what they are for."""
    told = [_by_role(facts.sources) for facts in compared]
    roles = dict.fromkeys(role for one in told for role in one)
    rows = [Differing(role, tuple(one.get(role) for one in told)) for role in roles]
    return [row for row in rows if len(set(row.values)) > 1]


def _differs(told: Sequence[Mapping[str, Mapping[str, Any]]], name: str) -> bool:
    has = [one[name] for one in told if name in one]
    lacks = any(one and name not in one for one in told)
    was_said = any(value["origin"] != "default" for value in has)
    return len({said(value["value"]) for value in has}) > 1 or (lacks and was_said)


def _setting(told: Mapping[str, Mapping[str, Any]], name: str) -> str | None:
    return said(told[name]["value"]) if name in told else None


def _by_role(given: Sequence[Source]) -> Mapping[str, str]:
    found: dict[str, list[str]] = {}
    for source in given:
        found.setdefault(source.role, []).append(source.uri + (f" as of {source.pin}" if source.pin else ""))
    return {role: ", ".join(texts) for role, texts in found.items()}
