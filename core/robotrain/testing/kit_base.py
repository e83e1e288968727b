"""The base of all kits: what a subclass may define, and what the plugin's modules may import."""

import ast
import dataclasses
import importlib
import importlib.util
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Any, ClassVar

import pytest
from robotrain_runtime.contract.parameter import Parameter, get_parameters

from robotrain.plugins.claims import Claim
from robotrain.plugins.manager import Plugins
from robotrain.redaction import holds_secret
from robotrain.submission.packing import pack_modules
from robotrain.testing.harness import assert_no_problems, assert_none

PUBLIC_PACKAGES = ("robotrain", "robotrain_runtime")
PUBLIC_MODULES = ("robotrain", "robotrain.plugin", "robotrain.testing", "robotrain_runtime.plugin")
"""The modules whose `__all__` holds the names that plugins may import."""
CORE_DISTRIBUTION = "robotrain-core"


class KitBase:
    """The base of all kits: a class of `robotrain.testing` whose `test_…` methods are standard tests.

    A subclass that defines a name of the kit which is not in `yours` is rejected; only a test marked `xfail` with a
    reason may replace a standard test.
    """

    yours: ClassVar[tuple[str, ...]] = ("public_only",)
    """The names of the kit that a subclass may define."""
    public_only: ClassVar[bool | None] = None
    """Whether only public names may be imported; by default, unless robotrain comes with the plugin."""

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if replaced := list(find_replaced_names(cls)):
            raise TypeError("\n".join(replaced))

    def test_imports_only_public_names(self, kit_claim: Claim) -> None:
        """Import only public names of robotrain, and on a platform only what its distribution requires."""
        only = type(self).public_only
        if only is False or (only is None and kit_claim.built_in):
            pytest.skip("it is released together with robotrain")
        top = _top_module(kit_claim.point.value)
        spec = importlib.util.find_spec(top)
        assert spec is not None
        locations = spec.submodule_search_locations
        files = sorted(Path(next(iter(locations))).rglob("*.py")) if locations else [Path(str(spec.origin))]
        declared = {module for name in list_requirements(kit_claim.project) for module in list_modules(name)}
        allowed = {top, *sys.stdlib_module_names, *declared} if kit_claim.family == "platform" else None
        assert_no_problems(one for path in files for one in find_private_imports(path, allowed))


def find_replaced_names(subclass: type[KitBase]) -> Iterator[str]:
    """Yield a sentence for each name of the kit that a subclass, or another base of it, must not define."""
    kits = [base for base in subclass.__mro__ if f"{base.__module__}.".startswith("robotrain.testing.")]
    yours = tuple(name for kit in kits for name in vars(kit).get("yours", ()))
    for name in dict.fromkeys(name for kit in kits for name in vars(kit) if not name.startswith("__")):
        owner = next(base for base in subclass.__mro__ if name in vars(base))
        if owner in kits or name in yours:
            continue
        if not name.startswith("test_"):
            yield f"{owner.__name__}.{name} takes the place of the kit's own; yours to define: {', '.join(yours)}."
        elif not any(mark.name == "xfail" and mark.kwargs.get("reason") for mark in _list_marks(vars(owner)[name])):
            remedy = "mark your test @pytest.mark.xfail(reason=…), with the reason"
            yield f"{owner.__name__}.{name} takes the place of a standard test: leave it, or {remedy}."


def _list_marks(test: object) -> list[pytest.Mark]:
    return list(getattr(test, "pytestmark", ()))


def find_claim(family: str, name: str) -> Claim:
    """Return the claim of that name; skip the test if there is none."""
    found = [claim for claim in Plugins().claims if (claim.family, claim.name) == (family, name)]
    return found[0] if found else pytest.skip("it has no claim of its own: the kit of its platform tests this")


