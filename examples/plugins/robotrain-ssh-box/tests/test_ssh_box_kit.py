"""robotrain's own tests of a platform, on this one: `python -m pytest -v` lists what they try."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_machine import FakeMachine
from robotrain.testing import PlatformKit


class TestSshBox(PlatformKit):
    platform = "ssh-box"

    @pytest.fixture
    def world(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeMachine]:
        machine = FakeMachine(tmp_path, monkeypatch)
        yield machine
        machine.stop_all()
