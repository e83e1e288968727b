"""A run on a real Slurm goes on over time limits, requeues, lost nodes and kills, and never twice at once."""

import contextlib
import itertools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from lab import SlurmLab, wait_until
from local_server import serve_webhook
from robotrain_runtime.contract import claim
from robotrain_slurm.node import attempts

pytestmark = pytest.mark.slow

COUNT = 60
FIRST = 12
"""A run is cut once it has counted so far."""
PAUSE = 0.1
"""Seconds a number."""


class CountingRun:
    """A run that counts."""

    def __init__(self, name: str, folder: Path, lab: SlurmLab, robotrain: Callable[..., str]) -> None:
        self.name, self.folder = name, folder
        self._count = json.loads((folder / "job.json").read_text())["parameters"]["count"]
        self._lab, self._robotrain = lab, robotrain

    @property
    def attempts(self) -> list[attempts.Attempt]:
        return attempts.read_attempts(self.folder)

    @property
    def job(self) -> str:
        """The job of its last attempt."""
        return self.attempts[-1].job

    def list_jobs(self) -> list[str]:
        """Return all jobs that Slurm has had for it."""
        lines = self._lab.run("squeue", "--noheader", "--states=all", "--format=%A %Z", "--sort=i").splitlines()
        return [line.split()[0] for line in lines if line.split()[1] == str(self.folder)]

    def read_step(self) -> int:
        return attempts.read_progress(self.folder).step

    def wait_for_step(self, step: int = FIRST) -> None:
        wait_until(lambda: self.read_step() >= step, f"step {step}", 60)

    def wait_for_attempt(self, number: int) -> None:
        wait_until(lambda: len(self.attempts) >= number, f"attempt {number}", 60)

    def read_status(self) -> dict[str, object]:
        return json.loads(self._robotrain("status", self.name, "--json"))

    def wait_for_end(self) -> dict[str, object]:
        """Wait as `robotrain wait` does; return its status."""
        self._robotrain("wait", self.name, codes=(0, 5))
        return self.read_status()

    def read_numbers(self) -> list[int]:
        """Return the numbers of the last checkpoint."""
        file = max(self.folder.glob("checkpoints/0*/numbers"))
        return [int(line.split()[0]) for line in file.read_text().splitlines()]

    def read_processes(self) -> list[str]:
        """Return the processes that counted the numbers of the last checkpoint, in their order."""
        file = max(self.folder.glob("checkpoints/0*/numbers"))
        return [*dict.fromkeys(line.split()[1] for line in file.read_text().splitlines())]

    def read_runtime(self) -> int:
        owner = claim.find_owner(self.folder)
        assert owner
        return owner.process

    def assert_whole(self, attempt_count: int) -> None:
        """Assert that it was done, each number once, by so many attempts of which each went on from the one before."""
        assert self.wait_for_end()["state"] == "succeeded"
        assert self.read_numbers() == [*range(1, self._count + 1)]
        assert len(self.attempts) == attempt_count
        assert len(self.read_processes()) <= attempt_count


