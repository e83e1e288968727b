"""The source text of a payload: the same program on the same lines, without text for readers."""

import ast
import io
import sys
import types
import zipfile
from pathlib import Path

import pytest
import robotrain_runtime
import robotrain_sources
from robotrain.submission import packing
from robotrain.submission.packing import needs_core, strip_source

SOURCE = '''\
#!/usr/bin/env python3
"""What it is."""
import os  # why


class Thing:
    """A thing
    of two lines."""

    size: int = 1
    """Its size."""
    text = "# no comment"  # a comment: "é"

    def nothing(self):
        """Do nothing."""

    def text_of(self, é="é"):  # é
        """Return the text."""
        # twice
        return f"""
# {é!r} no comment
""" + '#'  # "


"one"; two = 2  # not alone
'''
STRIPPED = """\
#!/usr/bin/env python3

import os


class Thing:



    size: int = 1

    text = "# no comment"

    def nothing(self):
        ...

    def text_of(self, é="é"):


        return f\"\"\"
# {é!r} no comment
\"\"\" + '#'


"one"; two = 2
"""


def test_comments_and_docstrings_go_and_lines_stay() -> None:
    assert strip_source(SOURCE.encode()).decode() == STRIPPED


@pytest.mark.parametrize(
    "source",
    [
        '"""Usage: it."""\nimport argparse\nargparse.ArgumentParser(description=__doc__)  # x\n',
        "def scripted(x):\n    # type: (Tensor) -> Tensor\n    return x\n",
        "print 'an old Python'  # x\n",
        "# x \xe9\n",
    ],
)
def test_a_module_that_reads_its_own_text_or_cannot_be_read_stays_as_it_is(source: str) -> None:
    content = source.encode("latin-1")
    assert strip_source(content) == content


def test_what_travels_is_the_program_that_is_installed() -> None:
    checked = 0
    for package in (robotrain_runtime, robotrain_sources):
        for path in Path(str(package.__file__)).parent.rglob("*.py"):
            stripped = strip_source(path.read_bytes())
            assert _code(stripped) == _code(path.read_bytes()), path
            checked += stripped != path.read_bytes()
    assert checked > 50


def _code(content: bytes) -> list[tuple[str, int]]:
    """The statements, each with its line, but for strings that stand alone and the `...` that stands for one."""
    statements = (node for node in ast.walk(ast.parse(content)) if isinstance(node, ast.stmt))
    return sorted(
        (ast.dump(node) if isinstance(node, ast.Assign | ast.Return) else type(node).__name__, node.lineno)
        for node in statements
        if not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
    )


@pytest.mark.parametrize(
    ("name", "source", "needed"),
    [
        ("a/kind.py", b"import os\nfrom robotrain.errors import Problem\n", True),
        ("a/__init__.py", b"from robotrain.errors import Problem\n", False),
        ("a/kind.py", b"try:\n    import robotrain.errors\nexcept ImportError:\n    pass\n", False),
        ("a/kind.py", b"from robotrain_runtime import plugin\n", False),
    ],
)
def test_modules_that_need_core_are_known(name: str, source: bytes, needed: bool) -> None:
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


def test_installed_modules_travel_stripped_and_those_of_a_plugin_file_as_they_are(digger: str) -> None:
    with zipfile.ZipFile(io.BytesIO(packing.pack_modules([digger]).archive)) as archive:
        assert archive.read("digger.py") == b'"""It digs."""\nDEPTH = 1  # metre\n'
        assert archive.read("robotrain_runtime/__init__.py").strip() == b""


def test_a_payload_is_made_once_for_all_processes(digger: str, monkeypatch: pytest.MonkeyPatch) -> None:
    first = packing.pack_modules([digger])
    packing._make_archive.cache_clear()  # as in another process
    monkeypatch.setattr(packing, "_zip_files", lambda *_: pytest.fail("it is made again"))
    assert packing.pack_modules([digger]) == first
