"""The driver of a pipeline: each step once, in its order, through failures, kills and cancellation."""

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from driven_pipelines import (
    PUSHT,
    find_drivers,
    finish_training,
    get_step_run,
    read_states,
    stop_driver,
    wait_for,
)
from fake_engine import answer_submits, count_submissions, set_run_state
from hub_platform import HUB_PLATFORM
from problem_assertions import check_rejected
from robotrain.pipelines import driven_engine, driver, progress
from robotrain.plugins import manager
from robotrain.store import records
from robotrain_runtime.contract import event, files
from test_crashes import AUDIT


@pytest.mark.slow
def test_a_pipeline_without_a_driver_is_not_started_again(submit_pipeline, robotrain, engine, tmp_path):
    """Its steps may still run: the same command says how it goes on."""
    run = submit_pipeline()
    assert submit_pipeline() == run, "while the driver works, it is the same run"
    stop_driver(run)
    answer = robotrain("pipeline", "submit", tmp_path / "here/pipeline.yaml", "--platform", "fake")
    answer.check_problems(1, "run-unfinished-unsure")
    assert records.list_runs(), "nothing was removed"
    assert robotrain("pipeline", "resume", run).exit_code == 0
    assert submit_pipeline() == run


@pytest.mark.slow
def test_each_step_begins_when_those_that_it_needs_have_succeeded(engine, submit_pipeline, robotrain):
    run = submit_pipeline()
    wait_for(run, "train", "running")
    assert read_states(run) == {"train": "running", "evaluate": "waiting", "again": "waiting"}
    assert robotrain("status", "--json").json["state"] == "running"
    finish_training(engine, run)
    wait_for(run, "evaluate", "running")
    evaluation = get_step_run(run, "evaluate")
    plan = json.loads((records.get_run_folder(evaluation) / "plan/job.json").read_text())
    (policy,) = [source for source in plan["sources"] if source["role"] == "policy"]
    assert (policy["kind"], get_step_run(run, "train") in policy["uri"]) == ("local_path", True)
    registered = event.format_event(event.Registered(name="pusht-act", version="3", step=3))
    set_run_state(engine, evaluation, log=[registered])
    wait_for(run, "again", "running")
    set_run_state(engine, get_step_run(run, "again"))
    wait_for(run, "again", "succeeded")
    status = robotrain("status", "--json").json
    assert (status["run"], status["state"]) == (run, "succeeded")
    assert [step["name"] for step in status["steps"]] == ["train", "evaluate", "again"]
    assert [(model["name"], model["version"]) for model in status["registered"]] == [("pusht-act", "3")]
    assert "pusht-act version 3" in robotrain("status", run).stdout
    assert set(count_submissions(engine).values()) == {1}
    assert robotrain("wait", run).exit_code == 0
    page = robotrain("report", run, "--to", "-").stdout
    assert "pusht-act version 3" in page
    assert str(PUSHT / "dataset") in page


@pytest.mark.slow
def test_a_failure_skips_what_needs_it_and_is_the_reason(engine, submit_pipeline, robotrain):
    run = submit_pipeline()
    finish_training(engine, run)
    wait_for(run, "evaluate", "running")
    set_run_state(engine, get_step_run(run, "evaluate"), "failed")
    wait_for(run, "again", "skipped")
    status = robotrain("status", run, "--json").json
    assert (status["state"], status["reason"]) == ("failed", "step evaluate failed")
    assert robotrain("wait", run).exit_code == 5


@pytest.mark.slow
def test_resume_sends_only_what_is_not_done(engine, submit_pipeline, robotrain):
    first = submit_pipeline()
    finish_training(engine, first)
    wait_for(first, "evaluate", "running")
    set_run_state(engine, get_step_run(first, "evaluate"), "failed")
    wait_for(first, "again", "skipped")
    before = set(count_submissions(engine))
    answer = robotrain("pipeline", "resume", first)
    assert answer.exit_code == 0, answer.stderr
    second = answer.stdout.split()[0]
    assert second != first
    wait_for(second, "evaluate", "running")
    assert read_states(second)["train"] == "succeeded"
    status = robotrain("status", second, "--json").json
    assert status["started"] == status["steps"][1]["started"] > status["steps"][0]["started"]
    (sent,) = set(count_submissions(engine)) - before
    assert get_step_run(second, "evaluate") == sent
    set_run_state(engine, sent, "failed")
    wait_for(second, "again", "skipped")
    third = robotrain("resume", second).stdout.split()[0]  # of a resumed one, by the command for runs
    wait_for(third, "evaluate", "running")
    for step in ("evaluate", "again"):
        wait_for(third, step, "running")
        set_run_state(engine, get_step_run(third, step))
    wait_for(third, "again", "succeeded")
    assert set(count_submissions(engine).values()) == {1}
    assert len(count_submissions(engine)) == 5
    robotrain("pipeline", "resume", third).check_problems(2, "pipeline-complete")


