"""The runs that Slurm has, whichever machine submitted them: told from the jobs of other tools, one each."""

import itertools
import subprocess

import pytest
from robotrain.run_folder.transport import Transport
from robotrain_slurm.platform import SLURM
from robotrain_slurm.settings import SlurmSettings
from robotrain_slurm.submitted_runs import _find_folder

RUN = "command-0123abcd-1"
NUMBERS = itertools.count()


@pytest.fixture
def send(tmp_path):
    """Send a job to Slurm as a run's submit, or another tool, does; return its number."""

    def run(name: str = RUN, comment: str | None = "robotrain:RUN:token", folder: str = RUN, *words: str) -> str:
        (tmp_path / "job.sh").write_text("#!/bin/sh\n")
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        comment = (comment or "").replace("RUN", name)
        options = ["--parsable", f"--job-name={name}", f"--chdir={tmp_path / folder}", f"--comment={comment}", *words]
        done = subprocess.run(
            ["sbatch", *options, str(tmp_path / "job.sh")], capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    return run


def list_runs(everyone: bool = False) -> dict[str, tuple[str, str]]:
    """Return the runs with their states, by the text that `adopt` takes."""
    submissions = SLURM.engine.list_submitted(SlurmSettings(), everyone)
    return {submission.text: (submission.run, submission.state) for submission in submissions}


def test_jobs_of_other_tools_are_no_runs(slurm, send):
    send("train", "")
    send(RUN, "my own comment")
    send("command-0123abcd-1x", "robotrain:x:token", "other")
    number = send()
    assert list_runs() == {number: (RUN, "pending")}


def test_one_request_lists_the_queue_and_one_the_accounting(slurm, send):
    slurm.configure(accounting=True)
    for number in range(12):
        send(f"command-{number:08x}-1", folder=f"run-{number}")
    slurm.clear_calls()
    assert len(list_runs()) == 12
    assert [call[0] for call in slurm.read_calls()] == ["squeue", "sacct"]


@pytest.mark.parametrize("comment", ["robotrain:RUN:token", ""])
def test_a_job_that_only_the_accounting_has_is_listed_and_found(slurm, send, tmp_path, comment):
    """Most clusters keep no comments in the accounting: there the name of the job is what it is known by."""
    slurm.configure(accounting=True)
    number = send(RUN, comment)
    slurm.set_state(number, "TIMEOUT")
    job = slurm.read_job(number)
    slurm.forget(number)
    assert list_runs() == {number: (RUN, "failed")}
    assert _find_folder(Transport(), number) == job["folder"]


def test_the_newest_is_first_whether_the_queue_or_only_the_accounting_has_it(slurm, send):
    slurm.configure(accounting=True)
    waiting, ended = send(), send("command-0123abcd-2", folder="command-0123abcd-2")
    slurm.set_state(ended, "COMPLETED")
    slurm.forget(ended)
    assert [*list_runs()] == [ended, waiting]


def test_without_accounting_the_queue_is_listed(slurm, send):
    first, second = send(), send("command-0123abcd-2", folder="command-0123abcd-2")
    slurm.set_state(first, "COMPLETED")
    assert list_runs() == {second: ("command-0123abcd-2", "pending"), first: (RUN, "succeeded")}
    assert [*list_runs()] == [second, first], "the newest first"


def test_a_run_that_a_second_job_continues_is_one_with_the_state_of_that(slurm, send):
    first = send()
    slurm.set_state(first, "TIMEOUT")
    slurm.set_state(send(RUN, f"robotrain:RUN:{first}"), "RUNNING")
    assert list_runs() == {first: (RUN, "running")}


def test_a_sweep_and_a_pipeline_are_one_run_each(slurm, send, tmp_path):
    sweep = send(RUN, "robotrain:RUN:token", RUN, "--array=1-3")
    slurm.set_state(f"{sweep}_1", "FAILED")
    pipeline = "pipeline-0123abcd-1"
    for step in ("train", "evaluate"):
        number = send(f"{pipeline}-{step}", folder=f"{pipeline}/steps/{step}")
        slurm.set_state(number, {"train": "COMPLETED", "evaluate": "RUNNING"}[step])
    assert list_runs() == {sweep: (RUN, "pending"), str(tmp_path / pipeline): (pipeline, "running")}
    single = send("command-0123abcd-2", folder="command-0123abcd-2")
    submissions = SLURM.engine.list_submitted(SlurmSettings(), everyone=False)
    assert [submission.text for submission in submissions if submission.can_be_adopted] == [single]


def test_the_same_job_of_two_people_is_two_runs(slurm, send):
    mine, theirs = send(), send(folder=f"theirs/{RUN}")
    file = slurm.folder / "jobs" / f"{theirs}.json"
    file.write_text(file.read_text().replace('"user": ', '"user": 1'))
    assert list_runs() == {mine: (RUN, "pending")}
    assert set(list_runs(everyone=True)) == {mine, theirs}


def test_without_slurm_it_is_not_set_up(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert SLURM.engine.list_submitted(SlurmSettings(), everyone=False) is None
