"""The cells of the parity matrix, over the platforms of this repository."""

import functools
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import pytest
from parity_command import PLATFORMS
from robotrain.check import matrix
from robotrain.check.matrix import MatrixSection, ParityMatrix
from robotrain.model.capabilities import Capabilities
from robotrain.model.source import REMOTE_KIND, SourceKind
from robotrain.model.support import Support
from robotrain.model.workload import Workload
from robotrain.plugins.manager import Plugins
from robotrain_runtime.contract.parameter import Parameter, get_parameters

OWN_TESTS = ("slurm", True)


class Cell(NamedTuple):
    """What a platform says of something: of a role and a kind, of two kinds, of a workload, of a feature."""

    platform: str
    what: tuple[str, ...]
    support: Support

    def __str__(self) -> str:
        return "-".join((self.platform, *self.what))


def cells(
    section: MatrixSection, *, taken: bool | None = None, where: Callable[..., bool] = lambda *what: True
) -> list[Any]:
    """For parametrize: those of a section. taken: only such as are a yes, or as are none. where: of which names."""
    matching = (
        Cell(platform, tuple(row.names.values()), support)
        for row in read_matrix().rows
        if row.section == section and where(*row.names.values())
        for platform, support in row.cells.items()
    )
    return [pytest.param(cell, id=str(cell)) for cell in matching if taken in (None, bool(cell.support))]


def list_cells(section: MatrixSection, platform: str, **chosen: Any) -> list[Cell]:
    """Those of a section and a platform.

    Folders of a Slurm cluster need `--login`, with which others are read on this machine: `tests/slurm` has them.
    """
    matching = (param.values[0] for param in cells(section, **chosen))
    return [
        cell for cell in matching if cell.platform == platform and (platform, REMOTE_KIND in cell.what) != OWN_TESTS
    ]


def is_supported(section: MatrixSection, platform: str, *what: str) -> bool:
    matching = (param.values[0] for param in cells(section, taken=True))
    return any((cell.platform, cell.what) == (platform, what) for cell in matching)


@functools.cache
def read_matrix() -> ParityMatrix:
    """All of it: the same that `robotrain platforms` prints and the page in docs holds."""
    platforms = plugins().platforms()
    return matrix.make_matrix({name: platforms[name] for name in PLATFORMS}, kinds(), workloads())


@functools.cache
def plugins() -> Plugins:
    """Those of this repository, each platform loaded: kinds that it brings are known from then on."""
    plugins = Plugins("none")
    assert set(PLATFORMS) <= plugins.platforms().keys()
    return plugins


@functools.cache
def kinds() -> Mapping[str, SourceKind]:
    return plugins().source_kinds()


@functools.cache
def workloads() -> Mapping[str, Workload]:
    return plugins().workloads()


def capabilities_of(platform: str) -> Capabilities:
    return plugins().platforms()[platform].capabilities


def settings_of(platform: str) -> list[Parameter]:
    return list(get_parameters(plugins().platforms()[platform].settings))


@functools.cache
def names_read() -> frozenset[str]:
    """Names of the environment that a value may come from."""
    return frozenset(name for setting in _read() for name in setting.env)


def _read() -> Iterator[Any]:
    for workload in workloads().values():
        yield from get_parameters(workload.parameters)
    for platform in PLATFORMS:
        yield from settings_of(platform)
    for kind in kinds().values():
        yield from kind.roles.values()
