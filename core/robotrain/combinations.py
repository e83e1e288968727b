"""Datasets of two kinds in one job, or several of one: which go together, and where."""

from __future__ import annotations  # the types below are for readers and checkers: importing them costs start-up

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from robotrain import refusals
from robotrain.capabilities import Capabilities, Support
from robotrain.problem import Problem, Stage

if TYPE_CHECKING:
    from robotrain.inputs import Input
    from robotrain.platforms import Platform
    from robotrain.refusals import Platforms
    from robotrain.source import SourceKind

DATASET = "dataset"


class Pair(NamedTuple):
    """Two kinds of a job's datasets, as typed; the same twice where there are several of one. later: what made it."""

    one: str
    other: str
    later: Input


def pairs(datasets: Sequence[Input]) -> list[Pair]:
    """Every pair of kinds in a job, once."""
    found: dict[frozenset[str], Pair] = {}
    seen: dict[str, None] = {}
    for dataset in datasets:
        kind = dataset.source.kind
        for before in seen:
            found.setdefault(frozenset((before, kind)), Pair(before, kind, dataset))
        seen[kind] = None
    return list(found.values())


def declared(can: Capabilities, pair: Pair) -> bool:
    """Whether the platform answers of this very pair; else its `several_datasets` does."""
    return can.declared(pair.one, pair.other) is not None


def together(can: Capabilities, one: SourceKind, other: SourceKind) -> Support:
    """Whether a platform takes datasets of two kinds in one job, or several of one: each alone, and both at once."""
    answers = [can.source(DATASET, one), can.source(DATASET, other)]
    return next((answer for answer in answers if not answer), can.combination(one.name, other.name))


def check(
    found: Sequence[Pair], platform: Platform, kinds: Mapping[str, SourceKind], platforms: Platforms
) -> Iterator[Problem]:
    """The pairs of a job that the platform declares as no. A kind that it does not take at all is told elsewhere."""
    can = platform.capabilities
    for pair in found:
        one, other = kinds[pair.one], kinds[pair.other]
        taken = can.source(DATASET, one) and can.source(DATASET, other)
        support = can.combination(pair.one, pair.other)
        if taken and not support and declared(can, pair):
            yield _refused(pair, one, other, support, platform, platforms)


def _refused(
    pair: Pair, one: SourceKind, other: SourceKind, support: Support, platform: Platform, platforms: Platforms
) -> Problem:
    both = f"several {one.title}" if one.name == other.name else f"{one.title} with {other.title}"
    elsewhere = refusals.others(platform, platforms, lambda can: together(can, one, other), "takes them together")
    return Problem(
        code="combination-not-accepted",
        stage=Stage.CHECK,
        title=f"{platform.name} {refusals.says('merge', support)} {both}{refusals.yet(support)}",
        where=pair.later.origin.where,
        given=str(pair.later.source),
        why=support.reason,
        instead=refusals.ways(support, elsewhere),
    )


def apart(one: SourceKind, other: SourceKind) -> bool:
    """Whether two such datasets are never given in one job, whatever the platform."""
    if one.name == other.name:
        return not one.roles[DATASET].repeatable
    return one.roles[DATASET].alone or other.roles[DATASET].alone


def alone(kind: SourceKind) -> str:
    """How a kind of datasets stands apart on every platform, as a sentence; empty where it does not."""
    flag = kind.roles[DATASET]
    said = [*([] if flag.repeatable else ["one of them"]), *(["no other dataset beside them"] if flag.alone else [])]
    return f"{kind.title}: {' and '.join(said)} in a job, on every platform." if said else ""
