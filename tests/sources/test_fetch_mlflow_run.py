"""Policies among the artifacts of runs, really found: by the MLflow of the training environment, in a database of this
machine, and at a real server that keeps the artifacts itself.
"""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from azure_stand_in import mlflow_server
from robotrain_runtime.contract import checkpoint
from robotrain_runtime.contract.container_plugin import ContainerContext
from robotrain_runtime.contract.document import JobSource
from robotrain_sources.mlflow import container
from transfer_fixtures import read_tree

pytestmark = pytest.mark.slow

LOG = """
import sys, mlflow
uri, folder, root = sys.argv[1:]
client = mlflow.MlflowClient(uri)
experiment = client.create_experiment("pusher", artifact_location=root or None)
run = client.create_run(experiment).info.run_id
client.log_artifacts(run, folder)
client.set_tag(run, "checkpoint_000800_output", "azureml://datastores/store/paths/000800")
print("run", run)
"""
UNKNOWN = "f" * 32


def weights(count: int = 25_000) -> bytes:
    header = json.dumps({"w": {"dtype": "F32", "shape": [count], "data_offsets": [0, 4 * count]}}).encode()
    return len(header).to_bytes(8, "little") + header + os.urandom(4 * count)


def model(folder: Path, content: bytes) -> None:
    (folder / "sub").mkdir(parents=True)
    (folder / "config.json").write_text('{"type": "act"}')
    (folder / "model.safetensors").write_bytes(content)
    (folder / "sub" / "a note.txt").write_text("deeper")


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a run kept: a model, a whole checkpoint with one, one of which the weights were cut short, and a file."""
    folder = tmp_path_factory.mktemp("kept")
    model(folder / "checkpoints" / "000400", weights())
    whole = folder / "checkpoints" / "000600"
    model(whole / "pretrained_model", weights())
    (whole / "training_state").mkdir()
    (whole / "training_state" / "optimizer.safetensors").write_bytes(b"state")
    checkpoint.seal_checkpoint(whole, step=600, run="r", job="j", model="pretrained_model")
    model(folder / "cut", weights()[:-10])
    (folder / "plots").mkdir()
    (folder / "plots" / "loss.png").write_bytes(b"png")
    (folder / "skrl-run" / "checkpoints").mkdir(parents=True)
    (folder / "skrl-run" / "agent.yaml").write_text("agent: {}")
    (folder / "skrl-run" / "checkpoints" / "agent_320.pt").write_bytes(b"weights of 320")
    (folder / "skrl-run" / "checkpoints" / "agent_640.pt").write_bytes(b"weights of 640")
    return folder


def log_run(python: Path, uri: str, folder: Path, root: str = "") -> str:
    """The id of a run that kept the files of `folder`."""
    environ = {**os.environ, "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false"}
    done = subprocess.run([python, "-c", LOG, uri, folder, root], env=environ, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()[-1]


@pytest.fixture(scope="module")
def local_run(
    tmp_path_factory: pytest.TempPathFactory, training_python: Path, artifacts: Path
) -> tuple[str, str, Path]:
    """A database of this machine: its address, a run, and where its artifacts lie."""
    folder = tmp_path_factory.mktemp("out puts")
    uri = f"sqlite:///{folder}/mlflow.db"
    run = log_run(training_python, uri, artifacts, (folder / "artifacts").as_uri())
    return uri, run, folder / "artifacts" / run / "artifacts"


@pytest.fixture(scope="module")
def served(
    tmp_path_factory: pytest.TempPathFactory, training_python: Path, artifacts: Path
) -> Iterator[tuple[str, str, Path]]:
    """A server that keeps artifacts itself: its address, a run, and where the server has its artifacts."""
    folder = tmp_path_factory.mktemp("server")
    with mlflow_server.running(folder, folder / "kept") as port:
        uri = f"http://127.0.0.1:{port}"
        run = log_run(training_python, uri, artifacts)
        (artifact_folder,) = (folder / "kept").glob(f"*/{run}/artifacts")
        yield uri, run, artifact_folder


@pytest.fixture
def fetch(training_python, tmp_path):
    """`fetch(uri, run, path)` returns the folder of artifacts; `fetch.lines`: what was logged."""

    def fetch(uri: str, run: str, path: str, role: Any = "policy", **facts: bool) -> Path:
        place = ContainerContext(
            cache=tmp_path / "cache", python=training_python, tracking_uri=uri, log_line=fetch.lines.append, **facts
        )
        return container.fetch(make_source(run, path, role), place)

    fetch.lines = []
    return fetch


@pytest.fixture(params=["local_run", pytest.param("served", marks=pytest.mark.long)])
def tracked_run(request):
    """The address and the run, of a database of this machine and of a server."""
    return request.getfixturevalue(request.param)[:2]


def make_source(run: str, path: str, role: Any = "policy") -> JobSource:
    return JobSource(role=role, kind="mlflow_run", uri=f"runs:/{run}/{path}")


def test_artifacts_of_this_machine_are_used_in_place(local_run, fetch, tmp_path):
    uri, run, artifact_folder = local_run
    assert fetch(uri, run, "checkpoints/000400") == artifact_folder / "checkpoints/000400"
    assert fetch(uri, run, "checkpoints/000600") == artifact_folder / "checkpoints/000600/pretrained_model"
    cached = [path for path in (tmp_path / "cache").rglob("*") if path.is_file() and path.parent.name != "parentage"]
    assert cached == [], "only the tags are recorded"


def test_a_changed_checkpoint_of_this_machine_is_refused(local_run, fetch):
    uri, run, artifact_folder = local_run
    file = artifact_folder / "checkpoints/000600/pretrained_model/config.json"
    before = file.read_bytes()
    file.write_text("{}")
    with pytest.raises(OSError, match=r"config.json is not what was saved$"):
        fetch(uri, run, "checkpoints/000600")
    file.write_bytes(before)


@pytest.mark.long
def test_a_policy_of_a_server_is_fetched_once_without_the_rest_of_its_checkpoint(served, artifacts, fetch):
    uri, run, _ = served
    parts = {"checkpoints/000400": "", "checkpoints/000600": "pretrained_model"}
    fetched = {path: fetch(uri, run, path) for path in parts}
    for path, folder in fetched.items():
        assert read_tree(folder) == read_tree(artifacts / path / parts[path])
    fetch.lines.clear()
    assert {path: fetch(uri, run, path) for path in parts} == fetched
    assert [line for line in fetch.lines if line.startswith("fetching")] == []
    (fetched["checkpoints/000400"] / "model.safetensors").write_bytes(b"damaged")
    assert read_tree(fetch(uri, run, "checkpoints/000400")) == read_tree(artifacts / "checkpoints/000400")


@pytest.mark.parametrize("path", ["skrl-run/checkpoints/agent_320.pt", "skrl-run/checkpoints"])
def test_a_checkpoint_comes_with_the_parameters_that_it_cannot_be_used_without(tracked_run, fetch, path):
    files = read_tree(fetch(*tracked_run, path, "checkpoint"))
    files.pop("fetched.json", None)
    expected = {"agent_320.pt": b"weights of 320", "params/agent.yaml": b"agent: {}"}
    assert files == expected | ({} if path.endswith(".pt") else {"agent_640.pt": b"weights of 640"})


def test_a_policy_whose_weights_are_cut_leaves_nothing_complete_in_the_cache(served, fetch, tmp_path):
    uri, run, _ = served
    with pytest.raises(OSError, match=r"^model.safetensors of runs:/\w+/cut is incomplete: it has [\d,]+ bytes of "):
        fetch(uri, run, "cut")
    assert not list((tmp_path / "cache").rglob("fetched.json"))


@pytest.mark.parametrize(
    ("path", "role", "message"),
    [
        ("checkpoints/000500", "policy", "no policy at checkpoints/000500"),
        ("checkpoints/000800", "policy", "no policy at checkpoints/000800"),
        ("plots", "policy", r"no policy at plots"),
        ("skrl-run/checkpoints/agent_10.pt", "checkpoint", r"has no artifacts at skrl-run/checkpoints/agent_10\.pt"),
    ],
)
def test_missing_artifacts_are_reported(tracked_run, fetch, path, role, message):
    with pytest.raises(OSError, match=message):
        fetch(*tracked_run, path, role)


def test_a_policy_of_any_files_is_fetched_for_a_workload_that_takes_them(tracked_run, fetch):
    files = read_tree(fetch(*tracked_run, "plots", takes_any_policy=True))
    files.pop("fetched.json", None)
    assert files == {"loss.png": b"png"}


def test_an_unknown_run_is_reported_with_the_address(tracked_run, fetch):
    uri, _ = tracked_run
    for run in (UNKNOWN, "lerobot-train-1a2b3c4d-1"):
        with pytest.raises(OSError) as raised:
            fetch(uri, run, "model")
        assert str(raised.value) == f"there is no run {run} at {uri}: use the run's id, not its name"


def test_a_server_that_cannot_be_reached_is_told_without_its_password(fetch, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    message = r"^runs:/f+/model cannot be fetched from MLflow at http://127\.0\.0\.1:9 "
    with pytest.raises(OSError, match=message) as raised:
        fetch("http://me:s3cret@127.0.0.1:9", UNKNOWN, "model")
    assert "s3cret" not in str(raised.value) + "".join(fetch.lines)


def test_a_job_without_tracking_is_refused_before_anything_begins(tmp_path):
    (problem,) = container.preflight(make_source(UNKNOWN, "model"), ContainerContext(cache=tmp_path))
    assert problem.endswith("the job has no tracking address.")
