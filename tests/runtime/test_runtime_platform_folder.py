"""The folder that a platform keeps when a run ends: complete checkpoints are copied there, and resumed from."""

import dataclasses
import os
import shutil
from pathlib import Path

import pytest
from robotrain_runtime.contract import checkpoint
from robotrain_runtime.contract.event import Checkpoint, Published
from robotrain_runtime.contract.failure import EXIT_PREFLIGHT
from robotrain_runtime.preflight import run_preflight

TRAIN = "from pretend_training import *\ntrain({}, 20)"
OUTPUT = "${AZURE_ML_OUTPUT_checkpoints}"
CALLED = "azureml://datastores/store/paths/azureml/${THIS_ONE}/checkpoints/"


@pytest.fixture
def output(tmp_path, monkeypatch) -> Path:
    """The folder that the platform names, in upper case."""
    there = tmp_path / "wd" / "checkpoints"
    there.mkdir(parents=True)
    monkeypatch.setenv("AZURE_ML_OUTPUT_CHECKPOINTS", f"{there}/")
    return there


def published(ran) -> list[tuple[int, str]]:
    return [(publication.step, publication.to) for publication in ran.of_kind(Published)]


def codes(made) -> list[tuple[str, str]]:
    return [(finding.code, finding.title) for finding in run_preflight(made)]


def test_a_name_that_is_not_set_is_told_before_the_work(plugins_on_path, job):
    title = (
        "AZURE_ML_OUTPUT_checkpoints is not set: it should name the folder in which the platform keeps the checkpoints"
    )
    assert codes(job(kept=OUTPUT)) == [("kept-missing", title)]


@pytest.mark.parametrize("name", ["AZURE_ML_OUTPUT_checkpoints", "AZURE_ML_OUTPUT_CHECKPOINTS"])
def test_either_spelling_of_the_name_does(plugins_on_path, job, tmp_path, monkeypatch, name):
    monkeypatch.setenv(name, str(tmp_path / "wd"))
    assert codes(job(kept=OUTPUT)) == []


@pytest.mark.parametrize(
    ("there", "reason"),
    [("file", "it is a file"), ("no/where", "{}/no does not exist"), ("", "it is not an absolute path")],
)
def test_a_folder_that_takes_nothing_is_told_before_the_work(plugins_on_path, job, tmp_path, there, reason):
    (tmp_path / "file").touch()
    to = str(tmp_path / there) if there else "relative"
    title = f"checkpoints cannot be copied to {to}, which the platform keeps: {reason.format(tmp_path)}"
    assert codes(job(kept=to)) == [("publish-unwritable", title)]


@pytest.mark.parametrize(("this_one", "expected"), [("job-1", []), ("job-2", ["publish-unwritable"])])
def test_a_folder_that_belongs_to_another_submission_is_refused(
    plugins_on_path, job, output, monkeypatch, this_one, expected
):
    monkeypatch.setenv("THIS_ONE", this_one)
    monkeypatch.setenv("OWNER", "job-1")
    findings = codes(job(kept=OUTPUT, kept_for={"THIS_ONE": "${OWNER}"}))
    assert [code for code, _ in findings] == expected
    assert all("job-1" in title for _, title in findings)


@pytest.mark.slow
def test_each_complete_checkpoint_is_copied_there_beside_where_it_is_published(run, job, output, tmp_path):
    made = job(TRAIN.format(40), publish={"to": str(tmp_path / "mirror")}, kept=OUTPUT)
    ran = run(made)
    assert ran.exit_code == 0, ran.lines
    assert [
        step for step, folder in checkpoint.list_checkpoints(output) if checkpoint.validate_checkpoint(folder) == ""
    ] == [40, 20]
    assert sorted(os.listdir(output)) == ["000020", "000040"]
    assert sorted(published(ran)) == sorted(
        (step, f"{to}/{step:06}") for step in (20, 40) for to in (output, tmp_path / "mirror")
    )


