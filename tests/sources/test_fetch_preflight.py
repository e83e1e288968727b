"""What the half of a registered model says before a run: only what needs neither the network nor an environment."""

import socket

import pytest
from robotrain_runtime.contract.container_plugin import ContainerContext
from robotrain_runtime.contract.document import JobSource
from robotrain_sources.mlflow import container as registered_model

REGISTRY = "sqlite:////nowhere/mlflow.db"


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    def refuse(*arguments: object) -> None:
        raise AssertionError("preflight asked the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.mark.parametrize(
    ("uri", "why"), [("models:/act/7", ""), ("act:7", ""), ("models:/act/champion", "is not a version")]
)
def test_a_name_is_judged_without_asking_anybody(uri, why, tmp_path):
    place = ContainerContext(cache=tmp_path, tracking_uri=REGISTRY)
    told = list(registered_model.preflight(JobSource(role="policy", kind="any", uri=uri), place))
    assert bool(told) == bool(why)
    assert why in "".join(told)


def test_without_tracking_there_is_no_registry(tmp_path):
    source = JobSource(role="policy", kind="registered_model", uri="models:/act/7")
    (told,) = registered_model.preflight(source, ContainerContext(cache=tmp_path))
    assert "models:/act/7 cannot be looked up in a model registry" in told
    with pytest.raises(OSError, match="the job has no tracking address"):
        registered_model.fetch(source, ContainerContext(cache=tmp_path))
