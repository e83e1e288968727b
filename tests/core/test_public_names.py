"""The public modules: few names, each there, loaded on first use; strangers import only from them."""

import importlib
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest
from robotrain.testing.kit_base import find_private_imports

PUBLIC = ("robotrain", "robotrain.plugin", "robotrain.testing", "robotrain_runtime.plugin")
ROOT = Path(__file__).parents[2]


def test_public_names_are_few_and_each_is_there():
    modules = [importlib.import_module(name) for name in PUBLIC]
    assert len({name for module in modules for name in module.__all__ if not name.startswith("_")}) <= 93
    for module in modules:
        assert dir(module) == sorted(set(module.__all__))
        assert all(getattr(module, name) is not None for name in module.__all__)
    hidden = {one.name for one in pkgutil.iter_modules(modules[0].__path__)} & {*modules[0].__all__}
    assert not hidden, "a module of this name would hide the name"
    with pytest.raises(AttributeError, match=r"robotrain\.plugin"):
        importlib.import_module("robotrain.plugin").nonsense  # noqa: B018


def test_importing_the_public_modules_loads_nothing_else():
    code = f"import sys, {', '.join(PUBLIC)}; print(*(name for name in sys.modules if name.startswith('robotrain')))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert set(loaded) == {*PUBLIC, "robotrain_runtime"}
    heavy = "{'typing', 'pydantic', 'typer', 'pluggy', 'yaml'}"
    code = f"import sys, robotrain; print({heavy} & {{*sys.modules}})"
    assert subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True).stdout == "set()\n"


def test_strangers_and_examples_import_public_names_only():
    strangers = [*(ROOT / "tests").glob("*.py"), *(ROOT / "tests/core").glob("*.py")]
    strangers = [path for path in strangers if path.stem in STRANGERS]
    examples = list((ROOT / "examples/plugins").glob("*/robotrain_*/**/*.py"))
    assert len(strangers) == len(STRANGERS)
    assert [found for path in (*strangers, *examples) for found in find_private_imports(path, None)] == []


STRANGERS = ("mars", "venus", "pluto", "uranus", "saturn", "kit_planet")
