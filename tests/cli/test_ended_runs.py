"""Runs of this machine that ended: `robotrain runs` asks for them once, and again when anything could have changed."""

import json
import os
import shutil
import time

import pytest
from robotrain.store import listed_results, records
from robotrain_local import observe
from robotrain_runtime.contract import event
from robotrain_runtime.contract.event import Evaluated, Metrics, Outcome
from scripted_runs import record
from test_start_up import list_imports

STEPS = [Metrics(step=step, total=200, values={"train/loss": 1 / step}) for step in range(1, 60)]
DONE = Outcome(state="succeeded", exit_code=0)
ENDED = time.time() - 60


@pytest.fixture
def ended_run(tmp_path):
    """Makes the record and the folder of a run, as the local platform leaves them."""

    def make(name, *events, outcome=DONE, exit_code=0):
        folder = tmp_path / "local" / name
        folder.mkdir(parents=True)
        lines = "".join(
            f"{event.format_event(run_event, 1e9)}\n" for run_event in (*events, *([outcome] if outcome else []))
        )
        for file in ("log.txt", "events.jsonl"):
            (folder / file).write_text(lines)
        if outcome:
            (folder / "outcome.json").write_text(
                json.dumps({"state": outcome.state, "exit_code": exit_code, "reason": outcome.reason})
            )
        (folder / "exit.json").write_text(json.dumps({"exit_code": exit_code, "ended": ENDED, "reason": ""}))
        record(name, "local", folder, time.time() - 100)
        return folder

    return make


@pytest.fixture
def listing(robotrain, monkeypatch):
    """Lists the runs, by name, with the runs that the platform was asked about."""

    def ask():
        queried = set()
        with monkeypatch.context() as patch:
            judge = observe.judge_run
            patch.setattr(
                observe, "judge_run", lambda facts, seen: (queried.add(facts.folder.name), judge(facts, seen))[1]
            )
            result = robotrain("runs", "--json")
        assert result.exit_code == 0, result.stderr
        return {run["run"]: run for run in result.json["runs"]}, queried

    return ask


def test_ended_runs_are_queried_once(ended_run, listing, robotrain):
    scores = {"rollout/success_rate": 0.75, "rollout/return": float("nan")}
    ended_run("train-1", *STEPS)
    ended_run("eval-1", Evaluated(episodes=4, scores=scores, results="/r", conditions="pusht, easy"))
    ended_run("train-2", *STEPS, outcome=Outcome(state="failed", exit_code=1, reason="out of paint"), exit_code=1)
    first, queried = listing()
    assert queried == set(first) == {"train-1", "eval-1", "train-2"}
    table = robotrain("runs").stdout
    assert listing() == (first, set())
    assert robotrain("runs").stdout == table
    assert (first["train-1"]["step"], first["eval-1"]["conditions"]) == (200, "pusht, easy")
    assert (first["train-2"]["reason"], first["train-2"]["ended"]) == ("out of paint", ENDED)


DEEP = "[" * 100_000
DAMAGED = {
    "outcome.json": ['{"state": "failed", "exit_code": 1, "reason": null}', '{"state": 7, "exit_code": 1}', DEEP],
    "exit.json": ['{"exit_code": null, "ended": 1e9}', '{"exit_code": 0, "ended": 1e400}', "[]", DEEP],
    "supervisor.json": ['{"pid": [], "birth": 1}', '{"host": null}', DEEP],
    "events.jsonl": [f'{event.PREFIX}{{"event": "metrics", "time": 1e300, "values": {{}}}}', event.PREFIX + DEEP],
}


@pytest.mark.parametrize(("name", "content"), [(name, text) for name, texts in DAMAGED.items() for text in texts])
def test_a_run_with_a_damaged_document_is_one_line_of_the_list(ended_run, robotrain, name, content):
    ended_run("train-1", *STEPS)
    (ended_run("train-2", *STEPS) / name).write_text(content)
    answer = robotrain("runs", "--json")
    assert answer.exit_code == 0, answer.stderr
    states = {run["run"]: run["state"] for run in answer.json["runs"]}
    assert states.keys() == {"train-1", "train-2"}
    assert states["train-1"] == "succeeded"
    shown = robotrain("status", "train-2")
    assert shown.exit_code == 0
    assert ("outcome.json is damaged" in shown.stdout) == (name == "outcome.json")


def _continue(folder):
    with (folder / "events.jsonl").open("a") as file:
        file.write(event.format_event(STEPS[0]) + "\n")


def _damage(folder):
    path = records.get_run_folder(folder.name) / listed_results.ENDED_FILE
    path.write_bytes(path.read_bytes().replace(b"succeeded", b"cancelled"))


def _copy(folder):
    shutil.copytree(folder, folder.with_name("copy"))
    shutil.rmtree(folder)
    os.rename(folder.with_name("copy"), folder)


@pytest.mark.parametrize("change", [_continue, _damage, _copy])
def test_run_is_queried_again_after_a_change(ended_run, listing, change):
    folder = ended_run("train-1", *STEPS)
    first, _ = listing()
    assert listing()[1] == set()
    change(folder)
    assert listing() == (first, {"train-1"})
    assert listing()[1] == set()


def test_a_run_whose_folder_was_removed_is_gone(ended_run, listing):
    folder = ended_run("train-1", *STEPS)
    listing()
    shutil.rmtree(folder)
    assert listing()[0]["train-1"]["state"] == "gone"


@pytest.mark.parametrize("case", ["nothing told", "told otherwise", "end not seen"])
def test_uncertain_end_is_queried_each_time(ended_run, listing, case):
    folder = ended_run("train-1", *STEPS, outcome=None if case == "nothing told" else DONE, exit_code=1)
    if case == "told otherwise":
        outcome = {"state": "cancelled", "exit_code": 1, "reason": "it was stopped"}
        (folder / "outcome.json").write_text(json.dumps(outcome))
    elif case == "end not seen":
        (folder / "exit.json").unlink()
    for _ in range(2):
        assert listing()[1] == {"train-1"}
    assert not (records.get_run_folder("train-1") / listed_results.ENDED_FILE).exists()


def test_list_of_ended_runs_loads_no_platform(ended_run, robotrain):
    ended_run("train-1", *STEPS)
    assert robotrain("runs").exit_code == 0
    assert "robotrain_local" not in list_imports("runs")


def test_stored_end_is_private_and_not_written_through_a_link(ended_run, listing, tmp_path):
    ended_run("train-1", *STEPS)
    stored, other = records.get_run_folder("train-1") / listed_results.ENDED_FILE, tmp_path / "other"
    stored.symlink_to(other)
    listing()
    assert not other.exists()
    stored.unlink()
    listing()
    assert stored.stat().st_mode & 0o077 == 0
