"""The parity matrix: what each platform declares for every source kind, pair of datasets, workload, feature and limit.

`robotrain platforms`, docs/parity.md and the parity tests derive from it.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import combinations_with_replacement
from operator import methodcaller
from typing import Literal

from robotrain_runtime.contract.parameter import get_parameters

from robotrain.check import needs
from robotrain.check.publish_targets import PUBLISH_ROLE
from robotrain.model.capabilities import FEATURES, LIMITS, Capabilities
from robotrain.model.platform import Platform
from robotrain.model.source import ROLES, SourceKind
from robotrain.model.support import ANY, UNKNOWN, Support
from robotrain.model.workload import Workload

MatrixSection = Literal["sources", "combinations", "workloads", "features"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MatrixRow:
    """One capability on every platform."""

    section: MatrixSection
    names: Mapping[str, str]
    """`role` and `kind` of sources, `kind` and `other` of combinations, `workload`, or `feature`."""
    cells: Mapping[str, Support]
    """By platform."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MatrixLimit:
    """A limit by platform; None where there is none."""

    name: str
    numbers: Mapping[str, int | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class ParityMatrix:
    """The whole matrix."""

    platforms: tuple[str, ...]
    rows: tuple[MatrixRow, ...]
    limits: tuple[MatrixLimit, ...]
    exclusions: tuple[str, ...] = ()
    """A sentence for each kind of datasets that cannot be combined on any platform."""


def make_matrix(
    platforms: Mapping[str, Platform], kinds: Mapping[str, SourceKind], workloads: Mapping[str, Workload]
) -> ParityMatrix:
    """Return the matrix, with a row for everything that is installed or that a platform declares."""
    capabilities = {name: platform.capabilities for name, platform in platforms.items()}
    declared = [*capabilities.values()]
    datasets = sorted(
        name for name, kind in kinds.items() if _can_fill(kind, needs.DATASET) and _is_relevant(kind, declared)
    )
    rows = (
        *_list_source_rows(declared, kinds),
        *_list_combination_rows([kinds[name] for name in datasets]),
        *_list_workload_rows(declared, workloads),
        *_list_feature_rows(declared, workloads),
    )
    return ParityMatrix(
        platforms=tuple(capabilities),
        rows=tuple(
            MatrixRow(section=section, names=names, cells={name: ask(each) for name, each in capabilities.items()})
            for section, names, ask in rows
        ),
        limits=tuple(_list_limits(capabilities)),
        exclusions=tuple(filter(None, (needs.describe_exclusion(kinds[name]) for name in datasets))),
    )


RowQuestion = tuple[MatrixSection, Mapping[str, str], Callable[[Capabilities], Support]]
"""Section and names of a row, and what is asked of each platform."""


def _list_source_rows(declared: Sequence[Capabilities], kinds: Mapping[str, SourceKind]) -> Iterator[RowQuestion]:
    declared_keys = {key for capabilities in declared for key in capabilities.sources}
    for role in ROLES:
        unknown_kinds = {name for key_role, name in declared_keys if key_role == role and name not in kinds} - {ANY}
        named_kinds = {name for name, kind in kinds.items() if _can_fill(kind, role) and _is_relevant(kind, declared)}
        for name in sorted(named_kinds | unknown_kinds):
            is_known = name in kinds
            ask = methodcaller("source", role, kinds[name]) if is_known else _ask_declared(role, name)
            yield "sources", {"role": role, "kind": name}, ask
        if named_kinds | unknown_kinds:
            yield "sources", {"role": role, "kind": ANY}, _ask_declared(role, ANY)


def _ask_declared(role: str, name: str) -> Callable[[Capabilities], Support]:
    return lambda capabilities: capabilities.sources.get((role, name), UNKNOWN)


def _list_combination_rows(datasets: Sequence[SourceKind]) -> Iterator[RowQuestion]:
    for kind, other_kind in combinations_with_replacement(datasets, 2):
        if kind != other_kind or kind.roles[needs.DATASET].repeatable:
            ask = partial(needs.get_pair_support, kind=kind, other_kind=other_kind)
            yield "combinations", {"kind": kind.name, "other": other_kind.name}, ask


def _list_workload_rows(declared: Sequence[Capabilities], workloads: Mapping[str, Workload]) -> Iterator[RowQuestion]:
    names = {*workloads, *(name for capabilities in declared for name in capabilities.workloads)} - {ANY}
    for name in (*sorted(names), ANY):
        yield "workloads", {"workload": name}, methodcaller("workload", name)


def _list_feature_rows(declared: Sequence[Capabilities], workloads: Mapping[str, Workload]) -> Iterator[RowQuestion]:
    parameters = (parameter for workload in workloads.values() for parameter in get_parameters(workload.parameters))
    names = {parameter.param.requires for parameter in parameters}
    names |= {name for capabilities in declared for name in capabilities.features}
    for name in (*FEATURES, *sorted(names - {"", ANY, *FEATURES})):
        yield "features", {"feature": name}, methodcaller("feature", name)


def _list_limits(capabilities: Mapping[str, Capabilities]) -> Iterator[MatrixLimit]:
    declared_limits = {name for each in capabilities.values() for name in each.limits}
    for name in (*LIMITS, *sorted(declared_limits - LIMITS.keys())):
        numbers = {platform: each.limits.get(name) for platform, each in capabilities.items()}
        if name == needs.SOURCES_LIMIT:
            numbers = {platform: needs.get_source_limit(each) for platform, each in capabilities.items()}
        yield MatrixLimit(name=name, numbers=numbers)


def _can_fill(kind: SourceKind, role: str) -> bool:
    return bool(kind.target or kind.platform_managed) if role == PUBLISH_ROLE else role in kind.roles


def _is_relevant(kind: SourceKind, declared: Sequence[Capabilities]) -> bool:
    """Return whether platforms support the kind itself; some kinds always stand for a source of another kind."""
    has_action = kind.container_plugin or kind.target or kind.platform_managed or kind.example
    return bool(has_action) or any(kind.name == name for capabilities in declared for _, name in capabilities.sources)
