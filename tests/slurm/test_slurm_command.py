"""The example of a program on two nodes, on two real ones: it trains together, ends together, and goes on."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from lab import SlurmLab, wait_until

ROOT = Path(__file__).parents[2]
JOB = ROOT / "examples/two-nodes/job.yaml"
SECONDS = 240
"""Longer than PyTorch is imported on a busy machine."""

pytestmark = pytest.mark.slow


@pytest.fixture
def train(lab: SlurmLab, training_environment: str, tmp_path: Path) -> Callable[..., Path]:
    """Submit the example in an environment with PyTorch, and return its run folder."""
    document = json.loads(run("-c", READ_JOB, str(JOB)))
    document["parameters"] = {**document["parameters"], "shipped_environment": None, "install": False}
    document["sources"]["code"]["local_path"] = str(JOB.parent / "code")
    file = tmp_path / "job.yaml"
    file.write_text(json.dumps(document))  # JSON is YAML
    cache = os.environ.get("ROBOTRAIN_CACHE") or Path("~/.cache/robotrain").expanduser()
    folders = ("--runs-dir", tmp_path / "runs", "--cache-dir", cache, "--environment", training_environment)

    def train(*words: object, name: str) -> Path:
        size = ("--gpus", 0, "--cpus", 1, "--memory", "4G")
        robotrain("submit", file, "--platform", "slurm", *folders, *size, "--name", name, *words)
        return tmp_path / "runs" / read_status(name)["run"]

    return train


READ_JOB = "import json, sys, yaml; print(json.dumps(yaml.safe_load(open(sys.argv[1]))))"


def run(*words: str) -> str:
    done = subprocess.run([sys.executable, *words], cwd=ROOT, capture_output=True, text=True, timeout=500, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def robotrain(*words: object) -> str:
    return run("-m", "robotrain", *map(str, words))


def read_status(name: str) -> dict:
    return json.loads(robotrain("status", name, "--json"))


def read_events(folder: Path, kind: str) -> list[dict]:
    file = folder / "events.jsonl"
    lines = file.read_text().splitlines() if file.exists() else []
    events = (json.loads(line.partition(" ")[2]) for line in lines if line.startswith("::robotrain:: {"))
    return [event for event in events if event["event"] == kind]


def find_rank(lab: SlurmLab, rank: int) -> int:
    """Return the process of a rank."""
    for process in lab.find_processes():
        try:
            environ = Path(f"/proc/{process}/environ").read_bytes().split(b"\0")
        except OSError:
            continue
        if f"RANK={rank}".encode() in environ:
            return process
    raise AssertionError(f"no process has rank {rank}")


@pytest.mark.long
def test_program_goes_on_after_a_requeue_and_a_killed_rank(train, lab):
    folder = train("--param", "steps=2000", name="pair")
    wait_until(lambda: bool(read_events(folder, "checkpoint")), "the first checkpoint", SECONDS)
    lab.run("scontrol", "requeue", lab.run("squeue", "--noheader", "--format=%i", f"--name={folder.name}"))
    wait_until(lambda: len(list_starts(folder)) == 2, "the second start", SECONDS)
    resumed = list_starts(folder)[1]
    assert resumed >= 5
    wait_until(lambda: read_events(folder, "checkpoint")[-1]["step"] > resumed, "a later checkpoint", SECONDS)

    os.kill(find_rank(lab, 1), signal.SIGKILL)
    wait_until(lambda: len(list_starts(folder)) == 3, "the third start, as there is a newer checkpoint", SECONDS)
    robotrain("cancel", "pair")
    wait_until(lambda: lab.find_processes() == [], "all processes to end", 60)
    log = robotrain("logs", "pair")
    assert "process 0 of 2 starts at step 0" in log
    assert f"[node 1] process 1 of 2 starts at step {resumed}" in log
    assert "error: node 1 of 2" in log
    last = read_events(folder, "checkpoint")[-1]["step"]
    robotrain("resume", "pair", "--set", f"steps={last + 10}", "--name", "later", "--wait")
    status = read_status("later")
    assert (status["state"], status["step"], status["checkpoint_step"]) == ("succeeded", last + 10, last + 10)


def list_starts(folder: Path) -> list[int]:
    """Return the step of the checkpoint that each start of the job went on from; 0 for none."""
    file = folder / "attempts.jsonl"
    lines = (json.loads(line) for line in file.read_text().splitlines() if line) if file.exists() else ()
    return [line["checkpoint"] for line in lines if line["event"] == "began"]


def test_launcher_starts_the_same_processes(train, tmp_path):
    job = tmp_path / "job.yaml"
    job.write_text(json.dumps({**json.loads(job.read_text()), "params": {}}))  # which the command below does not read
    words = ("--launcher", "torchrun", "--num-gpus", 0, "--wait")
    folder = train(*words, "--", "python", "train.py", "--out={outputs}", "--steps=10", name="launched")
    status = read_status("launched")
    assert (status["state"], status["checkpoint_step"]) == ("succeeded", 10)
    assert status["processes"] == {"count": 2, "nodes": 2, "samples": 0}
    assert "2 on 2 nodes" in robotrain("status", "launched")
    assert [event["step"] for event in read_events(folder, "checkpoint")] == [5, 10]
    steps = [event["step"] for event in read_events(folder, "metrics") if "loss" in event["values"]]
    assert sorted({*steps}) == steps == list(range(1, 11))


def test_cancelled_program_ends_on_both_nodes(train, lab):
    folder = train("--param", "steps=2000", name="stopped")
    wait_until(lambda: bool(read_events(folder, "checkpoint")), "the first checkpoint", SECONDS)
    robotrain("cancel", "stopped")
    wait_until(lambda: read_status("stopped")["state"] == "cancelled", "the end", SECONDS)
    wait_until(lambda: lab.find_processes() == [], "all processes to end", 60)
