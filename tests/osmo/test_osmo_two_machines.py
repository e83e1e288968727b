"""Two machines of one user that send the same job: OSMO keeps the workflow with the lowest number."""

import os
import random
import subprocess
import time

import pytest
from problem_assertions import check_problems
from robotrain.store import records

JOB = (
    *("submit", "--platform", "osmo", "--pool", "default", "-d", f"lerobot/pusht@{'a' * 40}"),
    *("--training-steps", "10", "--tracking-uri", "none", "--no-pin"),
)
NOTHING = '{"workflows": []}'


@pytest.fixture
def other_machine(tmp_path, monkeypatch):
    """Go to another machine: `other_machine()`."""
    return lambda name="other": monkeypatch.setenv("ROBOTRAIN_STATE", str(tmp_path / name))


def hide_workflows(osmo) -> None:
    """Send the next job at the moment of another one: OSMO does not list that yet."""
    for _ in range(2):  # when it is looked for, and just before the submit
        osmo.fail("workflow list", "answer", stdout=NOTHING)


def list_active(osmo) -> list[str]:
    return [name for name, one in osmo.workflows.items() if not one.status.startswith(("FAILED", "COMPLETED"))]


def list_recorded() -> list[str]:
    return [records.read_record(run).reference["workflow"] for run in records.list_runs()]


def test_second_machine_records_the_run_of_the_first(osmo, robotrain, other_machine):
    first = robotrain(*JOB, "--json").json
    other_machine()
    answer = robotrain(*JOB, "--json")
    assert (answer.json["run"], answer.json["new"]) == (first["run"], False)
    check_problems(answer.stderr, "run-sent-elsewhere", "run-unfinished")
    assert list_recorded() == list_active(osmo)


def test_dry_run_says_that_another_machine_sent_the_job_and_records_nothing(osmo, robotrain, other_machine):
    run = robotrain(*JOB, "--json").json["run"]
    other_machine()
    answer = robotrain(*JOB, "--dry-run")
    assert answer.exit_code == 0
    check_problems(answer.stderr, "run-sent-elsewhere")
    assert f"robotrain adopt {run}-1" in answer.stderr
    assert records.list_runs() == []


def test_new_starts_another_run_beside_that_of_the_first_machine(osmo, robotrain, other_machine):
    first = robotrain(*JOB, "--json").json["run"]
    other_machine()
    second = robotrain(*JOB, "--new", "--json").json["run"]
    assert second == f"{first[:-1]}2"
    assert {*list_recorded()} == {*list_active(osmo)} == {f"{first}-1", f"{second}-1"}


def test_run_that_has_ended_is_left_to_its_machine(osmo, robotrain, other_machine):
    run = robotrain(*JOB, "--json").json["run"]
    osmo.set_state(f"{run}-1", status="COMPLETED")
    other_machine()
    answer = robotrain(*JOB, "--json").json
    assert (answer["run"], answer["new"]) == (run, True)
    assert list_recorded() == [f"{run}-2"]


def test_of_two_at_the_same_moment_the_one_with_the_lower_number_stays(osmo, robotrain, other_machine):
    first = robotrain(*JOB, "--json").json["run"]
    other_machine()
    hide_workflows(osmo)
    answer = robotrain(*JOB, "--json")
    check_problems(answer.stderr, "run-sent-elsewhere", "run-sent-elsewhere")
    assert "was cancelled" in answer.stderr
    assert not answer.json["new"]
    assert [records.read_record(run).reference["workflow"] for run in records.list_runs()] == [f"{first}-1"]
    assert list_active(osmo) == [f"{first}-1"]


def test_other_run_that_cannot_be_read_stops_nothing(osmo, robotrain, other_machine):
    robotrain(*JOB)
    other_machine()
    osmo.fail("workflow spec", "answer", after=1, times=None, stdout="ROBOTRAIN_PLAN: nothing")
    answer = robotrain(*JOB, "--json")
    check_problems(answer.stderr, "run-sent-elsewhere")
    assert answer.json["new"]


def test_workflow_that_cannot_be_cancelled_stays_recorded(osmo, robotrain, other_machine):
    first = robotrain(*JOB, "--json").json["run"]
    other_machine()
    hide_workflows(osmo)
    osmo.fail("workflow cancel", "answer", code=1, times=None, stdout='{"message": "no", "code": 500}')
    answer = robotrain(*JOB, "--json")
    assert answer.json["new"]
    assert "could not be cancelled" in answer.stderr
    assert list_recorded() == [f"{first}-2"]


def test_workflow_whose_end_is_not_seen_in_time_is_cancelled(osmo, robotrain, other_machine, monkeypatch):
    first = robotrain(*JOB, "--json").json["run"]
    other_machine()
    hide_workflows(osmo)
    osmo.fail("workflow cancel", "answer", stdout='{"name": "accepted"}')
    monkeypatch.setattr("robotrain_osmo.platform.OsmoPlatform.cancel_seconds", 0.0)
    answer = robotrain(*JOB, "--json")
    assert not answer.json["new"], answer.stderr
    assert list_recorded() == [f"{first}-1"]


def test_osmo_that_does_not_say_whether_another_machine_was_first_is_named(osmo, robotrain, other_machine):
    robotrain(*JOB)
    other_machine()
    hide_workflows(osmo)
    osmo.fail("workflow list", "answer", code=1, times=None, stdout='{"message": "no", "code": 403}')
    answer = robotrain(*JOB, "--json")
    assert answer.json["new"]
    check_problems(answer.stderr, "run-sent-elsewhere")


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize("victim", [0, 1])
def test_one_workflow_is_left_whenever_one_of_two_machines_is_killed(
    osmo, robotrain, command, tmp_path, monkeypatch, victim
):
    draws = random.Random(victim)
    for number in range(25):
        words = [*JOB, "--seed", str(number)]
        states = [str(tmp_path / name) for name in ("first", "second")]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        processes = [
            subprocess.Popen([*command, *words], env={**os.environ, "ROBOTRAIN_STATE": state}, **quiet)
            for state in states
        ]
        time.sleep(draws.uniform(0.2, 2.5))
        processes[victim].kill()
        for process in processes:
            process.wait(60)
        workflows = []
        for state in states:
            monkeypatch.setenv("ROBOTRAIN_STATE", state)
            answer = robotrain(*words, "--json")
            assert answer.exit_code == 0, (number, answer.stderr)
            workflows.append(records.read_record(answer.json["run"]).reference["workflow"])
        assert {*workflows} == {*list_active(osmo)}, number
        assert len({*workflows}) == 1, number
        osmo.set_state(workflows[0], status="COMPLETED")
