"""Fixtures of the source tests: the real environments, and local services in place of the real ones."""

from collections.abc import Iterator

import pytest
from azure_stand_in.fixtures import azure, azure_session
from hub_stand_in import HubStandIn

__all__ = ["azure", "azure_session"]


@pytest.fixture
def hub(monkeypatch, tmp_path) -> Iterator[HubStandIn]:
    """A Hub of this machine, which every program started from here asks."""
    for name in ("HF_TOKEN", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    with HubStandIn() as stand_in:
        monkeypatch.setenv("HF_ENDPOINT", stand_in.address)
        monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
        yield stand_in
