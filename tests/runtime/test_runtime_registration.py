"""Checkpoints as versions of a model. The work is pretended; MLflow, its database and its registry are real."""

import hashlib
import json
import os
import signal
import sqlite3
import time
from pathlib import Path

import pytest
from robotrain_runtime.checkpoints import model_lineage
from robotrain_runtime.contract import checkpoint
from robotrain_runtime.contract.event import Published, Registered, Tracking

pytestmark = pytest.mark.slow

TRAIN = "from pretend_training import *\n"


@pytest.fixture
def tracked(tracked):
    return lambda program="train(40, 20)", **publish: tracked(TRAIN + program, **publish)


def run_id(ran) -> str:
    return ran.of_kind(Tracking)[0].run_id


def lineage(database, name: str) -> tuple[Path, dict[str, object]]:
    """The file beside a model, and what it says."""
    ((source,),) = database(f"select source from model_versions where name='{name}'")
    path = Path(source.removeprefix("file://"), "azureml_lineage.json")
    return path, json.loads(path.read_text())


def ids(ran) -> dict[str, str]:
    """What names its tracking run."""
    (tracking,) = ran.of_kind(Tracking)
    return {"mlflow_run_id": tracking.run_id, "mlflow_experiment_id": tracking.experiment_id}


@pytest.mark.long
def test_h1_07_the_last_checkpoint_becomes_one_version_with_its_lineage_however_often_it_is_asked(
    run, tracked, database, register, versions, tags
):
    made = tracked(register="pusher")
    ran = run(made)
    assert ran.exit_code == 0, ran.lines
    assert ran.of_kind(Registered) == [Registered(name="pusher", version="1", step=40, uri="models:/pusher/1")]
    ((source, owner, description),) = database("select source, run_id, description from model_versions")
    assert (owner, description) == (run_id(ran), "a pretended model")
    model = Path(source.removeprefix("file://"))
    assert (model / "weights").read_text() == "model/weights of step 40"
    folder = ran.work / "checkpoints" / "000040"
    long = "x" * 300
    assert tags("pusher") == {
        "dataset": f"{'x' * 230}...sha256:{hashlib.sha256(long.encode()).hexdigest()[:16]}",
        "checkpoint": "000040",
        "source": "here pretend-1",
        "job_digest": "0" * 64,
        "robotrain_run": "pretend-1",
        "checkpoint_sha256": checkpoint.read_manifest(folder).digest,
        "model_sha256": model_lineage.hash_sealed_model(checkpoint.read_manifest(folder)),
        "mlflow_run_id": run_id(ran),
        "mlflow_experiment_id": ran.of_kind(Tracking)[0].experiment_id,
    }
    assert max(map(len, tags("pusher").values())) == 256
    path, tags = lineage(database, "pusher")
    assert tags == {"dataset_uri": long, "blob_urls": [], **ids(ran)}
    assert checkpoint.validate_checkpoint(folder) == ""
    assert not list(folder.rglob(path.name))

    again = run(made)
    assert again.exit_code == 0, again.lines
    assert [(registration.version, registration.new) for registration in again.of_kind(Registered)] == [("1", False)]
    assert "checkpoint 000040 is already version 1 of pusher" in again.notes("info")
    later = register(made, "pusher")
    assert (later.returncode, json.loads(later.stdout)["version"]) == (0, "1")
    assert "is already version 1 of pusher" in later.stderr
    assert versions() == [("pusher", 1)]
    assert register(made, "again", "--step", "40").returncode == 0
    assert sorted(file.name for file in path.parent.iterdir()) == [path.name, "weights"]


@pytest.mark.long
def test_files_of_checkpoints_have_places_of_their_own_among_the_artifacts(run, tracked, tmp_path):
    ran = run(tracked(place="run/weights"))
    assert ran.exit_code == 0, ran.lines
    start, published = f"runs:/{run_id(ran)}", ran.of_kind(Published)
    files = [f"{start}/run/weights/weights"] * 2 + [f"{start}/final/weights"]
    assert [publication.file for publication in published] == files
    assert [publication.to for publication in published] == [f"{start}/checkpoints/{step:06}" for step in (20, 40, 40)]
    (last,) = (tmp_path / "state").rglob("final/weights")
    assert last.read_text() == "model/weights of step 40"


def test_h1_05_nothing_is_registered_unasked_and_later_what_is_asked_for(
    run, tracked, database, register, tmp_path, versions, tags
):
    ran = run(made := tracked())
    assert ran.exit_code == 0, ran.lines
    assert versions() == []
    assert database("select count(*) from registered_models") == [(0,)]
    artifact = next((tmp_path / "state").rglob("checkpoints/000040"))
    assert [path.name for path in artifact.iterdir()] == ["weights"]
    assert not list((tmp_path / "state").rglob(".*.part"))
    last, other = register(made, "pusher"), register(made, "first-try", "--step", "20")
    assert (last.returncode, other.returncode) == (0, 0), last.stderr + other.stderr
    values = {"name": "pusher", "version": "1", "step": 40, "uri": "models:/pusher/1", "new": True, "replaced": ""}
    assert json.loads(last.stdout) == values
    assert len(last.stdout.splitlines()) == 1
    assert json.loads(other.stdout)["step"] == 20
    assert tags("first-try")["checkpoint"] == "000020"
    assert tags("first-try")["mlflow_run_id"] == run_id(ran)
    assert database("select distinct status from runs") == [("FINISHED",)]
    _, tags = lineage(database, "first-try")
    assert (tags["dataset_uri"], tags["mlflow_run_id"]) == ("x" * 300, run_id(ran))
    original = ran.work / "checkpoints" / "000040" / "model" / "weights"
    assert (artifact / "weights").samefile(original)  # the same disk: stored once
    original.unlink()
    assert (artifact / "weights").read_text() == "model/weights of step 40"


