"""Pipelines on a real Slurm, from the command line: who starts what, after failures, kills and requeues."""

import json
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from lab import wait_until
from robotrain_slurm.node.attempts import read_attempts
from source_tree import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("supervision_environment")]
WORK = """
import pathlib, sys, time

seconds, fails, value = float(sys.argv[1]), sys.argv[2] == "fails", float(sys.argv[3])
time.sleep(seconds)
print(f"loss: {value * 2}", flush=True)
sys.exit(3 if fails else 0)
"""
END_SECONDS = 300


class Cluster:
    """The command line in a project whose runs go to the lab."""

    def __init__(self, lab, folder: Path) -> None:
        self.lab = lab
        self.folder = folder
        self.runs = folder / "runs"
        (folder / "code").mkdir()
        (folder / "code" / "work.py").write_text(WORK)
        settings = f'runs_dir = "{self.runs}"\ngpus = 0\ncpus = 1\nmemory = "1G"\ntime = "10m"\n'
        (folder / "robotrain.toml").write_text(f"[platforms.slurm]\n{settings}")

    def write_pipeline(self, **steps: list[str]) -> Path:
        """Write a pipeline whose steps follow each other, each with the arguments of its program."""
        body, before = {}, ""
        for name, arguments in steps.items():
            body[name] = {
                "workload": "command",
                "run": ["python3", "work.py", *arguments],
                "sources": {"code": {"local_path": "code"}},
                **({"after": [before]} if before else {}),
            }
            before = name
        file = self.folder / "pipeline.yaml"
        file.write_text(json.dumps({"name": "lab", "steps": body}))
        return file

    def write_job(self) -> Path:
        """Write a job with three parameters of its own."""
        job = {
            "workload": "command",
            "run": ["python3", "work.py", "{nap}", "{how}", "{value}"],
            "params": {"nap": 1, "how": "ends", "value": 1},
            "sources": {"code": {"local_path": "code"}},
            "parameters": {"metrics": {"loss": "loss: ([0-9.]+)"}},
        }
        file = self.folder / "job.yaml"
        file.write_text(json.dumps(job))
        return file

    def start(self, *words: str) -> subprocess.Popen[str]:
        """Start robotrain."""
        command = [sys.executable, "-m", "robotrain", *words]
        return subprocess.Popen(
            command,
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def run(self, *words: str, code: int = 0) -> str:
        """Run robotrain to its end, and return what it prints."""
        process = self.start(*words)
        said, _ = process.communicate(timeout=END_SECONDS)
        assert process.returncode == code, said
        return said

    def read_status(self) -> dict:
        """Return the status of the latest run, without what is told to people."""
        text = self.run("status", "--json")
        return json.loads(text[text.index("{") :])

    def find_run(self) -> Path:
        """Return the folder of the latest run."""
        return max(self.runs.iterdir(), key=lambda folder: folder.stat().st_mtime)

    def list_jobs(self) -> list[list[str]]:
        """Return name, state and number of all jobs of these runs, an element of an array each."""
        lines = self.lab.run("squeue", "--noheader", "--array", "--states=all", "--format=%j %T %i").splitlines()
        runs = tuple(folder.name for folder in self.runs.iterdir())
        return [line.split() for line in lines if line.startswith(runs)]


@pytest.fixture
def cluster(lab, tmp_path) -> Cluster:
    return Cluster(lab, tmp_path)


def test_steps_after_a_failed_one_are_skipped_and_run_later(cluster):
    file = cluster.write_pipeline(first=["0", "ends", "1"], second=["0", "fails", "1"], third=["0", "ends", "1"])
    said = cluster.run("pipeline", "submit", str(file), "--platform", "slurm", "--native-only", "--wait", code=5)
    assert re.search(r"third +skipped +step second failed", said), said
    again = cluster.run("pipeline", "resume", "--wait", code=5)
    assert re.search(r"first +succeeded +in lab-", again), again
    assert re.search(r"third +skipped", again), again
    names = Counter(name.rpartition("-")[2] for name, _, _ in cluster.list_jobs())
    assert names["first"] == 1
    assert names["second"] == 2


@pytest.mark.parametrize("sent", [1, *(pytest.param(sent, marks=pytest.mark.long) for sent in (0, 2, 3))])
def test_killed_submit_is_continued_by_the_same_command(cluster, sent):
    """It is killed when so many jobs are sent. No step is there twice, none starts before the one that it needs."""
    file = cluster.write_pipeline(first=["1", "ends", "1"], second=["0", "ends", "1"], third=["0", "ends", "1"])
    words = ("pipeline", "submit", str(file), "--platform", "slurm", "--native-only")
    process = cluster.start(*words)
    while not cluster.runs.is_dir() or len(cluster.list_jobs()) < sent:
        time.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    cluster.run(*words, "--wait")
    assert sorted(name.rpartition("-")[2] for name, _, _ in cluster.list_jobs()) == ["first", "second", "third"]
    steps = [read_attempts(cluster.find_run() / "steps" / name) for name in ("first", "second", "third")]
    assert [len(attempts) for attempts in steps] == [1, 1, 1]
    (first,), (second,), (third,) = steps
    assert first.end.time <= second.began
    assert second.end.time <= third.began


@pytest.mark.long
def test_requeued_step_is_waited_for(cluster):
    file = cluster.write_pipeline(first=["5", "ends", "1"], second=["0", "ends", "1"])
    cluster.run("pipeline", "submit", str(file), "--platform", "slurm", "--native-only")
    folder = cluster.find_run()
    wait_until(lambda: (folder / "steps/first/events.jsonl").exists(), "the first step to begin", END_SECONDS)
    number = next(number for name, _, number in cluster.list_jobs() if name.endswith("-first"))
    cluster.lab.run("scontrol", "requeue", number)
    cluster.run("wait")
    first, second = (read_attempts(folder / "steps" / name) for name in ("first", "second"))
    assert [attempt.restart for attempt in first] == [0, 1]
    assert first[-1].end.time <= second[0].began


@pytest.mark.long
def test_training_and_its_evaluation_which_registers_are_one_dag(
    cluster, training_environment, evaluation_environment, tracking_database
):
    """The pipeline of the repository's example, small: each step reads what the one before left in the run folder."""
    tracking = tracking_database(cluster.folder / "mlflow.db")
    node = {"memory": "4G", "device": "cpu", "tracking_uri": tracking}
    train = {"training_steps": 4, "save_freq": 2, "batch_size": 4, "environment": training_environment}
    evaluate = {"eval_episodes": 1, "eval_batch_size": 1, "env_steps": 4, "success_threshold": 0}
    evaluate["environment"] = evaluation_environment
    small = {"train": train | node, "evaluate": evaluate | {"record_video": "false"} | node}
    words = [f"{step}.{name}={value}" for step, values in small.items() for name, value in values.items()]
    options = [part for word in words for part in ("--set", word)]
    example = str(ROOT / "examples/pusht-mini/pipeline.yaml")
    said = cluster.run("pipeline", "submit", example, "--platform", "slurm", "--native-only", *options, "--wait")
    assert re.search(r"registered +pusht-mini version 1", said), said
    train, evaluate = (read_attempts(cluster.find_run() / "steps" / name) for name in ("train", "evaluate"))
    assert train[-1].end.time <= evaluate[0].began
