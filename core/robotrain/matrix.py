"""The parity matrix: what each platform answers of every source kind, pair of datasets, workload, feature and limit.

Pure data, and the one origin of `robotrain platforms`, of docs/parity.md and of the tests of parity.
"""

from __future__ import annotations  # the types below are for readers and checkers: importing them costs start-up

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations_with_replacement
from typing import TYPE_CHECKING, Literal

from robotrain import combinations, limits
from robotrain.capabilities import ANY, FEATURES, LIMITS, UNKNOWN, Capabilities, Support
from robotrain.targets import PUBLISH

if TYPE_CHECKING:
    from robotrain.platforms import Platform
    from robotrain.source import SourceKind
    from robotrain.workload import Workload

Section = Literal["sources", "combinations", "workloads", "features"]
ROLES = (combinations.DATASET, "policy", "init_policy", "checkpoint", "resume", PUBLISH)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One question to every platform, and the answers, by platform.

    names: what it asks of: `role` and `kind` of sources, `kind` and `other` of combinations, `workload`, `feature`.
    """

    section: Section
    names: Mapping[str, str]
    cells: Mapping[str, Support]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """A limit, and the number that holds on each platform; None where none does."""

    name: str
    numbers: Mapping[str, int | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Matrix:
    """All of it. platforms: in the order of their columns. apart: a sentence for each kind of datasets whose pairs are
    no platform's matter.
    """

    platforms: tuple[str, ...]
    rows: tuple[Row, ...]
    limits: tuple[Limit, ...]
    apart: tuple[str, ...] = ()


def of(platforms: Mapping[str, Platform], kinds: Mapping[str, SourceKind], workloads: Mapping[str, Workload]) -> Matrix:
    """That of some platforms. A row for all that is installed or declared, also where no platform mentions it."""
    can = {name: platform.capabilities for name, platform in platforms.items()}
    rows = (*_sources(can, kinds), *_combinations(can, kinds), *_workloads(can, workloads), *_features(can, workloads))
    apart = tuple(filter(None, (combinations.alone(kinds[name]) for name in _datasets(can, kinds))))
    return Matrix(platforms=tuple(can), rows=rows, limits=tuple(_limits(can)), apart=apart)


def _sources(can: Mapping[str, Capabilities], kinds: Mapping[str, SourceKind]) -> Iterator[Row]:
    declared = {key for one in can.values() for key in one.sources}
    for role in ROLES:
        strange = {kind for said, kind in declared if said == role and kind not in kinds} - {ANY}
        named = {name for name, kind in kinds.items() if _fills(kind, role) and _asked(kind, can)}
        for name in sorted(named | strange):
            kind = kinds.get(name)
            cells = {at: one.source(role, kind) if kind else _said(one, role, name) for at, one in can.items()}
            yield Row(section="sources", names={"role": role, "kind": name}, cells=cells)
        if named | strange:
            others = {at: _said(one, role, ANY) for at, one in can.items()}
            yield Row(section="sources", names={"role": role, "kind": ANY}, cells=others)


def _combinations(can: Mapping[str, Capabilities], kinds: Mapping[str, SourceKind]) -> Iterator[Row]:
    for one, other in combinations_with_replacement(_datasets(can, kinds), 2):
        if combinations.apart(kinds[one], kinds[other]):
            continue
        cells = {at: combinations.together(found, kinds[one], kinds[other]) for at, found in can.items()}
        yield Row(section="combinations", names={"kind": one, "other": other}, cells=cells)


def _datasets(can: Mapping[str, Capabilities], kinds: Mapping[str, SourceKind]) -> list[str]:
    return sorted(name for name, kind in kinds.items() if _fills(kind, combinations.DATASET) and _asked(kind, can))


def _workloads(can: Mapping[str, Capabilities], workloads: Mapping[str, Workload]) -> Iterator[Row]:
    names = {*workloads, *(name for one in can.values() for name in one.workloads)} - {ANY}
    for name in (*sorted(names), ANY):
        cells = {at: one.workload(name) for at, one in can.items()}
        yield Row(section="workloads", names={"workload": name}, cells=cells)


def _features(can: Mapping[str, Capabilities], workloads: Mapping[str, Workload]) -> Iterator[Row]:
    from robotrain_runtime.parameter import parameters_of

    needed = {one.param.requires for workload in workloads.values() for one in parameters_of(workload.parameters)}
    declared = {name for one in can.values() for name in one.features}
    for name in (*FEATURES, *sorted((needed | declared) - {"", ANY, *FEATURES})):
        cells = {at: one.feature(name) for at, one in can.items()}
        yield Row(section="features", names={"feature": name}, cells=cells)


def _limits(can: Mapping[str, Capabilities]) -> Iterator[Limit]:
    declared = {name for one in can.values() for name in one.limits}
    for name in (*LIMITS, *sorted(declared - LIMITS.keys())):
        numbers: dict[str, int | None] = {at: one.limits.get(name) for at, one in can.items()}
        if name == limits.SOURCES:
            numbers = {at: limits.sources(one) for at, one in can.items()}
        yield Limit(name=name, numbers=numbers)


def _fills(kind: SourceKind, role: str) -> bool:
    return bool(kind.target or kind.carried) if role == PUBLISH else role in kind.roles


def _asked(kind: SourceKind, can: Mapping[str, Capabilities]) -> bool:
    """Whether a platform is ever asked of it: not of one that always stands for a source of another kind."""
    acts = kind.half or kind.target or kind.carried or kind.example
    return bool(acts) or any(kind.name == name for one in can.values() for _, name in one.sources)


def _said(can: Capabilities, role: str, name: str) -> Support:
    return can.sources.get((role, name), UNKNOWN)
