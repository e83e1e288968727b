"""The platform on a real Slurm of two nodes."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from slurm_lab import wait_until

pytestmark = pytest.mark.slow


@pytest.fixture
def start(lab, tmp_path):
    """Start a command of robotrain, with a workload that counts."""
    shutil.copytree(Path(__file__).with_name("counting"), tmp_path / "site/counting")
    metadata = tmp_path / "site/robotrain_counting-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: robotrain-counting\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[robotrain]\nworkload.count = counting.plugin\n")
    environ = os.environ | {"PYTHONPATH": str(tmp_path / "site"), "ROBOTRAIN_STATE": str(tmp_path / "state")}
    started = []

    def start(*words):
        command = [sys.executable, "-m", "robotrain", *map(str, words)]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        started.append(subprocess.Popen(command, cwd=tmp_path, env=environ, text=True, **pipes))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def robotrain(start):
    """Run a command of robotrain: its exit code and output."""

    def robotrain(*words):
        process = start(*words)
        output = process.communicate(timeout=120)[0]
        return process.returncode, output

    return robotrain


@pytest.fixture
def submit(robotrain, tmp_path):
    def submit(*words):
        """Submit the job file of `words`, else a job that counts."""
        workload = () if isinstance(words[-1], Path) else ("count",)
        folders = ("--folder", tmp_path / "runs", "--cache-folder", tmp_path / "cache")
        return robotrain("submit", *workload, "--platform", "slurm", *folders, *words)

    return submit


@pytest.fixture
def counting(submit, robotrain, tmp_path, lab):
    """A run that counts, its folder and the number of its job."""
    code, output = submit("--count", 300, "--pause", 0.1)
    assert code == 0, output
    (folder,) = (tmp_path / "runs").iterdir()
    job = lab.run("squeue", "--noheader", "--format=%i", f"--name={folder.name}")
    wait_until(lambda: read_steps(folder), "the first number")
    yield folder.name, folder, job
    lab.run("scancel", job)


def read_steps(folder):
    events = folder / "events.jsonl"
    return [*map(int, re.findall(r'"step": (\d+)', events.read_text() if events.exists() else ""))]


def read_process(folder):
    return int(os.readlink(folder / "taken").rpartition(":")[2])


def read_status(robotrain, run):
    return json.loads(robotrain("status", run, "--json")[1])


def test_flags_and_values_with_commas_reach_slurm(submit, lab, tmp_path):
    file = tmp_path / "job.yaml"
    table = "{partition: 'gpu,spare', hold: true, requeue: true, nice: 0, exclusive: false}"
    file.write_text(f"workload: count\nplatforms: {{slurm: {{slurm: {table}}}}}\n")
    for words in (("--slurm", "partition=gpu,spare,hold,requeue"), ("--count", 4, file)):
        code, output = submit(*words)
        assert code == 0, output
    jobs = lab.run("scontrol", "--oneliner", "show", "job").splitlines()
    assert len(jobs) == 2
    for job in jobs:
        assert "Partition=gpu,spare " in job
        assert "Reason=JobHeldUser" in job
        assert "Requeue=1" in job


def test_job_that_slurm_refuses_after_recording_it_was_not_sent(submit, robotrain, lab, tmp_path):
    for _ in range(2):
        code, output = submit("--slurm", "mem=64G")
        assert code == 1
        assert "Requested node configuration is not available" in output
        assert [*(tmp_path / "runs").iterdir()] == []
    assert "FAILED|BadConstraints" in lab.run("squeue", "--noheader", "--states=all", "--format=%T|%r")
    code, output = submit("--slurm", "mem=1G", "--wait")
    assert code == 0, output


def test_run_has_not_ended_while_slurm_requeues_it(counting, start, robotrain, lab):
    run, folder, job = counting
    followers = [start("wait", run), start("logs", "-f", run)]
    lab.run("scontrol", "requeue", job)
    seen = []
    while (state := read_status(robotrain, run)["state"]) != "pending":
        seen.append(state)
    assert set(seen) <= {"running"}
    assert json.loads((folder / "outcome.json").read_text())["state"] == "cancelled"
    assert [follower.poll() for follower in followers] == [None, None]
    assert robotrain("cancel", run)[0] == 0
    assert read_status(robotrain, run)["state"] == "cancelled"
    assert followers[0].wait(timeout=60) == 5


def test_process_on_a_lost_node_ends_when_the_job_starts_elsewhere(submit, robotrain, lab, tmp_path):
    code, output = submit("--count", 5000, "--pause", 0.1, "--slurm", "partition=gpu,spare")
    assert code == 0, output
    (folder,) = (tmp_path / "runs").iterdir()
    wait_until(lambda: read_steps(folder), "the first number")
    orphan = read_process(folder)
    job, node = lab.run("squeue", "--noheader", "--format=%i %N", f"--name={folder.name}").split()
    lab.stop(node)
    try:
        lab.run("scontrol", "update", f"nodename={node}", "state=down", "reason=lost")
        assert is_running(orphan)
        lab.run("scontrol", "update", f"jobid={job}", "StartTime=now")
        wait_until(lambda: not is_running(orphan), "the process on the lost node", 60)
        count = len(read_steps(folder))
        wait_until(lambda: len(read_steps(folder)) > count + 5, "the process on the other node")
        assert robotrain("cancel", folder.name)[0] == 0
    finally:
        lab.start_node(node)
        lab.run("scontrol", "update", f"nodename={node}", "state=resume")
    steps = read_steps(folder)
    again = steps[steps.index(1, 1) :]
    assert again == [*range(1, len(again) + 1)], "the numbers of one process only"
    assert f"process {orphan} on" in (folder / "log.txt").read_text()


def is_running(process):
    try:
        return "State:\tZ" not in Path(f"/proc/{process}/status").read_text()
    except FileNotFoundError:
        return False


def test_end_that_only_slurm_knew_is_kept(counting, robotrain, lab):
    run, folder, job = counting
    os.killpg(read_process(folder), signal.SIGKILL)  # as when memory runs out
    assert robotrain("wait", run)[0] == 5
    assert not (folder / "outcome.json").exists()
    state = read_status(robotrain, run)
    assert state["state"] == "failed"
    lab.stop("slurmctld")
    lab.start_controller("-c")
    assert "Invalid job id" in lab.run("scontrol", "show", "job", job)
    assert read_status(robotrain, run) == state


def test_controller_that_is_away_is_noticed_before_anything_is_sent(submit, robotrain, lab, tmp_path):
    assert robotrain("doctor", "--platform", "slurm")[0] == 0
    lab.stop("slurmctld")
    try:
        for code, output in (submit("--dry-run"), robotrain("doctor", "--platform", "slurm")):
            assert code == 4, output
            assert "is DOWN" in output
        assert not (tmp_path / "runs").exists()
    finally:
        lab.start_controller()
