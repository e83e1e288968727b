"""Outputs of a run whose files are on its node: what it published."""

import json
import sys
from pathlib import Path

import pytest
from hub_stand_in import HubStandIn
from messages import check_problems
from robotrain.errors import Rejected
from robotrain_runtime.contract import checkpoint, document
from robotrain_runtime.contract.document import JobDocument, Placement
from robotrain_runtime.environments import environment
from robotrain_slurm.platform import SlurmPlatform
from robotrain_slurm.spec.submission_spec import SUBMISSION, SUBMISSION_FILE, BatchJob, SlurmSpec
from robotrain_sources.huggingface import layout
from robotrain_sources.huggingface.layout import BranchClaim

PLUGINS = Path(__file__).parents[1] / "runtime/container_plugins"


@pytest.fixture
def publish(tmp_path, monkeypatch):
    """Make a run that published to a place, with another run beside it; return its reference."""
    monkeypatch.syspath_prepend(str(PLUGINS))
    monkeypatch.setenv("ROBOTRAIN_CACHE", str(tmp_path / "cache"))
    built = environment.get_environment_folder(PLUGINS / "carrying.txt", tmp_path / "cache")
    (built / "bin").mkdir(parents=True)
    (built / "bin/python").symlink_to(sys.executable)
    environment.write_marker(built, {})

    def make(place, target=("target.shelf", "pretend_shelf")):
        for run, step in (("count-1", 10), ("count-1", 20), ("other-1", 30)):
            folder = tmp_path / f"shelf/{step:06}"
            folder.mkdir(parents=True)
            (folder / "numbers").write_text(run)
            checkpoint.seal_checkpoint(folder, run=run, job="0" * 64, step=step)
        root = tmp_path / "runs/count-1"
        root.mkdir(parents=True)
        batch_job = BatchJob(name="count-1", script="job.sbatch", comment="", folder=str(root))
        spec = SlurmSpec(run="count-1", folder=str(root), jobs=(batch_job,), storage="node")
        (root / SUBMISSION_FILE).write_bytes(SUBMISSION.dump(spec))
        made = JobDocument(
            schema=document.SCHEMA, run="count-1", job="0" * 64, workload="pretend", platform="slurm",
            halves=dict([("workload.pretend", "pretend_placed"), target]),
            parameters={"program": "", "place": place, "keep": None},
            placement=Placement(work=str(root), cache="/node/cache"),
        )  # fmt: skip
        (root / "job.json").write_text(document.format_document(made))
        return {"run": "count-1", "folder": str(root), "job": "1"}

    return make


def list_outputs(reference):
    return [(one.step, one.source, one.uri) for one in SlurmPlatform().outputs(reference)]


def test_checkpoints_at_an_address_are_listed_and_their_use_is_told(publish, tmp_path):
    reference = publish(f"shelf:{tmp_path}/shelf")
    at = f"shelf:{tmp_path}/shelf"
    assert list_outputs(reference) == [(10, "shelf", f"{at}/000010"), (20, "shelf", f"{at}/000020")]
    first, _ = SlurmPlatform().outputs(reference)
    with pytest.raises(Rejected) as refused:
        SlurmPlatform().download(reference, first, tmp_path / "copy")
    check_problems(refused.value.problems, "slurm-files-on-node")


@pytest.mark.slow
def test_checkpoints_on_the_hub_are_listed_as_repositories(publish, data_python, monkeypatch, tmp_path):
    monkeypatch.setenv("ROBOTRAIN_BAKED", str(data_python.parents[3]))
    reference = publish("hf://me/act", ("target.huggingface", "robotrain_sources.huggingface_publish.target"))
    with HubStandIn() as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.address)
        monkeypatch.setenv("HF_TOKEN", hub.token)
        made = hub.add_repository("me/act")
        made.tags["step-000010"] = made.commit({layout.CLAIM: BranchClaim(run="count-1").to_bytes()})
        (one,) = SlurmPlatform().outputs(reference)
    assert (one.step, one.source, one.uri) == (10, "huggingface", "me/act@step-000010")
    with pytest.raises(Rejected) as refused:
        SlurmPlatform().download(reference, one, tmp_path / "copy")
    assert refused.value.problems[0].code == "slurm-files-on-node"


def test_checkpoints_in_a_folder_are_listed_and_copied(publish, tmp_path):
    reference = publish(str(tmp_path / "shelf"))
    assert [step for step, *_ in list_outputs(reference)] == [10, 20]
    *_, last = SlurmPlatform().outputs(reference)
    SlurmPlatform().download(reference, last, tmp_path / "copy")
    assert json.loads((tmp_path / "copy" / checkpoint.MANIFEST).read_text())["step"] == 20


def test_place_that_cannot_be_read_is_reported(publish, tmp_path):
    with pytest.raises(Rejected) as refused:
        list_outputs(publish("shelf:/nowhere"))
    check_problems(refused.value.problems, "slurm-files-on-node")


def test_model_of_a_run_on_its_node_is_registered_by_the_run_itself(publish, tmp_path):
    with pytest.raises(Rejected) as refused:
        SlurmPlatform().register(publish(str(tmp_path / "shelf")), "model", None)
    check_problems(refused.value.problems, "slurm-files-on-node")
