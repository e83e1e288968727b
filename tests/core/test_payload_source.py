"""The source text of a payload: the modules as they are, without those that need core."""

import io
import sys
import types
import zipfile
from pathlib import Path

import pytest
from robotrain.submission import packing
from robotrain.submission.packing import needs_core
from robotrain_runtime import engine


@pytest.mark.parametrize(
    ("name", "source", "needed"),
    [
        ("a/kind.py", b"import os\nfrom robotrain.errors import Problem\n", True),
        ("a/__init__.py", b"from robotrain.errors import Problem\n", False),
        ("a/kind.py", b"try:\n    import robotrain.errors\nexcept ImportError:\n    pass\n", False),
        ("a/kind.py", b"from robotrain_runtime import plugin\n", False),
    ],
)
def test_modules_that_need_core_are_known(name, source, needed):
    assert needs_core(name, source) is needed


@pytest.fixture
def digger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module beside a plugin file, in a cache that is empty."""
    plugin = types.ModuleType(packing.PLUGIN_FILE_MODULE)
    plugin.__file__ = str(tmp_path / "robotrain_plugin.py")
    (tmp_path / "digger.py").write_text('"""It digs."""\nDEPTH = 1  # metre\n')
    monkeypatch.setitem(sys.modules, packing.PLUGIN_FILE_MODULE, plugin)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("ROBOTRAIN_CACHE", str(tmp_path / "cache"))
    return "digger"


def test_modules_travel_as_they_are(digger):
    with zipfile.ZipFile(io.BytesIO(packing.pack_modules([digger]).archive)) as archive:
        assert archive.read("digger.py") == b'"""It digs."""\nDEPTH = 1  # metre\n'
        assert archive.read("robotrain_runtime/engine.py") == Path(engine.__file__).read_bytes()


def test_a_payload_is_made_once_for_all_processes(digger, monkeypatch):
    first = packing.pack_modules([digger])
    packing._make_archive.cache_clear()  # as in another process
    monkeypatch.setattr(packing, "_zip_files", lambda *_: pytest.fail("it is made again"))
    assert packing.pack_modules([digger]) == first
