"""What acts in the container: packed with the job, and at home where there is nothing but a Python."""

import importlib
import subprocess
import sys
from pathlib import Path

import pytest
from robotrain_runtime.half import Environment, Place
from robotrain_runtime.target import Look

from robotrain.payload import pack
from robotrain.source import SourceKind
from robotrain.testing.source.base import BASE, OfKind
from robotrain.testing.still import still

ALONE = """
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


class Packed(OfKind):
    """Of the modules that the declaration names."""

    def test_what_is_packed_needs_the_standard_library_alone(self, declared: SourceKind, tmp_path: Path) -> None:
        """The image is a stranger's: a half imports the standard library, robotrain_runtime and what lies beside it."""
        modules = [module for module in (declared.half, declared.target) if module]
        if not modules:
            pytest.skip("nothing of it acts in the container")
        imports_alone(tmp_path, *modules)

    def test_its_half_has_what_the_runtime_calls(self, declared: SourceKind) -> None:
        """A half brings its sources itself, or names the carrier that does."""
        if not declared.half:
            pytest.skip("nothing of it acts in the container")
        half = importlib.import_module(declared.half)
        if carrier := getattr(half, "CARRIER", ""):
            assert callable(getattr(importlib.import_module(carrier), "deliver", None)), f"{carrier} delivers nothing"
        else:
            assert callable(getattr(half, "preflight", None)), "it has no `preflight`"
            assert callable(getattr(half, "fetch", None)), "it has no `fetch`"

    def test_its_target_has_what_the_runtime_calls(self, declared: SourceKind) -> None:
        """A place to write to: `normal`, `look` and `open`, and the ENVIRONMENT to work in. Every address of a job is
        shown to `normal`; `look` asks nobody while there is no Python.
        """
        if not declared.target:
            pytest.skip("it is no place to write to")
        target = importlib.import_module(declared.target)
        assert isinstance(getattr(target, "ENVIRONMENT", None), Environment), "it has no `ENVIRONMENT`"
        assert callable(getattr(target, "open", None)), "it has no `open`"
        with still():
            assert target.normal("elsewhere://of/another/kind") == ""
            address = target.normal(declared.example)
            assert target.normal(address) == address != ""
            assert target.look(address, Place(cache=BASE)) == Look()


def imports_alone(folder: Path, *modules: str) -> None:
    """That modules, packed as for a job, are imported by a Python that has nothing else."""
    archive = folder / "payload.zip"
    archive.write_bytes(pack(modules).archive)
    command = [sys.executable, "-I", "-S", "-c", ALONE, str(archive), *modules]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, f"what is packed cannot be imported by itself:\n{done.stderr}"
    ours, strange = (line.split() for line in done.stdout.split("\n")[:2])
    assert not strange, f"beside what is packed it imports {', '.join(strange)}"
    assert {*modules} <= {*ours}
