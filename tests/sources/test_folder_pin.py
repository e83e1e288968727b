"""A local folder is pinned by what it holds: every change of its content is noticed, and nothing else is."""

import os
import random
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from problem_assertions import check_refusals
from robotrain_runtime.contract import checkpoint
from robotrain_runtime.contract.container_plugin import ContainerContext
from robotrain_runtime.contract.document import JobSource, RoleName
from robotrain_sources.local_path import byte_progress, container, folder_content
from robotrain_sources.local_path import pin as local_path_pin
from robotrain_sources.local_path.kind import KIND

MIB = 1 << 20
LARGE = random.Random(0).randbytes(5 * MIB)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A dataset in small: two small files, one empty, one of several MiB."""
    folder = tmp_path / "dataset"
    (folder / "meta").mkdir(parents=True)
    (folder / "data").mkdir()
    (folder / "meta/info.json").write_text('{"fps": 10}')
    (folder / "meta/tasks.txt").touch()
    (folder / "data/file.parquet").write_bytes(LARGE)
    return folder


def resolve_pin(folder: Path, role: RoleName = "dataset") -> str:
    assert KIND.pinning is not None
    return KIND.pinning.resolve(KIND.parse(str(folder), Path("/")), role)


def find_missing(folder: Path, *paths: str) -> list[str]:
    assert KIND.pinning is not None
    return list(KIND.pinning.find_missing(KIND.parse(str(folder), Path("/")), "dataset", paths))


def explain_lost_pin(folder: Path, pin: str, role: RoleName = "dataset") -> str:
    assert KIND.pinning is not None
    return KIND.pinning.explain_lost_pin(KIND.parse(str(folder), Path("/")), role, pin)


def run_container_preflight(folder: Path, pin: str, role: RoleName = "dataset") -> list[str]:
    source = JobSource(role=role, kind="local_path", uri=str(folder), pin=pin)
    return list(container.preflight(source, ContainerContext(cache=folder / "no-such-cache")))


def flip_byte(path: Path, at: int) -> None:
    with path.open("r+b") as file:
        file.seek(at, os.SEEK_SET if at >= 0 else os.SEEK_END)
        before = file.read(1)
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([before[0] ^ 1]))


def test_what_a_folder_does_not_hold_is_told_where_it_lies_on_this_machine(folder):
    assert find_missing(folder, "meta/info.json", "meta/stats.json") == ["meta/stats.json"]
    assert find_missing(folder.parent / "elsewhere", "meta/info.json") == []


CHANGES: dict[str, Callable[[Path], object]] = {
    "a word of a small file": lambda folder: (folder / "meta/info.json").write_text('{"fps": 11}'),
    "the first byte of a large file": lambda folder: flip_byte(folder / "data/file.parquet", 0),
    "the last byte of a large file": lambda folder: flip_byte(folder / "data/file.parquet", -1),
    "the end of the first MiB": lambda folder: flip_byte(folder / "data/file.parquet", MIB - 1),
    "the beginning of the last MiB": lambda folder: flip_byte(folder / "data/file.parquet", -MIB),
    "the size of a large file": lambda folder: os.truncate(folder / "data/file.parquet", 4 * MIB),
    "a file more": lambda folder: (folder / "data/more.parquet").touch(),
    "a file less": lambda folder: (folder / "meta/tasks.txt").unlink(),
    "another name": lambda folder: (folder / "meta/tasks.txt").rename(folder / "meta/task.txt"),
    "another folder": lambda folder: (folder / "meta").rename(folder / "metadata"),
    "a file whose name is no text": lambda folder: open(os.fsencode(folder) + b"/\xff\n", "wb").close(),
    "a link more": lambda folder: (folder / "data/link").symlink_to("file.parquet"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_change_is_noticed(folder, change):
    pin = resolve_pin(folder)
    assert run_container_preflight(folder, pin) == []
    assert explain_lost_pin(folder, pin) == ""
    change(folder)
    assert resolve_pin(folder) != pin
    (result,) = run_container_preflight(folder, pin)
    assert result == explain_lost_pin(folder, pin)
    with pytest.raises(OSError) as refused:
        container.fetch(
            JobSource(role="dataset", kind="local_path", uri=str(folder), pin=pin), ContainerContext(cache=folder)
        )
    check_refusals(refused.value, "os-error")


NO_CHANGES: dict[str, Callable[[Path], object]] = {
    "nothing": lambda folder: None,
    "times": lambda folder: os.utime(folder / "meta/info.json", (0, 0)),
    "rights": lambda folder: (folder / "meta/info.json").chmod(0o444),
    "an empty folder": lambda folder: (folder / "videos").mkdir(),
    "what the Hub's library notes": lambda folder: write_file(
        folder / ".cache/huggingface/download/info.json.metadata"
    ),
    "a hidden file": lambda folder: (folder / ".env").write_text("TOKEN=x"),
    "a repository": lambda folder: write_file(folder / ".git/config"),
    "a link in a hidden folder": lambda folder: make_link(folder / "data/.venv"),
    "what Python notes": lambda folder: write_file(folder / "data/__pycache__/x.pyc"),
    "a seal": lambda folder: checkpoint.seal_checkpoint(folder, step=1, run="r", job="j"),
}


def write_file(path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.write_text(str(path))


def make_link(path: Path) -> None:
    path.mkdir()
    (path / "lib64").symlink_to("lib")


@pytest.mark.parametrize("change", NO_CHANGES.values(), ids=NO_CHANGES)
def test_what_is_no_content_does_not_count(folder, change):
    pin = resolve_pin(folder)
    change(folder)
    assert resolve_pin(folder) == pin


def test_the_middle_of_a_large_file_counts_where_a_job_is_sent(folder):
    """In the container, where a GPU waits, a look at both its ends is enough."""
    pin = resolve_pin(folder)
    flip_byte(folder / "data/file.parquet", 2 * MIB)
    assert resolve_pin(folder) != pin
    assert "changed since it was pinned" in explain_lost_pin(folder, pin)
    assert run_container_preflight(folder, pin) == []


@pytest.fixture
def files_read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that are read whole, on a machine where everything was written long ago."""
    monkeypatch.setattr(local_path_pin, "MIN_CACHED_BYTES", 0)
    monkeypatch.setattr(local_path_pin, "SETTLED_SECONDS", -10)
    names, whole = [], local_path_pin._FolderReader._digest_file

    def counted(self: local_path_pin._FolderReader, path: str, stopped: threading.Event) -> tuple[str, str]:
        names.append(Path(path).name)
        return whole(self, path, stopped)

    monkeypatch.setattr(local_path_pin._FolderReader, "_digest_file", counted)
    return names


