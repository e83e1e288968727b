"""The parity matrix: what each platform declares for every source kind, pair of datasets, workload, feature and limit.

`robotrain platforms`, docs/parity.md and the parity tests derive from it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations_with_replacement
from typing import Literal

from robotrain_runtime.contract.parameter import get_parameters

from robotrain.check import source_limits
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
    capabilities_by_platform = {name: platform.capabilities for name, platform in platforms.items()}
    rows = (
        *_make_source_rows(capabilities_by_platform, kinds),
        *_make_combination_rows(capabilities_by_platform, kinds),
        *_make_workload_rows(capabilities_by_platform, workloads),
        *_make_feature_rows(capabilities_by_platform, workloads),
    )
    exclusions = (
        source_limits.describe_exclusion(kinds[name]) for name in _list_dataset_kinds(capabilities_by_platform, kinds)
    )
    limits = tuple(_make_limits(capabilities_by_platform))
    return ParityMatrix(
        platforms=tuple(capabilities_by_platform), rows=rows, limits=limits, exclusions=tuple(filter(None, exclusions))
    )


def _make_source_rows(
    capabilities_by_platform: Mapping[str, Capabilities], kinds: Mapping[str, SourceKind]
) -> Iterator[MatrixRow]:
    declared_keys = {key for capabilities in capabilities_by_platform.values() for key in capabilities.sources}
    for role in ROLES:
        unknown_kinds = {
            kind for declared_role, kind in declared_keys if declared_role == role and kind not in kinds
        } - {ANY}
        named_kinds = {
            name
            for name, kind in kinds.items()
            if _can_fill(kind, role) and _is_relevant(kind, capabilities_by_platform)
        }
        for name in sorted(named_kinds | unknown_kinds):
            kind = kinds.get(name)
            cells = {
                platform: capabilities.source(role, kind) if kind else _get_declared_support(capabilities, role, name)
                for platform, capabilities in capabilities_by_platform.items()
            }
            yield MatrixRow(section="sources", names={"role": role, "kind": name}, cells=cells)
        if named_kinds | unknown_kinds:
            other_cells = {
                platform: _get_declared_support(capabilities, role, ANY)
                for platform, capabilities in capabilities_by_platform.items()
            }
            yield MatrixRow(section="sources", names={"role": role, "kind": ANY}, cells=other_cells)


def _make_combination_rows(
    capabilities_by_platform: Mapping[str, Capabilities], kinds: Mapping[str, SourceKind]
) -> Iterator[MatrixRow]:
    for kind, other_kind in combinations_with_replacement(_list_dataset_kinds(capabilities_by_platform, kinds), 2):
        if kind == other_kind and not kinds[kind].roles[source_limits.DATASET].repeatable:
            continue
        cells = {
            platform: source_limits.get_pair_support(capabilities, kinds[kind], kinds[other_kind])
            for platform, capabilities in capabilities_by_platform.items()
        }
        yield MatrixRow(section="combinations", names={"kind": kind, "other": other_kind}, cells=cells)


def _list_dataset_kinds(
    capabilities_by_platform: Mapping[str, Capabilities], kinds: Mapping[str, SourceKind]
) -> list[str]:
    return sorted(
        name
        for name, kind in kinds.items()
        if _can_fill(kind, source_limits.DATASET) and _is_relevant(kind, capabilities_by_platform)
    )


def _make_workload_rows(
    capabilities_by_platform: Mapping[str, Capabilities], workloads: Mapping[str, Workload]
) -> Iterator[MatrixRow]:
    workload_names = {
        *workloads,
        *(name for capabilities in capabilities_by_platform.values() for name in capabilities.workloads),
    } - {ANY}
    for name in (*sorted(workload_names), ANY):
        cells = {platform: capabilities.workload(name) for platform, capabilities in capabilities_by_platform.items()}
        yield MatrixRow(section="workloads", names={"workload": name}, cells=cells)


def _make_feature_rows(
    capabilities_by_platform: Mapping[str, Capabilities], workloads: Mapping[str, Workload]
) -> Iterator[MatrixRow]:
    needed_features = {
        parameter.param.requires for workload in workloads.values() for parameter in get_parameters(workload.parameters)
    }
    declared_features = {name for capabilities in capabilities_by_platform.values() for name in capabilities.features}
    for name in (*FEATURES, *sorted((needed_features | declared_features) - {"", ANY, *FEATURES})):
        cells = {platform: capabilities.feature(name) for platform, capabilities in capabilities_by_platform.items()}
        yield MatrixRow(section="features", names={"feature": name}, cells=cells)


def _make_limits(capabilities_by_platform: Mapping[str, Capabilities]) -> Iterator[MatrixLimit]:
    declared_limits = {name for capabilities in capabilities_by_platform.values() for name in capabilities.limits}
    for name in (*LIMITS, *sorted(declared_limits - LIMITS.keys())):
        numbers: dict[str, int | None] = {
            platform: capabilities.limits.get(name) for platform, capabilities in capabilities_by_platform.items()
        }
        if name == source_limits.SOURCES_LIMIT:
            numbers = {
                platform: source_limits.get_source_limit(capabilities)
                for platform, capabilities in capabilities_by_platform.items()
            }
        yield MatrixLimit(name=name, numbers=numbers)


def _can_fill(kind: SourceKind, role: str) -> bool:
    return bool(kind.target or kind.platform_managed) if role == PUBLISH_ROLE else role in kind.roles


def _is_relevant(kind: SourceKind, capabilities_by_platform: Mapping[str, Capabilities]) -> bool:
    """Return whether platforms support the kind itself; some kinds always stand for a source of another kind."""
    has_action = kind.container_plugin or kind.target or kind.platform_managed or kind.example
    return bool(has_action) or any(
        kind.name == name for capabilities in capabilities_by_platform.values() for _, name in capabilities.sources
    )


def _get_declared_support(capabilities: Capabilities, role: str, name: str) -> Support:
    return capabilities.sources.get((role, name), UNKNOWN)
