"""Checkpoints and results copied into a folder that others read: complete, or without a seal."""

import errno
import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from problem_assertions import check_refusals
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


def make_checkpoint(folder: Path, run: str = "pretend-1", content: str = "w") -> Path:
    (folder / "model").mkdir(parents=True, exist_ok=True)
    (folder / "model" / "weights").write_text(content * 100_000)
    (folder / "step").write_text(folder.name)
    checkpoint.seal_checkpoint(folder, step=int(folder.name), run=run, job="j", model="model")
    return folder


def mirror_checkpoint(folder: Path, to: Path, halted=NEVER_HALTED) -> bool:
    return atomic_copy.copy_checkpoint(folder, checkpoint.read_manifest(folder), to, halted)


def mirror_in_a_process(folder: Path, to: Path, first: str) -> subprocess.CompletedProcess[str]:
    program = PUT.format(first=first)
    return subprocess.run([sys.executable, "-c", program, str(folder), str(to)], capture_output=True, text=True)


def is_complete(folder: Path) -> bool:
    return checkpoint.validate_checkpoint(folder) == ""


@pytest.fixture
def original(tmp_path) -> Path:
    return make_checkpoint(tmp_path / "work" / "000020")


@pytest.fixture
def mirror_folder(tmp_path) -> Path:
    return tmp_path / "mirror"


def test_a_copy_is_whole_and_its_own_and_made_once(original, mirror_folder):
    (original / "later.tmp").touch()  # not sealed
    assert mirror_checkpoint(original, mirror_folder) is True
    before = (mirror_folder / "000020").stat()
    assert mirror_checkpoint(original, mirror_folder) is False
    assert (mirror_folder / "000020").stat() == before
    assert sorted(os.listdir(mirror_folder / "000020")) == ["model", "robotrain-checkpoint.json", "step"]
    assert is_complete(mirror_folder / "000020")
    assert os.listdir(mirror_folder) == ["000020"]
    (original / "model" / "weights").write_text("written over in place")
    shutil.rmtree(original)
    assert is_complete(mirror_folder / "000020")


def test_h1_20_what_lies_in_the_folder_stays(original, mirror_folder):
    mirror_checkpoint(make_checkpoint(original.with_name("000010")), mirror_folder)
    (mirror_folder / "notes.txt").write_text("mine")
    (mirror_folder / "000030").touch()  # a stub, as stores with a hierarchical namespace make them
    (mirror_folder / "videos").mkdir()
    mirror_checkpoint(original, mirror_folder)
    assert sorted(os.listdir(mirror_folder)) == ["000010", "000020", "000030", "notes.txt", "videos"]
    assert is_complete(mirror_folder / "000010")
    assert (mirror_folder / "notes.txt").read_text() == "mine"


def test_h1_20_a_reader_sees_a_whole_checkpoint_or_none(original, mirror_folder, tmp_path):
    seen, done = set(), threading.Event()

    def read() -> None:
        while not done.is_set():
            for _, folder in checkpoint.list_checkpoints(mirror_folder):
                manifest = checkpoint.read_manifest(folder)
                seen.add(manifest is not None and set(manifest.files) <= _files(folder))

    reader = threading.Thread(target=read)
    reader.start()
    for step in range(21, 41):
        mirror_checkpoint(make_checkpoint(original.with_name(f"{step:06}")), mirror_folder)
    done.set()
    reader.join()
    assert seen == {True}


@pytest.fixture
def store_of_objects(monkeypatch) -> None:
    """A mounted one, which renames no folder."""

    def refused(path: Path, target: Path) -> None:
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(os, "rename", refused)


def test_where_no_folder_can_be_renamed_a_copy_is_whole_too(original, mirror_folder, store_of_objects):
    assert mirror_checkpoint(original, mirror_folder) is True
    assert is_complete(mirror_folder / "000020")
    assert os.listdir(mirror_folder) == ["000020"]
    assert mirror_checkpoint(original, mirror_folder) is False
    make_checkpoint(original, content="n")
    assert mirror_checkpoint(original, mirror_folder) is True
    assert is_complete(mirror_folder / "000020")


def test_where_no_folder_can_be_renamed_what_is_unfinished_is_no_checkpoint(original, mirror_folder, store_of_objects):
    answers = iter([False, False, True])  # halts while the first file is written under its name
    with pytest.raises(Cancelled):
        mirror_checkpoint(original, mirror_folder, lambda: next(answers, True))
    assert os.listdir(mirror_folder) == []
    assert mirror_checkpoint(original, mirror_folder) is True


