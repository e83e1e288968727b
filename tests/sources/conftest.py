"""What sources are fetched with: the real environments, and services of this machine in place of the real ones."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from azure_stand_in.fixtures import azure, azure_session
from hub_stand_in import HubStandIn

__all__ = ["azure", "azure_session"]


@pytest.fixture(scope="session")
def data_python() -> Path:
    """The python of the data environment, built as for a user."""
    from robotrain_sources.data_environment import ENVIRONMENT

    return _built(ENVIRONMENT.lock)


@pytest.fixture(scope="session")
def training_python() -> Path:
    """The python of `ROBOTRAIN_TEST_ENVIRONMENT`, else of the locked training environment, built as for a user."""
    from robotrain_workloads.lerobot_train.container import ENVIRONMENT

    said = os.environ.get("ROBOTRAIN_TEST_ENVIRONMENT")
    return Path(said, "bin/python") if said else _built(ENVIRONMENT.lock)


@pytest.fixture
def hub(monkeypatch, tmp_path) -> Iterator[HubStandIn]:
    """A Hub of this machine, which every program started from here asks."""
    for name in ("HF_TOKEN", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    with HubStandIn() as stand_in:
        monkeypatch.setenv("HF_ENDPOINT", stand_in.address)
        monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
        yield stand_in


def _built(lock: Path) -> Path:
    command = [sys.executable, "-m", "robotrain_runtime", "environment", str(lock)]
    built = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
    return Path(built, "bin/python")
