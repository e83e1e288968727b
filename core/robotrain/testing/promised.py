"""What a plugin stands on is promised to stay."""

import ast
import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from robotrain import stable
from robotrain.claims import Claim
from robotrain.testing import distributions
from robotrain.testing.bench import Bench
from robotrain.testing.on_a_bench import OnABench
from robotrain.testing.verdict import nothing_in

PROMISING = ("robotrain", "robotrain_runtime")


class Promised(OnABench):
    """The names that its modules import."""

    def test_it_imports_what_is_promised_to_stay(self, bench: Bench) -> None:
        """Of robotrain only names of `robotrain.stable`; beside them the standard library, itself and what its
        distribution requires: then the next robotrain, and a fresh installation, run it too.
        """
        if not type(self).public_only:
            pytest.skip("public_only is False: it is released together with robotrain")
        package = _package(bench.claim)
        allowed = distributions.modules_declared(bench.claim.project)
        allowed |= {package.stem if package.is_file() else package.name, *sys.stdlib_module_names}
        nothing_in(one for path in _files(package) for one in wrong_with(path, allowed))


def wrong_with(path: Path, allowed: set[str]) -> Iterator[str]:
    """The imports of a module that nobody promises: not of the modules `allowed`, nor among the public names."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        for module, name in _imports(node):
            if not _is_promised(module, name, tree) and not (_top(module) in allowed and _top(module) not in PROMISING):
                yield f"{path.name}:{getattr(node, 'lineno', 0)}: {module}{f' import {name}' if name else ''}"


def _imports(node: ast.AST) -> Iterator[tuple[str, str]]:
    if isinstance(node, ast.Import):
        yield from ((alias.name, "") for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and not node.level:
        yield from ((node.module or "", alias.name) for alias in node.names)


def _is_promised(module: str, name: str, tree: ast.AST) -> bool:
    """Whether it is a public name, or a public module of which public names alone are used."""
    if name in stable.MODULES.get(module, ()):
        return True
    whole = f"{module}.{name}" if name else module
    if whole not in stable.MODULES:
        return False
    used = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) == (name or module)
    }
    return used <= {*stable.MODULES[whole]}


def _package(claim: Claim) -> Path:
    """The folder, or the one file, of the module that brings what is claimed."""
    spec = importlib.util.find_spec(_top(claim.point.value))
    assert spec is not None
    found = spec.submodule_search_locations
    return Path(next(iter(found))) if found else Path(str(spec.origin))


def _files(package: Path) -> list[Path]:
    return [package] if package.is_file() else sorted(package.rglob("*.py"))


def _top(module: str) -> str:
    return module.partition(":")[0].partition(".")[0]
