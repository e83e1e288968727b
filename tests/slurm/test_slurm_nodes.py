"""Jobs of several nodes: what Slurm is asked for, what is refused, and a training on two real nodes."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from lab import SlurmLab, wait_until
from planned_jobs import evaluation, job, source
from robotrain_runtime.contract.document import parse_document
from slurm_pipelines import make_pipeline, read_document, read_options, step

ROOT = Path(__file__).parents[2]
JOB = ROOT / "examples/pusht-mini/job.yaml"
NODE = ("--gpus", 0, "--cpus", 1, "--memory", "5G", "--device", "cpu")
SECONDS = 240.0
"""Longer than anything here takes on a busy machine."""
EXACT = ("--policy.use_vae=false", "--policy.dropout=0", "--policy.chunk_size=1", "--policy.n_action_steps=1")
"""Without noise, which differs by rank, and without padding, by which a loss is weighed on each process alone."""


def test_only_a_job_of_several_nodes_has_a_command_that_starts_them(make_plan):
    def read_job(of):
        return make_plan(of, cpus=6).files["job.json"].decode()

    words = parse_document(read_job(job(num_nodes=2))).placement.node_launcher
    assert words[0] == "srun"
    assert {"--nodes=2", "--ntasks-per-node=1", "--cpus-per-task=6", "--kill-on-bad-exit=1"} <= {*words}
    assert parse_document(read_job(job())).placement.node_launcher == ()
    assert "node_" not in read_job(job()), "plans of one node are as before"


def test_training_on_several_nodes_is_evaluated_on_one(tmp_path):
    steps = [
        step(tmp_path, "train", job(num_nodes=2), hands_over=True),
        step(tmp_path, "evaluate", evaluation(source("step", "train", "policy"))),
    ]
    plan = make_pipeline(tmp_path, steps)
    assert {"nodes=2", "ntasks-per-node=1"} <= {*read_options(plan, "steps/train/job.sbatch")}
    assert "nodes=1" in read_options(plan, "steps/evaluate/job.sbatch")
    launchers = [read_document(plan, f"steps/{name}").placement.node_launcher for name in ("train", "evaluate")]
    assert [bool(launcher) for launcher in launchers] == [True, False]


def test_plan_of_two_nodes_whose_checkpoints_are_scored_is_sent_as_two_batch_jobs(robotrain, slurm, tmp_path):
    words = ("--platform", "slurm", "--runs-dir", tmp_path / "runs", "--tracking-uri", "none", *NODE)
    scored = ("--evaluate-checkpoints", "--env", "pusht", "--num-nodes", "2", "--dataset-repo-id", "lerobot/pusht")
    written = robotrain("render", *words, *scored, "--to", tmp_path / "plan")
    assert written.exit_code == 0, written.stderr
    shown = robotrain("submit", *words, *scored, "--no-pin", "--dry-run", "--json")
    assert shown.exit_code == 0, shown.stderr
    rows = {(row["step"], row["name"]): row["value"] for row in shown.json["preview"]}
    assert [rows[step, "nodes"] for step in ("train", "evaluate")] == ["2", "1"]
    assert rows["train", "time limit"] == "12h"
    for name, nodes in (("train", 2), ("evaluate", 1)):
        script = (tmp_path / f"plan/steps/{name}/job.sbatch").read_text()
        assert f"--nodes={nodes}\n" in script
        assert shown.json["files"][f"steps/{name}/job.sbatch"]["text"] == script
    sent = robotrain("submit", "--plan", tmp_path / "plan", "--json")
    assert sent.exit_code == 0, sent.stderr
    assert [job["options"]["nodes"] for job in slurm.read_jobs()] == ["2", "1"]


@pytest.fixture
def train(lab: SlurmLab, training_environment: str, tmp_path: Path) -> Callable[..., Path]:
    """Submit a short training, and return its run folder; `wait` waits until it has succeeded."""
    cache = os.environ.get("ROBOTRAIN_CACHE") or Path("~/.cache/robotrain").expanduser()
    folders = ("--runs-dir", tmp_path / "runs", "--cache-dir", cache, "--environment", training_environment)

    def train(*words: object, name: str, args: tuple[str, ...] = ()) -> Path:
        line = ("submit", JOB, "--platform", "slurm", *folders, *NODE, "--name", name, *words, "--no-val-split")
        robotrain(*line, "--", *args)
        return tmp_path / "runs" / read_status(name)["run"]

    return train


def robotrain(*words: object) -> str:
    command = [sys.executable, "-m", "robotrain", *map(str, words)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=500, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def read_status(name: str) -> dict:
    return json.loads(robotrain("status", name, "--json"))


def read_events(folder: Path, kind: str) -> list[dict]:
    lines = (folder / "events.jsonl").read_text().splitlines() if (folder / "events.jsonl").exists() else []
    events = (json.loads(line.partition(" ")[2]) for line in lines if line.startswith("::robotrain:: {"))
    return [event for event in events if event["event"] == kind]


def find_job(lab: SlurmLab, folder: Path) -> str:
    return lab.run("squeue", "--noheader", "--states=all", "--format=%i", f"--name={folder.name}")


def list_starts(folder: Path) -> list[int]:
    """Return the step of the checkpoint that each start of the job went on from; 0 for none."""
    lines = (json.loads(line) for line in (folder / "attempts.jsonl").read_text().splitlines() if line)
    return [line["checkpoint"] for line in lines if line["event"] == "began"]


def read_losses(folder: Path) -> list[float]:
    return [
        event["values"]["train/loss"] for event in read_events(folder, "metrics") if "train/loss" in event["values"]
    ]


@pytest.mark.long
@pytest.mark.slow
def test_two_nodes_train_as_one_process_with_twice_the_batch(train):
    sizes = ("--training-steps", 10, "--save-freq", 10, "--log-freq", 1, "--wait")
    single = train(*sizes, "--batch-size", 16, name="one", args=EXACT)
    two = train(*sizes, "--batch-size", 8, "--num-nodes", 2, name="two", args=EXACT)
    assert len(read_losses(two)) == 10
    assert read_losses(two) == pytest.approx(read_losses(single), rel=0.05)
    assert read_status("two")["processes"] == {"count": 2, "nodes": 2, "samples": 16}
    assert "2 on 2 nodes, 16 samples a step" in robotrain("status", "two")
    assert len(read_events(two, "checkpoint")) == 1


@pytest.mark.slow
def test_training_whose_node_dies_goes_on_when_it_is_back(train, lab):
    saved = 4
    sizes = ("--training-steps", 24, "--save-freq", saved, "--log-freq", 1, "--batch-size", 4)
    folder = train(*sizes, "--num-nodes", 2, name="lost")
    wait_until(lambda: bool(read_events(folder, "checkpoint")), "the first checkpoint", SECONDS)
    lab.kill("n2")
    for process in lab.find_node_processes("n2"):
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
    lab.set_down("n2")  # Slurm does so itself, minutes later
    lab.wait_for_state(find_job(lab, folder), "PENDING", seconds=SECONDS)
    lab.start_node("n2")
    lab.resume("n2")
    robotrain("wait", "lost")
    status = read_status("lost")
    assert (status["state"], status["step"], status["checkpoint_step"]) == ("succeeded", 24, 24)
    assert status["processes"]["nodes"] == 2
    first, second = list_starts(folder)
    assert first == 0
    assert second >= saved, "it goes on from the last complete checkpoint"


@pytest.mark.long
@pytest.mark.slow
def test_training_saves_a_checkpoint_before_its_time_limit_and_goes_on(train, lab):
    sizes = ("--training-steps", 12, "--save-freq", 5000, "--log-freq", 1, "--batch-size", 4)
    folder = train(*sizes, "--num-nodes", 2, name="limited")
    wait_until(lambda: len(read_losses(folder)) > 2, "the first steps", SECONDS)
    lab.run("scancel", "--batch", "--signal=TERM", find_job(lab, folder))  # as Slurm does before the limit
    robotrain("wait", "limited")
    status = read_status("limited")
    assert (status["state"], status["step"], status["checkpoint_step"]) == ("succeeded", 12, 12)
    saved = [event["step"] for event in read_events(folder, "checkpoint")]
    assert list_starts(folder) == [0, saved[0]]
    assert (len(saved), saved[-1]) == (2, 12)


@pytest.mark.long
@pytest.mark.slow
def test_training_that_is_preempted_saves_a_checkpoint_and_goes_on(train, lab, tmp_path):
    sizes = ("--training-steps", 400, "--save-freq", 5000, "--log-freq", 1, "--batch-size", 4)
    folder = train(*sizes, "--num-nodes", 2, "--partition", "spare", name="preempted")
    wait_until(lambda: len(read_losses(folder)) > 2, "the first steps", SECONDS)
    other = tmp_path / "other.sh"
    other.write_text("#!/bin/sh\nsleep 3\n")
    lab.run("sbatch", "--exclusive", "--nodes=2", "--output=/dev/null", str(other))  # Slurm waits for 20 s
    wait_until(lambda: len(read_events(folder, "checkpoint")) == 1, "a checkpoint", 60)
    (saved,) = read_events(folder, "checkpoint")
    wait_until(lambda: len(list_starts(folder)) == 2, "the second start", SECONDS)
    assert list_starts(folder) == [0, saved["step"]]
    wait_until(lambda: len(read_losses(folder)) > saved["step"], "a step of it", SECONDS)
    robotrain("cancel", "preempted")


@pytest.mark.long
@pytest.mark.slow
def test_program_that_dies_on_a_node_before_the_nodes_met_ends_the_run(train, lab):
    folder = train("--num-nodes", 2, "--continuation", "never", name="early")
    log = folder / "log.txt"
    wait_until(lambda: log.exists() and log.read_text().count("torchrun --nnodes") == 2, "both programs", SECONDS)
    (launcher,) = [process for process in lab.find_node_processes("n2") if b"multi_gpu_launcher" in read_words(process)]
    os.kill(launcher, signal.SIGKILL)
    wait_until(lambda: read_status("early")["state"] == "failed", "the end", SECONDS)
    assert "nodes ended without a report" in (folder / "log.txt").read_text()
    wait_until(lambda: lab.find_processes() == [], "all processes to end", 60)


@pytest.mark.long
@pytest.mark.slow
def test_cancelled_training_saves_a_checkpoint_that_resume_goes_on_from(train):
    sizes = ("--training-steps", 5000, "--save-freq", 5000, "--log-freq", 1, "--batch-size", 4)
    folder = train(*sizes, "--num-nodes", 2, name="stopped")
    wait_until(lambda: len(read_losses(folder)) > 2, "the first steps", SECONDS)
    robotrain("cancel", "stopped")
    wait_until(lambda: read_status("stopped")["state"] == "cancelled", "the end", 120)
    (saved,) = read_events(folder, "checkpoint")
    robotrain("resume", "stopped", "--set", f"training_steps={saved['step'] + 2}", "--name", "later", "--wait")
    status = read_status("later")
    assert (status["state"], status["step"]) == ("succeeded", saved["step"] + 2)
    assert status["processes"] == {"count": 2, "nodes": 2, "samples": 8}


@pytest.mark.long
@pytest.mark.slow
def test_killed_rank_ends_all_ranks(train, lab):
    sizes = ("--training-steps", 5000, "--save-freq", 5000, "--log-freq", 1, "--batch-size", 4)
    folder = train(*sizes, "--num-nodes", 2, "--continuation", "never", name="killed")
    wait_until(lambda: len(read_losses(folder)) > 2, "the first steps", SECONDS)
    ranks = [process for process in lab.find_processes() if is_rank(process, "1")]
    assert len(ranks) == 1
    os.kill(ranks[0], 9)
    wait_until(lambda: read_status("killed")["state"] == "failed", "the end", 120)
    assert "rank 1 of 2 was ended by signal 9" in robotrain("logs", "killed")
    wait_until(lambda: lab.find_processes() == [], "all processes to end", 60)


def read_words(process: int) -> bytes:
    """Return the command line of a process; empty if it has ended."""
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes()
    except OSError:
        return b""


def is_rank(process: int, rank: str) -> bool:
    """Return whether a process is the rank itself, not one that loads data for it."""
    try:
        environ, words = (Path(f"/proc/{process}/{name}").read_bytes() for name in ("environ", "cmdline"))
    except OSError:
        return False
    return f"\0RANK={rank}\0".encode() in environ and b"lerobot_train.launcher" in words