@pytest.mark.slow
def test_step_that_publishes_to_the_same_branch_again_is_named(engine, install, robotrain, tmp_path, monkeypatch):
    site = install("robotrain-hub", {"platform.hub": "hub_plugin"}, hub_plugin=HUB_PLATFORM)
    monkeypatch.setenv("PYTHONPATH", str(site), prepend=os.pathsep)
    file = tmp_path / "here/pipeline.yaml"
    file.write_text(f"steps: {{train: {{job: {PUSHT}/job.yaml}}}}")
    words = ("--platform", "hub", "--set", "train.publish_url=hf://me/act")
    answer = robotrain("pipeline", "submit", file, *words)
    assert answer.exit_code == 0, answer.stderr
    run = answer.stdout.split()[0]
    wait_for(run, "train", "running")
    set_run_state(engine, get_step_run(run, "train"), "failed")
    wait_for(run, "train", "failed")
    for command in ("resubmit", "resume"):
        robotrain(command, run, "--dry-run").check_problems(0, "publish-branch-taken")


@pytest.mark.slow
def test_preflight_of_first_steps_uses_their_run_names(robotrain, pusht, tmp_path):
    file = tmp_path / "here/pipeline.yaml"
    file.write_text(f"steps: {{train: {{job: {PUSHT}/job.yaml}}}}")
    submit = ("pipeline", "submit", file, "--platform", "local", "--dry-run")
    assert robotrain(*submit).exit_code == 0
    run = robotrain("render", PUSHT / "job.yaml", "--platform", "local", "--json").json["run"]
    (tmp_path / "state/local" / run).mkdir(parents=True)  # of an earlier run of the same job
    (tmp_path / "state/runs" / run).mkdir()
    (tmp_path / "state/runs" / run / records.RECORD_FILE).touch()
    answer = robotrain(*submit)
    assert answer.exit_code == 0, answer.stderr


@pytest.mark.slow
def test_a_killed_driver_is_lost_and_resume_goes_on_with_the_same_runs(engine, submit_pipeline, robotrain):
    run = submit_pipeline()
    wait_for(run, "train", "running")
    robotrain("pipeline", "resume", run).check_problems(2, "run-goes-on")
    stop_driver(run)
    status = robotrain("status", run, "--json").json
    assert status["state"] == "lost"
    assert "robotrain pipeline resume" in status["reason"]
    finish_training(engine, run)
    assert robotrain("pipeline", "resume", run, "--dry-run").exit_code == 0
    assert not progress.is_driven(run)
    assert robotrain("pipeline", "resume", run).exit_code == 0
    wait_for(run, "evaluate", "running")
    assert robotrain("status", run, "--json").json["state"] == "running"
    set_run_state(engine, get_step_run(run, "evaluate"))
    wait_for(run, "again", "running")
    assert set(count_submissions(engine).values()) == {1}
    assert len(count_submissions(engine)) == 3


@pytest.mark.slow
@pytest.mark.parametrize("with_driver", [True, False])
def test_cancel_stops_the_running_steps_and_starts_no_more(engine, submit_pipeline, robotrain, with_driver):
    run = submit_pipeline()
    wait_for(run, "train", "running")
    if not with_driver:
        stop_driver(run)
    answer = robotrain("cancel", run, "--json")
    assert (answer.exit_code, answer.json["state"]) == (0, "cancelled")
    assert read_states(run) == {"train": "cancelled", "evaluate": "skipped", "again": "skipped"}
    assert len(count_submissions(engine)) == 1


@pytest.mark.slow
def test_independent_steps_go_on_and_no_more_run_than_at_most(engine, submit_pipeline):
    text = (
        "name: three\nat_most: 2\nsteps:\n"
        + "".join(f"  s{at}: {{job: EXAMPLE/job.yaml, parameters: {{seed: {at}}}}}\n" for at in range(3))
        + "  last: {job: EXAMPLE/job.yaml, after: [s0, s2]}\n"
    )
    run = submit_pipeline(text)
    wait_for(run, "s1", "running")
    time.sleep(1)
    assert read_states(run) == {"s0": "running", "s1": "running", "s2": "waiting", "last": "waiting"}
    set_run_state(engine, get_step_run(run, "s0"), "failed")
    wait_for(run, "s2", "running")
    wait_for(run, "last", "skipped")
    set_run_state(engine, get_step_run(run, "s1"))
    set_run_state(engine, get_step_run(run, "s2"))
    wait_for(run, "s2", "succeeded")


def test_a_refused_step_fails_with_the_reason_of_the_refusal(engine, submit_pipeline, robotrain):
    (engine / "mood").write_text("refuses")
    run = submit_pipeline()
    wait_for(run, "again", "skipped")
    assert "fake is not at home" in robotrain("status", run, "--json").json["reason"]
    assert count_submissions(engine) == {}


