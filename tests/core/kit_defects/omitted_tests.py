"""Classes that leave standard tests out: some say why, some do not."""

import os
from pathlib import Path

import pytest
from robotrain.testing import SourceKit

SITES = Path(os.environ["KIT_SITES"]) / "source"


class TestExcused(SourceKit):
    kind = "good_shelf"

    @pytest.mark.xfail(reason="it is still a draft")
    def test_good_texts_are_sources(self) -> None:
        raise NotImplementedError


class TestWithoutAServer(SourceKit):
    kind = "good_shelf"

    @pytest.fixture(autouse=True)
    def site(self, monkeypatch) -> None:
        monkeypatch.syspath_prepend(SITES / "good_shelf")

    @pytest.fixture
    def server(self) -> None:
        pytest.skip("no server on this machine")

    @pytest.fixture
    def served(self, server: None) -> None:
        """Nothing is served without one."""
