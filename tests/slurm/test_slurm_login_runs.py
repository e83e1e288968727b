"""Runs on a real Slurm that is reached through a real sshd: the whole way of a user with a laptop."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from counting_runs import RESOURCES, CountingRuns, read_numbers
from lab import SEARCHED, SlurmLab, wait_until
from login_node import HOST, LoginNode, start_login_node

pytestmark = pytest.mark.slow


class LoginRuns(CountingRuns):
    """Runs of a user whose machine has no cluster."""

    def __init__(self, folder: Path, lab: SlurmLab, node: LoginNode) -> None:
        super().__init__(folder, lab)
        self.node = node
        self._environ |= {"PATH": os.environ["PATH"], "ROBOTRAIN_LOGIN": HOST, "SLURM_CONF": "/nowhere"}


@pytest.fixture
def node(lab, tmp_path, monkeypatch) -> Iterator[LoginNode]:
    environment = {"PATH": f"/usr/bin:/bin:{SEARCHED}", "SLURM_CONF": str(lab.configuration)}
    yield from start_login_node(tmp_path / "node", monkeypatch, **environment)


@pytest.fixture
def runs(lab, node, tmp_path) -> Iterator[LoginRuns]:
    made = LoginRuns(tmp_path, lab, node)
    yield made
    made.close()


def test_run_is_followed_from_afar_and_leaves_its_checkpoints(runs, node, tmp_path):
    folder = runs.submit(40, "--save-freq", 20)
    runs.wait_for_number(folder)
    before = node.count_logins()
    status = runs.read_status(folder)
    assert (status["state"], status["reason"][:4]) == ("running", "on n")
    assert node.count_logins() == before + 1
    follower = runs.start("logs", "-f", folder.name)
    assert runs.run("wait", folder.name)[0] == 0
    assert node.count_logins() <= before + 4, "one for each command, and one more where two questions begin at once"
    assert "40" in follower.communicate(timeout=30)[0]
    assert runs.read_status(folder)["step"] == 40
    code, output = runs.run("outputs", folder.name, "--checkpoint", "last", "--to", tmp_path / "best")
    assert code == 0, output
    assert [*(tmp_path / "best").rglob("*.json")]
    wait_until(lambda: not node.find_agents(), "the agents to end")
    assert node.list_running() == []


def test_shell_is_a_step_on_the_node_of_the_job(runs, node):
    folder = runs.submit(3000)
    runs.wait_for_number(folder)
    code, output = runs.run("shell", folder.name, "--", "sh", "-c", "pwd; echo $SLURM_JOB_ID $SLURMD_NODENAME; exit 7")
    own = [line for line in output.splitlines() if not line.startswith("srun: ")]  # it says 7 too, at any moment
    assert (code, " ".join(own).split()) == (7, [str(folder), runs.find_job(folder), "n1"])
    runs.run("cancel", folder.name)
    code, output = runs.run("shell", folder.name, "--", "true")
    assert (code, "run-not-running" in output) == (2, True)
    wait_until(lambda: not node.find_agents(), "the agents to end")


@pytest.mark.long
def test_running_job_saves_a_checkpoint_when_it_is_cancelled(runs):
    folder = runs.submit(3000, "--save-freq", 1000)
    runs.wait_for_number(folder, 5)
    code, output = runs.run("cancel", folder.name)
    assert code == 0, output
    status = runs.read_status(folder)
    assert (status["state"], status["checkpoint_step"]) == ("cancelled", status["step"])


@pytest.mark.long
def test_sweep_and_a_run_that_is_sent_again_work_from_afar(runs, node):
    places = ("--runs-dir", runs.folder / "runs", "--cache-dir", runs.folder / "cache")
    small = [word for pair in RESOURCES.items() for word in pair]
    code, output = runs.run("sweep", "count", "--platform", "slurm", *places, *small, "--over", "count=2,3", "--wait")
    assert code == 0, output
    assert len(re.findall(r"trial-[12] .* succeeded ", output)) == 2, output
    folder = runs.submit(4)
    assert runs.run("wait", folder.name)[0] == 0
    before = {*folder.parent.glob("count-*")}
    code, output = runs.run("resubmit", folder.name, "--set", "count=6", "--wait")
    assert code == 0, output
    (again,) = {*folder.parent.glob("count-*")} - before
    assert (read_numbers(folder)[-1], read_numbers(again)[-1]) == (4, 6)
