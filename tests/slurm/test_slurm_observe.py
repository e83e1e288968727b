"""Status, log and cancellation of runs on a real Slurm, as a user sees them."""

import os
import signal
import subprocess
from collections.abc import Iterator

import pytest
from counting_runs import CountingRuns, find_processes
from lab import SlurmLab, wait_until

pytestmark = pytest.mark.slow


@pytest.fixture
def make_runs(tmp_path) -> Iterator[object]:
    made = []

    def make(lab: SlurmLab) -> CountingRuns:
        made.append(CountingRuns(tmp_path, lab))
        return made[-1]

    yield make
    for runs in made:
        runs.close()


@pytest.fixture
def runs(lab, make_runs) -> CountingRuns:
    return make_runs(lab)


def block_nodes(lab: SlurmLab) -> str:
    """Occupy both nodes for a while; return the job."""
    words = ("--nodes=2", "--exclusive", "--time=10", "--output=/dev/null", "--wrap=sleep 600")
    job = lab.run("sbatch", "--parsable", *words)
    lab.wait_for_state(job, "RUNNING")
    return job


def test_waiting_run_says_why_and_leaves_the_queue_when_cancelled(runs, lab):
    blocker = block_nodes(lab)
    folder = runs.submit(3)
    job = runs.find_job(folder)
    wait_until(lambda: "Resources" in runs.read_status(folder)["reason"], "Slurm's reason")
    wait_until(lambda: "; expected start " in runs.read_status(folder)["reason"], "the expected start", 60)
    follower = runs.start("logs", "-f", folder.name)
    assert follower.stdout
    assert "[slurm] waiting: Slurm says Resources" in follower.stdout.readline()
    for command, fact in (("uhold", "scontrol release"), ("release", "Resources")):
        lab.run("scontrol", command, job)
        wait_until(lambda fact=fact: fact in runs.read_status(folder)["reason"], f"the reason after {command}")
    assert runs.run("cancel", folder.name)[0] == 0
    assert lab.get_state(job).startswith("CANCELLED")
    assert runs.read_status(folder)["state"] == "cancelled"
    assert follower.wait(timeout=30) == 0
    lab.run("scancel", blocker)


def test_requeued_run_goes_on_and_saves_a_checkpoint_when_cancelled(runs, lab):
    folder = runs.submit(3000, "--save-freq", 1000)
    job = runs.find_job(folder)
    runs.wait_for_number(folder)
    assert runs.read_status(folder)["reason"].startswith("on n")
    followers = [runs.start("wait", folder.name), runs.start("logs", "-f", folder.name)]
    lab.run("scontrol", "requeue", job)
    seen = set()
    while (status := runs.read_status(folder))["state"] != "pending" and len(seen) < 2:
        seen.add(status["state"])
    assert seen <= {"running"}
    assert "it starts again" in status["reason"]
    assert [follower.poll() for follower in followers] == [None, None]
    wait_until(lambda: "attempt 2" in runs.read_status(folder)["reason"], "the second start")
    runs.wait_for_number(folder, status["step"] + 5)
    code, output = runs.run("cancel", folder.name)
    assert code == 0, output
    status = runs.read_status(folder)
    assert (status["state"], status["checkpoint_step"]) == ("cancelled", status["step"]), "nothing of the work is lost"
    assert followers[0].wait(timeout=30) == 5
    assert "[slurm] waiting: it starts again" in followers[1].communicate(timeout=30)[0]


def test_run_that_waits_to_start_again_is_cancelled(runs, lab):
    folder = runs.submit(3000)
    job = runs.find_job(folder)
    runs.wait_for_number(folder)
    lab.run("scontrol", "requeuehold", job)
    wait_until(lambda: "scontrol release" in runs.read_status(folder)["reason"], "the job to be held")
    assert runs.run("cancel", folder.name)[0] == 0
    assert lab.get_state(job).startswith("CANCELLED")


def test_suspended_run_is_cancelled(runs, lab):
    folder = runs.submit(2000)  # another name than the run of the test before, which Slurm still lists
    runs.wait_for_number(folder)
    job = runs.find_job(folder)

    def is_suspended() -> bool:
        lab.run("scontrol", "suspend", job)  # Slurm may refuse it for a moment
        return lab.get_state(job).startswith("SUSPENDED")

    wait_until(is_suspended, "the job to be suspended")
    assert "SUSPENDED" in runs.read_status(folder)["reason"]
    assert runs.run("cancel", folder.name)[0] == 0
    assert runs.read_status(folder)["state"] == "cancelled"


