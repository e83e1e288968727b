"""Records of runs: no attempt is claimed twice, no run is lost, and damaged records are reported."""

import fcntl
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from problem_assertions import check_problems, check_rejected
from robotrain.errors import Rejected, Stage
from robotrain.model.job import Job
from robotrain.model.run import RunRecord
from robotrain.store import files, name_index, name_lock, records
from robotrain.store.name_lock import NameLock

JOB = Job(workload="lerobot-train", parameters=(("steps", 5),))


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ROBOTRAIN_STATE", str(tmp_path / "state"))
    return tmp_path / "state"


def record(run: str, **changes: object) -> RunRecord:
    fields: dict[str, object] = {
        "run": run,
        "platform": "somewhere",
        "phase": "sending",
        "job": JOB.digest,
        "plan": "p" * 64,
        "created": 1763622000.5,
        "workload": "lerobot-train",
        "settings": {"pool": "big", "gpus": 2, "spot": False, "image": None},
        "reference": {},
    }
    return RunRecord(**(fields | changes))  # type: ignore[arg-type]


def claim(job: Job = JOB) -> NameLock:
    """A name, held to the end of the test unless it is let go."""
    held, _ = name_lock.claim_run_name(job, lambda record: True)
    return held


def submit_run() -> str:
    with claim() as held:
        records.write_record(record(held.run, phase="sent"))
        return held.run


def write_sent_records(*runs: str) -> None:
    for run in runs:
        records.write_record(record(run))


def test_a_record_replaces_the_earlier_one(state):
    records.write_record(record("a-1"))
    records.write_record(record("a-1", phase="sent"))
    assert records.read_record("a-1").phase == "sent"
    assert os.listdir(state / "runs" / "a-1") == ["record.json"]


def test_the_lowest_free_attempt_is_claimed(state):
    first, second, third = (claim() for _ in range(3))
    assert [claim.run for claim in (first, second, third)] == [JOB.run_name(number) for number in (1, 2, 3)]
    assert records.list_runs() == []
    (state / "runs" / f".{first.run}.{os.getpid()}" / "left").mkdir(parents=True)
    records.write_record(record(first.run))
    first.release_and_remove()
    third.release()
    assert records.list_runs() == []
    fourth, fifth = claim(), claim()
    assert (fourth.run, fifth.run) == (first.run, third.run)


def test_the_attempt_of_a_removed_folder_is_free_again(state):
    submit_run(), submit_run()
    shutil.rmtree(state / "runs" / JOB.run_name(1))
    assert [submit_run(), submit_run()] == [JOB.run_name(1), JOB.run_name(3)]


def test_the_name_of_a_removed_run_is_never_used_again(state):
    submit_run()
    home = state / "runs" / JOB.run_name(1)
    (home / "record.json").rename(home / records.REMOVED_FILE)
    assert records.list_runs() == []
    assert claim().run == JOB.run_name(2)
    assert name_lock.claim_exact_name(JOB.run_name(1), lambda record: True) is None


def test_a_folder_in_place_of_a_record_keeps_the_name_and_is_reported(state):
    path = state / "runs" / submit_run() / "record.json"
    path.unlink()
    path.mkdir()
    with check_rejected("record-broken"):
        records.read_record(JOB.run_name(1))
    assert records.list_runs() == [JOB.run_name(1)]
    assert claim().run == JOB.run_name(2)


def test_a_record_that_was_copied_under_another_name_is_broken(state):
    write_sent_records("a-1")
    shutil.copytree(state / "runs" / "a-1", state / "runs" / "b-1")
    with check_rejected("record-broken"):
        records.read_record("b-1")


def test_a_run_folder_on_a_missing_disk_is_reported(state):
    (state / "runs").mkdir(parents=True)
    (state / "runs" / JOB.run_name(1)).symlink_to(state / "away")
    with check_rejected("state-folder-unwritable ROBOTRAIN_STATE"):
        claim()


def test_a_file_system_without_locks_is_a_problem_of_preflight(monkeypatch):
    import errno

    def no_locks(handle: int, kind: int) -> None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    monkeypatch.setattr(fcntl, "flock", no_locks)
    (problem,) = name_lock.check_state_folder()
    assert (problem.code, problem.stage) == ("state-folder-unlockable", Stage.PREFLIGHT)
    with pytest.raises(Rejected) as rejected:
        claim()
    check_problems(rejected.value.problems, "state-folder-unwritable ROBOTRAIN_STATE")
    assert os.strerror(errno.ENOSYS) in rejected.value.problems[0].why


def test_a_lock_that_is_looked_at_does_not_hide_an_interrupted_submit(monkeypatch):
    with claim() as left:
        records.write_record(record(left.run))
    looking = (left.folder / "claimed").open()
    fcntl.flock(looking, fcntl.LOCK_SH)
    monkeypatch.setattr(time, "sleep", lambda seconds: looking.close())
    held, interrupted = name_lock.claim_run_name(JOB, lambda record: True)
    assert (held.run, interrupted) == (left.run, record(left.run))


def test_an_interrupted_submit_is_claimed_only_if_it_is_accepted():
    with claim() as held:
        records.write_record(record(held.run))
    seen: list[RunRecord] = []
    refused, none = name_lock.claim_run_name(JOB, lambda record: False)
    assert (refused.run, none) == (JOB.run_name(2), None)
    held, interrupted = name_lock.claim_run_name(JOB, lambda record: seen.append(record) is None)
    assert seen == [interrupted] == [record(held.run)]


