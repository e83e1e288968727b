"""The lab itself: what the tests on a real Slurm stand on."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from lab import wait_until

pytestmark = pytest.mark.slow


def submit(lab, folder, body, *options):
    script = folder / "job.sbatch"
    script.write_text(f"#!/bin/sh\n{body}\n")
    options = (f"--chdir={folder}", "--output=slurm.txt", "--open-mode=append", *options)
    job = lab.run("sbatch", "--parsable", *options, str(script))
    assert job.isdigit(), job
    return job


def test_requeued_job_starts_again_within_seconds(lab, tmp_path):
    job = submit(lab, tmp_path, "echo $SLURM_RESTART_COUNT.; sleep 100", "--requeue")
    lab.wait_for_state(job, "RUNNING")
    lab.run("scontrol", "requeue", job)
    assert lab.wait_for_state(job, "PENDING") == "PENDING (BeginTime)"
    lab.wait_for_state(job, "RUNNING", seconds=15)
    wait_until(lambda: "1." in (tmp_path / "slurm.txt").read_text().split(), "the second start")


@pytest.mark.long
def test_job_of_the_spare_partition_makes_room(lab, tmp_path):
    spare = submit(lab, tmp_path, "sleep 100", "--partition=spare", "--requeue", "--nodelist=n1", "--exclusive")
    lab.wait_for_state(spare, "RUNNING")
    job = submit(lab, tmp_path, "sleep 100", "--nodelist=n1", "--exclusive")
    lab.wait_for_state(job, "RUNNING", seconds=120)  # after the grace time of the other one
    assert lab.wait_for_state(spare, "PENDING").startswith("PENDING (")


def test_process_on_a_node_that_is_declared_down_lives_on_until_the_lab_is_repaired(lab, tmp_path):
    job = submit(lab, tmp_path, "echo $$ >> pids; exec sleep 100", "--requeue", "--nodelist=n1")
    wait_until((tmp_path / "pids").exists, "the process")
    process = int((tmp_path / "pids").read_text())
    lab.stop("n1")
    lab.set_down("n1")
    lab.wait_for_state(job, "PENDING")
    os.kill(process, 0)
    lab.reset()
    assert lab.run("squeue", "--noheader") == ""


def test_frozen_node_and_controller_go_on_afterwards(lab, tmp_path):
    with lab.frozen("slurmctld"):
        assert subprocess.run(["timeout", "1", "squeue"], env=lab.environment).returncode == 124
    with lab.frozen("n1"):
        job = submit(lab, tmp_path, "exit 3", "--nodelist=n1")
    assert lab.wait_for_state(job, "FAILED") == "FAILED (NonZeroExitCode)"


@pytest.mark.long
def test_job_is_forgotten_after_the_age_that_a_test_asks_for(make_lab, tmp_path):
    lab = make_lab(MinJobAge="2")
    job = submit(lab, tmp_path, "true")
    wait_until(lambda: "Invalid job id" in lab.run("scontrol", "show", "job", job), "Slurm to forget the job")


@pytest.mark.long
def test_accounting_knows_a_job_that_the_controller_forgot(lab_with_accounting, tmp_path):
    lab = lab_with_accounting
    job = submit(lab, tmp_path, "exit 3", "--comment=ours")
    wait_until(lambda: "Invalid job id" in lab.run("scontrol", "show", "job", job), "Slurm to forget the job")
    line = lab.run("sacct", "--noheader", "--parsable2", "--allocations", "--format=State,ExitCode", f"--jobs={job}")
    assert line == "FAILED|3:0"
    lab.stop("slurmdbd")
    assert "Problem talking to the database" in lab.run("sacct", f"--jobs={job}")
    lab.start_accounting()
    wait_until(lambda: "FAILED" in lab.run("sacct", f"--jobs={job}"), "slurmdbd to come back")


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGKILL])
def test_nothing_of_a_lab_is_left_when_its_process_ends(lab, tmp_path, end):
    """Two labs run at once here. A killed one cannot end the processes of its jobs."""
    program = subprocess.Popen(
        [sys.executable, Path(__file__).with_name("lab.py"), tmp_path / "lab"], stdout=subprocess.PIPE, text=True
    )
    configuration = program.stdout.readline().partition("=")[2].strip()
    environment = os.environ | {"SLURM_CONF": configuration}
    assert subprocess.run(["sinfo"], env=environment, stdout=subprocess.DEVNULL).returncode == 0
    program.send_signal(end)
    program.communicate()
    wait_until(lambda: not find_daemons(configuration), "the daemons to end")
    assert lab.run("sinfo", "--noheader", "--format=%T", "--partition=batch") == "idle"


def find_daemons(configuration):
    commands = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if f"SLURM_CONF={configuration}\0".encode() in (folder / "environ").read_bytes():
                commands.append((folder / "cmdline").read_bytes())
        except OSError:
            pass
    return commands
