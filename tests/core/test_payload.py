"""The payload: the runtime, the container plugins of a job, and what those need of their own distribution."""

import io
import os
import sys
import zipfile
from pathlib import Path

import pytest
from robotrain.submission import packing
from robotrain.submission.packing import needs_core, pack_modules
from robotrain_runtime import engine


def list_packed(*container_plugins):
    return set(zipfile.ZipFile(io.BytesIO(pack_modules(container_plugins).archive)).namelist())


@pytest.fixture
def acme(tmp_path, monkeypatch):
    """A stranger's distribution: two kinds that share code, one of them with a program and a lock."""
    files = {
        "acme/__init__.py": "",
        "acme/s3/__init__.py": "",
        "acme/s3/kind.py": "from robotrain.model.source import SourceKind\nfrom acme import submit_side\n",
        "acme/s3/container.py": "from acme.shared import reading\nPROGRAM = 'acme.programs.fetch'\n",
        "acme/shared/__init__.py": "",
        "acme/shared/reading.py": "import acme.words\nfrom acme import first, second as other\n",
        "acme/shared/writing.py": "from acme import (\n    third,\n    fourth,\n)\n",
        **{f"acme/{name}.py": "" for name in ("first", "second", "third", "fourth")},
        "acme/shared/locks/data.txt": "x==1\n",
        "acme/words.py": "",
        "acme/programs/__init__.py": "",
        "acme/programs/fetch.py": "",
        "acme/submit_side.py": "",
        "acme/other/__init__.py": "",
        "acme/other/container.py": "",
        "acme/shelf/__init__.py": "",
        "acme/shelf/container.py": 'CARRIER = "robotrain_sources.transfer.container"\nORIGIN = "acme.shelf.origin"\n',
        "acme/shelf/origin.py": "",
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path / "acme"
    for name in [name for name in sys.modules if name.partition(".")[0] == "acme"]:
        del sys.modules[name]


def test_a_plugin_is_packed_with_what_it_names_of_its_distribution(acme):
    packed = list_packed("acme.s3.container")
    assert {"acme/s3/container.py", "acme/shared/reading.py", "acme/shared/locks/data.txt"} <= packed
    assert {"acme/words.py", "acme/programs/fetch.py", "acme/__init__.py"} <= packed
    assert {f"acme/{name}.py" for name in ("first", "second", "third", "fourth")} <= packed


def test_a_plugin_is_packed_with_its_carrier(acme):
    packed = list_packed("acme.shelf.container")
    assert {"acme/shelf/origin.py", "robotrain_sources/transfer/container.py"} <= packed
    assert {"robotrain_sources/fetching/errors.py", "robotrain_runtime/data_environment/locks/data.txt"} <= packed


def test_modules_of_the_submit_side_are_not_packed(acme):
    left_out = {"acme/submit_side.py", "acme/other/container.py", "acme/s3/kind.py"}
    assert not list_packed("acme.s3.container") & left_out


def test_hidden_and_temporary_files_are_not_packed(acme):
    (acme / "s3/.git").mkdir()
    for name in (".env", ".git/config", "container.py~", "#container.py#", "container.pyc"):
        (acme / "s3" / name).write_text("x")
    packed = list_packed("acme.s3.container")
    assert {name for name in packed if name.startswith("acme/s3/")} == {
        f"acme/s3/{name}.py" for name in ("__init__", "container")
    }


def test_the_input_of_a_lock_is_not_packed(acme):
    for name in ("data.in", "other.in"):
        (acme / "shared/locks" / name).write_text("x\n")
    assert {name for name in list_packed("acme.s3.container") if name.startswith("acme/") and "/locks/" in name} == {
        "acme/shared/locks/data.txt",
        "acme/shared/locks/other.in",
    }


def test_links_are_followed_but_not_in_a_circle(acme):
    (acme / "s3/tables").symlink_to(acme / "shared/locks")
    (acme / "s3/again").symlink_to(acme / "s3")
    packed = list_packed("acme.s3.container")
    assert "acme/s3/tables/data.txt" in packed
    assert not [name for name in packed if "again" in name]


def test_a_changed_file_is_packed_anew_whatever_its_time_says(acme):
    half = acme / "s3/container.py"
    for text in ("X = 1111\n", "X = 2222\n"):
        half.write_text(text)
        os.utime(half, (1, 1))
        packed = zipfile.ZipFile(io.BytesIO(pack_modules(["acme.s3.container"]).archive))
        assert packed.read("acme/s3/container.py").decode() == text


@pytest.mark.slow
def test_every_built_in_plugin_can_be_imported_from_its_payload_alone(tmp_path):
    import subprocess

    container_plugins = [
        "robotrain_workloads.lerobot_train.container",
        *(f"robotrain_sources.{kind}.container" for kind in ("local_path", "mlflow")),
        *(f"robotrain_sources.{kind}.fetch" for kind in ("huggingface", "blob_url", "https_file")),
    ]
    data = ["robotrain_workloads.lerobot_versions.v0_6_1:options.json,index.json,network.json,train.txt"]
    for half in container_plugins:
        folder = tmp_path / half
        zipfile.ZipFile(io.BytesIO(pack_modules([half, *data]).archive)).extractall(folder)
        code = f"import sys; sys.path.insert(0, {str(folder)!r}); import {half} as half; print(half.__file__)"
        done = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True)
        assert done.stdout.startswith(str(folder)), done.stderr


def test_of_a_data_package_only_the_named_files_are_packed():
    package = "robotrain_workloads.lerobot_versions.v0_6_1"
    packed = zipfile.ZipFile(io.BytesIO(pack_modules([f"{package}:index.json,train.txt"]).archive)).namelist()
    folder = f"{package.replace('.', '/')}/"
    assert {name.removeprefix(folder) for name in packed if name.startswith(folder)} == {"index.json", "train.txt"}


def test_equal_plugins_are_equal_bytes(acme):
    assert pack_modules(["acme.s3.container"]).digest == pack_modules(["acme.s3.container"]).digest


def test_a_plugin_that_is_not_installed_is_named():
    with pytest.raises(ModuleNotFoundError, match="nowhere"):
        pack_modules(["nowhere.container"])


@pytest.mark.parametrize(
    ("name", "source", "needed"),
    [
        ("a/kind.py", b"import os\nfrom robotrain.errors import Problem\n", True),
        ("a/__init__.py", b"from robotrain.errors import Problem\n", False),
        ("a/kind.py", b"try:\n    import robotrain.errors\nexcept ImportError:\n    pass\n", False),
        ("a/kind.py", b"from robotrain_runtime import plugin\n", False),
    ],
)
def test_modules_that_need_core_are_found(name, source, needed):
    assert needs_core(name, source) is needed


@pytest.fixture
def own_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module of no package, in a cache that is empty."""
    (tmp_path / "digger.py").write_text('"""It digs."""\nDEPTH = 1  # metre\n')
    monkeypatch.syspath_prepend(tmp_path)
    return "digger"


def test_modules_are_packed_unchanged(own_module):
    with zipfile.ZipFile(io.BytesIO(pack_modules([own_module]).archive)) as archive:
        assert archive.read("digger.py") == b'"""It digs."""\nDEPTH = 1  # metre\n'
        assert archive.read("robotrain_runtime/engine.py") == Path(engine.__file__).read_bytes()


def test_a_payload_is_made_once_for_all_processes(own_module, monkeypatch):
    first = pack_modules([own_module])
    packing._make_archive.cache_clear()  # as in another process
    monkeypatch.setattr(packing, "_zip_files", lambda *_: pytest.fail("it is made again"))
    assert pack_modules([own_module]) == first
