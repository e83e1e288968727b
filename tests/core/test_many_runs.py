"""Of many runs, completion reads the names of the newest."""

import os
from pathlib import Path

import pytest
from robotrain.cli.arguments import complete_run_names
from robotrain.store import name_index, name_lock, records


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty state folder."""
    monkeypatch.setenv("ROBOTRAIN_STATE", str(tmp_path / "state"))
    return tmp_path / "state"


def add_run(name: str, claimed: float | None = None) -> None:
    """A run with a record, claimed now or at another time."""
    lock = name_lock.acquire_name_lock(records.get_run_folder(name))
    assert lock is not None
    lock.release()
    records.get_run_folder(name).joinpath(records.RECORD_FILE).touch()
    if claimed is not None:
        os.utime(records.get_run_folder(name) / records.LOCK_FILE, (claimed, claimed))


def test_completion_reads_the_names_of_the_newest_runs_only(state, monkeypatch):
    for number in range(9):
        add_run(f"a-{number}", 1e9 + number)
    looked, read = list[str](), records.read_record
    monkeypatch.setattr(name_index, "NEWEST", 3)
    monkeypatch.setattr(records, "read_record", lambda run: (looked.append(run), read(run))[1])
    assert complete_run_names("a-") == records.list_runs()
    assert looked == ["a-8", "a-7", "a-6"]
