"""What MLflow holds after a run, however the run ended. The work is pretended; MLflow and its database are real."""

import math
import os
import re
import shutil
import sqlite3
import subprocess
import time
from contextlib import closing, suppress

import psutil
import pytest
from robotrain_runtime.contract import checkpoint, child_python, plugin_loader
from robotrain_runtime.contract.event import Checkpoint, Tracking

pytestmark = pytest.mark.slow

TRAIN = """
import time
from pathlib import Path
from robotrain_runtime.contract.event import emit_event
from robotrain_runtime.contract.event import Checkpoint, Metrics, Track
model = Path("{work}") / "checkpoints/000020/pretrained_model"
model.mkdir(parents=True)
(model / "model.safetensors").write_text("weights")
emit_event(Metrics(values={{"train/loss": 0.25}}, step=1234, total=2000))
emit_event(Metrics(values={{"train/loss": float("nan")}}, step=1235, total=2000))
emit_event(Track(params={{"late": True, "nothing": None}}))
emit_event(Checkpoint(step=20, path=str(model.parent), model="pretrained_model"))
print("ready", flush=True)
{then}
"""


@pytest.fixture
def tracked(job, tmp_path, training_environment, tracking_database):
    """A job that is tracked in a database of its own, and does `then` after some events; new: which is made by it."""

    def make(then="pass", new=False, **placement):
        program = TRAIN.format(work=tmp_path / "work", then=then)
        path = tmp_path / "state/mlflow.db"
        uri = f"sqlite:///{path}" if new else tracking_database(path)
        return job(program, tracking_uri=uri, environment=training_environment, **placement)

    return make


def read_final_status(database) -> tuple[str, str]:
    ((status, word),) = database(
        "select status, value from runs left join tags on runs.run_uuid = tags.run_uuid and key = 'training_status'"
    )
    return status, word


def test_a_finished_run_is_all_there_with_its_checkpoint_beside_the_database_and_not_stored_twice(
    run, tracked, database, tmp_path
):
    ran = run(tracked(new=True))
    assert ran.exit_code == 0, ran.lines
    (where,) = (record.event for record in ran.records if isinstance(record.event, Tracking))
    assert database("select run_uuid, name from runs") == [(where.run_id, "pretend-1")]
    assert re.search(r"(^uvx|/uv tool run) mlflow@[\d.]+ ui --backend-store-uri sqlite:///", where.ui)
    assert database("select key, value from experiment_tags") == [("mlflow.experimentKind", "custom_model_development")]
    assert read_final_status(database) == ("FINISHED", "completed")
    assert dict(database("select key, value from params")) == {"answer": "42", "late": "true"}
    metrics = database("select key, value, step, is_nan from metrics order by step")
    assert [(key, step, bool(nan)) for key, _, step, nan in metrics] == [
        ("train/loss", 1234, False),
        ("train/loss", 1235, True),
    ]
    assert metrics[0][1] == 0.25 or math.isnan(metrics[0][1])

    (address,) = database("select artifact_uri from runs")[0]
    assert address.startswith(f"file://{tmp_path}/state/artifacts/pretend/")
    published = next((tmp_path / "state").rglob("checkpoints/000020/model.safetensors"))
    assert published.samefile(tmp_path / "work/checkpoints/000020/pretrained_model/model.safetensors")
    tags = database("select value from tags where key = 'checkpoint_000020_artifact'")
    assert tags == [("checkpoints/000020",)]


def test_a_checkpoint_that_is_saved_before_tracking_has_begun_names_its_run(run, tracked, tmp_path):
    ran = run(tracked(submission="THIS_ONE"), THIS_ONE="wf-1")
    (where,) = ran.of_kind(Tracking)
    kinds = [type(record.event) for record in ran.records]
    assert kinds.index(Checkpoint) < kinds.index(Tracking)
    assert checkpoint.read_manifest(tmp_path / "work/checkpoints/000020").tracking == where.run_id


@pytest.mark.parametrize(
    ("program", "code"), [("raise RuntimeError('no')", 1), ("import os; os.kill(os.getpid(), 9)", 137)]
)
def test_a_run_whose_work_fails_or_is_killed_is_marked_failed(run, tracked, database, program, code):
    assert run(tracked(program)).exit_code == code
    assert read_final_status(database) == ("FAILED", "failed")


def test_a_runtime_that_is_killed_leaves_no_run_that_seems_to_go_on(start, tracked, database, until):
    process = start(tracked("time.sleep(60)"))
    until(process, "ready", '"event": "tracking"')
    process.kill()
    deadline = time.monotonic() + 30
    while read_final_status(database)[0] == "RUNNING" and time.monotonic() < deadline:
        time.sleep(0.1)
    assert read_final_status(database) == ("FAILED", "failed")


STORE = """
from robotrain_runtime.tracking import mlflow_store
store = mlflow_store.MlflowStore("{uri}")
store.start_run("e", "r")
store.log_metrics([mlflow_store.MetricValue("system/gpu_0_utilization_percentage", 7, 1.0, 0)])
assert not mlflow_store.is_worth_retry(ModuleNotFoundError("import of numpy halted"))
"""


def test_whole_number_that_a_library_measures_is_recorded(training_environment, tracking_database, tmp_path):
    """MLflow asks numpy, which is hidden from it, what such a value is."""
    path = tmp_path / "mlflow.db"
    script = STORE.format(uri=tracking_database(path))
    command = [f"{training_environment}/bin/python", "-c", script]
    environ = child_python.make_import_environ([plugin_loader.get_import_folder("robotrain_runtime")], os.environ)
    subprocess.run(command, check=True, env=environ, cwd=child_python.NEUTRAL_FOLDER)
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("select value from metrics").fetchall() == [(7.0,)]


def test_tracking_that_cannot_start_is_told_while_the_work_goes_on(start, finish, job, training_environment):
    first = "from robotrain_runtime.contract.event import Metrics, emit_event; emit_event(Metrics(values={}, step=1))"
    program = f"{first}; import time; print('ready', flush=True); time.sleep(25)"
    process = start(job(program, tracking_uri="sqlite:////proc/nope/x.db", environment=training_environment))
    lines = [line for line in finish(process).lines if "not tracked" in line or "work" in line]
    assert "not tracked" in lines[-2]
    assert process.returncode == 0


SOME_TABLES = 130_000
"""The bytes of a database in the middle of MLflow's migrations."""


def test_start_that_is_cut_off_while_it_makes_its_database_harms_no_later_run(
    start, kill, run, tracked, database, tmp_path
):
    process = start(tracked("time.sleep(60)", new=True))
    deadline = time.monotonic() + 60
    while not any(path.stat().st_size > SOME_TABLES for path in tmp_path.glob("state/**/mlflow.db")):
        assert time.monotonic() < deadline
        time.sleep(0.001)
    children = psutil.Process(process.pid).children(recursive=True)
    kill(process)
    for child in children:  # the tracking process is in a group of its own
        with suppress(psutil.NoSuchProcess):
            child.kill()
    shutil.rmtree(tmp_path / "work")
    ran = run(tracked(new=True))
    assert ran.exit_code == 0
    assert read_final_status(database) == ("FINISHED", "completed")
