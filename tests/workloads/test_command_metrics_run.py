"""Programs that tell of their metrics in each way, run for real: status and MLflow's store have them."""

import json
import os
import sqlite3
import subprocess
from collections import Counter
from pathlib import Path

import pytest
from robotrain_runtime.environments import environment
from robotrain_workloads.supervision.environment import ENVIRONMENT

pytestmark = pytest.mark.slow  # real runs, and their environment
STEPS = 40
OUTPUT = """
import json, os, sys, time
from robotrain_runtime import report
print("x" * 3_000_000)
os.system("setsid sleep 30 &")
with open(os.path.join(sys.argv[1], "metrics.jsonl"), "a") as file:
    for step in range(1, 41):
        print(f"step {step}/40: loss={1 / step:.4f}", end="\\r")
        file.write(json.dumps({"step": step, "train/acc": step / 40, "loss": 9}) + "\\n")
        report.metrics(step, reward=step, **{"train/acc": 9})
        time.sleep(0.01)
print("done")
"""
LIBRARIES = """
import os, sys, time
import mlflow
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.event_file_writer import EventFileWriter
value = Summary.Value
writer = EventFileWriter(os.path.join(sys.argv[1], "tb", "first"))
image = Summary.Image(height=1, width=1, encoded_image_string=b"x" * 1_000_000)
mlflow.log_params({"lr": 0.0001, "seed": 7})
for step in range(1, 41):
    tensor = value(tag="lr")
    tensor.tensor.dtype, tensor.tensor.tensor_content = 1, b"\\0\\0\\x80?"
    values = [value(tag="Loss/train", simple_value=1 / step), value(tag="seen", image=image), tensor]
    writer.add_event(Event(wall_time=time.time(), step=step, summary=Summary(value=values[::2])))
    writer.add_event(Event(wall_time=time.time(), step=step, summary=Summary(value=values)))
    mlflow.log_metric("auto", step, step=step)
writer.close()
"""


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("state")


@pytest.fixture
def run(command, tmp_path: Path, state: Path):
    """Run a program; return what `status` says of it, and the rows of MLflow's store: `run(python, text, *words)`."""

    def start(python: str, text: str, *words: str):
        (tmp_path / "train.py").write_text(text)
        environ = {**os.environ, "ROBOTRAIN_STATE": str(state)}
        program = ("--", python, str(tmp_path / "train.py"), "{outputs}")
        submitted = [*command, "submit", "command", "--platform", "local", "--wait", *words, *program]
        done = subprocess.run(submitted, capture_output=True, text=True, env=environ, timeout=300)
        assert done.returncode == 0, done.stdout + done.stderr
        shown = subprocess.run([*command, "status", "--json"], capture_output=True, text=True, env=environ)
        lines = subprocess.run([*command, "status"], capture_output=True, text=True, env=environ).stdout
        return json.loads(shown.stdout), lines, done.stdout + done.stderr

    return start


def read_tracked(state: Path, run: str) -> tuple[Counter, dict[str, str]]:
    """Return how many values the run has, by metric, and its parameters."""
    with sqlite3.connect(state / "mlflow.db") as store:
        rows = store.execute("SELECT key FROM metrics WHERE run_uuid = ?", (run,)).fetchall()
        params = store.execute("SELECT key, value FROM params WHERE run_uuid = ?", (run,)).fetchall()
    return Counter(key for (key,) in rows if not key.startswith("system/")), dict(params)


def test_a_program_that_only_prints_writes_and_reports(run, state):
    metric, step = "loss=loss=([0-9.]+)", r"step (\d+)/(\d+)"
    status, lines, _ = run("python3", OUTPUT, "--metric", metric, "--step", step)
    assert (status["step"], status["total"]) == (STEPS, STEPS)
    assert status["metrics"] == {"loss": 1 / STEPS, "train/acc": 9.0, "reward": float(STEPS)}
    assert f"step {STEPS}/{STEPS} (100%)  loss 0.025" in lines
    tracked, _ = read_tracked(state, status["tracking"]["run_id"])
    assert tracked == {name: STEPS for name in status["metrics"]}


def test_a_program_with_libraries_logs_to_the_run_of_its_job(run, state):
    built = environment.find_environment(ENVIRONMENT.lock, ENVIRONMENT.python, Path.home() / ".cache/robotrain")
    if built is None:
        pytest.skip("the environment is elsewhere")
    status, lines, _ = run(str(environment.get_python(built)), LIBRARIES, "--seed", "7")
    assert status["metrics"] == pytest.approx({"Loss/train": 1 / STEPS, "lr": 1.0})
    assert f"step {STEPS}  loss 0.025" in lines
    tracked, params = read_tracked(state, status["tracking"]["run_id"])
    assert tracked == {name: STEPS for name in ("Loss/train", "lr", "auto")}
    assert (params["lr"], params["seed"], params["job.seed"]) == ("0.0001", "7", "7")
    with sqlite3.connect(state / "mlflow.db") as store:
        names = [name for (name,) in store.execute("SELECT name FROM runs")]
    assert status["run"] in names
    assert len(names) == len(set(names)) == len(list(state.glob("runs/*")))
    assert status["warnings"] == []