def test_what_a_killed_copy_left_under_its_name_is_cleared_away(original, mirror_folder):
    mirror_in_a_process(original, mirror_folder, BEFORE_THE_SWAP)
    (mirror_folder / "000020" / "model").mkdir(parents=True)
    (mirror_folder / "000010" / "model").mkdir(parents=True)
    (mirror_folder / ".000020.another-1.part").mkdir()
    atomic_copy.remove_leftovers(mirror_folder, "pretend-1")
    assert sorted(os.listdir(mirror_folder)) == [".000020.another-1.part", "000010"]
    assert mirror_checkpoint(original, mirror_folder) is True


def test_h1_20_a_swap_that_fails_leaves_what_was_there(original, mirror_folder, monkeypatch):
    mirror_checkpoint(original, mirror_folder)
    old = checkpoint.read_manifest(original)
    make_checkpoint(original, content="n")
    rename = os.rename

    def refused(path: Path, target: Path) -> None:
        if path.name.endswith(".part"):
            raise OSError(5, "Input/output error")
        rename(path, target)

    monkeypatch.setattr(os, "rename", refused)
    with pytest.raises(OSError) as refused:
        mirror_checkpoint(original, mirror_folder)
    check_refusals(refused.value, "os-error")
    assert checkpoint.read_manifest(mirror_folder / "000020") == old
    assert os.listdir(mirror_folder) == ["000020"]
    assert is_complete(mirror_folder / "000020")


def _files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


@pytest.mark.parametrize("point", [WHILE_COPYING, BEFORE_IT_IS_CHECKED, BEFORE_THE_SWAP, WITHIN_THE_SWAP])
def test_a_process_that_is_killed_leaves_nothing_under_the_name(original, mirror_folder, point):
    assert mirror_in_a_process(original, mirror_folder, point).returncode == -signal.SIGKILL
    assert not (mirror_folder / "000020").exists()
    mirror_checkpoint(original, mirror_folder)
    assert is_complete(mirror_folder / "000020")
    assert os.listdir(mirror_folder) == ["000020"]


@pytest.mark.parametrize("point", [WHILE_COPYING, BEFORE_IT_IS_CHECKED, BEFORE_THE_SWAP, WITHIN_THE_SWAP])
def test_one_that_is_killed_while_it_replaces_leaves_the_old_the_new_or_none(original, mirror_folder, point):
    mirror_checkpoint(original, mirror_folder)
    old = checkpoint.read_manifest(original).digest
    make_checkpoint(original, content="n")
    assert mirror_in_a_process(original, mirror_folder, point).returncode == -signal.SIGKILL
    if (mirror_folder / "000020").exists():
        assert is_complete(mirror_folder / "000020")
        assert checkpoint.read_manifest(mirror_folder / "000020").digest == old
    else:
        assert point == WITHIN_THE_SWAP
    mirror_checkpoint(original, mirror_folder)
    assert checkpoint.read_manifest(mirror_folder / "000020").digest == checkpoint.read_manifest(original).digest
    assert os.listdir(mirror_folder) == ["000020"]


def test_a_full_disk_leaves_no_partial_copy(original, mirror_folder):
    done = mirror_in_a_process(original, mirror_folder, DISK_FULL)
    assert "File too large" in done.stderr
    assert os.listdir(mirror_folder) == []


def test_the_checkpoint_of_another_run_is_left_alone(original, mirror_folder):
    mirror_checkpoint(make_checkpoint(original.parents[1] / "other" / "000020", run="other-1"), mirror_folder)
    with pytest.raises(PermanentError) as refused:
        mirror_checkpoint(original, mirror_folder)
    check_refusals(refused.value, "permanent-error")
    assert checkpoint.read_manifest(mirror_folder / "000020").run == "other-1"


@pytest.mark.parametrize("kind", ["file", "link", "folder"])
def test_something_else_of_that_name_is_left_alone(original, mirror_folder, kind):
    mirror_folder.mkdir()
    if kind == "folder":
        (mirror_folder / "000020").mkdir()
        (mirror_folder / "000020" / "mine").touch()
    elif kind == "file":
        (mirror_folder / "000020").touch()
    else:
        (mirror_folder / "000020").symlink_to("/nowhere")
    with pytest.raises(PermanentError) as refused:
        mirror_checkpoint(original, mirror_folder)
    check_refusals(refused.value, "permanent-error")


def test_an_empty_folder_of_that_name_is_filled(original, mirror_folder):
    (mirror_folder / "000020").mkdir(parents=True)
    assert mirror_checkpoint(original, mirror_folder) is True
    assert is_complete(mirror_folder / "000020")


def test_a_place_that_is_not_there_yet_is_not_made_up(original, tmp_path):
    to = tmp_path / "disk" / "mirror"
    with pytest.raises(FileNotFoundError):
        mirror_checkpoint(original, to)
    (tmp_path / "disk").mkdir()
    assert mirror_checkpoint(original, to) is True