@pytest.fixture
def robotrain(lab, tmp_path) -> Callable[..., str]:
    """Run a command of robotrain, with a workload that counts; its output."""
    site = tmp_path / "site"
    shutil.copytree(Path(__file__).with_name("counting"), site / "counting")
    metadata = site / "robotrain_counting-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: robotrain-counting\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[robotrain]\nworkload.count = counting.plugin\n")
    environ = os.environ | {"PYTHONPATH": str(site), "ROBOTRAIN_STATE": str(tmp_path / "state")}

    def robotrain(*words: object, codes: tuple[int, ...] = (0,), **variables: str) -> str:
        command = [sys.executable, "-m", "robotrain", *map(str, words)]
        done = subprocess.run(
            command, cwd=tmp_path, env=environ | variables, capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode in codes, done.stderr
        return done.stdout

    return robotrain


@pytest.fixture
def submit(robotrain, lab, tmp_path) -> Iterator[Callable[..., CountingRun]]:
    """Submit a run that counts."""
    runs: list[CountingRun] = []
    numbers = itertools.count(os.getpid())  # a name of its own for each run: Slurm remembers those of other tests

    def submit(*words: object) -> CountingRun:
        folders = ("--runs-dir", tmp_path / "runs", "--cache-dir", tmp_path / "cache")
        size = {
            "--cpus": 1,
            "--memory": "500M",
            "--time": "10m",
            "--count": COUNT,
            "--pause": PAUSE + next(numbers) * 1e-6,
        }
        options = (*folders, *itertools.chain(*(size | dict(zip(words[::2], words[1::2], strict=True))).items()))
        answer = robotrain("submit", "count", "--platform", "slurm", "--new", "--json", *options)
        name = json.loads(answer)["run"]
        runs.append(CountingRun(name, tmp_path / "runs" / name, lab, robotrain))
        return runs[-1]

    yield submit
    for run in runs:
        (run.folder / claim.CANCELLED_FILE).touch()


def stop_before_limit(lab, run) -> None:
    """Send the signal that Slurm sends before the time limit."""
    lab.run("scancel", "--batch", "--signal=TERM", run.job)


@pytest.mark.long
def test_job_is_requeued_before_its_time_is_up(submit, lab):
    """By Slurm's own signal, which comes when less than a minute is left."""
    run = submit("--count", 700, "--save-freq", 1000)
    run.wait_for_step()
    lab.run("scontrol", "update", f"jobid={run.job}", "TimeLimit=1")
    wait_until(lambda: run.attempts[0].end is not None, "the signal", 60)
    lab.run("scontrol", "update", f"jobid={run.job}", "TimeLimit=10")
    run.wait_for_attempt(2)
    first = run.attempts[0].end
    assert (first.state, first.continued_by) == ("cancelled", "requeue")
    assert first.checkpoint == first.step >= FIRST, "a checkpoint was saved at the stop"
    run.assert_whole(2)
    assert run.list_jobs() == [run.job]


def test_run_that_goes_on_tells_a_webhook_once_at_its_end(submit, lab, tmp_path):
    (tmp_path / "team").touch(mode=0o600)
    with serve_webhook() as webhook:
        (tmp_path / "team").write_text(webhook.address)
        run = submit("--secret", f"ROBOTRAIN_NOTIFY={tmp_path}/team")
        run.wait_for_step()
        stop_before_limit(lab, run)
        run.assert_whole(2)
        assert webhook.texts == [f"count succeeded\nrun: {run.name} on slurm\nnext: robotrain outputs {run.name}"]
    assert "T0SECRET" not in "".join(file.read_text(errors="replace") for file in run.folder.glob("*.*"))


@pytest.mark.long
def test_run_has_not_ended_between_two_starts(submit, lab):
    run = submit()
    run.wait_for_step()
    stop_before_limit(lab, run)
    seen = set()
    while len(run.attempts) < 2:
        seen.add(run.read_status()["state"])
    assert seen <= {"running", "pending"}
    run.assert_whole(2)


@pytest.mark.long
def test_two_requeues_in_a_row_by_an_administrator(submit, lab):
    run = submit("--save-freq", 100)
    run.wait_for_step()
    lab.run("scontrol", "requeue", run.job)
    run.wait_for_attempt(2)
    lab.run("scontrol", "requeue", run.job)  # before the second start has done anything
    run.wait_for_attempt(3)
    ends = [attempt.end for attempt in run.attempts]
    assert ends[0].continued_by == "slurm"
    assert ends[0].checkpoint >= FIRST, "Slurm signals all processes at once, and the work saved all the same"
    run.assert_whole(3)


@pytest.mark.long
def test_job_that_is_preempted_goes_on_later(submit, lab, tmp_path):
    run = submit("--partition", "spare", "--save-freq", 1000, "--pause", 0.2, "--count", 450, "--cpus", 2)
    run.wait_for_step()
    (tmp_path / "other.sh").write_text("#!/bin/sh\nsleep 3\n")
    for _ in range(2):  # a job on each node
        lab.run("sbatch", "--exclusive", "--output=/dev/null", str(tmp_path / "other.sh"))
    wait_until(lambda: run.attempts[0].end is not None, "the end of the first attempt", 90)
    end = run.attempts[0].end
    assert end.continued_by == "slurm"
    assert end.checkpoint == end.step >= FIRST
    run.wait_for_attempt(2)
    assert run.attempts[1].checkpoint == end.checkpoint
    run.assert_whole(2)


def test_job_without_progress_is_not_started_for_ever(submit, lab):
    run = submit("--start-seconds", 100)
    run.wait_for_attempt(1)
    wait_until((run.folder / attempts.EVENTS_FILE).exists, "its first event")
    wait_until(lambda: '"work"' in (run.folder / attempts.EVENTS_FILE).read_text(), "the work")
    stop_before_limit(lab, run)
    status = run.wait_for_end()
    assert status["state"] == "failed"
    assert "without a new step or checkpoint" in status["reason"]
    assert len(run.attempts) == 1


@pytest.mark.parametrize("setting", [pytest.param("requeue", marks=pytest.mark.long), "node"])
def test_node_sends_the_job_again_where_requeueing_is_forbidden(submit, lab, setting):
    run = submit("--continuation", setting)
    run.wait_for_step()
    first = run.job
    if setting == "requeue":
        lab.run("scontrol", "update", f"jobid={first}", "Requeue=0")
    stop_before_limit(lab, run)
    run.wait_for_attempt(2)
    assert run.list_jobs() == [first, run.job]
    again = lab.run("sbatch", "--parsable", str(run.folder / "job.sbatch"))  # by mistake: it does nothing
    run.assert_whole(2)
    lab.wait_for_state(again, "COMPLETED")
    assert "nothing to do: the job" in (run.folder / "slurm.txt").read_text()


def test_process_on_a_lost_node_ends_when_the_job_starts_elsewhere(submit, lab):
    run = submit("--count", 300)
    run.wait_for_step()
    orphan, node = run.read_runtime(), run.attempts[0].node
    lab.stop(node)
    lab.set_down(node)
    run.wait_for_attempt(2)
    wait_until(lambda: not is_running(orphan), "the process on the lost node to end")
    run.wait_for_step(run.read_step() + 5)
    assert run.attempts[1].node != node
    assert run.attempts[0].end is None, "the lost batch program decides nothing"
    steps = [*map(int, re.findall(r'"metrics".*"step": (\d+)', (run.folder / "events.jsonl").read_text()))]
    returns = [at for at in range(1, len(steps)) if steps[at] != steps[at - 1] + 1]  # the numbers of one at a time
    assert len(returns) <= 1, "none where the first process ended at a checkpoint, before its next step"
    for at in returns:  # to that checkpoint, or to a later one, which the first process was about to save
        assert run.attempts[1].checkpoint < steps[at] <= steps[at - 1]


def is_running(process: int) -> bool:
    try:
        return "State:\tZ" not in Path(f"/proc/{process}/status").read_text()
    except FileNotFoundError:
        return False


@pytest.mark.long
def test_controller_that_is_away_at_the_stop_requeues_the_job_later(submit, lab):
    run = submit()
    run.wait_for_step()
    batch = get_parent(run.read_runtime())
    lab.stop("slurmctld")
    os.kill(batch, signal.SIGTERM)
    wait_until(lambda: (run.folder / attempts.OUTCOME_FILE).exists(), "the stop")
    time.sleep(2)
    assert run.attempts[0].end is None, "it asks again"
    lab.start_controller()
    run.wait_for_attempt(2)
    assert run.attempts[0].end.continued_by == "requeue"
    run.assert_whole(2)


def get_parent(process: int) -> int:
    return int(re.search(r"PPid:\t(\d+)", Path(f"/proc/{process}/status").read_text())[1])


def test_scancel_by_hand_ends_the_run_with_a_checkpoint(submit, lab):
    run = submit("--save-freq", 100)
    run.wait_for_step()
    lab.run("scancel", run.job)
    status = run.wait_for_end()
    assert status["state"] == "cancelled"
    assert run.read_numbers() == [*range(1, run.read_step() + 1)]
    assert len(run.list_jobs()) == len(run.attempts) == 1


def test_cancelled_run_is_not_continued(submit, lab, robotrain):
    run = submit("--continuation", "node", "--count", 100 * COUNT)  # no busy machine is too late to cancel it
    run.wait_for_step()
    stop_before_limit(lab, run)
    run.wait_for_attempt(2)
    robotrain("cancel", run.name)
    assert run.read_status()["state"] == "cancelled"
    time.sleep(2)
    assert len(run.attempts) == 2
    assert not lab.run("squeue", "--noheader", f"--name={run.name}")


def test_killed_runtime_is_continued_while_it_advances(submit, lab):
    run = submit()
    run.wait_for_step()
    os.killpg(run.read_runtime(), signal.SIGKILL)
    run.wait_for_attempt(2)
    assert (run.attempts[0].end.state, run.attempts[0].end.continued_by) == ("killed", "requeue")
    run.assert_whole(2)


@pytest.mark.parametrize("others", ["", "and the runtime"])
def test_killed_batch_program_ends_the_run(submit, lab, others):
    run = submit("--count", 3 * COUNT)  # more than a busy machine counts before it is killed
    run.wait_for_step()
    runtime = run.read_runtime()
    os.kill(get_parent(runtime), signal.SIGKILL)
    if others:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(runtime, signal.SIGKILL)
    assert run.wait_for_end()["state"] == "failed"
    wait_until(lambda: not is_running(runtime), "Slurm to end what is left")
    assert len(run.list_jobs()) == len(run.attempts) == 1
