"""The stand-in for OSMO, for all tests of the platform."""

from observed import quick, run
from osmo_stand_in.fixtures import osmo, osmo_cli, osmo_post

__all__ = ["osmo", "osmo_cli", "osmo_post", "quick", "run"]
