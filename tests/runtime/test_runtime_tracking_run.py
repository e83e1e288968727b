"""A run that the platform itself tracks: it is written to, and stays the platform's. MLflow and its data are real."""

import contextlib
import shutil
import sqlite3
import subprocess
from pathlib import Path

import pytest
from robotrain_runtime.contract.event import Registered, Tracking

pytestmark = pytest.mark.slow

TRAIN = """
from pretend_training import *
from robotrain_runtime.contract.event import Metrics, Track
emit_event(Metrics(values={"train/loss": 0.25}, step=20, total=20))
emit_event(Track(tags={"while": "it runs"}))
save(20)
"""
MAKE = """
import mlflow, sys
client = mlflow.MlflowClient(sys.argv[1])
print(client.create_run(client.create_experiment("of the platform"), run_name="witty_name").info.run_id)
"""


@pytest.fixture
def uri(tmp_path, tracking_database) -> str:
    return tracking_database(tmp_path / "state/mlflow.db")


@pytest.fixture
def platform_run(uri, tmp_path, training_python, mlflow_tables, made_once) -> str:
    """The run that the platform made, in a copy of the database that it made it in."""

    def fill(folder: Path) -> None:
        shutil.copyfile(mlflow_tables, folder / "mlflow.db")
        command = [training_python, "-c", MAKE, f"sqlite:///{folder}/mlflow.db"]
        result = subprocess.run(command, capture_output=True, text=True, check=True, cwd=folder)
        (folder / "run").write_text(result.stdout.strip())

    folder = made_once("run-of-the-platform", fill)
    shutil.copyfile(folder / "mlflow.db", tmp_path / "state/mlflow.db")
    with contextlib.closing(sqlite3.connect(tmp_path / "state/mlflow.db")) as moved, moved:
        place = (str(folder), str(tmp_path / "state"))
        moved.execute("UPDATE experiments SET artifact_location = replace(artifact_location, ?, ?)", place)
        moved.execute("UPDATE runs SET artifact_uri = replace(artifact_uri, ?, ?)", place)
    return (folder / "run").read_text()


@pytest.fixture
def tracked(job, uri, training_environment):
    def make(program=TRAIN, **publish):
        return job(
            program, publish=publish, tracking_uri=uri, environment=training_environment, tracking_run="THEIR_RUN"
        )

    return make


def tags(database) -> dict[str, str]:
    return dict(database("select key, value from tags"))


def test_a_run_of_the_platform_is_written_to_has_the_model_and_stays_its_own(run, tracked, platform_run, database):
    ran = run(tracked(register="pusher"), THEIR_RUN=platform_run)
    assert ran.exit_code == 0, ran.lines
    assert [tracking.run_id for tracking in ran.of_kind(Tracking)] == [platform_run]
    assert ran.notes("warning") == []
    assert database("select run_uuid, name, status, end_time from runs") == [
        (platform_run, "witty_name", "RUNNING", None)
    ]
    assert [name for (name,) in database("select name from experiments")] == ["Default", "of the platform"]
    assert database("select key, value from params") == [("answer", "42")]
    assert database("select key, value, step from metrics") == [("train/loss", 0.25, 20)]
    result = tags(database)
    assert (result["training_status"], result["while"]) == ("completed", "it runs")
    assert result["checkpoint_000020_artifact"] == "checkpoints/000020"
    assert [(registration.name, registration.version) for registration in ran.of_kind(Registered)] == [("pusher", "1")]
    assert database("select run_id from model_versions") == [(platform_run,)]


def test_how_it_ended_is_said_in_a_tag_alone_and_a_second_attempt_writes_to_the_same_run(
    run, tracked, platform_run, database, tmp_path
):
    assert run(tracked("raise SystemExit(3)"), THEIR_RUN=platform_run).exit_code == 3
    assert tags(database)["training_status"] == "failed"
    assert database("select status from runs") == [("RUNNING",)]
    (tmp_path / "work").rename(tmp_path / "lost")
    assert run(tracked(), THEIR_RUN=platform_run).exit_code == 0
    assert database("select run_uuid, status from runs") == [(platform_run, "RUNNING")]
    assert tags(database)["training_status"] == "completed"


def test_a_run_that_an_earlier_attempt_made_is_not_taken_in_its_place(run, tracked, platform_run, database):
    run(tracked("raise SystemExit(3)"))  # nobody had set the name
    assert run(tracked(), THEIR_RUN=platform_run).exit_code == 0
    assert database(f"select value from metrics where run_uuid = '{platform_run}'") == [(0.25,)]


def test_a_missing_run_of_the_platform_is_a_warning(run, tracked, platform_run, database):
    ran = run(tracked(), THEIR_RUN="0" * 32)
    assert ran.exit_code == 0
    assert [note for note in ran.notes("warning") if "the run is not tracked" in note]
    assert len(database("select run_uuid from runs")) == 1
