"""What a person relies on of the records: no number given out twice, no run lost, and a run found by few letters."""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from robotrain import store
from robotrain.job import Job
from robotrain.problem import Rejected, Stage, render
from robotrain.run import RunRecord
from robotrain.store import UnknownRun

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


def kept(*runs: str) -> None:
    for run in runs:
        store.write(record(run))


def test_a_record_comes_back_as_it_was_written() -> None:
    written = record("a-1", phase="sent", reference={"id": "7"})
    store.write(written)
    assert store.read("a-1") == written


def test_a_later_record_takes_the_place_of_the_earlier_and_leaves_nothing_beside_it(state: Path) -> None:
    store.write(record("a-1"))
    store.write(record("a-1", phase="sent"))
    assert store.read("a-1").phase == "sent"
    assert os.listdir(state / "runs" / "a-1") == ["record.json"]


def test_the_lowest_free_attempt_is_claimed() -> None:
    assert [store.claim(JOB) for _ in range(3)] == [JOB.run_name(number) for number in (1, 2, 3)]


def test_a_hole_is_filled(state: Path) -> None:
    (state / "runs" / JOB.run_name(2)).mkdir(parents=True)
    assert [store.claim(JOB), store.claim(JOB)] == [JOB.run_name(1), JOB.run_name(3)]


def test_a_number_that_was_given_back_is_free_again() -> None:
    first, second = store.claim(JOB), store.claim(JOB)
    store.release(first)
    assert store.claim(JOB) == first
    assert store.claim(JOB) not in (first, second)


def test_threads_that_claim_at_once_get_different_numbers() -> None:
    claimed: list[str] = []
    together = threading.Barrier(8)

    def claim() -> None:
        together.wait()
        claimed.append(store.claim(JOB))

    threads = [threading.Thread(target=claim) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(claimed) == sorted(JOB.run_name(number) for number in range(1, 9))


def test_processes_that_claim_at_once_get_different_numbers() -> None:
    code = (
        "import sys; from robotrain import store; from robotrain.job import Job; sys.stdin.read();"
        "job = Job(workload='w', parameters=()); print([store.claim(job) for _ in range(20)])"
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
        claimed += json.loads(process.stdout.read().replace("'", '"'))
        process.stdout.close()
        assert process.wait() == 0
    assert sorted(int(name.rpartition("-")[2]) for name in claimed) == list(range(1, 61))


def test_a_claim_without_a_record_is_no_run_yet() -> None:
    store.claim(JOB)
    assert store.names() == []


def test_runs_are_listed_newest_first_by_when_they_were_claimed() -> None:
    runs = [store.claim(JOB) for _ in range(12)]
    kept(*reversed(runs))
    assert store.names() == runs[::-1]


def test_listing_opens_no_record(state: Path) -> None:
    kept("a-1", "b-1")
    (state / "runs" / "a-1" / "record.json").write_text("{")
    assert sorted(store.names()) == ["a-1", "b-1"]


def test_no_runs_is_an_empty_list() -> None:
    assert store.names() == []


@pytest.mark.parametrize("text", ["", "last"])
def test_nothing_or_last_means_the_newest(text: str) -> None:
    runs = [store.claim(JOB) for _ in range(3)]
    kept(*runs)
    assert store.find(text) == runs[-1]


def test_the_start_of_a_name_is_enough_when_only_one_starts_so() -> None:
    kept("lerobot-train-abc-1", "lerobot-train-def-1")
    assert store.find("lerobot-train-a") == "lerobot-train-abc-1"


def test_a_whole_name_wins_over_longer_ones() -> None:
    kept("train-1", "train-10", "train-11")
    assert store.find("train-1") == "train-1"


def test_a_start_shared_by_several_is_answered_with_them() -> None:
    kept("train-abc-1", "train-abc-2", "other-1")
    with pytest.raises(UnknownRun, match="2 runs start with 'train': train-abc-2, train-abc-1; give more") as caught:
        store.find("train")
    assert "other" not in str(caught.value)


def test_a_misspelt_name_is_answered_with_the_near_ones() -> None:
    kept("lerobot-train-abc-1", "lerobot-train-def-1")
    with pytest.raises(UnknownRun, match=r"no run 'lerobot-trian-abc-1'; did you mean lerobot-train-abc-1"):
        store.find("lerobot-trian-abc-1")


def test_a_name_near_nothing_is_answered_with_the_newest() -> None:
    kept("train-1")
    with pytest.raises(UnknownRun, match="no run 'zzzzzz'; the newest are train-1"):
        store.find("zzzzzz")


def test_without_any_run_the_folder_is_named(state: Path) -> None:
    with pytest.raises(UnknownRun, match=f"{state / 'runs'}"):
        store.find("last")


@pytest.mark.parametrize("text", ["{", "[]", "\xff", '{"schema": 2}', '{"schema": 1, "run": "a-1"}', "null"])
def test_a_broken_record_is_reported_by_name(state: Path, text: str) -> None:
    kept("a-1")
    path = state / "runs" / "a-1" / "record.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(Rejected) as caught:
        store.read("a-1")
    report = render(caught.value.problems[0])
    assert "the record of run a-1 cannot be read" in report
    assert str(path) in report


def test_what_a_newer_robotrain_adds_to_a_record_is_left_out(state: Path) -> None:
    kept("a-1")
    path = state / "runs" / "a-1" / "record.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"colour": "blue"}))
    assert store.read("a-1") == record("a-1")


def test_a_run_without_a_record_is_a_lookup_error() -> None:
    with pytest.raises(UnknownRun, match="no record of a run 'nobody'"):
        store.read("nobody")


def test_a_state_folder_that_works_has_nothing_wrong() -> None:
    assert store.unwritable() == []


def test_a_file_in_the_state_folders_place_is_told_before_anything_is_sent(state: Path) -> None:
    state.write_text("")
    (problem,) = store.unwritable()
    assert (problem.code, problem.stage) == ("state-folder-unwritable", Stage.PREFLIGHT)
    assert str(state) in render(problem)
    assert "ROBOTRAIN_STATE" in render(problem)
    for act in (lambda: store.claim(JOB), lambda: kept("a-1")):
        with pytest.raises(Rejected, match="cannot be written"):
            act()
    assert store.names() == []


def test_a_record_that_could_not_be_written_leaves_the_earlier_one(state: Path) -> None:
    kept("a-1")
    with pytest.raises(TypeError):
        store.write(record("a-1", created=object()))
    assert store.read("a-1") == record("a-1")


def test_reading_records_imports_nothing_heavy() -> None:
    code = "import sys; from robotrain import store; print({'pydantic', 'pluggy', 'typer', 'yaml'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
