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
from robotrain.testing.harness import assert_no_problems
from robotrain.testing.kit_base import KitBase

PUBLIC_PACKAGES = ("robotrain", "robotrain_runtime")
PUBLIC_MODULES = ("robotrain", "robotrain.plugin", "robotrain.testing", "robotrain_runtime.plugin")
"""The modules whose `__all__` holds the names that plugins may import."""


class PublicImportTests(KitBase):
    """What its modules import. public_only: whether that is to be public; None: unless robotrain comes with it."""

    yours: ClassVar[tuple[str, ...]] = ("public_only",)
    public_only: ClassVar[bool | None] = None

    def test_imports_only_public_names(self, kit_claim: Claim) -> None:
        """Import only public names of robotrain, the standard library, itself and what its distribution requires: then
        the next robotrain, and a fresh installation, run it too. Source kinds and workloads may import anything else:
        what acts in the container has the libraries of its lock.
        """
        only = type(self).public_only
        if only is False or (only is None and kit_claim.built_in):
            pytest.skip("it is released together with robotrain")
        package = _find_package_path(kit_claim)
        beside = _list_allowed_modules(kit_claim, package) if kit_claim.family == "platform" else None
        assert_no_problems(one for path in _list_module_files(package) for one in find_private_imports(path, beside))


def find_claim(family: str, name: str) -> Claim:
    """The claim of that name; the test is skipped where there is none."""
    found = [claim for claim in Plugins().claims if (claim.family, claim.name) == (family, name)]
    return found[0] if found else pytest.skip("it has no claim of its own: the kit of its platform looks")


def find_private_imports(path: Path, allowed: set[str] | None) -> Iterator[str]:
    """The imports of a module that nobody promises. beside: the modules that are not robotrain's; None: all of them."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        for one in _list_imports(node):
            if _top_module(one.module) in PUBLIC_PACKAGES or not (
                allowed is None or _top_module(one.module) in allowed
            ):
                yield from (
                    f"{path.name}:{getattr(node, 'lineno', 0)}: {what}" for what in _list_private_names(one, tree)
                )


class ImportedName(NamedTuple):
    """A module, a name of it or none, and what it is called from there on."""

    module: str
    name: str
    local_name: str

    def __str__(self) -> str:
        return f"{self.module} import {self.name}" if self.name else self.module


def _list_imports(node: ast.AST) -> Iterator[ImportedName]:
    if isinstance(node, ast.Import):
        yield from (ImportedName(alias.name, "", alias.asname or alias.name) for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and not node.level:
        yield from (ImportedName(node.module or "", alias.name, alias.asname or alias.name) for alias in node.names)


def _list_private_names(imported: ImportedName, tree: ast.AST) -> list[str]:
    """Return what is private of an import: itself, or the names used of a public module that are not public."""
    if imported.name in list_public_names(imported.module):
        return []
    module = f"{imported.module}.{imported.name}" if imported.name else imported.module
    if module not in PUBLIC_MODULES:
        return [str(imported)]
    attributes = [node for node in ast.walk(tree) if isinstance(node, ast.Attribute)]
    used = {node.attr for node in attributes if ast.unparse(node.value) == imported.local_name}
    submodules = {public.removeprefix(f"{module}.") for public in PUBLIC_MODULES}
    return [f"{module}.{name}" for name in sorted(used - {*list_public_names(module)} - submodules)]


def list_public_names(module: str) -> tuple[str, ...]:
    """Return the names that plugins may import from a module; none of a private one."""
    return tuple(importlib.import_module(module).__all__) if module in PUBLIC_MODULES else ()


def _find_package_path(claim: Claim) -> Path:
    """The folder, or the one file, of the module that brings what is claimed."""
    spec = importlib.util.find_spec(_top_module(claim.point.value))
    assert spec is not None
    found = spec.submodule_search_locations
    return Path(next(iter(found))) if found else Path(str(spec.origin))


def _list_allowed_modules(claim: Claim, package: Path) -> set[str]:
    """The modules that a plugin has anyway."""
    itself = package.stem if package.is_file() else package.name
    return {itself, *sys.stdlib_module_names, *list_declared_modules(claim.project)}


def _list_module_files(package: Path) -> list[Path]:
    return [package] if package.is_file() else sorted(package.rglob("*.py"))


def _top_module(module: str) -> str:
    return module.partition(":")[0].partition(".")[0]


CORE_DISTRIBUTION = "robotrain-core"


def list_required_modules(distribution: str) -> set[str]:
    """The modules at the top of all that it requires, directly or not, and that core does without."""
    needed = {*_iter_requirements(distribution)} - {*_iter_requirements(CORE_DISTRIBUTION)} - {distribution}
    foreign = {name for name in needed if not _is_ours(name)}
    return {module for name in foreign for module in list_modules(name)} - {
        module for name in _iter_requirements(CORE_DISTRIBUTION) for module in list_modules(name)
    }


def list_declared_modules(distribution: str) -> set[str]:
    """The modules at the top of what it declares that it requires."""
    return {module for name in list_requirements(distribution) for module in list_modules(name)}


def list_requirements(distribution: str) -> list[str]:
    """The names of the distributions that it requires, without those of extras."""
    try:
        needs = metadata.requires(distribution) or []
    except metadata.PackageNotFoundError:
        return []
    wanted = [need for need in needs if not re.search(r";.*\bextra\b", need)]
    return [_normalize_name(re.split(r"[^A-Za-z0-9._-]", need, maxsplit=1)[0]) for need in wanted]


def list_modules(distribution: str) -> set[str]:
    """The modules at the top of an installed distribution; of one that is installed in place those of its wheel."""
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


def _is_ours(distribution: str) -> bool:
    return distribution.startswith("robotrain")


def _normalize_name(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


ISOLATED_PROGRAM = """
import sys
sys.path.insert(0, sys.argv[1])
sys.dont_write_bytecode = True
for name in sys.argv[2:]:
    __import__(name)
files = {name: getattr(module, "__file__", None) or "" for name, module in sys.modules.items()}
ours = {name for name, file in files.items() if file.startswith(sys.argv[1])}
print(*sorted(ours))
print(*sorted(name for name in {*files} - ours if name.partition(".")[0] not in sys.stdlib_module_names | {"__main__"}))
"""


def assert_imports_alone(folder: Path, *modules: str) -> None:
    """That modules, packed as for a job, are imported by a Python that has nothing else."""
    archive = folder / "payload.zip"
    archive.write_bytes(pack_modules(modules).archive)
    command = [sys.executable, "-I", "-S", "-c", ISOLATED_PROGRAM, str(archive), *modules]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, f"what is packed cannot be imported by itself:\n{done.stderr}"
    ours, strange = (line.split() for line in done.stdout.split("\n")[:2])
    assert not strange, f"beside what is packed it imports {', '.join(strange)}"
    assert {*modules} <= {*ours}
