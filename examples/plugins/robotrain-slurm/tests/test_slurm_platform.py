"""Behaviour of the Slurm platform beyond the conformance kit."""

import contextlib
import json
import os
import subprocess
import sys

import pytest
import robotrain.api
from robotrain.plugin import Rejected, Status
from slurm_world import SlurmWorld

from robotrain_slurm.settings import parse_options

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


def test_job_is_submitted_with_its_options(world, monkeypatch):
    monkeypatch.setenv("SBATCH_PARTITION", "old")
    monkeypatch.setenv("SBATCH_JOB_NAME", "other")
    run = submit(world, slurm="partition=gpu,big,requeue,mem=64G,constraint=a100|h100", num_gpus=2, time=90)
    wanted = {
        "partition=gpu,big",
        "requeue",
        "mem=64G",
        "constraint='a100|h100'",
        "gpus-per-node=2",
        "time=90",
        "signal=B:TERM@120",
    }
    assert {f"#SBATCH --{option}" for option in wanted} <= {*script(world, run).splitlines()}
    assert world.count_runs(run.name) == 1, "its name is the run's, not that of the environment"
    assert (world.jobs / "partition").read_text() == "gpu,big\n"


def test_batch_job_is_the_runtime(world):
    command = script(world, submit(world)).rstrip().splitlines()[-1]
    assert command.startswith(f"exec {sys.executable} ")
    assert "srun" not in command


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("partition=a,b,hold", {"partition": "a,b", "hold": True}),
        ("requeue, mem = 1G,exclude=n1,n[2-3]", {"requeue": True, "mem": "1G", "exclude": "n1,n[2-3]"}),
        ("export=ALL,HF_HOME=/x,gres=gpu:1,tmp:2", {"export": "ALL,HF_HOME=/x", "gres": "gpu:1,tmp:2"}),
        (
            '{"partition": "a,b", "hold": true, "nice": 0, "exclusive": false, "qos": null}',
            {"partition": "a,b", "hold": True, "nice": "0"},
        ),
        ("", {}),
    ],
)
def test_options_have_flags_and_values_with_commas(text, options):
    assert parse_options(text) == options


WRONG = [
    "Partition=a",
    "a b=c",
    "comment=a\nrm -rf /",
    "output=x",
    "array=1-5",
    "nodes=2",
    "requeue,ntasks=4",
    "{hold",
    "hold,x y",
]


@pytest.mark.parametrize("options", WRONG)
def test_invalid_option_is_rejected(world, options):
    with pytest.raises(Rejected) as refused:
        submit(world, slurm=options)
    assert refused.value.exit_code in (2, 3)
    assert not world.runs.exists()


@pytest.mark.parametrize(("name", "text"), [("slurm", "output=x"), ("folder", "/a%b"), ("folder", "/a\nb")])
def test_problem_has_value_and_place(world, name, text):
    with pytest.raises(Rejected) as refused:
        robotrain.api.render(platform="slurm", **{"folder": "/runs", name: text}, dataset_repo_id="lerobot/pusht")
    (problem,) = refused.value.problems
    assert problem.where.removeprefix("--") == name
    assert problem.given == text.replace("\n", "\\n")


def test_sbatch_options_are_rejected_with_the_local_cluster(world):
    with pytest.raises(Rejected, match="--slurm has no effect") as refused:
        submit(world, cluster="local", slurm="mem=1G")
    assert refused.value.exit_code == 3


