"""From the command line to the first steps: what `robotrain submit --blob-url …` does on this machine, for real."""

import os
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
    roles = [source.role for source in stored_job.read_stored_sources(answer.json["run"])]
    assert "backbone" not in roles, "the data were read before: they have no camera"
    assert answer.json["download"]["done"] == answer.json["download"]["total"] > 600_000
    log = robotrain("logs", answer.json["run"]).stdout
    assert "merge: done" in log


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
