"""The same document once more in the same folder: what a platform does with a run that a machine took down."""

import json
import os
import random
import time
from pathlib import Path

import pytest
from robotrain_runtime.checkpoints import recovery
from robotrain_runtime.contract import checkpoint
from robotrain_runtime.contract.event import Checkpoint, Delivered, Evaluated, Metrics, Outcome, Published, Tracking

TRAIN = "from pretend_training import *\ntrain({total}, {every}, {seconds})"


def make_training_program(total: int = 60, every: int = 20, seconds: float = 0.0) -> str:
    return TRAIN.format(total=total, every=every, seconds=seconds)


def read_event_lines(work: Path) -> list[str]:
    return (work / "events.jsonl").read_text().splitlines()


@pytest.mark.slow
def test_an_attempt_that_was_killed_goes_on_from_its_last_complete_checkpoint(start, run, job, tmp_path, kill, until):
    to = tmp_path / "mirror"
    made = job(make_training_program(60, 20, 0.01), publish={"to": str(to)})
    process = start(made)
    until(process, f'"to": "{to}/000020"')
    kill(process)
    before = read_event_lines(tmp_path / "work")
    ran = run(made)
    assert ran.exit_code == 0, ran.lines
    first = int(ran.ordinary[0].removeprefix("from step "))
    assert first in (21, 41)
    assert min(metrics.step for metrics in ran.of_kind(Metrics)) == first
    assert read_event_lines(ran.work)[: len(before)] == before
    assert [step for step, _ in checkpoint.list_checkpoints(to)] == [60, 40, 20]
    assert all(checkpoint.validate_checkpoint(folder) == "" for _, folder in checkpoint.list_checkpoints(to))


@pytest.mark.slow
def test_what_was_published_is_not_published_again_and_what_was_not_is(start, run, job, tmp_path, kill, until):
    to = tmp_path / "disk" / "mirror"
    made = job(make_training_program(40, 20), publish={"to": str(to)})
    process = start(made)
    until(process, '"publish", "state": "started"')  # nothing can be published: the disk is not there
    last = tmp_path / "work" / "checkpoints" / "000040" / checkpoint.MANIFEST
    while not last.exists():
        time.sleep(0.01)
    kill(process)
    to.parent.mkdir()
    ran = run(made)
    assert ran.exit_code == 0, ran.lines
    assert ran.of_kind(Checkpoint) == []
    assert [publication.step for publication in ran.of_kind(Published)] == [20, 40]
    again = run(made)
    assert (again.exit_code, again.of_kind(Published)) == (0, [])


@pytest.mark.slow
def test_how_an_earlier_attempt_ended_is_not_the_outcome_of_this_one(start, finish, run, job, tmp_path, kill, until):
    assert run(job("import sys; sys.exit(3)")).outcome["exit_code"] == 3
    process = start(job("import time; print('ready', flush=True); time.sleep(60)"))
    until(process, "ready")
    assert not (tmp_path / "work" / "outcome.json").exists()
    kill(process)
    empty = dict.fromkeys(("reason", "fault", "cause", "subject", "remedy"), "")
    assert run(job("pass")).outcome == {"state": "succeeded", "exit_code": 0, **empty}


@pytest.mark.slow
def test_an_event_that_was_cut_short_takes_no_other_with_it(run, job, tmp_path):
    ran = run(job(make_training_program(20)))
    events = ran.work / "events.jsonl"
    events.write_text(events.read_text()[:-10])
    again = run(job(make_training_program(20)))
    assert again.exit_code == 0
    whole = [line for line in again.lines if line.startswith("::robotrain::")]
    assert read_event_lines(again.work)[-len(whole) :] == whole


def test_what_earlier_attempts_told_is_read(tmp_path):
    from robotrain_runtime.contract import event

    events = [
        Tracking(uri="http://a", experiment_id="1", run_id="x"),
        Checkpoint(step=20, path="/w/000020"),
        Published(step=20, to="/m/000020"),
        Checkpoint(step=40, path="/w/000040"),
        Published(step=40, to="/m/000040"),
        Outcome(state="failed", exit_code=1),
        Checkpoint(step=40, path="/w/000040", model="model"),
        *(Delivered(to=to) for to in ("runs:/x", "/m/pretend-1")),
        *(Evaluated(episodes=4, scores={}, results="/w/eval_results", step=step) for step in (20, 40)),
    ]
    lines = "\n".join(event.format_event(run_event) for run_event in events)
    (tmp_path / "events.jsonl").write_text(lines + '\n::robotrain:: {"event": "chec')
    earlier = recovery.read_earlier_attempts(tmp_path)
    assert (earlier.get_tracking_run("http://a"), earlier.get_tracking_run("http://b")) == ("x", "")
    assert earlier.published == {20: {"/m/000020"}}  # the other was made anew since
    assert earlier.checkpoints["/w/000040"].model == "model"
    assert (earlier.evaluated.step, earlier.delivered) == (40, {"runs:/x", "/m/pretend-1"})
    assert recovery.read_earlier_attempts(tmp_path / "nowhere") == recovery.EarlierAttempts()


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_whenever_it_is_killed_it_comes_to_its_end(start, run, job, tmp_path, seed, kill):
    to, chance = tmp_path / "mirror", random.Random(seed)
    made = job(make_training_program(120, 20, 0.01), publish={"to": str(to)})
    reached = 0
    for _ in range(6):
        process = start(made)
        time.sleep(chance.uniform(0.1, 1.5))
        kill(process)
        for _, folder in checkpoint.list_checkpoints(to):
            assert checkpoint.validate_checkpoint(folder) == ""
        good = checkpoint.find_last_complete(tmp_path / "work" / "checkpoints")
        assert (good[0] if good else 0) >= reached
        reached = good[0] if good else 0
    ran = run(made)
    assert ran.exit_code == 0, ran.lines
    assert json.loads((ran.work / "outcome.json").read_text())["state"] == "succeeded"
    assert [step for step, _ in checkpoint.list_checkpoints(to)] == [120, 100, 80, 60, 40, 20]
    assert [name for name in os.listdir(to) if name.startswith(".")] == []
