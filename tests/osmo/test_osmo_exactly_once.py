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
    return [name for name, one in osmo.workflows.items() if one.status != "FAILED_SUBMISSION"]


def list_recorded_workflows() -> list[str]:
    """The workflows in the records."""
    names = (folder.parent.name for folder in (files.get_state_folder() / "runs").glob("*/record.json"))
    return [records.read_record(name).reference["workflow"] for name in names]


def test_a_command_that_goes_on_after_its_robotrain_was_killed_is_waited_for(osmo, robotrain, command):
    osmo.fail("workflow submit", "slow", seconds=3.0)
    with subprocess.Popen([*command, *JOB], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while not any(call[:2] == ["workflow", "submit"] for call in osmo.calls):
            time.sleep(0.02)
        process.kill()
    assert list_accepted_workflows(osmo) == []
    answer = robotrain(*JOB)
    assert "waiting for an `osmo` command" in answer.stderr
    assert "[run-adopted]" in answer.stderr
    assert len(list_accepted_workflows(osmo)) == 1
    assert list_recorded_workflows() == list_accepted_workflows(osmo)


def test_a_command_whose_end_nobody_saw_is_not_repeated_though_osmo_lists_its_workflow_late(
    osmo, robotrain, command, monkeypatch
):
    osmo.fail("workflow submit", "slow", seconds=1.5)
    with subprocess.Popen([*command, *JOB], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while not any(call[:2] == ["workflow", "submit"] for call in osmo.calls):
            time.sleep(0.02)
        process.kill()
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
        while not any(call[:2] == ["workflow", "submit"] for call in osmo.calls):
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        said = process.communicate(timeout=10)[1].decode()
    assert process.returncode == 130
    assert "[submit-unsure]" in said
    answer = robotrain(*JOB)
    assert answer.exit_code == 0, answer.stderr
    assert len(list_accepted_workflows(osmo)) == 1


def test_an_equal_job_that_another_machine_sent_and_that_ended_is_left_alone(osmo, robotrain, tmp_path, monkeypatch):
    """A workflow with the same name and text, from another state folder."""
    for number in range(2):
        with monkeypatch.context() as elsewhere:
            elsewhere.setenv("ROBOTRAIN_STATE", str(tmp_path / str(number)))
            assert robotrain(*JOB).exit_code == 0
    for name in list_accepted_workflows(osmo):
        osmo.set_state(name, task_status="FAILED")
    osmo.fail("workflow submit", "server_error")
    first = robotrain(*JOB)
    assert first.exit_code == 1
    assert "[submit-unsure]" in first.stderr
    assert len(list_accepted_workflows(osmo)) == 2
    again = robotrain(*JOB)
    assert again.exit_code == 0, again.stderr
    assert list_recorded_workflows() == list_accepted_workflows(osmo)[2:]


def test_refused_submit_frees_its_name(osmo, robotrain):
    osmo.fail("workflow submit", "answer", code=1, stdout='{"message": "Pool default not found.", "code": 400}')
    assert robotrain(*JOB).exit_code == 1
    assert list_recorded_workflows() == []
    assert robotrain(*JOB).exit_code == 0
    assert list_recorded_workflows() == list_accepted_workflows(osmo)
    assert list_accepted_workflows(osmo)[0].endswith("-1-1")


def test_failed_preflight_sends_nothing(osmo, robotrain):
    answer = robotrain(*JOB, "--hf-credential", "--gpu-platform", "h100")
    assert answer.exit_code == 4
    assert "osmo credential set hf_token --type GENERIC --payload-file hf_token=/path/to/file" in answer.stderr
    assert "the pool default has no platform h100" in answer.stderr
    assert not any(call[:2] == ["workflow", "submit"] for call in osmo.calls)