@pytest.mark.slow
@pytest.mark.parametrize("called", ["", CALLED])
def test_a_machine_that_is_lost_goes_on_from_it_in_the_same_submission(run, job, output, tmp_path, called):
    placed = {"kept": OUTPUT, "kept_as": called, "left": OUTPUT, "submission": "THIS_ONE"}
    run(job(TRAIN.format(40), **placed), THIS_ONE="job-1")
    shutil.rmtree(tmp_path / "work")
    ran = run(job(TRAIN.format(60), **placed), THIS_ONE="job-1")
    assert ran.exit_code == 0, ran.lines
    assert "from step 41" in ran.ordinary
    assert [saved.step for saved in ran.of_kind(Checkpoint)] == [40, 60]
    to = called.replace("${THIS_ONE}", "job-1").rstrip("/") or output
    assert published(ran) == [(40, f"{to}/000040"), (60, f"{to}/000060")]
    assert f"resuming from step 40 of an earlier attempt, restored from {output}/000040" in ran.notes("info")
    assert (output / "000040/model/weights").stat().st_nlink == 1  # it shares no file with what is gone on from
    shutil.rmtree(tmp_path / "work")
    other = run(job(TRAIN.format(60), **placed), THIS_ONE="job-2")
    assert (other.exit_code, "another submission (job-1)" in other.outcome["reason"]) == (EXIT_PREFLIGHT, True)


@pytest.mark.slow
@pytest.mark.parametrize("place", [pytest.param("", marks=pytest.mark.long), "run/weights"])
@pytest.mark.parametrize("left", [pytest.param("", marks=pytest.mark.long), OUTPUT])
def test_checkpoint_that_the_platform_stores_at_once_is_no_artifact_too(
    run, tracked, database, output, tmp_path, left, place
):
    made = tracked(TRAIN.format(40), **({"place": place} if place else {}))
    placed = {"kept": OUTPUT, "kept_as": CALLED, "left": left, "submission": "THIS_ONE"}
    made = dataclasses.replace(made, placement=dataclasses.replace(made.placement, **placed))
    ran = run(made, THIS_ONE="job-1")
    assert ran.exit_code == 0, ran.lines
    addresses = [f"{CALLED.replace('${THIS_ONE}', 'job-1')}{step:06}" for step in (20, 40)]
    assert [to for _, to in published(ran) if to.startswith("azureml:")] == addresses
    tags = dict(database("select key, value from tags where key like 'checkpoint_%'"))
    artifacts = {path.name for path in (tmp_path / "state").rglob("checkpoints/*")}
    if left and not place:
        assert tags == {f"checkpoint_{step:06}_output": to for step, to in zip((20, 40), addresses, strict=True)}
        assert artifacts == set()
    else:  # uploaded when the job ends, if it does; and files that have a place of their own among the artifacts
        assert {tags[f"checkpoint_{step:06}_artifact"] for step in (20, 40)} == {
            f"checkpoints/{artifact}" for artifact in artifacts
        }
        assert len(artifacts) == 2
    shutil.rmtree(tmp_path / "work")
    again = run(made, THIS_ONE="job-1")
    assert again.exit_code == 0, again.lines
    assert dict(database("select key, value from tags where key like 'checkpoint_%'")) == tags


@pytest.mark.slow
def test_checkpoint_that_is_registered_is_an_artifact_as_well(run, tracked, database, output, tmp_path):
    made = tracked(TRAIN.format(40), register="pusher")
    placed = {"kept": OUTPUT, "kept_as": CALLED, "left": OUTPUT, "submission": "THIS_ONE"}
    made = dataclasses.replace(made, placement=dataclasses.replace(made.placement, **placed))
    ran = run(made, THIS_ONE="job-1")
    assert ran.exit_code == 0, ran.lines
    (model,) = (tmp_path / "state").rglob("checkpoints/*")
    ((source,),) = database("select source from model_versions where name='pusher'")
    assert (model.name, source.removeprefix("file://")) == ("000040", str(model))
    assert sorted(path.name for path in model.iterdir()) == ["azureml_lineage.json", "weights"]
