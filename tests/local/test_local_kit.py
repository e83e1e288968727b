"""The local platform passes the kit of platforms, as a stranger's would."""

import pytest
from local_world import LocalWorld
from robotrain.testing import PlatformKit

pytestmark = pytest.mark.slow  # about ninety command lines


class TestLocal(PlatformKit):
    platform = "local"
    public_only = False

    @pytest.fixture
    def world(self, tmp_path, monkeypatch):
        world = LocalWorld(tmp_path / "machine", monkeypatch)
        yield world
        world.clear()
