"""Commands about a run whose submit was interrupted: it is looked up in its engine first."""

import json
import pickle

import pytest
from fake_engine import answer_submits, set_run_state
from robotrain import api
from robotrain.errors import Problem, Rejected, Stage
from robotrain.store import name_lock, records, stored_job


@pytest.fixture
def submit(robotrain, fake_platform, pusht):
    def submit(mood: str, *more: object) -> str:
        """What was cut off in that mood; the engine is well again afterwards."""
        with answer_submits(fake_platform, mood):
            robotrain("submit", "--platform", "fake", "--dataset-path", pusht, "--no-pin", *more)
        (run, *_) = records.list_runs()
        return run

    return submit


TAKEN = "takes it and hangs up"


def test_status_adopts_a_run_that_the_platform_has(submit, robotrain):
    run = submit(TAKEN)
    answer = robotrain("status", run)
    answer.check_problems(0, "run-adopted")
    assert f"{run}  running  on fake" in answer.stdout
    record = records.read_record(run)
    assert (record.phase, record.reference) == ("sent", {"id": run})
    assert "adopted" in record.notes[0]
    assert "cut off" not in robotrain("status", run).stderr


def test_cancel_stops_a_run_that_the_platform_has(submit, robotrain, fake_platform):
    run = submit(TAKEN)
    assert robotrain("cancel", run).stdout.startswith(f"{run}  cancelled")
    assert json.loads((fake_platform / f"{run}.json").read_text()) == {"state": "cancelled"}


@pytest.mark.parametrize("command", ["logs", "logs -f", "wait", "watch", "outputs", "Python"])
def test_whatever_is_about_a_run_adopts_it(submit, robotrain, fake_platform, command):
    run = submit(TAKEN)
    set_run_state(fake_platform, run, "succeeded", log=["hello"], checkpoints=[1])
    if command == "Python":
        assert api.Run(run).status().state == "succeeded"
    else:
        assert robotrain(*command.split(), run).exit_code == 0
    assert records.read_record(run).phase == "sent"


@pytest.mark.parametrize("command", ["status", "cancel"])
def test_a_run_that_the_platform_does_not_have_is_reported_with_what_to_do(submit, robotrain, command):
    run = submit("hangs up")
    robotrain(command, run).check_problems(1, "run-not-sent")
    assert records.read_record(run).phase == "sending"


def test_prune_removes_only_runs_that_the_platform_does_not_have(submit, robotrain):
    left = submit("hangs up")
    taken = submit(TAKEN, "--new")
    answer = robotrain("prune", "--state", "interrupted", "--keep", "0", "--yes")
    assert answer.exit_code == 0
    assert f"removed {left}" in answer.stderr
    assert f"{taken} stays: its submit was interrupted" in answer.stderr
    assert records.list_runs() == [taken]


@pytest.mark.parametrize(
    ("memory", "problems"),
    [("away", ["submit-unsure"]), ("refuses", ["submit-unsure", "asleep"]), ("fades", ["submit-unsure"])],
)
def test_a_platform_that_does_not_answer_changes_nothing(submit, robotrain, fake_platform, memory, problems):
    run = submit(TAKEN)
    (fake_platform / "memory").write_text(memory)
    answer = robotrain("status", run)
    answer.check_problems(1, *problems)
    assert "c2VjcmV0" not in answer.stderr
    robotrain("prune", "--keep", "0", "--yes")
    assert records.read_record(run).phase == "sending"


def test_a_submit_of_another_machine_may_run_there_and_its_record_stays(submit, robotrain):
    run = submit("hangs up")
    path = records.get_run_folder(run) / "record.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"host": "another"}))
    robotrain("status", run).check_problems(1, "run-not-sent")
    robotrain("prune", "--keep", "0", "--yes")
    assert records.list_runs() == [run]


def test_a_run_that_is_being_submitted_is_left_alone(submit, robotrain):
    run = submit(TAKEN)
    held = name_lock.acquire_name_lock(records.get_run_folder(run))
    robotrain("status", run).check_problems(1, "run-being-sent")
    held.release()
    assert robotrain("status", run).exit_code == 0


def test_a_run_with_a_damaged_plan_cannot_be_looked_up(submit, robotrain):
    run = submit(TAKEN)
    path = stored_job.get_plan_folder(run) / "job.json"
    path.write_text(path.read_text()[:-40])
    robotrain("status", run).check_problems(1, f"submit-unsure {stored_job.get_plan_folder(run)}")


@pytest.mark.parametrize("passing", [True, False])
def test_a_pickled_rejection_stays_transient(passing):
    rejected = Rejected([Problem(code="x", stage=Stage.SUBMIT, title="no")], transient=passing)
    assert pickle.loads(pickle.dumps(rejected)).transient is passing
