"""OSMO passes the kit of all platforms."""

import pytest
from osmo_stand_in.world import OsmoWorld
from robotrain.testing import PlatformKit

pytestmark = pytest.mark.slow  # about ninety command lines, twenty of them submits


class TestOsmo(PlatformKit):
    platform = "osmo"

    @pytest.fixture
    def world(self, osmo):
        return OsmoWorld(osmo)
