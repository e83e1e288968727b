"""Datasets of two kinds in one job, or several of one: which go together, and where."""

from __future__ import annotations  # the types below are for readers and checkers: importing them costs start-up

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from robotrain.errors import Problem, Stage
from robotrain.model import capabilities
from robotrain.model.capabilities import Capabilities, Support

if TYPE_CHECKING:
    from robotrain.config.sources import Input
    from robotrain.model.capabilities import ListPlatforms
    from robotrain.model.platform import Platform
    from robotrain.model.source import SourceKind

DATASET = "dataset"


class DatasetPair(NamedTuple):
    """Two kinds of a job's datasets, as typed; the same twice where there are several of one. later: what made it."""

    kind: str
    other_kind: str
    source: Input


def list_dataset_pairs(datasets: Sequence[Input]) -> list[DatasetPair]:
    """Every pair of kinds in a job, once."""
    found: dict[frozenset[str], DatasetPair] = {}
    seen: dict[str, None] = {}
    for dataset in datasets:
        kind = dataset.source.kind
        for before in seen:
            found.setdefault(frozenset((before, kind)), DatasetPair(before, kind, dataset))
        seen[kind] = None
    return list(found.values())


def is_pair_declared(can: Capabilities, pair: DatasetPair) -> bool:
    """Whether the platform answers of this very pair; else its `several_datasets` does."""
    return can.find_declared_combination(pair.kind, pair.other_kind) is not None


def get_pair_support(can: Capabilities, one: SourceKind, other: SourceKind) -> Support:
    """Whether a platform takes datasets of two kinds in one job, or several of one: each alone, and both at once."""
    answers = [can.source(DATASET, one), can.source(DATASET, other)]
    return next((answer for answer in answers if not answer), can.combination(one.name, other.name))


def check_combinations(
    found: Sequence[DatasetPair], platform: Platform, kinds: Mapping[str, SourceKind], platforms: ListPlatforms
) -> Iterator[Problem]:
    """The pairs of a job that the platform declares as no. A kind that it does not take at all is told elsewhere."""
    can = platform.capabilities
    for pair in found:
        one, other = kinds[pair.kind], kinds[pair.other_kind]
        taken = can.source(DATASET, one) and can.source(DATASET, other)
        support = can.combination(pair.kind, pair.other_kind)
        if taken and not support and is_pair_declared(can, pair):
            yield _make_combination_problem(pair, one, other, support, platform, platforms)


def _make_combination_problem(
    pair: DatasetPair,
    one: SourceKind,
    other: SourceKind,
    support: Support,
    platform: Platform,
    platforms: ListPlatforms,
) -> Problem:
    both = f"several {one.title}" if one.name == other.name else f"{one.title} with {other.title}"
    elsewhere = capabilities.suggest_platforms(
        platform, platforms, lambda can: get_pair_support(can, one, other), "takes them together"
    )
    return Problem(
        code="combination-not-accepted",
        stage=Stage.CHECK,
        title=f"{platform.name} {capabilities.format_refusal('merge', support)} {both}{capabilities.format_yet(support)}",
        where=pair.source.origin.where,
        given=str(pair.source.source),
        why=support.reason,
        suggestions=capabilities.collect_suggestions(support, elsewhere),
    )


def is_never_combined(one: SourceKind, other: SourceKind) -> bool:
    """Whether two such datasets are never given in one job, whatever the platform."""
    if one.name == other.name:
        return not one.roles[DATASET].repeatable
    return one.roles[DATASET].exclusive or other.roles[DATASET].exclusive


def describe_exclusion(kind: SourceKind) -> str:
    """How a kind of datasets stands apart on every platform, as a sentence; empty where it does not."""
    flag = kind.roles[DATASET]
    said = [
        *([] if flag.repeatable else ["one of them"]),
        *(["no other dataset beside them"] if flag.exclusive else []),
    ]
    return f"{kind.title}: {' and '.join(said)} in a job, on every platform." if said else ""