def test_missing_sbatch_fails_in_preflight(world, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(Rejected, match="no sbatch") as refused:
        submit(world)
    assert refused.value.exit_code == 4
    assert not world.runs.exists()


def test_controller_that_is_away_fails_in_preflight(world):
    (world.jobs / "away").touch()
    with pytest.raises(Rejected, match="controller of Slurm does not answer") as refused:
        submit(world)
    assert refused.value.exit_code == 4
    assert "is DOWN" in refused.value.problems[0].why
    assert not world.runs.exists()


def test_folder_with_other_content_is_not_touched(world):
    run = submit(world)
    (world.runs / f"{run.name[:-1]}2").mkdir()
    with pytest.raises(Rejected, match="with another content"):
        submit(world, new=True)


def test_refused_job_leaves_nothing_and_can_be_corrected(world):
    with world.mood("refuses"), pytest.raises(Rejected) as refused:
        submit(world, slurm="partition=nope")
    assert "Invalid partition name specified" in refused.value.problems[0].title
    assert [*world.runs.iterdir()] == []
    assert submit(world, slurm="partition=gpu").name.endswith("-1")


def test_job_that_slurm_records_and_refuses_was_not_sent(world):
    for _ in range(2):
        with world.mood("records and refuses"), pytest.raises(Rejected, match="configuration is not available"):
            submit(world)
    run = submit(world)
    assert run.record.reference["job"] == "3"
    assert run.status().state == "pending"


def test_job_accepted_without_an_answer_is_found(world):
    with world.mood("times out"):
        run = submit(world)
    assert world.count_runs(run.name) == 1
    assert (world.runs / run.name / "submitit/1_submitted.pkl").exists(), "the job reads it"


def test_timeout_is_not_reported_as_a_refusal(world):
    with world.mood("times out early"), pytest.raises(Rejected) as unknown:
        submit(world)
    assert "Socket timed out" in str(unknown.value.problems)
    assert [*world.runs.iterdir()], "the repeated command needs it"
    assert world.count_runs(submit(world).name) == 1


def test_unreadable_queue_is_not_taken_as_empty(world):
    with world.mood("times out"), contextlib.suppress(Rejected):
        (world.jobs / "lost").touch()
        submit(world)
    with pytest.raises(Rejected, match="unknown whether slurm accepted"):
        submit(world)
    (world.jobs / "lost").unlink()
    assert world.count_runs(submit(world).name) == 1


def test_run_has_not_ended_while_slurm_is_unreachable(world):
    run = submit(world)
    (world.jobs / "away").touch()
    status = run.status()
    assert not status.finished
    assert "Unable to contact slurm controller" in status.reason


@pytest.mark.parametrize("accounts", ["kept", "disabled"])
def test_forgotten_job_without_outcome_is_lost(world, accounts):
    run = submit(world)
    (world.jobs / accounts).touch()
    (world.jobs / run.record.reference["job"]).unlink()
    assert run.status().state == "lost"


def test_end_that_only_slurm_knew_outlives_its_memory(world):
    run = submit(world)
    world.set_native_state(run.record.reference, "OUT_OF_MEMORY")
    status = run.status()
    assert status == Status(state="failed", reason="slurm says OUT_OF_MEMORY")
    (world.jobs / run.record.reference["job"]).unlink()
    assert run.status() == status


def test_silent_accounting_is_no_end(world):
    run = submit(world)
    (world.jobs / run.record.reference["job"]).unlink()
    (world.jobs / "accounting is away").touch()
    assert not run.status().finished


def test_outcome_of_the_runtime_wins(world):
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


def test_reason_of_a_pending_job_is_shown(world):
    assert submit(world).status().reason == "slurm says PENDING (Priority)"


@pytest.fixture
def folder(tmp_path):
    """A run's folder with a runtime that records its arguments."""
    (tmp_path / "payload").mkdir()
    (tmp_path / "payload/robotrain_runtime.py").write_text(RUNTIME)
    return tmp_path


def start(folder, job):
    """Start the batch job as Slurm does on a node."""
    program = "import sys; from robotrain_slurm.batch_job import run; run(sys.argv[1])"
    environ = os.environ | {"SUBMITIT_EXECUTOR": "slurm", "SLURM_JOB_ID": job}
    done = subprocess.run([sys.executable, "-c", program, str(folder)], env=environ, check=False)
    assert done.returncode == 0
    return (folder / "ran").read_text().splitlines()


def test_batch_job_starts_the_runtime_with_its_number(folder):
    assert start(folder, "7") == ["['run', 'job.json', '--once', '7', '--log', 'log.txt'] in the folder"]
