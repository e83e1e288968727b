"""After an interruption or a lost answer, the same command leaves one workflow."""

import signal
import subprocess
import time

import pytest
from robotrain.store import files, records
from robotrain_osmo.submit import submit
from robotrain_runtime.contract.files import is_locked

pytestmark = pytest.mark.slow  # real processes, killed

JOB = (
    *("submit", "--platform", "osmo", "--pool", "default", "-d", f"lerobot/pusht@{'a' * 40}"),
    *("--training-steps", "10", "--tracking-uri", "none", "--no-pin"),
)


def list_accepted_workflows(osmo) -> list[str]:
    return [name for name, workflow in osmo.workflows.items() if workflow.status != "FAILED_SUBMISSION"]


def list_recorded_workflows() -> list[str]:
    """The workflows in the records."""
    names = (folder.parent.name for folder in (files.get_state_folder() / "runs").glob("*/record.json"))
    return [records.read_record(name).reference["workflow"] for name in names]


def kill_submit(osmo, command, seconds: float) -> None:
    """Start a submit whose `osmo` command takes so long, and kill robotrain meanwhile."""
    osmo.fail("workflow submit", "slow", seconds=seconds)
    with subprocess.Popen([*command, *JOB], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        wait_for_submit(osmo)
        process.kill()


def wait_for_submit(osmo) -> None:
    while not any(call[:2] == ["workflow", "submit"] for call in osmo.calls):
        time.sleep(0.02)


def test_osmo_command_that_outlives_robotrain_is_waited_for(osmo, robotrain, command):
    kill_submit(osmo, command, 3.0)
    assert list_accepted_workflows(osmo) == []
    answer = robotrain(*JOB)
    assert "waiting for an `osmo` command" in answer.stderr
    assert "[run-adopted]" in answer.stderr
    assert len(list_accepted_workflows(osmo)) == 1
    assert list_recorded_workflows() == list_accepted_workflows(osmo)


def test_workflow_that_osmo_lists_late_is_found_after_a_kill(osmo, robotrain, command, monkeypatch):
    kill_submit(osmo, command, 1.5)
    [lock] = (files.get_state_folder() / "runs").glob(f"*/{submit.LOCK_FILE}")
    while is_locked(lock):
        time.sleep(0.02)
    assert len(list_accepted_workflows(osmo)) == 1
    monkeypatch.setattr(submit, "SETTLE_SECONDS", 1.0)
    osmo.fail("workflow list", "answer", stdout='{"workflows": []}')
    answer = robotrain(*JOB)
    assert "waiting for an `osmo` command" not in answer.stderr
    assert "[run-adopted]" in answer.stderr
    assert len(list_accepted_workflows(osmo)) == 1
    assert list_recorded_workflows() == list_accepted_workflows(osmo)


def test_interrupted_submit_is_resumed(osmo, robotrain, command):
    osmo.fail("workflow submit", "slow", seconds=30.0)
    with subprocess.Popen([*command, *JOB], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        wait_for_submit(osmo)
        process.send_signal(signal.SIGINT)
        result = process.communicate(timeout=10)[1].decode()
    assert process.returncode == 130
    assert "[submit-unsure]" in result
    answer = robotrain(*JOB)
    assert answer.exit_code == 0, answer.stderr
    assert len(list_accepted_workflows(osmo)) == 1


def test_refused_submit_frees_its_name_and_the_next_one_names_its_workflow(osmo, robotrain):
    osmo.fail("workflow submit", "answer", code=1, stdout='{"message": "Pool default not found.", "code": 400}')
    assert robotrain(*JOB).exit_code == 1
    assert list_recorded_workflows() == []
    answer = robotrain(*JOB)
    assert answer.exit_code == 0
    [workflow] = list_accepted_workflows(osmo)
    assert list_recorded_workflows() == [workflow]
    assert workflow.endswith("-1-1")
    assert f"  workflow {workflow}\n" in answer.stderr
