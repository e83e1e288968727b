"""The stand-in for OSMO, for all tests of the platform."""

import os

import pytest
from osmo_observed_run import quick, run
from osmo_stand_in.fixtures import osmo, osmo_cli

__all__ = ["osmo", "osmo_cli", "quick", "run"]


@pytest.fixture(autouse=True)
def no_settling(monkeypatch):
    """The stand-in lists a workflow at once."""
    monkeypatch.setattr("robotrain_osmo.submit.submit.SETTLE_SECONDS", 0.0)


@pytest.fixture
def pod(azure, data_python, tmp_path, monkeypatch) -> dict[str, str]:
    """The environment of a pod: an identity, the way to Azure, and the environments that its image has.

    The laptop that submits has its own identity. The fixture `azure` is that of the test's module.
    """
    for name, value in azure.environ.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("ROBOTRAIN_CACHE", str(tmp_path / "cache"))
    baked = str(data_python.parents[3])
    monkeypatch.setenv("ROBOTRAIN_BAKED", baked)  # this machine's, too
    return {**azure.environ, "ROBOTRAIN_BAKED": baked, "OMP_NUM_THREADS": "1", "PATH": os.environ["PATH"]}
