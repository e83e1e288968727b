"""Train for real, as a job of the stand-in's MoM."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

PUSHT = Path(__file__).parents[3] / "pusht-mini/job.yaml"


@pytest.fixture
def submit(robotrain, cluster, tmp_path):
    def submit(steps, *words):
        settings = ("--platform", "pbs", *cluster.options[:2], "--device", "cpu", "--cpus", 2, "--memory", "6G")
        settings += ("--tracking-uri", f"sqlite:///{tmp_path}/mlflow.db")
        return robotrain("submit", PUSHT, *settings, "--training-steps", steps, "--save-freq", 2, *words).split()[0]

    return submit


def read_status(robotrain, run):
    return json.loads(robotrain("status", run, "--json"))


def follow_until_checkpoint(run):
    command = [sys.executable, "-m", "robotrain", "logs", "-f", "--raw", run]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as follower:
        assert any('"checkpoint"' in line for line in follower.stdout)
        follower.terminate()


def test_policy_is_trained(submit, robotrain):
    run = submit(4)
    log = robotrain("logs", "-f", run)
    robotrain("wait", run)
    status = read_status(robotrain, run)
    assert (status["state"], status["step"], status["checkpoint_step"]) == ("succeeded", 4, 4)
    assert robotrain("logs", run) == log
    assert "checkpoints/000004" in robotrain("outputs", run)


def test_trained_policy_is_registered_and_evaluated(submit, robotrain, cluster):
    run = submit(4)
    robotrain("wait", run)
    registered = json.loads(robotrain("register", run, "arm", "--json"))
    assert (registered["model"], registered["version"], registered["step"]) == ("arm", "1", 4)
    episodes = ("--policy-run", run, "--dataset-path", PUSHT.with_name("dataset"), "--device", "cpu")
    words = ("--platform", "pbs", *cluster.options[:2], "--cpus", 1, "--memory", "6G")
    evaluation = robotrain("submit", "lerobot-eval", *episodes, *words).split()[0]
    robotrain("wait", evaluation)
    assert read_status(robotrain, evaluation)["state"] == "succeeded"


def test_cancelled_run_saves_a_checkpoint(submit, robotrain, cluster):
    run = submit(100_000)
    follow_until_checkpoint(run)
    assert json.loads(robotrain("cancel", run, "--json"))["state"] == "cancelled"
    status = read_status(robotrain, run)
    assert status["reason"].startswith("the run was stopped. Its last complete checkpoint, of step ")
    assert status["checkpoint_step"] > 0
    assert ["qsig", "-s", "SIGTERM", "1.pbs"] in cluster.list_calls()


def test_run_whose_job_is_deleted_saves_a_checkpoint_and_is_resumed(submit, robotrain):
    """As when its time is up: SIGTERM to every process of its session, SIGKILL after `kill_delay`."""
    run = submit(100_000)
    follow_until_checkpoint(run)
    subprocess.run(["qdel", "1.pbs"], check=True)
    robotrain("wait", run, code=5)
    status = read_status(robotrain, run)
    assert status["state"] == "cancelled"
    assert status["reason"].startswith("the run was stopped by pbs, as when its time is up. Its last complete ")
    step = status["checkpoint_step"]
    words = robotrain("resume", run, "--training-steps", step + 2).split()
    robotrain("wait", words[0])
    assert read_status(robotrain, words[0])["step"] == step + 2
