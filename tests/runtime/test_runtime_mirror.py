"""Checkpoints copied into a folder that others read, whatever happens meanwhile."""

import errno
import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from robotrain_runtime.checkpoints import atomic_copy
from robotrain_runtime.contract import checkpoint
from robotrain_runtime.contract.failure import Cancelled, PermanentError

NEVER_HALTED = lambda: False  # noqa: E731

PUT = """
import os, resource, signal, sys
from pathlib import Path
from robotrain_runtime.contract import checkpoint
from robotrain_runtime.checkpoints import atomic_copy
folder = Path(sys.argv[1])
die = lambda *arguments: os.kill(os.getpid(), signal.SIGKILL)
{first}
atomic_copy.copy_checkpoint(folder, checkpoint.read_manifest(folder), Path(sys.argv[2]), lambda: False)
"""
WHILE_COPYING = "atomic_copy.os.fsync = die"
BEFORE_IT_IS_CHECKED = "atomic_copy.checkpoint.validate_checkpoint = die"
BEFORE_THE_SWAP = "os.rename = die"
WITHIN_THE_SWAP = """
rename = os.rename
def once(path, target):
    if path.name.endswith(".part"):
        die()
    return rename(path, target)
os.rename = once
"""
DISK_FULL = "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))"


def made(folder: Path, run: str = "pretend-1", content: str = "w") -> Path:
    (folder / "model").mkdir(parents=True, exist_ok=True)
    (folder / "model" / "weights").write_text(content * 100_000)
    (folder / "step").write_text(folder.name)
    checkpoint.seal_checkpoint(folder, step=int(folder.name), run=run, job="j", model="model")
    return folder


def put(folder: Path, to: Path, halted=NEVER_HALTED) -> bool:
    return atomic_copy.copy_checkpoint(folder, checkpoint.read_manifest(folder), to, halted)


def put_in_a_process(folder: Path, to: Path, first: str) -> subprocess.CompletedProcess[str]:
    program = PUT.format(first=first)
    return subprocess.run([sys.executable, "-c", program, str(folder), str(to)], capture_output=True, text=True)


def whole(folder: Path) -> bool:
    return checkpoint.validate_checkpoint(folder) == ""


@pytest.fixture
def original(tmp_path) -> Path:
    return made(tmp_path / "work" / "000020")


@pytest.fixture
def to(tmp_path) -> Path:
    return tmp_path / "mirror"


def test_a_copy_is_whole_and_its_own_and_made_once(original, to):
    (original / "later.tmp").touch()  # not sealed
    assert put(original, to) is True
    before = (to / "000020").stat()
    assert put(original, to) is False
    assert (to / "000020").stat() == before
    assert sorted(os.listdir(to / "000020")) == ["model", "robotrain-checkpoint.json", "step"]
    assert whole(to / "000020")
    assert os.listdir(to) == ["000020"]
    (original / "model" / "weights").write_text("written over in place")
    shutil.rmtree(original)
    assert whole(to / "000020")


def test_h1_20_what_lies_in_the_folder_stays(original, to):
    put(made(original.with_name("000010")), to)
    (to / "notes.txt").write_text("mine")
    (to / "000030").touch()  # a stub, as stores with a hierarchical namespace make them
    (to / "videos").mkdir()
    put(original, to)
    assert sorted(os.listdir(to)) == ["000010", "000020", "000030", "notes.txt", "videos"]
    assert whole(to / "000010")
    assert (to / "notes.txt").read_text() == "mine"


def test_h1_20_a_reader_sees_a_whole_checkpoint_or_none(original, to, tmp_path):
    seen, done = set(), threading.Event()

    def read() -> None:
        while not done.is_set():
            for _, folder in checkpoint.list_checkpoints(to):
                manifest = checkpoint.read_manifest(folder)
                seen.add(manifest is not None and set(manifest.files) <= _files(folder))

    reader = threading.Thread(target=read)
    reader.start()
    for step in range(21, 41):
        put(made(original.with_name(f"{step:06}")), to)
    done.set()
    reader.join()
    assert seen == {True}


@pytest.fixture
def store_of_objects(monkeypatch) -> None:
    """A mounted one, which renames no folder."""

    def refused(path: Path, target: Path) -> None:
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(os, "rename", refused)


def test_where_no_folder_can_be_renamed_a_copy_is_whole_too(original, to, store_of_objects):
    assert put(original, to) is True
    assert whole(to / "000020")
    assert os.listdir(to) == ["000020"]
    assert put(original, to) is False
    made(original, content="n")
    assert put(original, to) is True
    assert whole(to / "000020")


def test_where_no_folder_can_be_renamed_what_is_unfinished_is_no_checkpoint(original, to, store_of_objects):
    asked = iter([False, False, True])  # halts while the first file is written under its name
    with pytest.raises(Cancelled):
        put(original, to, lambda: next(asked, True))
    assert os.listdir(to) == []
    assert put(original, to) is True


