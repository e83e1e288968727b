"""Trainings on a compute of the workspace: submitted, waited for, and what they left."""

import json
import subprocess
import time
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
NETWORK = (
    "--",
    *(f"--policy.{option}" for option in ("chunk_size=8", "n_action_steps=4", "dim_model=32", "n_heads=2")),
    "--policy.pretrained_backbone_weights=null",  # nobody reads a data asset before the job
)
QUICK = ("--batch-size", "4", "--device", "cpu", "--num-workers", "0", "--no-val-split", "--log-freq", "1")


def size_training(steps: int, save_every: int) -> tuple[str, ...]:
    """A training that one core does in seconds."""
    return ("--training-steps", str(steps), "--save-freq", str(save_every), *QUICK)


def dataset(example: str) -> dict[str, bytes]:
    """The files of an example's dataset, by their names in it."""
    base = EXAMPLES / example / "dataset"
    return {path.relative_to(base).as_posix(): path.read_bytes() for path in base.rglob("*.*")}


@pytest.fixture
def upload_dataset(cluster):
    """The dataset of an example as blobs of the workspace's own container: their folder."""

    def put(example: str, folder: str) -> str:
        files = {f"{folder}/{name}": content for name, content in dataset(example).items()}
        cluster.store.put(cluster.container, files)
        return folder

    return put


@pytest.fixture
def submit(cluster, command):
    """`robotrain submit` as a process of its own: the run's name, and the job."""

    def submit(*words: object):
        typed = (*command, "submit", "--platform", "azureml", *map(str, words), "--json", *NETWORK)
        done = subprocess.run(typed, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        answer = json.loads(done.stdout)
        return answer["run"], cluster.jobs[answer["reference"]["job"]]

    return submit


@pytest.fixture
def wait_for_end(machine):
    """Wait for a job's end: its log."""

    def ended(job, status: str = "Completed") -> str:
        assert machine.wait(job.name) == status, "\n".join([*job.read_log(), str(job.error)])
        return "\n".join(job.read_log())

    return ended


def wait_until(true, job) -> None:
    """Wait for something of a job that runs; as long as for its end, since a busy machine takes minutes to begin."""
    end = time.monotonic() + 300
    while not true():
        assert time.monotonic() < end, "\n".join(job.read_log())
        assert not job.finished, "\n".join(job.read_log())
        time.sleep(0.1)


def tracked(machine, job) -> tuple[dict, dict, dict]:
    """The parameters, the metrics and the tags of the MLflow run that the platform made for a job."""
    run = machine.azureml.runs.get_run(job.name)
    kinds = (run["data"].get(kind, ()) for kind in ("params", "metrics", "tags"))
    return tuple({pair["key"]: pair["value"] for pair in kind} for kind in kinds)


def made_or_ended(cluster) -> list[str]:
    """What was asked of MLflow that is the platform's to do."""
    return [call for call in cluster.calls if "mlflow/runs/create" in call or "mlflow/runs/update" in call]


def list_kept(cluster, job, file: str) -> list[str]:
    """The steps whose checkpoint lies in the job's output with such a file."""
    names = cluster.store.names(cluster.container, f"azureml/{job.name}/checkpoints/")
    steps = [name.split("/")[3] for name in names if name.endswith(f"/{file}")]
    return [step for step in steps if step.isdecimal()]  # not what is still being copied, beside its name
