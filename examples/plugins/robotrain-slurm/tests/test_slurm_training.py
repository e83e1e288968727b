"""Train with submitit's local executor, whose processes outlive the command."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

PUSHT = Path(__file__).parents[3] / "pusht-mini/job.yaml"
ROBOTRAIN = (sys.executable, "-m", "robotrain")


@pytest.fixture
def started(tmp_path):
    """Start a command whose output is a pipe, which ends when no process holds it any more."""

    def start(*words):
        environ = os.environ | {"ROBOTRAIN_STATE": str(tmp_path / "state")}
        command = [*ROBOTRAIN, *map(str, words)]
        return subprocess.Popen(command, cwd=tmp_path, env=environ, stdout=subprocess.PIPE, text=True)

    return start


@pytest.fixture
def robotrain(started):
    def robotrain(*words):
        with started(*words) as process:
            answer = process.communicate()[0]
        assert process.returncode == 0
        return answer

    return robotrain


@pytest.fixture
def submit(robotrain, tmp_path):
    def submit(steps, *words):
        settings = ("--platform", "slurm", "--cluster", "local", "--folder", tmp_path / "runs")
        return robotrain("submit", PUSHT, *settings, "--training-steps", steps, "--save-freq", 2, *words)

    return submit


@pytest.fixture
def training(submit, started, robotrain):
    """A running run that has saved a checkpoint."""
    run = submit(100_000).split()[0]
    with started("logs", "-f", "--raw", run) as follower:
        assert any('"checkpoint"' in line for line in follower.stdout)
        follower.terminate()
    yield run
    robotrain("cancel", run)


def test_policy_is_trained(submit, robotrain):
    run = submit(4, "--wait").split()[0]
    status = json.loads(robotrain("status", run, "--json"))
    assert (status["state"], status["step"], status["checkpoint_step"]) == ("succeeded", 4, 4)
    assert robotrain("logs", run) == robotrain("logs", "-f", run)
    assert [line.split()[0] for line in robotrain("outputs", run).splitlines()[1:3]] == [
        "checkpoints/000002",
        "checkpoints/000004",
    ]


def test_cancelled_run_saves_a_checkpoint(training, robotrain):
    assert json.loads(robotrain("cancel", training, "--json"))["state"] == "cancelled"
    status = json.loads(robotrain("status", training, "--json"))
    assert status["reason"] == "the run was stopped"
    assert status["checkpoint_step"] > 0


def test_run_with_a_killed_runtime_is_lost(training, robotrain, tmp_path):
    process = int(os.readlink(tmp_path / "runs" / training / "taken").rpartition(":")[2])
    os.killpg(process, signal.SIGKILL)
    assert json.loads(robotrain("status", training, "--json"))["state"] == "lost"
