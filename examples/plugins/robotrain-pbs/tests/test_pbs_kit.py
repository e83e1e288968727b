"""The conformance kit of platforms, on a stand-in for PBS."""

import pytest
from pbs_world import PBSWorld
from robotrain.testing import PlatformKit
from robotrain_pbs import platform


class TestPBS(PlatformKit):
    platform = "pbs"

    @pytest.fixture
    def world(self, tmp_path, monkeypatch):
        monkeypatch.setattr(platform.PBSEngine, "settle_seconds", 0.1)
        return PBSWorld(tmp_path / "cluster", monkeypatch)
