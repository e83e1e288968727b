"""The stand-in for OSMO, for all tests of the platform."""

import pytest
from osmo_observed_run import quick, run
from osmo_stand_in.fixtures import osmo, osmo_cli, osmo_post

__all__ = ["osmo", "osmo_cli", "osmo_post", "quick", "run"]


@pytest.fixture(autouse=True)
def no_settling(monkeypatch):
    """The stand-in lists a workflow at once."""
    monkeypatch.setattr("robotrain_osmo.submit.submit.SETTLE_SECONDS", 0.0)
