"""A checkpoint that was downloaded to another machine: where it is, and which run it belongs to."""

from pathlib import Path

import pytest
from robotrain_runtime.contract import checkpoint
from robotrain_workloads.lerobot_train import container

RUN = "lerobot-train-00000000-1"


@pytest.fixture
def make_document(training, pusht, saved, tmp_path):
    """A document that saves in a folder of its own, where a checkpoint of this submission lies already."""

    def make(submission: str, run: str = RUN):
        at = saved("disk/out/checkpoints/000200", 200, sealed=False)
        checkpoint.seal_checkpoint(at, step=200, run=run, job="0" * 64, model="pretrained_model", submission=submission)
        return training(pusht, placement={"submission": "THIS_ONE"}, output_dir=str(tmp_path / "disk/out"))

    return make


def find_problems(document) -> list[str]:
    return list(container.inspect(document, {source: Path(source.uri) for source in document.sources}))


def test_it_is_laid_where_the_run_saves_its_own(training):
    document = training()
    assert container.checkpoints(document, Path("/work")) == Path("/work/outputs/checkpoints")
    assert container.checkpoints(training(output_dir="/disk/out"), Path("/work")) == Path("/disk/out/checkpoints")


def test_an_output_folder_with_checkpoints_of_this_submission_is_the_runs_own(make_document, tmp_path, monkeypatch):
    monkeypatch.setenv("THIS_ONE", "wf-1")
    document = make_document("wf-1")
    assert find_problems(document) == []
    data = {source: Path(source.uri) for source in document.sources}
    found = container.work(document, data, Path(document.placement.work))
    assert f"--config_path={tmp_path}/disk/out/checkpoints/000200/pretrained_model/train_config.json" in found.arguments


@pytest.mark.parametrize(
    ("submission", "here", "run"), [("wf-2", "wf-1", RUN), ("", "", RUN), ("wf-1", "wf-1", "another-1")]
)
def test_an_output_folder_of_somebody_else_is_not_written_to(make_document, monkeypatch, submission, here, run):
    monkeypatch.setenv("THIS_ONE", here)
    (why,) = find_problems(make_document(submission, run))
    assert why.endswith("--output-dir NEW_FOLDER")
