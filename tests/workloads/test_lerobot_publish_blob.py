"""A real training that publishes to blob storage, and goes on from there on a machine that knows nothing of it."""

import json
import os
import subprocess

import pytest
from azure_stand_in.fixtures import azure, azure_session
from robotrain_runtime.contract import checkpoint
from small_training import SMALL

__all__ = ["azure", "azure_session"]

pytestmark = [pytest.mark.slow, pytest.mark.long]

GIVEN = ("--save-freq=2", "--log-freq=1", "--eval-freq=0", "--batch-size=4", "--num-workers=0", "--device=cpu")


@pytest.fixture
def machine(azure, command, training_environment, pusht, tmp_path):
    """Run robotrain as on a machine of its own: `machine("one", "submit", …)`."""

    def run(name: str, *args: str, ours=()) -> subprocess.CompletedProcess[str]:
        environ = {**os.environ, **azure.environ, "ROBOTRAIN_STATE": str(tmp_path / name), "OMP_NUM_THREADS": "1"}
        words = [*command, *args, *(("--", *ours) if ours else ())]
        return subprocess.run(words, env=environ, capture_output=True, text=True, timeout=600)

    where = ("--platform=local", f"--environment={training_environment}", f"--dataset-path={pusht}", *GIVEN)

    def train(name: str, *args: str) -> subprocess.CompletedProcess[str]:
        done = run(name, "submit", *where, *args, "--wait", ours=SMALL["act"])
        assert done.returncode == 0, done.stdout + done.stderr
        return done

    run.train = train
    return run


def test_a_training_is_resumed_elsewhere_from_what_it_published(azure, machine, pusht, tmp_path):
    azure.blobs.put("models", {})
    url = azure.url("models", "act")
    machine.train("one", "--training-steps=6", f"--publish-url={url}", "--keep=2")

    on = machine.train("two", "--training-steps=8", f"--resume-from={url}", f"--publish-url={url}")
    assert "resuming from step 6 of lerobot-train-" in on.stdout + on.stderr
    (made,) = (tmp_path / "two/local").glob("*/outputs/checkpoints")
    assert [step for step, _ in checkpoint.list_checkpoints(made)] == [8]

    left = machine("two", "submit", "--platform=local", f"--dataset-path={pusht}", f"--resume-from={url}", "--dry-run")
    assert left.returncode == 4  # by now two runs have left checkpoints there, so one has to be named
    assert "000004 of the run lerobot-train-" in left.stderr
    assert f"--resume-from {url}/000008" in left.stderr
    assert "000002" not in left.stderr  # --keep

    named = machine.train("two", "--training-steps=7", f"--resume-from={url}/000006", "--no-pin")
    run = named.stdout.split()[0]
    document = json.loads((tmp_path / "two/local" / run / "job.json").read_text())
    assert [source["uri"] for source in document["sources"] if source["role"] == "resume"] == [f"{url}/000006"]


def test_the_job_of_a_checkpoint_trains_the_same_weights_on_another_machine(
    azure, machine, training_environment, tmp_path
):
    azure.blobs.put("models", {})
    first, second = azure.url("models", "first"), azure.url("models", "second")
    machine.train("one", "--training-steps=2", f"--publish-url={first}")
    changes = ("--set", f"environment={training_environment}", "--set", f"publish_url={second}")
    lacking = machine("two", "resubmit", first, "--dry-run")
    assert (lacking.returncode, "environment" in lacking.stderr) == (3, True), lacking.stderr
    done = machine("two", "resubmit", first, *changes, "--wait")
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"publish_url: {first} → {second}" in done.stderr
    runs = [next((tmp_path / name / "local").glob("*/outputs/checkpoints/000002")) for name in ("one", "two")]
    earlier, two = map(checkpoint.read_manifest, runs)
    weights = "pretrained_model/model.safetensors"
    assert earlier.files[weights] == two.files[weights]
    assert {**earlier.document["parameters"], "publish_url": second} == two.document["parameters"]
    assert earlier.document["sources"] == two.document["sources"]