def test_what_was_read_is_read_again_only_when_somebody_wrote_to_it(folder, files_read):
    pin = resolve_pin(folder)
    assert sorted(files_read) == ["file.parquet", "info.json", "tasks.txt"]
    files_read.clear()
    assert resolve_pin(folder) == pin
    assert explain_lost_pin(folder, pin) == ""
    assert files_read == []
    before = (folder / "data/file.parquet").stat()
    flip_byte(folder / "data/file.parquet", 2 * MIB)
    os.utime(folder / "data/file.parquet", ns=(before.st_atime_ns, before.st_mtime_ns))
    assert resolve_pin(folder) != pin
    assert files_read == ["file.parquet"]


def test_what_was_written_a_moment_ago_is_read_again(folder, files_read, monkeypatch):
    monkeypatch.setattr(local_path_pin, "SETTLED_SECONDS", 1000)
    assert resolve_pin(folder) == resolve_pin(folder)
    assert len(files_read) == 6


@pytest.mark.parametrize("left", [b"", b"[]", b'{"a": 1}', b'{"a": ["b"]}', b"\xff"])
def test_what_was_kept_and_is_damaged_is_made_again(folder, files_read, left):
    pin = resolve_pin(folder)
    (place,) = (folder.parent / "cache/digests").iterdir()
    place.write_bytes(left)
    assert resolve_pin(folder) == pin
    assert len(local_path_pin.load_file_digests(folder)) == 3


def test_ctrl_c_ends_reading_and_what_was_read_stays(folder, files_read, monkeypatch):
    ends = folder_content.digest_file_ends

    def pressed(path: str, end: int) -> str:
        if path.endswith("file.parquet"):
            raise KeyboardInterrupt
        return ends(path, end)

    (folder / "data").rename(folder / "videos")  # comes last
    with monkeypatch.context() as only:
        only.setattr(folder_content, "digest_file_ends", pressed)
        only.setattr(local_path_pin, "PARALLEL_FILES", 1)
        with pytest.raises(KeyboardInterrupt):
            resolve_pin(folder)
    files_read.clear()
    resolve_pin(folder)
    assert files_read == ["file.parquet"]


def test_reading_that_takes_a_while_is_told(folder, monkeypatch, capsys):
    monkeypatch.setattr(byte_progress, "LINE_SECONDS", 0)
    resolve_pin(folder)
    first, second, *_ = capsys.readouterr().err.splitlines()
    assert first.startswith(f"reading all of {folder}: ")
    assert second.endswith(" of 5.2 MB")


