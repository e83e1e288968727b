"""Without a shared disk: the job travels in its script, works on the disk of its node, and publishes."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from lab import NODES, wait_until

pytestmark = pytest.mark.slow


@pytest.fixture
def apart(make_lab, tmp_path):
    """A lab whose nodes have folders of their own in place of `runs` and `cache`, which the login node does not see."""
    if os.getuid():
        pytest.skip("a mount namespace is made as root only")
    lab = make_lab()
    for name in ("runs", "cache"):
        (tmp_path / name).mkdir()
    for node in NODES:
        lab.stop(node)
        own = tmp_path / "disks" / node
        binds = []
        for name in ("runs", "cache"):
            (own / name).mkdir(parents=True)
            binds.append(f"mount --bind {own / name} {tmp_path / name}")
        program = lab.folder / f"slurmd-{node}.sh"
        program.write_text(f'#!/bin/sh\n{"; ".join(binds)}\nexec "$@"\n')
        program.chmod(0o755)
        lab.start_node(node, "unshare", "--mount", "--propagation=private", str(program))
    wait_until(lambda: lab.run("sinfo", "--noheader", "--partition=batch", "--format=%T %D") == "idle 2", "two nodes")
    return lab


@pytest.fixture
def robotrain(apart, tmp_path):
    """Run a command of robotrain, with the workload that counts."""
    shutil.copytree(Path(__file__).with_name("counting"), tmp_path / "site/counting")
    metadata = tmp_path / "site/robotrain_counting-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: robotrain-counting\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[robotrain]\nworkload.count = counting.plugin\n")
    path = str(tmp_path / "site")

    def run(*words):
        command = [sys.executable, "-m", "robotrain", *map(str, words)]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        done = subprocess.run(
            command, cwd=tmp_path, env=os.environ | {"PYTHONPATH": path}, text=True, timeout=180, **pipes
        )
        return done.returncode, done.stdout

    return run


@pytest.fixture
def submit(robotrain, tmp_path):
    """Submit a job that counts on the disk of its node; return its name."""

    def submit(*options):
        folders = ("--runs-dir", tmp_path / "runs", "--cache-dir", tmp_path / "cache", "--environment", sys.prefix)
        storage = ("--storage", "node", "--publish-url", tmp_path / "published", "--cpus", 1, "--memory", "1G")
        code, output = robotrain("submit", "count", "--platform", "slurm", *folders, *storage, *options)
        assert code == 0, output
        (folder,) = (tmp_path / "runs").iterdir()
        return folder.name

    return submit


def read_numbers(checkpoint):
    return [line.split() for line in (checkpoint / "numbers").read_text().splitlines()]


def find_logs(tmp_path, run):
    return {path.parts[-4]: path for path in tmp_path.glob(f"disks/*/runs/{run}/log.txt")}


def test_job_works_on_its_node_and_publishes(submit, robotrain, tmp_path):
    run = submit("--count", 20, "--save-freq", 10, "--wait")
    assert [*find_logs(tmp_path, run)]
    assert not (tmp_path / "runs" / run / "log.txt").exists()
    assert sorted(path.name for path in (tmp_path / "published").iterdir() if path.is_dir()) == ["000010", "000020"]
    code, output = robotrain("status", run)
    assert (code, "succeeded" in output) == (0, True)
    code, output = robotrain("outputs", "--checkpoint", "last", "--to", tmp_path / "best", run)
    assert code == 0, output
    (copy,) = (tmp_path / "best").rglob("numbers")
    assert len(read_numbers(copy.parent)) == 20


def test_requeued_job_goes_on_from_what_it_published_on_another_node(submit, robotrain, apart, tmp_path):
    run = submit("--count", 60, "--pause", 0.1, "--save-freq", 10, "--sbatch", "nodelist=n1")
    job = apart.run("squeue", "--noheader", "--format=%i", f"--name={run}")
    wait_until(lambda: (tmp_path / "published/000010").exists(), "the first checkpoint", seconds=60)
    code, output = robotrain("logs", run)
    assert "checkpoint of step 10 published to" in output
    apart.run("scancel", "--batch", "--signal=TERM", job)  # as Slurm does before the time limit
    wait_until(lambda: apart.get_state(job).startswith("PENDING"), "the requeue", seconds=60)
    apart.run("scontrol", "update", f"jobid={job}", "ReqNodeList=n2")
    code, output = robotrain("wait", run)
    assert code == 0, output
    numbers = read_numbers(tmp_path / "published/000060")
    assert [int(number) for number, *_ in numbers] == [*range(1, 61)]
    assert {node for *_, node in numbers} == {"n1", "n2"}
    assert {*find_logs(tmp_path, run)} == {"n1", "n2"}
    code, output = robotrain("logs", run)
    assert "on the disk of its node" in output


def test_cancelled_job_saves_and_publishes_and_is_not_requeued(submit, robotrain, apart, tmp_path):
    run = submit("--count", 1000, "--pause", 0.1, "--save-freq", 1000)
    wait_until(lambda: [*find_logs(tmp_path, run)], "the log", seconds=60)
    (log,) = find_logs(tmp_path, run).values()
    wait_until(lambda: '"step": 3' in log.read_text(), "the third number", seconds=60)
    code, output = robotrain("cancel", run)
    assert code == 0, output
    assert [path for path in (tmp_path / "published").iterdir() if path.is_dir()]
    assert apart.run("squeue", "--noheader", f"--name={run}") == ""
    assert "Requeuing" not in (apart.folder / "slurmctld.log").read_text(), "not even for a moment"


@pytest.mark.long
def test_process_on_a_lost_node_ends_when_slurm_starts_the_job_elsewhere(submit, robotrain, apart, tmp_path):
    """Its batch program asks Slurm: there is no folder in which the new process could claim the run."""
    run = submit("--count", 1000, "--pause", 0.2, "--save-freq", 10)
    wait_until(lambda: (tmp_path / "published/000010").exists(), "the first checkpoint", seconds=60)
    node = apart.run("squeue", "--noheader", "--format=%N", f"--name={run}")
    orphan = int(os.readlink(tmp_path / "disks" / node / "runs" / run / "taken").rpartition(":")[2])
    apart.stop(node)
    apart.set_down(node)
    wait_until(lambda: len(find_logs(tmp_path, run)) == 2, "the second start", seconds=60)
    wait_until(lambda: not is_running(orphan), "the process on the lost node to end", seconds=60)
    code, output = robotrain("cancel", run)
    if "cancel-pending" in output:  # a busy machine takes more than a minute
        robotrain("wait", run)
        _, output = robotrain("status", run)
        assert "cancelled" in output
    else:
        assert code == 0, output
    newest = max(path for path in (tmp_path / "published").iterdir() if path.name.isdecimal())
    numbers = [int(number) for number, *_ in read_numbers(newest)]
    assert numbers == [*range(1, len(numbers) + 1)]


def is_running(process):
    try:
        return "State:\tZ" not in Path(f"/proc/{process}/status").read_text()
    except FileNotFoundError:
        return False
