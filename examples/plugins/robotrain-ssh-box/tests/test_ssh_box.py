"""What the kit does not know of this platform: a job that really runs, and a machine that does not fit."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import robotrain.api
from fake_machine import FakeMachine
from robotrain.api import RunFailed
from robotrain.plugin import Rejected


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeMachine]:
    monkeypatch.setenv("ROBOTRAIN_STATE", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    machine = FakeMachine(tmp_path, monkeypatch)
    yield machine
    machine.stop_all()


def submit(machine: FakeMachine, *command: str, interpreter: str = sys.executable) -> robotrain.api.Run:
    where = {"platform": "ssh-box", "folder": str(machine.runs), "interpreter": interpreter}
    return robotrain.api.submit(workload="command", trainer_args=command, **where)


def test_a_command_runs_to_its_end(machine):
    run = submit(machine, "sh", "-c", "echo done")
    assert run.wait().state == "succeeded"
    assert "done" in [*run.logs()]


def test_a_command_that_fails_is_a_failed_run(machine):
    with pytest.raises(RunFailed) as failed:
        submit(machine, "sh", "-c", "exit 3").wait()
    assert failed.value.status.exit_code == 3


@pytest.mark.parametrize("lost", ["questions", "answers"])
def test_the_same_submit_again_is_one_run(machine, lost):
    with machine.lose(lost), pytest.raises(Rejected) as refused:
        submit(machine, "true")
    assert refused.value.transient or refused.value.problems[0].code == "submit-unsure"
    run = submit(machine, "true")
    assert [folder.name for folder in machine.runs.glob("[!.]*")] == [run.name]


def test_a_machine_that_does_not_fit_is_refused(machine, tmp_path):
    old = tmp_path / "old-python"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    with pytest.raises(Rejected) as refused:
        submit(machine, "true", interpreter=str(old))
    assert refused.value.problems[0].code == "ssh-box-unfit"
    assert not [*machine.runs.glob("[!.]*")]
