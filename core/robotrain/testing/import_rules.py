"""Import rules of plugins: public names only, declared requirements, the standard library in a container."""

import ast
import importlib
import importlib.util
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import ClassVar, NamedTuple

import pytest

from robotrain.plugins.claims import Claim
from robotrain.plugins.manager import Plugins
from robotrain.submission.packing import pack_modules
from robotrain.testing.harness import assert_no_problems, assert_none
from robotrain.testing.kit_base import KitBase

PUBLIC_PACKAGES = ("robotrain", "robotrain_runtime")
PUBLIC_MODULES = ("robotrain", "robotrain.plugin", "robotrain.testing", "robotrain_runtime.plugin")
"""The modules whose `__all__` holds the names that plugins may import."""
CORE_DISTRIBUTION = "robotrain-core"


class PublicImportTests(KitBase):
    """The imports of the plugin's modules."""

    yours: ClassVar[tuple[str, ...]] = ("public_only",)
    public_only: ClassVar[bool | None] = None
    """Whether only public names may be imported; by default, unless robotrain comes with the plugin."""

    def test_imports_only_public_names(self, kit_claim: Claim) -> None:
        """Import only public names of robotrain, the standard library, itself and what its distribution requires: then
        the next robotrain, and a fresh installation, run it too. Source kinds and workloads may import anything else:
        a container plugin has the libraries of its lock.
        """
        only = type(self).public_only
        if only is False or (only is None and kit_claim.built_in):
            pytest.skip("it is released together with robotrain")
        top = _top_module(kit_claim.point.value)
        spec = importlib.util.find_spec(top)
        assert spec is not None
        locations = spec.submodule_search_locations
        files = sorted(Path(next(iter(locations))).rglob("*.py")) if locations else [Path(str(spec.origin))]
        allowed = {top, *sys.stdlib_module_names, *list_declared_modules(kit_claim.project)}
        checked = allowed if kit_claim.family == "platform" else None
        assert_no_problems(one for path in files for one in find_private_imports(path, checked))


def find_claim(family: str, name: str) -> Claim:
    """Return the claim of that name; skip the test if there is none."""
    found = [claim for claim in Plugins().claims if (claim.family, claim.name) == (family, name)]
    return found[0] if found else pytest.skip("it has no claim of its own: the kit of its platform tests this")


def find_private_imports(path: Path, allowed: set[str] | None) -> Iterator[str]:
    """Yield the imports of a module that are not public; `allowed` are the other top-level modules, None for all."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        for one in _list_imports(node):
            top = _top_module(one.module)
            if top in PUBLIC_PACKAGES or (allowed is not None and top not in allowed):
                yield from (f"{path.name}:{getattr(node, 'lineno', 0)}: {name}" for name in _list_private(one, tree))


class ImportedName(NamedTuple):
    """An import: the module, the name in it (if any), and the local name."""

    module: str
    name: str
    local_name: str


def _list_imports(node: ast.AST) -> Iterator[ImportedName]:
    if isinstance(node, ast.Import):
        yield from (ImportedName(alias.name, "", alias.asname or alias.name) for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and not node.level:
        yield from (ImportedName(node.module or "", alias.name, alias.asname or alias.name) for alias in node.names)


def _list_private(imported: ImportedName, tree: ast.AST) -> list[str]:
    """Return what is private of an import: itself, or the private names used of a public module."""
    if imported.name in list_public_names(imported.module):
        return []
    module = f"{imported.module}.{imported.name}" if imported.name else imported.module
    if module not in PUBLIC_MODULES:
        return [f"{imported.module} import {imported.name}" if imported.name else module]
    attributes = [node for node in ast.walk(tree) if isinstance(node, ast.Attribute)]
    used = {node.attr for node in attributes if ast.unparse(node.value) == imported.local_name}
    submodules = {public.removeprefix(f"{module}.") for public in PUBLIC_MODULES}
    return [f"{module}.{name}" for name in sorted(used - {*list_public_names(module)} - submodules)]


def list_public_names(module: str) -> tuple[str, ...]:
    """Return the names that plugins may import from a module; none of a private one."""
    return tuple(importlib.import_module(module).__all__) if module in PUBLIC_MODULES else ()


def _top_module(module: str) -> str:
    return module.partition(":")[0].partition(".")[0]


def list_required_modules(distribution: str) -> set[str]:
    """Return the top-level modules of all that a distribution requires, directly or not, and core does not."""
    core = {*_iter_requirements(CORE_DISTRIBUTION)}
    needed = {*_iter_requirements(distribution)} - core - {distribution}
    foreign = {module for name in needed if not name.startswith("robotrain") for module in list_modules(name)}
    return foreign - {module for name in core for module in list_modules(name)}


def list_declared_modules(distribution: str) -> set[str]:
    """Return the top-level modules of what a distribution declares to require."""
    return {module for name in list_requirements(distribution) for module in list_modules(name)}


def list_requirements(distribution: str) -> list[str]:
    """Return the names of the distributions that it requires, without those of extras."""
    try:
        needs = metadata.requires(distribution) or []
    except metadata.PackageNotFoundError:
        return []
    names = [
        re.split(r"[^A-Za-z0-9._-]", need, maxsplit=1)[0] for need in needs if not re.search(r";.*\bextra\b", need)
    ]
    return [re.sub(r"[-_.]+", "-", name).lower() for name in names]


def list_modules(distribution: str) -> set[str]:
    """Return the top-level modules of a distribution; if they are not listed, its name."""
    try:
        found = metadata.distribution(distribution)
    except metadata.PackageNotFoundError:
        return {distribution.replace("-", "_")}
    listed = {path.parts[0].partition(".")[0] for path in found.files or () if path.suffix == ".py"}
    return {name for name in listed if name.isidentifier()} or {distribution.replace("-", "_")}


def _iter_requirements(distribution: str) -> Iterator[str]:
    seen, waiting = {distribution}, [distribution]
    while waiting:
        name = waiting.pop()
        yield name
        new = [need for need in list_requirements(name) if need not in seen]
        seen.update(new)
        waiting += new


ISOLATED_PROGRAM = """
import sys
sys.path.insert(0, sys.argv[1])
sys.dont_write_bytecode = True
for name in sys.argv[2:]:
    __import__(name)
files = {name: getattr(module, "__file__", None) or "" for name, module in sys.modules.items()}
known = {name for name, file in files.items() if file.startswith(sys.argv[1])} | {"__main__"}
print(*sorted(name for name in {*files} - known if name.partition(".")[0] not in sys.stdlib_module_names))
"""


def assert_imports_alone(folder: Path, *modules: str) -> None:
    """Fail if modules, packed as for a job, cannot be imported by a Python that has nothing else."""
    archive = folder / "payload.zip"
    archive.write_bytes(pack_modules(modules).archive)
    command = [sys.executable, "-I", "-S", "-c", ISOLATED_PROGRAM, str(archive), *modules]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, f"what is packed cannot be imported by itself:\n{done.stderr}"
    assert_none(done.stdout.split(), "beside what is packed it imports")