def test_what_a_killed_copy_left_under_its_name_is_cleared_away(original, to):
    put_in_a_process(original, to, BEFORE_THE_SWAP)
    (to / "000020" / "model").mkdir(parents=True)
    (to / "000010" / "model").mkdir(parents=True)
    (to / ".000020.another-1.part").mkdir()
    atomic_copy.remove_leftovers(to, "pretend-1")
    assert sorted(os.listdir(to)) == [".000020.another-1.part", "000010"]
    assert put(original, to) is True


def test_h1_20_a_swap_that_fails_leaves_what_was_there(original, to, monkeypatch):
    put(original, to)
    old = checkpoint.read_manifest(original)
    made(original, content="n")
    rename = os.rename

    def refused(path: Path, target: Path) -> None:
        if path.name.endswith(".part"):
            raise OSError(5, "Input/output error")
        rename(path, target)

    monkeypatch.setattr(os, "rename", refused)
    with pytest.raises(OSError, match="Input/output error"):
        put(original, to)
    assert checkpoint.read_manifest(to / "000020") == old
    assert os.listdir(to) == ["000020"]
    assert whole(to / "000020")


def _files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


@pytest.mark.parametrize("point", [WHILE_COPYING, BEFORE_IT_IS_CHECKED, BEFORE_THE_SWAP, WITHIN_THE_SWAP])
def test_a_process_that_is_killed_leaves_nothing_under_the_name(original, to, point):
    assert put_in_a_process(original, to, point).returncode == -signal.SIGKILL
    assert not (to / "000020").exists()
    put(original, to)
    assert whole(to / "000020")
    assert os.listdir(to) == ["000020"]


@pytest.mark.parametrize("point", [WHILE_COPYING, BEFORE_IT_IS_CHECKED, BEFORE_THE_SWAP, WITHIN_THE_SWAP])
def test_one_that_is_killed_while_it_replaces_leaves_the_old_the_new_or_none(original, to, point):
    put(original, to)
    old = checkpoint.read_manifest(original).digest
    made(original, content="n")
    assert put_in_a_process(original, to, point).returncode == -signal.SIGKILL
    if (to / "000020").exists():
        assert whole(to / "000020")
        assert checkpoint.read_manifest(to / "000020").digest == old
    else:
        assert point == WITHIN_THE_SWAP
    put(original, to)
    assert checkpoint.read_manifest(to / "000020").digest == checkpoint.read_manifest(original).digest
    assert os.listdir(to) == ["000020"]


def test_a_full_disk_leaves_no_half_of_it(original, to):
    done = put_in_a_process(original, to, DISK_FULL)
    assert "File too large" in done.stderr
    assert os.listdir(to) == []


def test_the_checkpoint_of_another_run_is_left_alone(original, to):
    put(made(original.parents[1] / "other" / "000020", run="other-1"), to)
    with pytest.raises(PermanentError, match="000020 is of the run other-1"):
        put(original, to)
    assert checkpoint.read_manifest(to / "000020").run == "other-1"


@pytest.mark.parametrize("kind", ["file", "link", "folder"])
def test_something_else_of_that_name_is_left_alone(original, to, kind):
    to.mkdir()
    if kind == "folder":
        (to / "000020").mkdir()
        (to / "000020" / "mine").touch()
    elif kind == "file":
        (to / "000020").touch()
    else:
        (to / "000020").symlink_to("/nowhere")
    with pytest.raises(PermanentError, match="000020 is something else"):
        put(original, to)


def test_an_empty_folder_of_that_name_is_filled(original, to):
    (to / "000020").mkdir(parents=True)
    assert put(original, to) is True
    assert whole(to / "000020")


def test_a_place_that_is_not_there_yet_is_not_made_up(original, tmp_path):
    to = tmp_path / "disk" / "mirror"
    with pytest.raises(FileNotFoundError):
        put(original, to)
    (tmp_path / "disk").mkdir()
    assert put(original, to) is True


def test_a_torn_original_is_not_copied(original, to):
    manifest = checkpoint.read_manifest(original)
    (original / "step").write_text("torn")
    with pytest.raises(PermanentError, match="is not what was saved"):
        atomic_copy.copy_checkpoint(original, manifest, to, NEVER_HALTED)
    (original / "step").unlink()
    with pytest.raises(PermanentError, match="is gone"):
        atomic_copy.copy_checkpoint(original, manifest, to, NEVER_HALTED)
    assert os.listdir(to) == []


def test_a_copy_can_be_broken_off(original, to):
    with pytest.raises(Cancelled):
        put(original, to, halted=lambda: True)
    assert os.listdir(to) == []


def test_the_oldest_of_a_run_go_and_nobody_elses(tmp_path, to):
    for step, run in ((10, "other-1"), (20, "pretend-1"), (40, "pretend-1"), (100, "pretend-1")):
        put(made(tmp_path / run / f"{step:06}", run), to)
    (to / "000001").mkdir()
    assert atomic_copy.trim_checkpoints(to, "pretend-1", 2) == [to / "000020"]
    assert atomic_copy.trim_checkpoints(to, "pretend-1", 2) == []
    assert atomic_copy.trim_checkpoints(to, "pretend-1", 0) == [to / "000040"]  # the last stays, whatever is asked
    assert sorted(os.listdir(to)) == ["000001", "000010", "000100"]