def test_a_torn_original_is_not_copied(original, mirror_folder):
    manifest = checkpoint.read_manifest(original)
    (original / "step").write_text("torn")
    with pytest.raises(PermanentError) as refused:
        atomic_copy.copy_checkpoint(original, manifest, mirror_folder, NEVER_HALTED)
    check_refusals(refused.value, "permanent-error")
    (original / "step").unlink()
    with pytest.raises(PermanentError) as refused:
        atomic_copy.copy_checkpoint(original, manifest, mirror_folder, NEVER_HALTED)
    check_refusals(refused.value, "permanent-error")
    assert os.listdir(mirror_folder) == []


def test_a_copy_can_be_broken_off(original, mirror_folder):
    with pytest.raises(Cancelled):
        mirror_checkpoint(original, mirror_folder, halted=lambda: True)
    assert os.listdir(mirror_folder) == []


def test_the_oldest_of_a_run_go_and_nobody_elses(tmp_path, mirror_folder):
    for step, run in ((10, "other-1"), (20, "pretend-1"), (40, "pretend-1"), (100, "pretend-1")):
        mirror_checkpoint(make_checkpoint(tmp_path / run / f"{step:06}", run), mirror_folder)
    (mirror_folder / "000001").mkdir()
    assert atomic_copy.trim_checkpoints(mirror_folder, "pretend-1", 2) == [mirror_folder / "000020"]
    assert atomic_copy.trim_checkpoints(mirror_folder, "pretend-1", 2) == []
    assert atomic_copy.trim_checkpoints(mirror_folder, "pretend-1", 0) == [
        mirror_folder / "000040"
    ]  # the last stays, whatever is asked
    assert sorted(os.listdir(mirror_folder)) == ["000001", "000010", "000100"]


@pytest.fixture
def sealed(tmp_path):
    def make(*names: str, run: str = "eval-1") -> Path:
        folder = tmp_path / f"{run}-{len(names)}"
        for name in names:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(name)
        checkpoint.seal_checkpoint(folder, step=0, run=run, job="j")
        return folder

    return make


@pytest.fixture
def target(tmp_path) -> Path:
    folder = tmp_path / "kept"
    folder.mkdir()
    (folder / "theirs").touch()
    return folder


def test_results_are_copied_once_beside_existing_files(sealed, target):
    made = sealed("a.json", "plots/a.png")
    assert [atomic_copy.copy_sealed_into(made, target, NEVER_HALTED) for _ in range(2)] == [True, False]
    assert sorted(os.listdir(target)) == sorted(["a.json", "plots", "theirs", checkpoint.MANIFEST])
    (target / "plots/a.png").write_text("torn")
    assert atomic_copy.copy_sealed_into(made, target, NEVER_HALTED)
    assert checkpoint.validate_checkpoint(target) == ""


def test_results_that_the_run_no_longer_has_are_removed(sealed, target):
    atomic_copy.copy_sealed_into(sealed("a.json", "b.json", "plots/a.png"), target, NEVER_HALTED)
    atomic_copy.copy_sealed_into(sealed("a.json", "plots/b.png"), target, NEVER_HALTED)
    assert sorted(os.listdir(target)) == sorted(["a.json", "plots", "theirs", checkpoint.MANIFEST])
    assert os.listdir(target / "plots") == ["b.png"]


def test_results_of_another_run_are_not_replaced(sealed, target):
    atomic_copy.copy_sealed_into(sealed("a.json"), target, NEVER_HALTED)
    with pytest.raises(PermanentError) as refused:
        atomic_copy.copy_sealed_into(sealed("b.json", run="eval-2"), target, NEVER_HALTED)
    check_refusals(refused.value, "permanent-error")
    assert checkpoint.validate_checkpoint(target) == ""


def test_a_cancelled_copy_of_results_is_not_sealed_and_leaves_no_partial_files(sealed, target):
    atomic_copy.copy_sealed_into(sealed("a.json"), target, NEVER_HALTED)
    answers = iter([False, True])
    with pytest.raises(Cancelled):
        atomic_copy.copy_sealed_into(sealed("a.json", "b.json"), target, lambda: next(answers))
    assert sorted(os.listdir(target)) == ["a.json", "theirs"]


def test_results_are_copied_to_a_store_that_cannot_rename(sealed, target, monkeypatch):
    def refuse(*args) -> None:
        raise OSError(errno.EOPNOTSUPP, "no renaming here")

    made = sealed("a.json")
    monkeypatch.setattr(os, "replace", refuse)
    assert atomic_copy.copy_sealed_into(made, target, NEVER_HALTED)
    assert checkpoint.validate_checkpoint(target) == ""