def test_a_copy_and_a_link_to_the_folder_have_its_pin(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "elsewhere/copy")
    (tmp_path / "link").symlink_to(folder)
    assert resolve_pin(tmp_path / "elsewhere/copy") == resolve_pin(tmp_path / "link") == resolve_pin(folder)


def test_equal_files_in_any_order_of_writing_are_equal(tmp_path):
    names = [f"{number:02d}" for number in range(40)]
    for folder, order in (("a", names), ("b", names[::-1])):
        (tmp_path / folder).mkdir()
        for name in order:
            (tmp_path / folder / name).write_text(name)
    assert resolve_pin(tmp_path / "a") == resolve_pin(tmp_path / "b")


def test_of_very_many_files_less_of_each_is_looked_at(tmp_path, monkeypatch):
    monkeypatch.setattr(folder_content, "MAX_FOLDER_BYTES", 64)
    monkeypatch.setattr(folder_content, "MIN_FILE_BYTES", 8)
    for number in range(8):
        (tmp_path / f"{number}").write_bytes(bytes(100))
    pin = resolve_pin(tmp_path)
    flip_byte(tmp_path / "0", 50)
    assert run_container_preflight(tmp_path, pin) == []
    flip_byte(tmp_path / "0", 99)
    assert len(run_container_preflight(tmp_path, pin)) == 1


def test_a_link_is_not_followed(folder, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "large").touch()
    (folder / "out").symlink_to(outside)
    (folder / "round").symlink_to(".")
    (folder / "broken").symlink_to("nowhere")
    pin = resolve_pin(folder)
    (outside / "large").write_text("changed")
    assert resolve_pin(folder) == pin
    (folder / "out").unlink()
    (folder / "out").symlink_to(tmp_path)
    assert resolve_pin(folder) != pin


def test_what_lies_on_another_machine_is_not_pinned_here(tmp_path):
    assert resolve_pin(tmp_path / "elsewhere") == ""
    assert resolve_pin(tmp_path / "elsewhere", "policy") == ""


def test_a_folder_that_is_gone_is_a_sentence(folder):
    pin = resolve_pin(folder)
    shutil.rmtree(folder)
    for role in ("dataset", "policy"):
        assert str(folder) in explain_lost_pin(folder, pin, role)


def test_the_pin_of_another_robotrain_tells_nothing(folder):
    long, short = "a" * 64, "b" * 32
    earlier = ("folder2:abc", "folder:abc:1:2", f"folder:{long}:3:5", f"folder:{long}:x:2", "0123456789abcdef")
    for pin in (*earlier, f"folder:{long}:{short}:x:2", f"folder:{short}:{long}:1:2"):
        assert run_container_preflight(folder, pin) == []
        assert explain_lost_pin(folder, pin) == ""


def test_a_file_that_cannot_be_read_is_named(folder):
    (folder / "meta/info.json").chmod(0)
    for parent in folder.parents:
        if "pytest-of-" in str(parent):  # what pytest made; not the temporary folder of all
            parent.chmod(0o755)
    code = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "from robotrain.model.source import SourceError\n"
        "from robotrain_runtime.contract.document import JobSource\n"
        "from robotrain_runtime.contract.container_plugin import ContainerContext\n"
        "from robotrain_sources.local_path import container, pin as folder_pin\n"
        "from robotrain_sources.local_path.kind import LocalFolder\n"
        "if os.geteuid() == 0: os.setuid(65534)\n"
        "try: folder_pin.resolve_pin(LocalFolder(sys.argv[1]), 'dataset')\n"
        "except SourceError as refused: print(refused.why)\n"
        "pin = 'folder:' + 64 * 'a' + ':' + 32 * 'b' + ':1:1'\n"
        "source = JobSource(role='dataset', kind='local_path', uri=sys.argv[1], pin=pin)\n"
        "print(*container.preflight(source, ContainerContext(cache=Path())))"
    )
    completed = subprocess.run([sys.executable, "-c", code, str(folder)], capture_output=True, text=True, check=True)
    assert completed.stdout.splitlines() == [f"{folder}/meta/info.json cannot be read: Permission denied."] * 2


def test_what_was_uploaded_is_to_be_what_was_pinned(folder, tmp_path):
    pin = resolve_pin(folder)
    copy = tmp_path / "brought"
    shutil.copytree(folder, copy)
    source = JobSource(role="dataset", kind="local_path", uri=str(copy), pin=pin)
    place = ContainerContext(cache=tmp_path / "no-such-cache")
    assert list(container.mounted(source, place)) == []
    (copy / "meta/tasks.txt").unlink()
    (result,) = container.mounted(source, place)
    assert result == "The uploaded copy is not what was pinned."
