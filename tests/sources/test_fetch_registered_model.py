"""Registered models really found: by the real MLflow of the training environment, in a registry of this machine."""

import dataclasses
import fcntl
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from local_server import QuietHandler, serve
from robotrain_runtime.checkpoints import model_lineage
from robotrain_runtime.contract.container_plugin import ContainerContext
from robotrain_runtime.contract.document import JobSource
from robotrain_sources.mlflow import container
from robotrain_sources.mlflow import registry as latest_version
from transfer_fixtures import read_tree

pytestmark = pytest.mark.slow

POLICY = {"config.json": b'{"type": "act"}', "model.safetensors": os.urandom(100_000), "sub/a b.txt": b"a note"}
ARTIFACTS = "/api/2.0/mlflow-artifacts/artifacts"

REGISTER = """
import sys, mlflow
uri, *models = sys.argv[1:]
client = mlflow.MlflowClient(uri, registry_uri=uri)
for name, source in (model.split("=", 1) for model in models):
    try:
        client.create_registered_model(name)
    except mlflow.exceptions.MlflowException:
        pass
    client.create_model_version(name, source)
"""


class _Artifacts(QuietHandler):
    """The listing and the files of an MLflow artifact server, from POLICY below `act`."""

    asked: list[str]
    address: str

    def do_GET(self) -> None:
        self.asked.append(self.path)
        address = urlsplit(self.path)
        if address.path == ARTIFACTS or address.path == f"{ARTIFACTS}/":
            below = parse_qs(address.query)["path"][0].removeprefix("act").strip("/")
            return self.answer(json.dumps({"files": list(_listed(below))}).encode())
        return self.answer(POLICY[unquote(address.path).removeprefix(f"{ARTIFACTS}/act/")])


def _listed(below: str) -> Iterator[dict[str, object]]:
    inside = f"{below}/" if below else ""
    names = {name.removeprefix(inside).split("/")[0] for name in POLICY if name.startswith(inside)}
    for name in sorted(names):
        folder = inside + name not in POLICY
        yield {"path": name, "is_dir": folder, **({} if folder else {"file_size": len(POLICY[inside + name])})}


@pytest.fixture(scope="module")
def artifacts() -> Iterator[type[_Artifacts]]:
    handler = type("Artifacts", (_Artifacts,), {"asked": []})
    with serve(handler) as address:
        handler.address = address
        yield handler


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A policy that lies on this machine."""
    folder = tmp_path_factory.mktemp("out puts")
    for name, content in POLICY.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


@pytest.fixture(scope="module")
def registry(tmp_path_factory, training_python, folder, artifacts) -> str:
    """The address of a registry with some models."""
    address = f"sqlite:///{tmp_path_factory.mktemp('registry')}/mlflow.db"
    far = artifacts.address + ARTIFACTS
    here = [f"act={folder.as_uri()}"] * 3
    models = (*here, f"far={far}/act", f"bare={far}/nothing", "gone=file:///no/such/folder")
    subprocess.run([training_python, "-c", REGISTER, address, *models], check=True, capture_output=True)
    return address


@pytest.fixture
def place(tmp_path, training_python, registry) -> ContainerContext:
    messages: list[str] = []
    return ContainerContext(
        cache=tmp_path / "cache", python=training_python, tracking_uri=registry, log_line=messages.append
    )


def model(uri: str) -> JobSource:
    return JobSource(role="policy", kind="registered_model", uri=uri)


def test_files_of_this_machine_are_used_where_they_lie(place, folder):
    assert container.fetch(model("models:/act/1"), place) == folder
    assert not place.cache.exists()


@pytest.mark.long
def test_what_made_the_policy_is_noted_where_the_registry_knows(place, training_python, registry, folder):
    tags = {"checkpoint": "000400", "robotrain_run": "lerobot-train-1", "job_digest": "1" * 64}
    tell = "import sys, mlflow; c = mlflow.MlflowClient(sys.argv[1], registry_uri=sys.argv[1])\n"
    tell += "for tag in sys.argv[2:]: c.set_model_version_tag('act', '2', *tag.split('='))"
    result = [f"{name}={value}" for name, value in tags.items()]
    subprocess.run([training_python, "-c", tell, registry, *result], check=True, capture_output=True)
    lock = Path(f"{registry.removeprefix('sqlite:///')}.lock")
    with lock.open("w") as held:  # another run holds it; who only reads waits for nobody
        fcntl.flock(held, fcntl.LOCK_EX)
        assert container.fetch(model("models:/act/2"), place) == folder
    lineage = model_lineage.read_policy_lineage(place.cache, folder)
    assert lineage == {"policy_run": "lerobot-train-1", "policy_step": "400", "policy_job_digest": "1" * 64}
    container.fetch(model("models:/act/1"), place)  # the same folder, and this version says nothing of it
    assert model_lineage.read_policy_lineage(place.cache, folder) == {}


def test_files_that_lie_elsewhere_are_fetched_once(place, artifacts):
    fetched = container.fetch(model("models:/far/1"), place)
    assert read_tree(fetched) == POLICY
    artifacts.asked.clear()
    assert container.fetch(model("far:1"), place) == fetched
    assert artifacts.asked == []


def test_the_latest_version_is_the_same_for_a_submit_and_for_a_job_that_is_not_pinned(place, registry):
    latest = JobSource(role="checkpoint", kind="registered_model", uri="models:/act/latest")
    assert latest_version.find_latest_version(latest, registry) == "3"
    container.fetch(latest, place)
    assert container.fetch(dataclasses.replace(latest, pin="2"), place).is_dir()
    with pytest.raises(OSError, match="version=9"):
        container.fetch(dataclasses.replace(latest, pin="9"), place)


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("models:/act/7", r"version=7"),
        ("models:/atc/1", r"name=atc"),
        ("models:/gone/1", r"^models:/gone/1 is in /no/such/folder, and that folder does not exist$"),
        ("models:/bare/1", r"^models:/bare/1 has no files$"),
    ],
)
def test_a_missing_version_model_or_folder_is_one_sentence(place, uri, message):
    with pytest.raises(OSError, match=message):
        container.fetch(model(uri), place)
    assert not list(place.cache.rglob("fetched.json"))


@pytest.mark.long
def test_an_empty_registry_is_empty(place, tmp_path):
    empty = dataclasses.replace(place, tracking_uri=f"sqlite:///{tmp_path}/new/mlflow.db")
    with pytest.raises(OSError, match="name=act"):
        container.fetch(model("models:/act/1"), empty)


def test_an_environment_without_mlflow_is_told(place, data_python):
    without = dataclasses.replace(place, python=data_python)
    with pytest.raises(OSError, match="the run's environment lacks mlflow, needed to reach MLflow"):
        container.fetch(model("models:/act/1"), without)
