"""The latest version of a registered model: the registry says which one that is."""

import json
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from local_server import QuietHandler, serve
from robotrain.model.source import SourceError, SourceNotFound, SourceUnreachable
from robotrain_runtime.contract.document import JobSource
from robotrain_sources.mlflow import reference, registry
from robotrain_sources.mlflow.kind import KIND

VERSIONS = {"walker": (1, 2, 10), "runner": ()}


def source(name: str, role: str = "checkpoint") -> JobSource:
    return JobSource(role=role, kind="registered_model", uri=f"models:/{name}/latest")


def test_the_latest_one_is_the_version_that_it_is_pinned_to():
    assert str(reference.parse_pinned_model("models:/walker/latest", "3")) == "models:/walker/3"
    assert str(reference.parse_pinned_model("models:/walker/latest", "")) == "models:/walker/latest"
    assert str(reference.parse_pinned_model("models:/latest/4", "")) == "models:/latest/4"
    assert [KIND.pinned_by_platform(uri) for uri in ("models:/walker/latest", "models:/latest/4")] == [True, False]


@pytest.fixture
def database(tmp_path: Path) -> str:
    """The tables of MLflow that hold models, with a version that was deleted."""
    file = tmp_path / "a folder" / "mlflow.db"
    file.parent.mkdir()
    with closing(sqlite3.connect(file)) as tables, tables:
        tables.execute("create table registered_models (name text)")
        tables.execute("create table model_versions (name text, version integer, current_stage text)")
        tables.executemany("insert into registered_models values (?)", [(name,) for name in VERSIONS])
        rows = [(name, version, None) for name, versions in VERSIONS.items() for version in versions]
        rows.append(("walker", 11, "Deleted_Internal"))
        tables.executemany("insert into model_versions values (?, ?, ?)", rows)
    return f"sqlite:///{file}"


class _Mlflow(QuietHandler):
    """The answers of an MLflow server, and the credentials that it was sent."""

    credentials: list[str | None]
    status: int

    def do_GET(self) -> None:
        self.credentials.append(self.headers["Authorization"])
        address = urlsplit(self.path)
        query = parse_qs(address.query)
        answer: dict[str, Any] = {}
        if address.path == "/base/api/2.0/mlflow/model-versions/search":
            assert (query["order_by"], query["max_results"]) == (["version_number DESC"], ["1"])
            name = query["filter"][0].removeprefix("name='").removesuffix("'")
            versions = sorted(VERSIONS.get(name, ()), reverse=True)[:1]
            answer = {"model_versions": [{"name": name, "version": str(version)} for version in versions]}
        self.answer(json.dumps(answer).encode(), self.status)


@pytest.fixture
def server() -> Iterator[Any]:
    handler = type("Mlflow", (_Mlflow,), {"credentials": [], "status": 200})
    with serve(handler) as address:
        handler.address = f"{address}/base"
        yield handler


@pytest.fixture(params=["database", "server"])
def address(request: pytest.FixtureRequest) -> str:
    there = request.getfixturevalue(request.param)
    return str(there if isinstance(there, str) else there.address)


def test_the_registry_tells_the_largest_version(address):
    assert registry.find_latest_version(source("walker"), address) == "10"


def test_a_name_that_the_registry_does_not_have_is_told(address):
    for role, flag in (("checkpoint", "--checkpoint-uri"), ("policy", "--policy-model")):
        with pytest.raises(SourceNotFound, match="has no version of runner") as raised:
            registry.find_latest_version(source("runner", role=role), address)
        assert raised.value.suggestion == f"{flag} models:/NAME/VERSION"


def test_a_database_that_nothing_was_tracked_to_is_empty(tmp_path):
    with pytest.raises(SourceNotFound, match="has no version of walker"):
        registry.find_latest_version(source("walker"), f"sqlite:///{tmp_path}/mlflow.db")
    assert not (tmp_path / "mlflow.db").exists()


def test_credentials_are_those_of_mlflows_own_variables(server, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "me")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "word")
    assert registry.find_latest_version(source("walker"), server.address) == "10"
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "t0ken")
    assert registry.find_latest_version(source("walker"), server.address) == "10"
    assert server.credentials == ["Basic bWU6d29yZA==", "Bearer t0ken"]


@pytest.mark.parametrize(("status", "kind"), [(401, SourceError), (503, SourceUnreachable)])
def test_a_server_that_refuses_is_no_missing_model(server, status, kind):
    server.status = status
    with pytest.raises(SourceError, match=f"HTTP {status}") as raised:
        registry.find_latest_version(source("walker"), server.address)
    assert type(raised.value) is kind


def test_an_address_of_the_cluster_alone_is_left_to_the_job():
    with pytest.raises(SourceUnreachable, match="cannot be reached from here") as raised:
        registry.find_latest_version(source("walker"), "http://127.0.0.1:1")
    assert raised.value.suggestion == "--checkpoint-uri models:/NAME/VERSION"


@pytest.mark.parametrize(
    "answer",
    [
        *("<html></html>", "[]", "[" * 100_000, '{"model_versions": 7}', '{"model_versions": [7]}'),
        *('{"model_versions": [{}]}', '{"model_versions": [{"version": null}]}'),
    ],
    ids=lambda text: text[:40],
)
def test_an_answer_of_another_form_is_the_tracking_servers_fault(monkeypatch, answer):
    monkeypatch.setattr(registry, "_read_answer", lambda request: answer.encode())
    with pytest.raises(SourceError, match="did not answer as MLflow does"):
        registry.find_latest_version(source("walker"), "https://tracking.example")


def test_a_tracking_server_that_drips_is_not_waited_for(monkeypatch):
    monkeypatch.setattr(registry, "ANSWER_SECONDS", 0.1)
    monkeypatch.setattr(registry, "_read_answer", lambda request: time.sleep(3))
    with pytest.raises(SourceUnreachable):
        registry.find_latest_version(source("walker"), "https://tracking.example")