def test_h1_05_failed_work_registers_nothing(run, tracked, database, versions):
    ran = run(tracked("save(20)\nraise ValueError('no')", register="pusher"))
    assert ran.outcome["reason"] == "ValueError: no"
    assert versions() == []
    assert [publication.step for publication in ran.of_kind(Published)] == [20]  # what is complete is kept all the same


@pytest.mark.long
def test_the_same_step_of_the_same_run_is_the_same_version(run, tracked, database, tmp_path, versions):
    run(tracked("save(20)", register="pusher"))
    (tmp_path / "work" / "checkpoints" / "000020").rename(tmp_path / "aside")
    anew = run(tracked("save(20, 'by another machine')", register="pusher"))
    assert anew.exit_code == 0, anew.lines
    assert [registration.version for registration in anew.of_kind(Registered)] == ["1"]
    assert versions() == [("pusher", 1)]


@pytest.mark.long
def test_what_is_not_whole_is_not_registered_later(run, tracked, database, register, tmp_path, versions):
    run(made := tracked())
    parent = tmp_path / "work" / "checkpoints"
    (parent / "000040" / "model" / "weights").write_text("torn")
    torn = register(made, "pusher", "--step", "40")
    assert (torn.returncode, torn.stdout) == (4, "")
    assert "000040/model/weights is not what was saved" in torn.stderr
    assert register(made, "pusher", "--step", "30").returncode == 4
    assert register(made, "no/name").returncode == 2
    assert versions() == []
    last = register(made, "pusher")
    assert json.loads(last.stdout)["step"] == 20
    assert "is not what was saved" in last.stderr


def test_h1_08_a_registry_that_refuses_fails_the_run_with_its_reason(run, tracked, tmp_path):
    program = f"train(40, 20)\nimport sqlite3\nwait({str(tmp_path / 'state' / 'mlflow.db')!r})"
    refusing = (
        "def wait(path):\n"
        "    while True:\n"
        "        time.sleep(0.1)\n"
        "        try:\n"
        "            with sqlite3.connect(path) as database:\n"
        "                if database.execute('select count(*) from tags').fetchone()[0] >= 5:\n"
        "                    database.execute('drop table model_version_tags')\n"
        "                    return\n"
        "        except sqlite3.OperationalError: pass\n"
    )
    ran = run(tracked(refusing + program, register="pusher"))
    assert ran.exit_code == 1
    assert ran.outcome["reason"].startswith("the model pusher was not registered: ")
    assert "model_version_tags" in ran.outcome["reason"]
    assert len([note for note in ran.notes("info") if "trying again" in note]) == 3


def test_h1_21_a_stopped_run_is_killed_in_tracking_with_its_last_checkpoint(start, finish, tracked, database, until):
    process = start(tracked("train(10**6, 10**5, 0.05)"))
    until(process, "ready", '"event": "tracking"')
    os.killpg(process.pid, signal.SIGTERM)
    ran = finish(process)
    assert ran.exit_code == 143
    assert database("select status from runs") == [("KILLED",)]
    assert database("select value from tags where key = 'training_status'") == [("cancelled",)]
    ((step, to),) = [(publication.step, publication.to) for publication in ran.of_kind(Published)]
    ((owner,),) = database("select run_uuid from runs")
    assert to == f"runs:/{owner}/checkpoints/{step:06}"
    assert database(f"select value from tags where key = 'checkpoint_{step:06}_artifact'") == [
        (f"checkpoints/{step:06}",)
    ]


def test_an_attempt_that_was_killed_goes_on_in_the_same_tracking_run(start, run, tracked, database, tmp_path, until):
    made = tracked("train(120, 20, 0.15)", register="pusher")
    process = start(made)
    until(process, '"to": "runs:/')
    while not database("select 1 from metrics where step >= 20"):
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    ran = run(made)
    assert ran.exit_code == 0, ran.lines
    first = int(ran.ordinary[0].removeprefix("from step "))
    assert first > 20
    assert database("select run_uuid, status from runs") == [(run_id(ran), "FINISHED")]
    assert database("select value from tags where key = 'training_status'") == [("completed",)]
    steps = [step for (step,) in database("select distinct step from metrics order by step")]
    assert steps[0] == 1
    assert [step for step in steps if step >= first] == list(range(first, 121))
    assert dict(database("select key, value from params")) == {"answer": "42"}
    assert ran.of_kind(Registered)[0].step == 120


@pytest.mark.long
def test_a_tracking_run_that_was_deleted_is_made_anew(run, tracked, database):
    made = tracked()
    first = run(made)
    with sqlite3.connect(Path(first.work).parent / "state" / "mlflow.db") as connection:
        connection.execute("update runs set lifecycle_stage = 'deleted'")
    again = run(made)
    assert again.exit_code == 0
    assert run_id(again) != run_id(first)
    assert database("select status from runs where lifecycle_stage = 'active'") == [("FINISHED",)]
