"""Jobs in a container, on the lab, with strict stand-ins for Pyxis and Apptainer."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from lab import wait_until

pytestmark = pytest.mark.slow

STAND_IN = Path(__file__).with_name("container_stand_in") / "stand_in.py"
ARGUMENTS = {"pyxis": "nvcr.io/nvidia/pytorch:25.10-py3", "apptainer": "/opt/images/robotrain.sif"}


@pytest.fixture
def robotrain(lab, tmp_path):
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
            command, cwd=tmp_path, env=os.environ | {"PYTHONPATH": path}, text=True, timeout=120, **pipes
        )
        return done.returncode, done.stdout

    return run


@pytest.fixture(params=["pyxis", "apptainer"])
def tool(request):
    if os.getuid():
        pytest.skip("the stand-ins mount, as root only")
    return request.param


@pytest.fixture
def submit(robotrain, tool, monkeypatch, tmp_path):
    """Submit a job that counts in a container; return its run folder, and the lines of its log."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/srun").symlink_to(STAND_IN)
    (tmp_path / "bin/apptainer").symlink_to(STAND_IN)
    hidden = tmp_path / "shared"
    (hidden / "image").mkdir(parents=True)
    (hidden / "secrets-of-others").touch()
    image = ARGUMENTS[tool]
    if tool == "apptainer":
        (image := hidden / "image/robotrain.sif").touch()
    prologue = tmp_path / "prologue.sh"
    prologue.write_text(
        f"export PATH={tmp_path / 'bin'}:$PATH STAND_IN_HIDDEN={hidden} STAND_IN_NOTES={tmp_path / 'used'}\n"
    )
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")

    def submit(*options):
        folders = ("--runs-dir", hidden / "runs", "--cache-dir", hidden / "cache", "--environment", sys.prefix)
        chosen = ("--container", tool, "--image", image, "--prologue", prologue, "--cpus", 1, "--memory", "1G")
        code, output = robotrain("submit", "count", "--platform", "slurm", *folders, *chosen, *options)
        assert code == 0, output
        (folder,) = (hidden / "runs").iterdir()
        return folder

    return submit


def read_log(folder):
    return (folder / "log.txt").read_text() if (folder / "log.txt").exists() else ""


def read_steps(folder):
    return [int(step) for step in re.findall(r'"step": (\d+), "total"', read_log(folder))]


def test_job_runs_in_its_container(submit, tool, tmp_path):
    folder = submit("--wait", "--count", 3)
    assert read_steps(folder) == [1, 2, 3]
    assert (folder / "checkpoints/000003").is_dir()
    used, image, mounts = (tmp_path / "used").read_text().split()
    assert used == tool
    assert image in ("nvcr.io#nvidia/pytorch:25.10-py3", str(tmp_path / "shared/image/robotrain.sif"))
    assert {str(folder), str(tmp_path / "shared/cache"), sys.prefix} <= {*mounts.split(",")}


def test_cancelled_job_saves_a_checkpoint_in_its_container(submit, robotrain):
    folder = submit("--count", 1000, "--pause", 0.1, "--save-freq", 1000)
    wait_until(lambda: read_steps(folder), "the first number")
    code, output = robotrain("cancel", folder.name)
    assert code == 0, output
    (saved,) = (folder / "checkpoints").glob("[0-9]*")
    assert int(saved.name) >= 1


def test_requeued_job_goes_on_in_its_container(submit, lab, robotrain):
    folder = submit("--count", 40, "--pause", 0.1, "--save-freq", 1000)
    wait_until(lambda: len(read_steps(folder)) > 2, "the third number")
    job = lab.run("squeue", "--noheader", "--format=%i", f"--name={folder.name}")
    lab.run("scancel", "--batch", "--signal=TERM", job)  # as Slurm does before the time limit
    wait_until(lambda: lab.get_state(job).startswith("PENDING"), "the requeue", seconds=60)
    code, output = robotrain("wait", folder.name)
    assert code == 0, output
    assert read_steps(folder) == [*range(1, 41)]
