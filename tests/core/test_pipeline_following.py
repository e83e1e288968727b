"""A step that follows another: it begins with the first checkpoint, and learns from a file when that one has ended."""

import json
import time

import pytest
from driven_pipelines import get_step_run, read_states, stop_driver, wait_for
from fake_engine import count_submissions, set_run_state
from robotrain.pipelines import progress
from robotrain.store import records

SCORED = ("--evaluate-checkpoints", "--env", "pusht", "--training-steps", 400, "--save-freq", 100)


@pytest.fixture
def submit_followed(engine, robotrain, pusht):
    """Submit a training and the evaluation beside it; return the run."""
    (engine / "room").write_text("it has room")

    def submit(*options):
        words = ("--platform", "fake", "--dataset-path", pusht, *SCORED, *options)
        answer = robotrain("submit", *words)
        assert answer.exit_code == 0, answer.stderr
        return answer.stdout.split()[0]

    return submit


def read_policy(run):
    """Return the policy's source of the evaluation's job."""
    plan = json.loads((records.get_run_folder(get_step_run(run, "evaluate")) / "plan/job.json").read_text())
    return next(source for source in plan["sources"] if source["role"] == "policy")


@pytest.mark.slow
def test_it_begins_with_the_first_checkpoint_and_hears_of_the_end(engine, submit_followed, robotrain):
    run = submit_followed()
    wait_for(run, "train", "running")
    time.sleep(1)
    assert read_states(run) == {"train": "running", "evaluate": "waiting"}
    set_run_state(engine, get_step_run(run, "train"), "running", checkpoints=[100])
    wait_for(run, "evaluate", "running")
    assert read_states(run)["train"] == "running"
    marker = progress.get_end_marker(run, "train")
    assert read_policy(run)["grows_until"] == str(marker)
    assert "pin" not in read_policy(run) or not read_policy(run)["pin"]
    assert not marker.exists()
    set_run_state(engine, get_step_run(run, "train"), checkpoints=[100, 400])
    wait_for(run, "train", "succeeded")
    set_run_state(engine, get_step_run(run, "evaluate"))
    wait_for(run, "evaluate", "succeeded")
    assert marker.read_text() == "succeeded\n"
    assert robotrain("status", run, "--json").json["state"] == "succeeded"
    assert set(count_submissions(engine).values()) == {1}


@pytest.mark.slow
def test_after_a_failed_training_the_evaluation_hears_so_and_ends(engine, submit_followed, robotrain):
    run = submit_followed("-r", "pusher")
    wait_for(run, "train", "running")
    set_run_state(engine, get_step_run(run, "train"), "running", checkpoints=[100])
    wait_for(run, "evaluate", "running")
    set_run_state(engine, get_step_run(run, "train"), "failed", checkpoints=[100])
    wait_for(run, "train", "failed")
    set_run_state(engine, get_step_run(run, "evaluate"))
    wait_for(run, "evaluate", "succeeded")
    assert progress.get_end_marker(run, "train").read_text() == "failed\n"
    assert robotrain("status", run, "--json").json["reason"].startswith("step train failed")


@pytest.mark.slow
def test_a_training_that_fails_before_its_first_checkpoint_is_not_evaluated(engine, submit_followed):
    run = submit_followed()
    wait_for(run, "train", "running")
    set_run_state(engine, get_step_run(run, "train"), "failed")
    wait_for(run, "evaluate", "skipped")
    assert len(count_submissions(engine)) == 1


@pytest.mark.slow
def test_a_training_that_ended_unseen_is_evaluated_after_it(engine, submit_followed, robotrain):
    run = submit_followed()
    wait_for(run, "train", "running")
    stop_driver(run)
    set_run_state(engine, get_step_run(run, "train"), checkpoints=[400])
    assert robotrain("resume", run).exit_code == 0
    wait_for(run, "evaluate", "running")
    assert "grows_until" not in read_policy(run)


@pytest.mark.slow
def test_a_killed_driver_goes_on_and_says_late_that_the_training_ended(engine, submit_followed, robotrain):
    run = submit_followed()
    wait_for(run, "train", "running")
    set_run_state(engine, get_step_run(run, "train"), "running", checkpoints=[100])
    wait_for(run, "evaluate", "running")
    stop_driver(run)
    set_run_state(engine, get_step_run(run, "train"), checkpoints=[100, 400])
    marker = progress.get_end_marker(run, "train")
    assert not marker.exists()
    assert robotrain("resume", run).exit_code == 0
    wait_for(run, "train", "succeeded")
    set_run_state(engine, get_step_run(run, "evaluate"))
    wait_for(run, "evaluate", "succeeded")
    assert marker.exists()
    assert set(count_submissions(engine).values()) == {1}
    assert len(count_submissions(engine)) == 2


@pytest.mark.slow
@pytest.mark.parametrize("with_driver", [True, False])
def test_cancel_ends_both(engine, submit_followed, robotrain, with_driver):
    run = submit_followed()
    wait_for(run, "train", "running")
    set_run_state(engine, get_step_run(run, "train"), "running", checkpoints=[100])
    wait_for(run, "evaluate", "running")
    if not with_driver:
        stop_driver(run)
    answer = robotrain("cancel", run, "--json")
    assert (answer.exit_code, answer.json["state"]) == (0, "cancelled")
    assert read_states(run) == {"train": "cancelled", "evaluate": "cancelled"}


def test_without_room_it_waits_for_the_end(engine, robotrain, pusht):
    answer = robotrain("submit", "--dry-run", "--platform", "fake", "--dataset-path", pusht, *SCORED, "--json")
    assert "follows" not in answer.json["files"]["pipeline.json"]["text"]
    assert "evaluation-placed" not in answer.stderr
