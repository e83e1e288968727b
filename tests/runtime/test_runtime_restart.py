"""Restart of a run with an empty disk: checkpoints and events of earlier attempts are recovered."""

import json
import shutil

import pytest
from robotrain_runtime.contract import checkpoint
from robotrain_runtime.contract.checkpoint import MANIFEST
from robotrain_runtime.contract.event import Checkpoint, Published

TRAIN = "from pretend_training import *\ntrain({}, 20)"
OURS = {"THIS_ONE": "wf-1"}


@pytest.fixture
def published(job, placed, shelf):
    """Make a document that publishes to the shelf: `published(60)`; total: the steps of this attempt."""

    def make(total: int, place=f"shelf:{shelf}", submission="THIS_ONE", **placement):
        job(carried=["a"])  # so that the environment to write with is there
        return placed(place, TRAIN.format(total), submission=submission, **placement)

    return make


@pytest.fixture
def lose_machine(tmp_path):
    """All that a machine takes with it."""

    def lose():
        shutil.rmtree(tmp_path / "work")
        shutil.rmtree(tmp_path / "cache/data", ignore_errors=True)

    return lose


def tear_checkpoint(folder):
    (folder / "state" / "step").write_text("torn")


def first_step(ran) -> int:
    assert ran.exit_code == 0, ran.lines
    return int(next(line for line in ran.ordinary if line.startswith("from step ")).removeprefix("from step "))


@pytest.mark.parametrize("form", ["shelf:{}", pytest.param("{}", marks=pytest.mark.slow)])
def test_a_run_resumes_from_its_newest_published_checkpoint_of_the_submission(
    run, published, shelf, lose_machine, form
):
    place = form.format(shelf)
    assert first_step(run(published(40, place), **OURS)) == 1
    lose_machine()
    ran = run(published(60, place), **OURS)
    assert first_step(ran) == 41
    assert f"resuming from step 40 of an earlier attempt, restored from {place}/000040" in ran.notes("info")
    assert [step for step, _ in checkpoint.list_checkpoints(shelf)] == [60, 40, 20]
    assert [step for step, _ in checkpoint.list_checkpoints(ran.work / "checkpoints")] == [60, 40]
    assert all(
        checkpoint.validate_checkpoint(folder) == ""
        for _, folder in checkpoint.list_checkpoints(ran.work / "checkpoints")
    )
    if form == "{}":  # what is published shares no file with what the run goes on from
        assert (shelf / "000040/model/weights").stat().st_nlink == 1
    assert [saved.step for saved in ran.of_kind(Checkpoint)] == [40, 60]
    assert [publication.to for publication in ran.of_kind(Published)] == [f"{place}/000040", f"{place}/000060"]


@pytest.mark.slow
def test_a_run_that_was_lost_after_its_last_checkpoint_has_nothing_left_to_do(run, published, lose_machine):
    run(published(40), **OURS)
    lose_machine()
    ran = run(published(40), **OURS)
    assert first_step(ran) == 41
    assert [publication.step for publication in ran.of_kind(Published)] == [40]


@pytest.mark.slow
def test_another_submission_does_not_write_over_the_first(run, published, lose_machine, shelf):
    run(published(40), **OURS)
    lose_machine()
    ran = run(published(60), THIS_ONE="wf-2")
    assert (ran.exit_code, ran.ordinary) == (4, [])
    cannot = f"checkpoints cannot be published to shelf:{shelf}: it holds "
    assert ran.outcome["reason"] == f"{cannot}000020 of another submission of this run (wf-1)"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["", "NOBODY_SET_IT"])
def test_without_a_submission_the_run_begins_anew_as_ever(run, published, lose_machine, shelf, name):
    run(published(40, submission=name))
    lose_machine()
    assert first_step(run(published(60, submission=name))) == 1
    assert "submission" not in json.loads((shelf / "000040" / MANIFEST).read_text())


@pytest.mark.slow
@pytest.mark.parametrize(("torn", "first"), [((40,), 21), ((20, 40), 1)])
def test_torn_checkpoints_are_named_and_the_one_before_them_is_restored(
    run, published, lose_machine, shelf, torn, first
):
    run(published(40), **OURS)
    lose_machine()
    for step in torn:
        tear_checkpoint(shelf / f"{step:06}")
    ran = run(published(60), **OURS)
    assert first_step(ran) == first
    warnings = [
        f"the run does not resume from shelf:{shelf}/{step:06}: {shelf}/{step:06}/state/step is not what was saved"
        for step in reversed(torn)
    ]
    none_left = "no checkpoint of an earlier attempt is complete: the run starts again from step 0"
    assert ran.notes("warning") == [*warnings, *([none_left] if first == 1 else [])]


