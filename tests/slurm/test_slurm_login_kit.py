"""The conformance kit of platforms on Slurm, which is reached by ssh: a real sshd, and the commands of the stand-in."""

import pytest
from lab import SlurmUnavailable
from robotrain.testing import PlatformKit
from slurm_world import SlurmLoginWorld

pytestmark = pytest.mark.slow  # a sshd a test, and lines that are lost: they wait more than they compute


class TestSlurmByLogin(PlatformKit):
    platform = "slurm"

    @pytest.fixture
    def world(self, tmp_path, monkeypatch):
        try:
            world = SlurmLoginWorld(tmp_path / "cluster", monkeypatch)
        except SlurmUnavailable as error:
            pytest.skip(str(error))
        yield world
        world.close()
