"""Which platform's run an MLflow run tracks, by its page, an address of its artifacts, or its id."""

import json
from collections.abc import Iterator
from typing import ClassVar
from urllib.parse import parse_qs, urlsplit

import pytest
from local_server import QuietHandler, serve
from robotrain.model.source import SourceError, SourceNotFound, SourceUnreachable
from robotrain.plugins.manager import get_plugins
from robotrain_sources.mlflow.tracked_run import find_tracked_run

RUN, FOREIGN, UNKNOWN = "a" * 32, "b" * 32, "c" * 32
TAGS = {RUN: [{"key": "robotrain_ref", "value": "osmo:lerobot-train-1a2b3c4d-1-7"}], FOREIGN: []}


class Mlflow(QuietHandler):
    authorizations: ClassVar[list[str | None]] = []

    def do_GET(self) -> None:
        self.authorizations.append(self.headers["Authorization"])
        url = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        if url.path.endswith("/api/2.0/mlflow/model-versions/get") and query == {"name": "arm", "version": "7"}:
            return self.answer(json.dumps({"model_version": {"name": "arm", "version": "7", "run_id": RUN}}).encode())
        run = query.get("run_id", "")
        if not url.path.endswith("/api/2.0/mlflow/runs/get") or run not in TAGS:
            return self.answer(b'{"error_code": "RESOURCE_DOES_NOT_EXIST"}', 404)
        self.answer(json.dumps({"run": {"info": {"run_id": run}, "data": {"tags": TAGS[run]}}}).encode())


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with serve(Mlflow) as address:
        yield address


@pytest.mark.parametrize(
    "form",
    [
        "{server}/#/experiments/1/runs/{run}",
        "{server}/team/#/experiments/12/runs/{run}/model-metrics?compareRunsMode=TABLE",
        "runs:/{run}",
        "runs:/{run}/checkpoints/000400",
        "{run}",
        "models:/arm/7",
    ],
)
def test_each_form_of_an_mlflow_run_leads_to_the_run_of_the_platform(server, form):
    text = form.format(server=server, run=RUN)
    assert find_tracked_run(text, ["sqlite:////tmp/mlflow.db", server]) == "osmo:lerobot-train-1a2b3c4d-1-7"


@pytest.mark.parametrize(
    "text",
    ["4711", "lerobot-train-1a2b3c4d-1-7", "/runs/x", "runs:/lerobot-train-1a2b3c4d-1-0f3a9c", "https://osmo.lab/x"],
)
def test_other_texts_ask_no_server(text):
    assert find_tracked_run(text, ["http://127.0.0.1:1"]) is None


def test_a_model_that_no_server_has_may_be_one_of_a_platform(server):
    assert find_tracked_run("models:/arm/8", [server]) is None
    assert find_tracked_run("models:/arm/7", ["sqlite:////tmp/mlflow.db"]) is None
    with pytest.raises(SourceUnreachable):
        find_tracked_run("models:/arm/8", [server, "http://127.0.0.1:1"])


def test_a_page_whose_port_is_none_is_of_no_server():
    with pytest.raises(SourceError, match="did not answer as MLflow does"):
        find_tracked_run(f"http://127.0.0.1:abc/#/experiments/1/runs/{RUN}", [])


def test_a_run_of_another_tool_says_nothing(server):
    assert find_tracked_run(FOREIGN, [server]) == ""


def test_each_server_is_asked_until_one_knows_the_run(server):
    assert find_tracked_run(RUN, ["http://127.0.0.1:1", server])
    with pytest.raises(SourceNotFound, match=f"has no run {UNKNOWN}"):
        find_tracked_run(UNKNOWN, [server])
    with pytest.raises(SourceUnreachable, match="cannot be reached from here"):
        find_tracked_run(UNKNOWN, [server, "http://127.0.0.1:1"])
    with pytest.raises(SourceError, match="No tracking server is configured"):
        find_tracked_run(UNKNOWN, [])


def test_the_source_kind_of_such_runs_finds_them(server):
    assert get_plugins().source_kinds()["mlflow_run"].find_tracked_run(RUN, [server])


def test_a_page_of_a_server_that_is_not_configured_gets_no_credentials(server, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "hush")
    page, host = f"{server}/#/experiments/1/runs/{RUN}", urlsplit(server).netloc
    Mlflow.authorizations.clear()
    for servers in ([], ["https://mlflow.lab"], [f"https://{host}"], [f"{server}0"], [server], [f"{server}/team"]):
        assert find_tracked_run(page, servers)
    assert Mlflow.authorizations == [None] * 4 + ["Bearer hush"] * 2