def find_private_imports(path: Path, allowed: set[str] | None) -> Iterator[str]:
    """Yield the imports of a module that are not public; `allowed` are the other top-level modules, None for all."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    used = {(ast.unparse(node.value), node.attr) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imported = [(alias.name, "", alias.asname or alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            imported = [(node.module or "", alias.name, alias.asname or alias.name) for alias in node.names]
        else:
            continue
        for module, name, local_name in imported:
            top = _top_module(module)
            if top in PUBLIC_PACKAGES or (allowed is not None and top not in allowed):
                attributes = {attribute for owner, attribute in used if owner == local_name}
                yield from (f"{path.name}:{node.lineno}: {one}" for one in _list_private(module, name, attributes))


def _list_private(module: str, name: str, attributes: set[str]) -> list[str]:
    """Return what is private of an import: itself, or the private attributes used of a public module."""
    full_name = f"{module}.{name}" if name else module
    if name in list_public_names(module):
        return []
    if full_name not in PUBLIC_MODULES:
        return [f"{module} import {name}" if name else module]
    submodules = {public.removeprefix(f"{full_name}.") for public in PUBLIC_MODULES}
    return [f"{full_name}.{one}" for one in sorted(attributes - {*list_public_names(full_name)} - submodules)]


def list_public_names(module: str) -> tuple[str, ...]:
    """Return the names that plugins may import from a module; none of a private one."""
    return tuple(importlib.import_module(module).__all__) if module in PUBLIC_MODULES else ()


def _top_module(module: str) -> str:
    return module.partition(":")[0].partition(".")[0]


def list_required_modules(distribution: str) -> set[str]:
    """Return the top-level modules of all that a distribution requires, directly or not, and core does not."""
    core = _list_all_requirements(CORE_DISTRIBUTION)
    needed = _list_all_requirements(distribution) - core - {distribution}
    foreign = {module for name in needed if not name.startswith("robotrain") for module in list_modules(name)}
    return foreign - {module for name in core for module in list_modules(name)}


def _list_all_requirements(distribution: str) -> set[str]:
    found = [distribution]
    for name in found:
        found += [need for need in list_requirements(name) if need not in found]
    return {*found}


def list_requirements(distribution: str) -> list[str]:
    """Return the names of the distributions that it requires, without those of extras."""
    try:
        needs = metadata.requires(distribution) or []
    except metadata.PackageNotFoundError:
        return []
    names = [re.split(r"[^A-Za-z0-9._-]", need)[0] for need in needs if not re.search(r";.*\bextra\b", need)]
    return [re.sub(r"[-_.]+", "-", name).lower() for name in names]


def list_modules(distribution: str) -> set[str]:
    """Return the top-level modules of a distribution; if they are not listed, its name."""
    try:
        files = metadata.files(distribution) or []
    except metadata.PackageNotFoundError:
        files = []
    listed = {path.parts[0].partition(".")[0] for path in files if path.suffix == ".py"}
    return {name for name in listed if name.isidentifier()} or {distribution.replace("-", "_")}


FLAG_PATTERN = r"--[a-z0-9]+(?:-[a-z0-9]+)*"
SECRET_NAME_PATTERN = (
    r"(?<![a-z])(token|secret|password|passwd|passphrase|signature|credential|sas)s?(?![a-z])|(?<![a-z])keys?$"
)
SECRET_REFERENCE_PATTERN = r"_(file|name|id|credential)$|^(credential|file|name)_"
"""Names of parameters that name where a secret is."""


def assert_well_declared(declared: type) -> None:
    """Fail unless it is a frozen dataclass of parameters, each with a help, and none is a secret: plans store them."""
    assert dataclasses.is_dataclass(declared), "it is not a dataclass"
    assert vars(declared)["__dataclass_params__"].frozen, "it is not frozen: a job never changes"
    parameters = get_parameters(declared)
    bare = {field.name for field in dataclasses.fields(declared)} - {one.name for one in parameters}
    assert_none(sorted(bare), "parameters without a Param; write Annotated[TYPE, Param(help=…)]")
    assert_no_problems(_find_declaration_problems(parameters))


def _find_declaration_problems(parameters: Iterable[Parameter]) -> Iterator[str]:
    for one in parameters:
        if not one.param.help.strip():
            yield f"{one.name} has no help text"
        if not re.fullmatch(FLAG_PATTERN, one.flag):
            yield f"{one.flag} is not a long option, such as --batch-size"
        is_secret = one.bare_type is str and re.search(SECRET_NAME_PATTERN, one.name.lower())
        if is_secret and not re.search(SECRET_REFERENCE_PATTERN, one.name):
            yield f"{one.name} asks for a secret, which plans would store; ask for the name of what holds it"
        if holds_secret(str(one.default)):
            yield f"the default of {one.name} holds a secret"


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