def test_a_submit_in_progress_is_not_interrupted():
    with claim() as held:
        records.write_record(record(held.run))
        assert name_lock.is_being_submitted(held.run)
        assert claim().run == JOB.run_name(2)
    assert not name_lock.is_being_submitted(held.run)


def test_an_interrupted_submit_is_claimed_before_a_lower_free_attempt(state):
    first, second = claim(), claim()
    records.write_record(record(second.run))
    first.release_and_remove()
    second.release()
    held, interrupted = name_lock.claim_run_name(JOB, lambda record: True)
    assert held.run == second.run
    assert interrupted is not None


def test_an_exact_name_is_claimed_once():
    held, interrupted = name_lock.claim_exact_name("train-1", lambda record: True) or (None, None)
    assert held is not None
    assert interrupted is None
    assert name_lock.claim_exact_name("train-1", lambda record: True) is None
    records.write_record(record("train-1", phase="sent"))
    held.release()
    assert name_lock.claim_exact_name("train-1", lambda record: True) is None


@pytest.mark.slow
def test_processes_that_claim_at_once_get_different_attempts():
    code = (
        "import sys; from robotrain.store import name_lock; from robotrain.model.job import Job; sys.stdin.read();"
        "job = Job(workload='w', parameters=());"
        "held = [name_lock.claim_run_name(job, bool)[0] for _ in range(20)];"
        "print([lock.run for lock in held], flush=True);"
        "sys.stderr.close(); import time; time.sleep(30)"
    )
    processes = [
        subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    for process in processes:
        assert process.stdin is not None
        process.stdin.close()
    claimed: list[str] = []
    for process in processes:
        assert process.stdout is not None
        claimed += json.loads(process.stdout.readline().replace("'", '"'))
    for process in processes:  # each held its names to here
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()
    assert sorted(int(name.rpartition("-")[2]) for name in claimed) == list(range(1, 61))


def test_runs_are_listed_newest_first_by_when_they_were_claimed():
    held = [claim() for _ in range(12)]
    runs = [claim.run for claim in held]
    write_sent_records(*reversed(runs))
    assert records.list_runs() == runs[::-1]


def test_a_run_is_found_by_its_name_and_by_a_beginning_of_one():
    write_sent_records("train-1", "train-10", "other-1")
    assert [name_index.find_run(text) for text in ("train-1", "oth")] == ["train-1", "other-1"]


@pytest.mark.parametrize("text", ["{", "[]", "\xff", '{"schema": 1, "run": "a-1"}'])
def test_a_broken_record_is_reported_with_its_path(state, text):
    write_sent_records("a-1")
    path = state / "runs" / "a-1" / "record.json"
    path.write_bytes(text.encode("latin-1"))
    with check_rejected(f"record-broken {path}"):
        records.read_record("a-1")


def test_the_fields_of_a_broken_record_are_named_and_a_reference_has_values_of_any_type(state):
    write_sent_records("a-1")
    path = state / "runs" / "a-1" / "record.json"
    data = json.loads(path.read_text()) | {"reference": {"id": 7, "tags": ["a"]}}
    path.write_text(json.dumps(data))
    assert records.read_record("a-1").reference == {"id": 7, "tags": ["a"]}
    for field in ("makes", "job"):
        path.write_text(json.dumps(data | {field: None, "values": {"seed": "1"}, "steps": [7]}))
        with check_rejected(f"record-broken {path}"):
            records.read_record("a-1")


def test_an_unknown_run_is_reported_and_without_any_run_the_folder(state):
    with check_rejected("run-unknown"):
        records.read_record("nobody")
    with check_rejected("run-unknown"):
        name_index.find_run("last")


def test_fields_of_a_newer_robotrain_are_ignored(state):
    write_sent_records("a-1")
    path = state / "runs" / "a-1" / "record.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"colour": "blue"}))
    assert records.read_record("a-1") == record("a-1")


def test_a_file_in_place_of_the_state_folder_is_a_problem_of_preflight(state):
    state.write_text("")
    unwritable = f"state-folder-unwritable ROBOTRAIN_STATE {state}"
    (problem,) = name_lock.check_state_folder()
    assert problem.stage == Stage.PREFLIGHT
    check_problems([problem], unwritable)
    for act in (claim, lambda: write_sent_records("a-1")):
        with check_rejected(unwritable):
            act()
    assert records.list_runs() == []


def test_a_record_that_finds_no_room_leaves_the_earlier_one(state, monkeypatch):
    write_sent_records("a-1")

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with check_rejected("state-folder-unwritable ROBOTRAIN_STATE"):
        records.write_record(record("a-1", phase="sent"))
    assert records.read_record("a-1") == record("a-1")
    assert os.listdir(state / "runs" / "a-1") == ["record.json"]


def test_a_tree_is_made_private_except_what_others_share(tmp_path):
    shared, folder = tmp_path / "shared", tmp_path / "run"
    (folder / "deep").mkdir(parents=True, mode=0o755)
    shared.write_text("a")
    shared.chmod(0o644)
    (folder / "deep/file").write_text("a")
    (folder / "deep/program").write_text("a")
    (folder / "deep/program").chmod(0o755)
    (folder / "link").symlink_to(shared)
    (folder / "hard").hardlink_to(shared)
    files.make_tree_private(folder)
    modes = {path.name: path.stat().st_mode & 0o777 for path in (folder, *folder.rglob("*"))}
    assert modes == {"run": 0o700, "deep": 0o700, "file": 0o600, "program": 0o700, "link": 0o644, "hard": 0o644}
