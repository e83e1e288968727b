"""Classes that leave standard tests out: some say why, some do not."""

import os
from pathlib import Path

import pytest
from robotrain.testing import SourceKit

SITES = Path(os.environ["KIT_SITES"]) / "source"


@pytest.mark.skip(reason="later")
class TestLater(SourceKit):
    kind = "good_shelf"


class TestExcused(SourceKit):
    kind = "good_shelf"

    @pytest.mark.xfail(reason="it is still a draft")
    def test_source_is_an_immutable_value(self) -> None:
        raise NotImplementedError


class TestSetUp(SourceKit):
    kind = "good_shelf"

    @pytest.fixture
    def served(self, request) -> None:
        """What is given may ask for whatever pytest has."""

    def setup_method(self) -> None:
        pytest.skip("not today")


class TestAlways(SourceKit):
    kind = "good_shelf"

    @pytest.fixture(autouse=True)
    def site(self) -> None:
        pytest.skip("not today")


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
