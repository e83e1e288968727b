"""Fixtures of the source tests: the real environments, and local services in place of the real ones."""

import re
from collections.abc import Iterator

import pytest
from azure_stand_in.fixtures import azure, azure_session
from hub_stand_in import HubStandIn

__all__ = ["azure", "azure_session"]


@pytest.fixture
def container(request) -> str:
    """The name of a container of the test's own: all tests of a session share the storage account."""
    return re.sub(r"[^a-z0-9]+", "-", request.node.name.lower())[-60:].strip("-")


@pytest.fixture
def azure_identity(azure, monkeypatch) -> None:
    """Variables that sign in to the stand-in for Azure."""
    for name, value in azure.environ.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def hub(monkeypatch, tmp_path) -> Iterator[HubStandIn]:
    """A Hub of this machine, which every program started from here asks."""
    for name in ("HF_TOKEN", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    with HubStandIn() as stand_in:
        monkeypatch.setenv("HF_ENDPOINT", stand_in.address)
        monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
        yield stand_in
