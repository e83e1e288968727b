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


def make_place(uri: str, cache: Path, python: Path) -> Any:
    """A `Place`; what was said there is the list that its `log_line` belongs to."""
    said: list[str] = []
    return ContainerContext(cache=cache, python=python, tracking_uri=uri, log_line=said.append)


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
        (kept,) = (folder / "kept").glob(f"*/{run}/artifacts")
        yield uri, run, kept


def make_source(run: str, path: str, role: Any = "policy") -> JobSource:
    return JobSource(role=role, kind="mlflow_run", uri=f"runs:/{run}/{path}")


def test_artifacts_of_this_machine_are_used_where_they_lie(
    local_run: Any, tmp_path: Path, training_python: Path
) -> None:
    uri, run, kept = local_run
    place = make_place(uri, tmp_path / "cache", training_python)
    assert container.fetch(make_source(run, "checkpoints/000400"), place) == kept / "checkpoints/000400"
    assert (
        container.fetch(make_source(run, "checkpoints/000600"), place) == kept / "checkpoints/000600/pretrained_model"
    )
    brought = [path for path in place.cache.rglob("*") if path.is_file() and path.parent.name != "parentage"]
    assert brought == [], "only the tags are recorded"


def test_a_checkpoint_that_was_changed_here_is_told(local_run: Any, tmp_path: Path, training_python: Path) -> None:
    uri, run, kept = local_run
    file = kept / "checkpoints/000600/pretrained_model/config.json"
    before = file.read_bytes()
    file.write_text("{}")
    with pytest.raises(OSError, match=r"config.json is not what was saved$"):
        container.fetch(make_source(run, "checkpoints/000600"), make_place(uri, tmp_path, training_python))
    file.write_bytes(before)


def test_a_policy_of_a_server_is_fetched_once_without_the_rest_of_its_checkpoint(
    served: Any, artifacts: Path, tmp_path: Path, training_python: Path
) -> None:
    uri, run, _ = served
    place = make_place(uri, tmp_path / "cache", training_python)
    fetched = {
        path: container.fetch(make_source(run, path), place) for path in ("checkpoints/000400", "checkpoints/000600")
    }
    assert read_tree(fetched["checkpoints/000400"]) == read_tree(artifacts / "checkpoints/000400")
    assert read_tree(fetched["checkpoints/000600"]) == read_tree(artifacts / "checkpoints/000600/pretrained_model")
    told = len(place.log_line.__self__)
    assert {path: container.fetch(make_source(run, path), place) for path in fetched} == fetched
    assert [line for line in place.log_line.__self__[told:] if line.startswith("fetching")] == []
    (fetched["checkpoints/000400"] / "model.safetensors").write_bytes(b"damaged")
    again = container.fetch(make_source(run, "checkpoints/000400"), place)
    assert read_tree(again) == read_tree(artifacts / "checkpoints/000400")


@pytest.mark.parametrize("where", ["local_run", "served"])
@pytest.mark.parametrize("path", ["skrl-run/checkpoints/agent_320.pt", "skrl-run/checkpoints"])
def test_a_checkpoint_comes_with_the_parameters_that_it_cannot_be_used_without(
    request: pytest.FixtureRequest, tmp_path: Path, training_python: Path, where: str, path: str
) -> None:
    uri, run, _ = request.getfixturevalue(where)
    place = make_place(uri, tmp_path / "cache", training_python)
    files = read_tree(container.fetch(make_source(run, path, "checkpoint"), place))
    files.pop("fetched.json", None)
    expected = {"agent_320.pt": b"weights of 320", "params/agent.yaml": b"agent: {}"}
    assert files == expected | ({} if path.endswith(".pt") else {"agent_640.pt": b"weights of 640"})


@pytest.mark.parametrize("where", ["local_run", "served"])
def test_a_checkpoint_that_is_not_there_is_told_with_what_is(
    request: pytest.FixtureRequest, tmp_path: Path, training_python: Path, where: str
) -> None:
    uri, run, _ = request.getfixturevalue(where)
    with pytest.raises(OSError, match=r"has no artifacts at skrl-run/checkpoints/agent_10\.pt"):
        container.fetch(
            make_source(run, "skrl-run/checkpoints/agent_10.pt", "checkpoint"),
            make_place(uri, tmp_path, training_python),
        )


def test_a_policy_that_the_server_lacks_a_part_of_leaves_nothing_that_looks_whole(
    served: Any, tmp_path: Path, training_python: Path
) -> None:
    uri, run, _ = served
    place = make_place(uri, tmp_path / "cache", training_python)
    with pytest.raises(OSError, match=r"^cut/model.safetensors of the run \w+ is incomplete: it has [\d,]+ bytes of "):
        container.fetch(make_source(run, "cut"), place)
    assert not list(place.cache.rglob("fetched.json"))


@pytest.mark.parametrize("where", ["local_run", "served"])
@pytest.mark.parametrize(
    ("path", "why"),
    [
        (
            "checkpoints/000500",
            r"has no artifacts at checkpoints/000500; it has checkpoints/000[46]00, checkpoints/000",
        ),
        ("check/000400", r"has no artifacts at check/000400; it has checkpoints, cut, plots, skrl-run$"),
        ("checkpoints/000400/config.json", r"config.json of the run \w+ is a single file: use its folder$"),
        ("plots", r"^plots of the run \w+ contains no policy: it lacks config.json and model.safetensors$"),
        ("checkpoints", r"below it there is checkpoints/000400, checkpoints/000600/pretrained_model$"),
    ],
)
def test_what_is_not_there_is_told_with_what_is(
    request: pytest.FixtureRequest, tmp_path: Path, training_python: Path, where: str, path: str, why: str
) -> None:
    uri, run, _ = request.getfixturevalue(where)
    with pytest.raises(OSError, match=why):
        container.fetch(make_source(run, path), make_place(uri, tmp_path, training_python))


@pytest.mark.parametrize("where", ["local_run", "served"])
def test_an_unknown_run_is_told_with_where_it_was_looked_for(
    request: pytest.FixtureRequest, tmp_path: Path, training_python: Path, where: str
) -> None:
    uri, _, _ = request.getfixturevalue(where)
    place = make_place(uri, tmp_path, training_python)
    for run in (UNKNOWN, "lerobot-train-1a2b3c4d-1"):
        with pytest.raises(OSError) as raised:
            container.fetch(make_source(run, "model"), place)
        expected = f"there is no run {run} at {uri}: use the run's id, not its name"
        assert str(raised.value) == expected


def test_a_server_that_cannot_be_reached_is_told_without_its_password(
    tmp_path: Path, training_python: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    place = make_place("http://me:s3cret@127.0.0.1:9", tmp_path, training_python)
    why = r"^model of the run f+ cannot be fetched from MLflow at http://127\.0\.0\.1:9 "
    with pytest.raises(OSError, match=why) as raised:
        container.fetch(make_source(UNKNOWN, "model"), place)
    assert "s3cret" not in str(raised.value) + "".join(place.log_line.__self__)


def test_a_job_that_is_tracked_nowhere_is_told_before_anything_begins(tmp_path: Path) -> None:
    (why,) = container.preflight(make_source(UNKNOWN, "model"), make_place("", tmp_path, Path("/nowhere")))
    assert why.endswith("the job has no tracking address.")
