"""Combinations of datasets in one job: of two kinds, or several of one."""

from __future__ import annotations  # the types below are for readers and checkers: importing them costs start-up

import functools
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from robotrain.model import capabilities
from robotrain.model.capabilities import Capabilities, Support

if TYPE_CHECKING:
    from robotrain.config.sources import Input
    from robotrain.errors import Problem
    from robotrain.model.capabilities import ListPlatforms
    from robotrain.model.platform import Platform
    from robotrain.model.source import SourceKind

DATASET = "dataset"


class DatasetPair(NamedTuple):
    """Two kinds of datasets in a job, which may be equal; `source` is the later dataset."""

    kind: str
    other_kind: str
    source: Input


def list_dataset_pairs(datasets: Sequence[Input]) -> list[DatasetPair]:
    """Return every pair of kinds in a job, without repetition."""
    found: dict[frozenset[str], DatasetPair] = {}
    seen: dict[str, None] = {}
    for dataset in datasets:
        kind = dataset.source.kind
        for before in seen:
            found.setdefault(frozenset((before, kind)), DatasetPair(before, kind, dataset))
        seen[kind] = None
    return list(found.values())


def is_pair_declared(can: Capabilities, pair: DatasetPair) -> bool:
    """Return whether the platform declares this pair; if not, its feature `several_datasets` decides."""
    return can.find_declared_combination(pair.kind, pair.other_kind) is not None


def get_pair_support(can: Capabilities, one: SourceKind, other: SourceKind) -> Support:
    """Return whether a platform accepts datasets of two kinds in one job: each kind, and their combination."""
    answers = [can.source(DATASET, one), can.source(DATASET, other)]
    return next((answer for answer in answers if not answer), can.combination(one.name, other.name))


def check_combinations(
    found: Sequence[DatasetPair], platform: Platform, kinds: Mapping[str, SourceKind], platforms: ListPlatforms
) -> Iterator[Problem]:
    """Yield problems for pairs that the platform declares as unsupported, if it accepts each kind alone."""
    can = platform.capabilities
    for pair in found:
        one, other = kinds[pair.kind], kinds[pair.other_kind]
        accepted = can.source(DATASET, one) and can.source(DATASET, other)
        support = can.combination(pair.kind, pair.other_kind)
        if accepted and not support and is_pair_declared(can, pair):
            both = f"several {one.title}" if one.name == other.name else f"{one.title} with {other.title}"
            phrase = f"{capabilities.format_refusal('merge', support)} {both}"
            accepts_both = functools.partial(get_pair_support, one=one, other=other)
            elsewhere = capabilities.suggest_platforms(platform, platforms, accepts_both, "accepts both")
            where, given = pair.source.origin.where, str(pair.source.source)
            yield capabilities.make_refusal(
                "combination-not-accepted", phrase, support, platform, elsewhere, where, given
            )


def is_never_combined(one: SourceKind, other: SourceKind) -> bool:
    """Return whether two such datasets cannot be in one job on any platform."""
    if one.name == other.name:
        return not one.roles[DATASET].repeatable
    return one.roles[DATASET].exclusive or other.roles[DATASET].exclusive


def describe_exclusion(kind: SourceKind) -> str:
    """Return how datasets of a kind cannot be combined on any platform, as a sentence; empty if they can."""
    flag = kind.roles[DATASET]
    rules = [
        *([] if flag.repeatable else ["at most one"]),
        *(["no other dataset"] if flag.exclusive else []),
    ]
    return f"{kind.title}: {' and '.join(rules)} in a job, on every platform." if rules else ""