def test_an_uncertain_submit_is_looked_up_and_not_repeated(engine, submit_pipeline, monkeypatch):
    monkeypatch.setattr(driver, "RETRY_SECONDS", 0.1)
    monkeypatch.setattr(driven_engine, "start_driver", lambda run, plugins: None)
    with answer_submits(engine, "takes it and hangs up"):
        run = submit_pipeline()
        drive = driver.PipelineDriver(run, manager.get_plugins())
        monkeypatch.setattr(drive, "_sleep", lambda seconds: _stop(drive))
        with pytest.raises(StopDriving):
            drive.drive()
        assert read_states(run)["train"] == "pending"
    monkeypatch.setattr(
        drive, "_sleep", lambda seconds: _stop(drive) if read_states(run)["train"] == "running" else None
    )
    with pytest.raises(StopDriving):
        drive.drive()
    assert count_submissions(engine) == {get_step_run(run, "train"): 1}


class StopDriving(Exception):
    """Ends a driver in this process."""


def _stop(drive: driver.PipelineDriver) -> None:
    raise StopDriving


KILLED = (
    AUDIT
    + """
from robotrain.pipelines import driver
from robotrain.plugins import manager
drive = driver.PipelineDriver(sys.argv[1], manager.get_plugins())
drive._sleep = lambda seconds: sys.exit(3)
drive.drive()
"""
)


@pytest.mark.slow
@pytest.mark.long
def test_a_driver_killed_before_any_effect_loses_and_doubles_no_step(engine, submit_pipeline, monkeypatch, tmp_path):
    monkeypatch.setattr(driven_engine, "start_driver", lambda run, plugins: None)
    run = submit_pipeline("name: kills\nsteps:\n  train: {job: EXAMPLE/job.yaml, parameters: {training_steps: 3}}\n")
    folder = records.get_run_folder(run)
    for at in range(1, 200, 5):
        environ = {**os.environ, "KILL_AT": str(at), "KILL_BELOW": str(tmp_path), "KILL_LISTED": os.devnull}
        killed = subprocess.run([sys.executable, "-c", KILLED, run], env=environ, capture_output=True, text=True)
        if killed.returncode == 3:
            break
        assert killed.returncode == -signal.SIGKILL, killed.stderr
        environ["KILL_AT"] = "0"
        again = subprocess.run([sys.executable, "-c", KILLED, run], env=environ, capture_output=True, text=True)
        assert again.returncode == 3, again.stderr
        assert count_submissions(engine) == {get_step_run(run, "train"): 1}, at
        for other in records.list_runs():
            if other != run:
                assert records.read_record(other).phase == "sent"
        forget(engine, folder)
    assert at > 10


def forget(engine: Path, folder: Path) -> None:

    (folder / progress.PROGRESS_FILE).unlink()
    shutil.rmtree(engine / "jobs")
    for name in records.list_runs():
        if name != folder.name:
            shutil.rmtree(records.get_run_folder(name))


@pytest.mark.slow
def test_a_driver_starts_although_its_lock_is_looked_at_meanwhile(engine):
    records.get_run_folder("shift-1").mkdir(parents=True)
    path = records.get_run_folder("shift-1") / progress.DRIVER_FILE
    path.touch()
    with path.open("rb") as looking:
        assert files.lock_file(looking.fileno(), fcntl.LOCK_SH)
        threading.Timer(0.2, lambda: fcntl.flock(looking, fcntl.LOCK_UN)).start()
        with driver.lock_pipeline("shift-1") as is_mine:
            assert is_mine
            with driver.lock_pipeline("shift-1") as is_mine_too:
                assert not is_mine_too


@pytest.mark.slow
def test_a_driver_that_ends_because_another_has_the_lock_is_no_failure(engine, monkeypatch):
    """The other one was started by an interrupted submit, and has not begun yet."""
    records.get_run_folder("shift-1").mkdir(parents=True)
    begun = progress.PipelineProgress(steps={"train": progress.StepState()})
    background, ended = driven_engine.background, list[int]()
    has_exited = background.has_exited

    def begin_after_the_end(pid: int) -> bool:
        is_over = has_exited(pid)
        if is_over:
            ended.append(pid)
            if len(ended) == 5:
                progress.write_progress("shift-1", begun)
        return is_over

    monkeypatch.setattr(background, "has_exited", begin_after_the_end)
    with driver.lock_pipeline("shift-1") as is_mine:
        assert is_mine
        driven_engine.start_driver("shift-1", manager.get_plugins())
    assert len(ended) == 5


def test_a_driver_that_does_not_begin_in_time_is_ended(engine, monkeypatch):
    records.get_run_folder("shift-1").mkdir(parents=True)
    monkeypatch.setattr(driven_engine, "START_SECONDS", 0.0)
    with check_rejected("driver-not-started"):
        driven_engine.start_driver("shift-1", manager.get_plugins())
    assert find_drivers("shift-1") == []
