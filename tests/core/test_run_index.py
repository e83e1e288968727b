"""The index of run names: it saves time where there are many runs, and is never believed when it is outdated."""

import os
import random
import shutil
import time
from pathlib import Path

import pytest
from robotrain.cli.arguments import complete_run_names
from robotrain.store import name_index, name_lock, records


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A state folder whose index is written at once, for however few runs."""
    monkeypatch.setenv("ROBOTRAIN_STATE", str(tmp_path / "state"))
    monkeypatch.setattr(records, "MIN_INDEXED", 1)
    monkeypatch.setattr(records, "UNSETTLED_NANOSECONDS", -(10**18))
    return tmp_path / "state"


def add_run(name: str, claimed: float | None = None) -> None:
    """A run with a record, claimed now or at another time."""
    lock = name_lock.acquire_name_lock(records.get_run_folder(name))
    assert lock is not None
    lock.release()
    records.get_run_folder(name).joinpath(records.RECORD_FILE).touch()
    if claimed is not None:
        os.utime(records.get_run_folder(name) / records.LOCK_FILE, (claimed, claimed))


def wait_for_new_time() -> None:
    """Wait until the time of a folder that changes is another one."""
    time.sleep(0.02)


def test_names_come_from_the_index_until_the_folder_changes(state, monkeypatch):
    for number in range(5):
        add_run(f"a-{number}", 1e9 + number)
    assert records.list_runs() == [f"a-{number}" for number in (4, 3, 2, 1, 0)]
    assert records.get_index_path().stat().st_mode & 0o077 == 0
    with monkeypatch.context() as patch:
        patch.setattr(os, "listdir", lambda path: pytest.fail("the folder is listed"))
        assert records.list_runs() == [f"a-{number}" for number in (4, 3, 2, 1, 0)]
        assert name_index.find_run() == "a-4"
        assert complete_run_names("a-") == records.list_runs()
    wait_for_new_time()
    add_run("b-1")
    assert name_index.find_run() == "b-1"
    records.get_index_path().write_bytes(b"hello")
    assert name_index.find_run() == "b-1"


def test_completion_reads_the_names_of_the_newest_runs_only(state, monkeypatch):
    for number in range(9):
        add_run(f"a-{number}", 1e9 + number)
    looked, read = list[str](), records.read_record
    monkeypatch.setattr(name_index, "NEWEST", 3)
    monkeypatch.setattr(records, "read_record", lambda run: (looked.append(run), read(run))[1])
    assert complete_run_names("a-") == records.list_runs()
    assert looked == ["a-8", "a-7", "a-6"]


def test_every_change_of_the_folder_is_seen(state):
    chosen, runs, claimed = random.Random(1), dict[str, float](), 1e9
    for number in range(20):
        kind = chosen.random()
        if kind < 0.5 or not runs:
            name, claimed = f"run-{number}", claimed + 1
            add_run(name, claimed)
            runs[name] = claimed
        else:
            name = chosen.choice(sorted(runs))
            folder = records.get_run_folder(name)
            if kind < 0.7:
                shutil.rmtree(folder)
            elif kind < 0.8:
                folder.rename(folder.with_name(f"renamed-{number}"))
                runs[f"renamed-{number}"] = runs[name]
            elif kind < 0.9:
                (folder / records.RECORD_FILE).unlink()
            else:  # removed, and made again
                shutil.rmtree(folder)
                claimed += 1
                add_run(name, claimed)
                runs[name] = claimed
            if kind < 0.9:
                del runs[name]
        assert records.list_runs() == sorted(runs, key=runs.__getitem__, reverse=True)
        wait_for_new_time()


def test_a_folder_that_just_changed_gets_no_index(state, monkeypatch):
    monkeypatch.setattr(records, "UNSETTLED_NANOSECONDS", 2_000_000_000)
    add_run("a-1")
    assert records.list_runs() == ["a-1"]
    assert not records.get_index_path().exists()


def test_few_runs_need_no_index(state, monkeypatch):
    monkeypatch.setattr(records, "MIN_INDEXED", 200)
    add_run("a-1")
    assert records.list_runs() == ["a-1"]
    assert not records.get_index_path().exists()


def test_a_new_name_removes_the_index(state):
    """For file systems whose folders have no exact times."""
    add_run("a-1")
    records.list_runs()
    lock = name_lock.acquire_name_lock(records.get_run_folder("a-2"))
    assert lock is not None
    lock.release()
    assert not records.get_index_path().exists()
