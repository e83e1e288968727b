"""Results written directly into the folder that a platform keeps: complete, or without a seal."""

import errno
import os
from pathlib import Path

import pytest
from robotrain_runtime.checkpoints import atomic_copy
from robotrain_runtime.contract import checkpoint
from robotrain_runtime.contract.failure import Cancelled, PermanentError


def never_halted() -> bool:
    return False


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


def test_they_lie_among_what_was_there_and_only_once(sealed, target):
    made = sealed("a.json", "plots/a.png")
    assert [atomic_copy.copy_sealed_into(made, target, never_halted) for _ in range(2)] == [True, False]
    assert sorted(os.listdir(target)) == sorted(["a.json", "plots", "theirs", checkpoint.MANIFEST])
    (target / "plots/a.png").write_text("torn")
    assert atomic_copy.copy_sealed_into(made, target, never_halted)
    assert checkpoint.validate_checkpoint(target) == ""


def test_what_the_same_run_does_not_leave_any_more_goes(sealed, target):
    atomic_copy.copy_sealed_into(sealed("a.json", "b.json", "plots/a.png"), target, never_halted)
    atomic_copy.copy_sealed_into(sealed("a.json", "plots/b.png"), target, never_halted)
    assert sorted(os.listdir(target)) == sorted(["a.json", "plots", "theirs", checkpoint.MANIFEST])
    assert os.listdir(target / "plots") == ["b.png"]


def test_those_of_another_run_stay(sealed, target):
    atomic_copy.copy_sealed_into(sealed("a.json"), target, never_halted)
    with pytest.raises(PermanentError, match="holds files of the run eval-1"):
        atomic_copy.copy_sealed_into(sealed("b.json", run="eval-2"), target, never_halted)
    assert checkpoint.validate_checkpoint(target) == ""


def test_what_was_broken_off_is_not_sealed_and_leaves_no_halves(sealed, target):
    atomic_copy.copy_sealed_into(sealed("a.json"), target, never_halted)
    asked = iter([False, True])
    with pytest.raises(Cancelled):
        atomic_copy.copy_sealed_into(sealed("a.json", "b.json"), target, lambda: next(asked))
    assert sorted(os.listdir(target)) == ["a.json", "theirs"]


def test_a_store_that_renames_nothing_is_written_to(sealed, target, monkeypatch):
    def refuse(*given) -> None:
        raise OSError(errno.EOPNOTSUPP, "no renaming here")

    made = sealed("a.json")
    monkeypatch.setattr(os, "replace", refuse)
    assert atomic_copy.copy_sealed_into(made, target, never_halted)
    assert checkpoint.validate_checkpoint(target) == ""