def test_batch_script_that_fails_says_why(runs, lab, tmp_path):
    prologue = tmp_path / "prologue.sh"
    prologue.write_text("echo no licence is left >&2\nexit 3\n")
    folder = runs.submit(3, "--prologue", prologue)
    assert runs.run("wait", folder.name)[0] == 5
    status = runs.read_status(folder)
    assert (status["state"], status["reason"].endswith(": no licence is left")) == ("failed", True)
    log, end = runs.run("logs", folder.name)[1].splitlines()
    assert (log, end) == ("[slurm] no licence is left", f"{folder.name} failed: {status['reason']}")


@pytest.mark.long
def test_run_without_an_end_of_its_own_is_told_after_slurm_forgot_it(make_lab, make_runs):
    lab = make_lab(MinJobAge="2")
    runs = make_runs(lab)
    seen, unseen = (runs.submit(3000, "--continuation", "never", "--new") for _ in range(2))
    runs.wait_for_number(seen, 15)
    runs.wait_for_number(unseen, 15)
    jobs = [runs.find_job(folder) for folder in (seen, unseen)]
    for folder in (seen, unseen):
        kill_all(folder)
    wait_until(lambda: runs.read_status(seen)["state"] == "failed", "the end of the job")
    first = runs.read_status(seen)
    assert "killed on its node" in first["reason"]
    assert "Its last complete checkpoint, of step 10," in first["reason"]
    for job in jobs:
        show = ("scontrol", "show", "job", job)
        wait_until(lambda show=show: "Invalid job id" in lab.run(*show), "Slurm to forget the job", 120)
    assert runs.read_status(seen) == first
    status = runs.read_status(unseen)
    assert (status["state"], "no longer knows its job" in status["reason"]) == ("lost", True)


def kill_all(folder) -> None:
    """Kill batch script and runtime at once, as a machine does without memory: nothing is recorded."""
    processes = find_processes(folder)
    for process in processes:
        os.kill(process, signal.SIGSTOP)
    for process in processes:
        os.kill(process, signal.SIGKILL)


def test_memory_that_ran_out_is_told(make_lab, make_runs, tmp_path):
    lab = make_lab(
        JobAcctGatherType="jobacct_gather/linux", JobAcctGatherFrequency="1", JobAcctGatherParams="OverMemoryKill"
    )
    runs = make_runs(lab)
    prologue = tmp_path / "prologue.sh"
    prologue.write_text("python3 -c 'import time; x = bytearray(600 << 20); time.sleep(60)'\n")
    folder = runs.submit(3, "--memory", "300M", "--prologue", prologue)
    assert runs.run("wait", folder.name)[0] == 5
    status = runs.read_status(folder)
    assert (status["state"], "memory ran out" in status["reason"]) == ("failed", True)


@pytest.mark.long
def test_end_that_nobody_saw_is_told_by_accounting(lab_with_accounting, make_runs, tmp_path):
    lab = lab_with_accounting
    runs = make_runs(lab)
    prologue = tmp_path / "prologue.sh"
    prologue.write_text("trap '' TERM\nsleep 300\n")
    slow = runs.submit(3, "--time", "1m", "--stop-seconds", "10", "--prologue", prologue, "--sbatch", "nodelist=n1")
    lost = runs.submit(3000, "--continuation", "never", "--sbatch", "nodelist=n2")
    runs.wait_for_number(lost)
    jobs = [runs.find_job(folder) for folder in (slow, lost)]
    lab.stop("n2")
    lab.set_down("n2")
    for job in jobs:
        wait_until(lambda job=job: "Invalid job id" in lab.get_state(job), f"Slurm to forget job {job}", 240)
    assert read_accounts(lab, jobs) == ["TIMEOUT", "NODE_FAIL"]
    statuses = [runs.read_status(folder) for folder in (slow, lost)]
    assert [status["state"] for status in statuses] == ["failed", "lost"]
    assert "time limit" in statuses[0]["reason"]
    assert "its node failed" in statuses[1]["reason"]


def read_accounts(lab: SlurmLab, jobs: list[str]) -> list[str]:
    words = ("sacct", "--noheader", "--parsable2", "--allocations", "--format=State", f"--jobs={','.join(jobs)}")
    return subprocess.run(words, env=lab.environment, capture_output=True, text=True, check=True).stdout.split()
