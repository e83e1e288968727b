"""What the kit cannot know of Slurm."""

import contextlib
import json
import os
import subprocess
import sys

import pytest
import robotrain.api
from robotrain.plugin import Rejected, Status
from slurm_world import SlurmWorld

DATA = {"dataset_repo_id": "lerobot/pusht", "pin": False}
RUNTIME = """
import pathlib, sys
pathlib.Path("ran").write_text(f"{sys.argv[1:]} in the folder\\n")
"""


@pytest.fixture
def world(tmp_path, monkeypatch):
    monkeypatch.setenv("ROBOTRAIN_STATE", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    return SlurmWorld(tmp_path / "cluster", monkeypatch)


def submit(world, **more):
    return robotrain.api.submit(platform="slurm", folder=world.options[1], **DATA, **more)


def script(world, run):
    return (world.runs / run.name / "submitit" / f"{run.record.reference['job']}_submission.sh").read_text()


def test_a_job_is_asked_for_as_it_was_said(world, monkeypatch):
    monkeypatch.setenv("SBATCH_PARTITION", "old")
    monkeypatch.setenv("SBATCH_JOB_NAME", "other")
    run = submit(world, slurm="partition=gpu,mem=64G,constraint=a100|h100", num_gpus=2, time=90)
    wanted = {"partition=gpu", "mem=64G", "constraint='a100|h100'", "gpus-per-node=2", "time=90", "signal=B:TERM@120"}
    assert {f"#SBATCH --{option}" for option in wanted} <= {*script(world, run).splitlines()}
    assert world.count_runs(run.name) == 1, "its name is the run's, whatever the environment says"
    assert (world.jobs / "partition").read_text() == "gpu\n"


def test_the_runtime_is_the_batch_job_itself(world):
    command = script(world, submit(world)).rstrip().splitlines()[-1]
    assert command.startswith(f"exec {sys.executable} ")
    assert "srun" not in command


@pytest.mark.parametrize("options", ["Partition=a", "a b=c", "comment=a\nrm -rf /", "output=x", "array=1-5"])
def test_what_is_no_option_is_refused_before_it_reaches_a_shell(world, options):
    with pytest.raises(Rejected) as refused:
        submit(world, slurm=options)
    assert refused.value.exit_code in (2, 3)
    assert not world.runs.exists()


@pytest.mark.parametrize(("name", "text"), [("slurm", "output=x"), ("folder", "/a%b"), ("folder", "/a\nb")])
def test_a_refusal_says_what_was_given_and_where(world, name, text):
    with pytest.raises(Rejected) as refused:
        robotrain.api.render(platform="slurm", **{"folder": "/runs", name: text}, dataset_repo_id="lerobot/pusht")
    (problem,) = refused.value.problems
    assert problem.where.removeprefix("--") == name
    assert problem.given == text.replace("\n", "\\n")


def test_options_of_sbatch_are_refused_where_there_is_none(world):
    with pytest.raises(Rejected, match="--slurm does nothing") as refused:
        submit(world, cluster="local", slurm="mem=1G")
    assert refused.value.exit_code == 3


def test_without_slurm_a_submit_says_where_to_go_before_anything_is_made(world, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(Rejected, match="no sbatch") as refused:
        submit(world)
    assert refused.value.exit_code == 4
    assert not world.runs.exists()


def test_a_folder_of_something_else_is_left_alone(world):
    run = submit(world)
    (world.runs / f"{run.name[:-1]}2").mkdir()
    with pytest.raises(Rejected, match="with another content"):
        submit(world)


def test_a_job_that_slurm_refuses_leaves_nothing_and_can_be_mended(world):
    with world.mood("refuses"), pytest.raises(Rejected) as refused:
        submit(world, slurm="partition=nope")
    assert "Invalid partition name specified" in refused.value.problems[0].title
    assert [*world.runs.iterdir()] == []
    assert submit(world, slurm="partition=gpu").name.endswith("-1")


def test_a_job_that_slurm_took_without_a_word_is_the_run(world):
    with world.mood("times out"):
        run = submit(world)
    assert world.count_runs(run.name) == 1
    assert (world.runs / run.name / "submitit/1_submitted.pkl").exists(), "without it the job has nothing to do"


def test_a_job_that_slurm_may_have_taken_is_not_called_refused(world):
    with world.mood("times out early"), pytest.raises(Rejected) as unknown:
        submit(world)
    assert "Socket timed out" in str(unknown.value.problems)
    assert [*world.runs.iterdir()], "by which the same command finds out"
    assert world.count_runs(submit(world).name) == 1


def test_a_queue_that_cannot_be_read_is_no_empty_one(world):
    with world.mood("times out"), contextlib.suppress(Rejected):
        (world.jobs / "lost").touch()
        submit(world)
    with pytest.raises(Rejected, match="unknown whether slurm accepted"):
        submit(world)
    (world.jobs / "lost").unlink()
    assert world.count_runs(submit(world).name) == 1


def test_while_slurm_is_away_nobody_says_that_a_run_ended(world):
    run = submit(world)
    (world.jobs / "away").touch()
    status = run.status()
    assert not status.finished
    assert "Unable to contact slurm controller" in status.reason


@pytest.mark.parametrize("accounts", ["kept", "disabled"])
def test_a_job_that_nobody_knows_any_more_and_that_said_nothing_is_lost(world, accounts):
    run = submit(world)
    (world.jobs / accounts).touch()
    (world.jobs / run.record.reference["job"]).unlink()
    assert run.status().state == "lost"


def test_what_the_runtime_said_is_how_a_run_ended(world):
    run = submit(world)
    world.set_native_state(run.record.reference, "FAILED")
    outcome = {"state": "cancelled", "exit_code": 143, "reason": "the run was stopped"}
    (world.runs / run.name / "outcome.json").write_text(json.dumps(outcome))
    assert run.status().state == "cancelled"
    assert run.status().reason == "the run was stopped by slurm, as when its time is up"
    (world.runs / run.name / "cancelled").touch()
    assert run.status() == Status(**outcome)
    world.set_native_state(run.record.reference, "REQUEUED")
    assert run.status().state == "pending", "its job waits once more"


def test_why_a_job_waits_is_told(world):
    assert submit(world).status().reason == "slurm says PENDING (Priority)"


@pytest.fixture
def folder(tmp_path):
    """A run's folder whose runtime notes that it ran."""
    (tmp_path / "payload").mkdir()
    (tmp_path / "payload/robotrain_runtime.py").write_text(RUNTIME)
    return tmp_path


def start(folder, job):
    """What Slurm starts on a node."""
    program = "import sys; from robotrain_slurm.node import run; run(sys.argv[1])"
    environ = os.environ | {"SUBMITIT_EXECUTOR": "slurm", "SLURM_JOB_ID": job}
    done = subprocess.run([sys.executable, "-c", program, str(folder)], env=environ, check=False)
    assert done.returncode == 0
    return (folder / "ran").read_text().splitlines()


def test_slurms_job_becomes_the_runtime_under_its_number(folder):
    assert start(folder, "7") == ["['run', 'job.json', '--once', '7', '--log', 'log.txt'] in the folder"]
