"""What a plugin stands on is promised to stay."""

import ast
import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar, NamedTuple

import pytest

from robotrain import stable
from robotrain.claims import Claim
from robotrain.plugins import Plugins
from robotrain.testing import distributions
from robotrain.testing.standard import Standard
from robotrain.testing.verdict import nothing_in

PROMISING = ("robotrain", "robotrain_runtime")


class Promised(Standard):
    """What its modules import. public_only: whether that is to be public; None: unless robotrain comes with it."""

    yours: ClassVar[tuple[str, ...]] = ("public_only",)
    public_only: ClassVar[bool | None] = None

    def test_it_imports_what_is_promised_to_stay(self, kit_claim: Claim) -> None:
        """Of robotrain only names of `robotrain.stable`; beside them the standard library, itself and what its
        distribution requires: then the next robotrain, and a fresh installation, run it too. What acts in the container
        has the libraries of its lock, so of those beside nothing is said of source kinds and workloads.
        """
        only = type(self).public_only
        if only is False or (only is None and kit_claim.own):
            pytest.skip("it is released together with robotrain")
        package = _package(kit_claim)
        beside = _beside(kit_claim, package) if kit_claim.family == "platform" else None
        nothing_in(one for path in _files(package) for one in wrong_with(path, beside))


def claimed(family: str, name: str) -> Claim:
    """The claim of that name; the test is skipped where there is none."""
    found = [claim for claim in Plugins().claims if (claim.family, claim.name) == (family, name)]
    return found[0] if found else pytest.skip("it has no claim of its own: the kit of its platform looks")


def wrong_with(path: Path, beside: set[str] | None) -> Iterator[str]:
    """The imports of a module that nobody promises. beside: the modules that are not robotrain's; None: all of them."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        for one in _imports(node):
            if _top(one.module) in PROMISING or not (beside is None or _top(one.module) in beside):
                yield from (f"{path.name}:{getattr(node, 'lineno', 0)}: {what}" for what in _unpromised(one, tree))


class Import(NamedTuple):
    """A module, a name of it or none, and what it is called from there on."""

    module: str
    name: str
    called: str

    def __str__(self) -> str:
        return f"{self.module} import {self.name}" if self.name else self.module


def _imports(node: ast.AST) -> Iterator[Import]:
    if isinstance(node, ast.Import):
        yield from (Import(alias.name, "", alias.asname or alias.name) for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and not node.level:
        yield from (Import(node.module or "", alias.name, alias.asname or alias.name) for alias in node.names)


def _unpromised(one: Import, tree: ast.AST) -> list[str]:
    """It, unless it is a public name; of a public module the names that are used, and are not public."""
    if one.name in stable.MODULES.get(one.module, ()):
        return []
    whole = f"{one.module}.{one.name}" if one.name else one.module
    if whole not in stable.MODULES:
        return [str(one)]
    attributes = [node for node in ast.walk(tree) if isinstance(node, ast.Attribute)]
    used = {node.attr for node in attributes if ast.unparse(node.value) == one.called}
    return [f"{whole}.{name}" for name in sorted(used - {*stable.MODULES[whole]})]


def _package(claim: Claim) -> Path:
    """The folder, or the one file, of the module that brings what is claimed."""
    spec = importlib.util.find_spec(_top(claim.point.value))
    assert spec is not None
    found = spec.submodule_search_locations
    return Path(next(iter(found))) if found else Path(str(spec.origin))


def _beside(claim: Claim, package: Path) -> set[str]:
    """The modules that a plugin has anyway."""
    itself = package.stem if package.is_file() else package.name
    return {itself, *sys.stdlib_module_names, *distributions.modules_declared(claim.project)}


def _files(package: Path) -> list[Path]:
    return [package] if package.is_file() else sorted(package.rglob("*.py"))


def _top(module: str) -> str:
    return module.partition(":")[0].partition(".")[0]