@pytest.mark.slow
def test_a_run_fails_if_its_checkpoint_cannot_be_fetched(run, published, lose_machine, shelf):
    run(published(40), **OURS)
    lose_machine()
    (shelf / "shut").touch()
    ran = run(published(60), **OURS)
    assert ran.exit_code == 1
    began = f"step 40 of an earlier attempt cannot be restored from shelf:{shelf}/000040: "
    assert ran.outcome["reason"] == f"{began}the shelf is shut"


@pytest.mark.slow
def test_a_newer_checkpoint_in_the_runs_own_folder_is_used(run, published, shelf, tmp_path):
    run(published(40), **OURS)
    shutil.rmtree(shelf / "000040")
    ran = run(published(60), **OURS)
    assert first_step(ran) == 41
    assert not any("restored from" in note for note in ran.notes("info"))


@pytest.fixture
def brought_back(run, job, tmp_path):
    """A run of 40 steps, whose checkpoints the platform brought back, deep in a folder of the next machine."""

    def make(submission="THIS_ONE"):
        run(job(TRAIN.format(40), submission=submission), **OURS)
        shutil.copytree(tmp_path / "work/checkpoints", tmp_path / "left/outputs/checkpoints", symlinks=True)
        shutil.rmtree(tmp_path / "work")
        return tmp_path / "left/outputs/checkpoints"

    return make


@pytest.mark.slow
def test_a_run_resumes_from_a_checkpoint_that_the_platform_restored(run, job, brought_back, tmp_path):
    brought_back()
    made = job(TRAIN.format(60), submission="THIS_ONE", left="${LEFT}")
    ran = run(made, LEFT=str(tmp_path / "left"), **OURS)
    assert first_step(ran) == 41
    assert [publication.step for publication in ran.of_kind(Published)] == []
    assert checkpoint.validate_checkpoint(ran.work / "checkpoints/000040") == ""


@pytest.mark.slow
def test_a_run_does_not_resume_from_an_incomplete_copy(run, job, brought_back, tmp_path):
    parent = brought_back()
    (parent / "000040/model/weights").unlink()
    ran = run(job(TRAIN.format(60), submission="THIS_ONE", left=str(tmp_path / "left")), **OURS)
    assert first_step(ran) == 21
    assert ran.notes("warning") == [
        f"the run does not resume from {parent}/000040: {parent}/000040/model/weights is gone"
    ]
    assert not (ran.work / "checkpoints/000060").is_symlink()


@pytest.mark.slow
@pytest.mark.parametrize(("before", "now", "first"), [("", "", 41), ("THIS_ONE", "", 41), ("THIS_ONE", "OTHER", 1)])
def test_what_is_brought_back_is_of_this_run_and_submission(run, job, brought_back, tmp_path, before, now, first):
    brought_back(before)
    made = job(TRAIN.format(60), submission=now, left=str(tmp_path / "left"))
    assert first_step(run(made, OTHER="wf-2", **OURS)) == first


@pytest.mark.slow
@pytest.mark.parametrize("left", ["${LEFT}", "${LEFT}/deep", "/nowhere/at/all"])
def test_a_first_attempt_finds_nothing_and_says_nothing(run, job, left):
    ran = run(job(TRAIN.format(20), submission="THIS_ONE", left=left), **OURS)
    assert first_step(ran) == 1
    assert ran.notes("warning") == []


def test_a_seal_tells_its_submission_and_one_without_is_as_it_was(tmp_path):
    (tmp_path / "weights").touch()
    plain = checkpoint.seal_checkpoint(tmp_path, step=1, run="r", job="j")
    assert sorted(json.loads((tmp_path / MANIFEST).read_text())) == ["files", "job", "model", "run", "schema", "step"]
    assert checkpoint.read_manifest(tmp_path) == plain
    result = checkpoint.seal_checkpoint(tmp_path, step=1, run="r", job="j", submission="wf-1", tracking="abc")
    assert checkpoint.read_manifest(tmp_path) == result
    assert (result.submission, result.tracking, result.digest) == ("wf-1", "abc", plain.digest)
