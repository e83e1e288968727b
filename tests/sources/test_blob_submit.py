"""From the command line to the first steps: what `robotrain submit --blob-url …` does on this machine, for real."""

import json
import os
import time
from pathlib import Path

import pytest
from azure_stand_in import Fault
from robotrain.store import stored_job

pytestmark = [pytest.mark.slow, pytest.mark.long]

EXAMPLES = Path(__file__).parents[2] / "examples"
WEIGHTS = "ResNet18_Weights.IMAGENET1K_V1"
SMALL = (*("--training-steps", "2", "--batch-size", "4", "--num-workers", "0", "--device", "cpu", "--wait", "--json"),)
NETWORK = (
    "--",
    *(f"--policy.{option}" for option in ("chunk_size=8", "n_action_steps=4", "dim_model=32", "n_heads=2")),
)


def upload_examples(azure, box: str, *examples: str) -> list[str]:
    for example in examples:
        folder = EXAMPLES / example / "dataset"
        files = {
            path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.*") if path.is_file()
        }
        azure.blobs.put(box, {f"{example}/{name}": content for name, content in files.items()})
    return [word for example in examples for word in ("--blob-url", azure.url(box, example))]


@pytest.fixture
def signed_in(azure_identity, data_python, tmp_path, monkeypatch):
    """This process and what it starts are led to the stand-in. The cache is empty: an earlier session of these tests
    may have fetched the same data. The environment to fetch in is built before, and found as if an image held it.
    """
    monkeypatch.setenv("ROBOTRAIN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("ROBOTRAIN_BAKED", str(data_python.parents[3]))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


def test_two_prefixes_are_fetched_merged_and_trained_from(robotrain, azure, signed_in, training_python):
    sources = upload_examples(azure, "submit", "pusht-mini", "pusht-more")
    environment = ("--environment", training_python.parent.parent)
    answer = robotrain("submit", "--platform", "local", *sources, *environment, *SMALL, *NETWORK)
    assert answer.exit_code == 0, answer.stderr
    assert (answer.json["state"], answer.json["step"]) == ("succeeded", 2)
    assert read_backbones(answer.json["run"]) == [], "the data were read before: they have no camera"
    assert answer.json["download"]["done"] == answer.json["download"]["total"] > 600_000
    log = robotrain("logs", answer.json["run"]).stdout
    assert "merge: done" in log


def read_backbones(run: str) -> list[tuple[str, bool]]:
    document = json.loads((stored_job.get_plan_folder(run) / "job.json").read_text())
    return [
        (source["uri"], source.get("uncertain", False))
        for source in document["sources"]
        if source["role"] == "backbone"
    ]


def test_data_that_nobody_read_before_decide_in_the_job_whether_it_needs_weights(
    robotrain, azure, signed_in, training_python
):
    """Their host cannot be reached from the job."""
    environment = ("--environment", training_python.parent.parent, "--no-pin")
    sources = upload_examples(azure, "unread", "pusht-mini")
    answer = robotrain("submit", "--platform", "local", *sources, *environment, *SMALL, *NETWORK)
    assert answer.exit_code == 0, answer.stderr
    assert read_backbones(answer.json["run"]) == [(WEIGHTS, True)]
    assert f"{WEIGHTS} is not downloaded: the job does not need it" in robotrain("logs", answer.json["run"]).stdout

    cameras = upload_examples(azure, "unread", "pusht-camera")
    before = time.monotonic()
    answer = robotrain("submit", "--platform", "local", *cameras, *environment, *SMALL, *NETWORK)
    answer.check(5, "download.pytorch.org cannot be reached", "preflight: failed")
    assert time.monotonic() - before < 40


def test_h1_17_data_that_may_not_be_read_is_told_before_anything_is_sent(robotrain, azure, signed_in):
    sources = upload_examples(azure, "refused", "pusht-mini")
    azure.front.faults.append(Fault("comp=list", status=403, code="AuthorizationPermissionMismatch"))
    answer = robotrain("submit", "--platform", "local", *sources)
    assert answer.exit_code == 4
    assert "Storage Blob Data Reader" in answer.stderr
    assert "container refused of the storage account rtaccount" in answer.stderr
    assert not list(Path(os.environ["ROBOTRAIN_STATE"]).glob("local/*"))


def test_sets_that_do_not_fit_are_told_before_they_are_fetched(robotrain, azure, signed_in):
    sources = upload_examples(azure, "unlike", "pusht-mini", "reach-other")
    azure.front.requests.clear()
    answer = robotrain("submit", "--platform", "local", *sources)
    assert answer.exit_code == 4
    assert "fps: 10 in" in answer.stderr
    assert not [request for request in azure.front.requests if ".parquet" in request and "comp=list" not in request]
