"""The conformance kit of platforms on Slurm."""

import pytest
from robotrain.testing import PlatformKit
from slurm_world import SlurmWorld

pytestmark = pytest.mark.slow  # about ninety command lines, as the kits of the other engines


class TestSlurm(PlatformKit):
    platform = "slurm"

    @pytest.fixture
    def world(self, tmp_path, monkeypatch):
        return SlurmWorld(tmp_path / "cluster", monkeypatch)
