"""pusht-mini is trained on a real Slurm, through the command line as a user types it."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from lab import SlurmLab, wait_until

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
JOB = ROOT / "examples/pusht-mini/job.yaml"
DATASET = ROOT / "examples/pusht-mini/dataset"
STEPS, SAVED = 30, 10
SIZES = ("--training-steps", STEPS, "--save-freq", SAVED, "--log-freq", 1)
NODE = ("--gpus", 0, "--cpus", 1, "--memory", "5G")
Command = Callable[..., str]


@pytest.fixture
def robotrain(tmp_path: Path) -> Command:
    """Run a command of robotrain, which must succeed; return what it prints to stdout."""

    def run(*words: object) -> str:
        command = [sys.executable, "-m", "robotrain", *map(str, words)]
        done = subprocess.run(command, cwd=tmp_path, env=os.environ, capture_output=True, text=True, timeout=500)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


@pytest.fixture
def folders(tmp_path: Path) -> tuple[object, ...]:
    cache = os.environ.get("ROBOTRAIN_CACHE") or Path("~/.cache/robotrain").expanduser()
    return ("--runs-dir", tmp_path / "runs", "--cache-dir", cache)


def find_jobs(lab: SlurmLab, runs: Path) -> list[list[str]]:
    """Return id, state, dependency and array of each job of these runs, an element of an array each."""
    answer = lab.run("squeue", "--array", "--noheader", "--states=all", "--sort=i", "--format=%i|%T|%E|%F|%Z")
    return [line.split("|")[:4] for line in answer.splitlines() if f"|{runs}/" in line]


def list_ended_jobs(lab: SlurmLab, runs: Path) -> list[list[str]]:
    """The jobs of these runs, completed: a run is done a moment before Slurm says that of its job."""

    def are_completed() -> bool:
        return {state for _, state, _, _ in find_jobs(lab, runs)} == {"COMPLETED"}

    wait_until(are_completed, f"completed jobs: {find_jobs(lab, runs)}")
    return find_jobs(lab, runs)


def read_starts(folder: Path) -> list[int]:
    """Return the step of the checkpoint that each attempt of a run began with."""
    lines = (folder / "attempts.jsonl").read_text().splitlines()
    attempts = (json.loads(line) for line in lines if line)
    return [attempt["checkpoint"] for attempt in attempts if attempt["event"] == "began"]


def read_weights(folder: Path) -> bytes:
    paths = sorted(folder.glob(f"outputs/checkpoints/*{STEPS}/pretrained_model/model.safetensors"))
    return paths[-1].read_bytes()


def test_requeued_training_ends_with_the_weights_of_the_uninterrupted_one(
    lab: SlurmLab, robotrain: Command, folders: tuple[object, ...], training_environment: str, tmp_path: Path
) -> None:
    line = ("submit", JOB, "--platform", "slurm", *folders, *NODE, *SIZES, "--environment", training_environment)
    robotrain(*line, "--wait", "--name", "whole")
    (whole,) = (tmp_path / "runs").iterdir()
    robotrain(*line, "--new", "--name", "cut")
    (cut,) = {*(tmp_path / "runs").iterdir()} - {whole}
    wait_until(lambda: [*cut.glob(f"outputs/checkpoints/*{SAVED}")] != [], "the first checkpoint", 120)
    job = lab.run("squeue", "--noheader", "--format=%i", f"--name={cut.name}")
    lab.run("scontrol", "requeue", job)
    robotrain("wait", "cut")
    numbers = [number for number, *_ in list_ended_jobs(lab, tmp_path / "runs")]
    assert (len(numbers), numbers[-1]) == (2, job)
    (first, second) = read_starts(cut)
    assert (first, second >= SAVED) == (0, True)
    assert read_weights(cut) == read_weights(whole)


def test_train_eval_is_one_dag(lab: SlurmLab, robotrain: Command, folders: tuple[object, ...], tmp_path: Path) -> None:
    evaluated = ("--dataset-path", DATASET, "--replay-episodes", "0", "--num-workers", 0)
    short = ("--training-steps", 4, "--save-freq", 4, "--batch-size", 2, "--policy-type", "act")
    words = ("pipeline", "train-eval", *evaluated, *short, "--platform", "slurm", *folders, *NODE, "--name", "both")
    robotrain(*words)
    training, evaluation = find_jobs(lab, tmp_path / "runs")
    assert evaluation[1:3] == ["PENDING", f"afterok:{training[0]}(unfulfilled)"]
    robotrain("wait", "both")
    assert len(list_ended_jobs(lab, tmp_path / "runs")) == 2
    assert [step["state"] for step in json.loads(robotrain("status", "both", "--json"))["steps"]] == ["succeeded"] * 2


def test_checkpoints_are_scored_by_one_job_after_the_training(
    lab: SlurmLab, robotrain: Command, folders: tuple[object, ...], tmp_path: Path
) -> None:
    short = ("--training-steps", 5, "--save-freq", 2, "--batch-size", 2, "--policy-type", "act", "--num-workers", 0)
    scored = ("--evaluate-checkpoints", 4, "--replay-episodes", "0", "--dataset-path", DATASET)
    robotrain("submit", *scored, *short, "--platform", "slurm", *folders, *NODE, "--name", "scored", "--wait")
    assert len(list_ended_jobs(lab, tmp_path / "runs")) == 2
    table = json.loads(robotrain("status", "scored", "--json"))["checkpoint_scores"]
    assert [row["step"] for row in table["checkpoints"]] == [4, 5]
    errors = {row["step"]: row["scores"]["replay/mse"] for row in table["checkpoints"]}
    assert (table["metric"], table["best"]) == ("replay/mse", min(errors, key=errors.__getitem__))
