"""WorkloadKit on workloads that are wrong: run by itself, and many of these tests are to fail."""

import os
from collections.abc import Sequence
from pathlib import Path

import pytest
from robotrain.testing import WorkloadKit

SITES = Path(os.environ["KIT_SITES"]) / "workload"


def empty(folder: Path) -> str:
    (folder / "empty").mkdir()
    return str(folder / "empty")


class Hellos(WorkloadKit):
    job = ("--dataset-path", "/nothing")
    tells = ()

    @pytest.fixture(autouse=True)
    def site(self, monkeypatch) -> None:
        monkeypatch.syspath_prepend(SITES / self.workload)


class TestGood(Hellos):
    workload = "good_hello"

    @pytest.fixture
    def runs(self, tmp_path) -> Sequence[str]:
        return ("--dataset-path", empty(tmp_path), "--whom", "you")


class TestBoasting(Hellos):
    workload = "boasting"

    @pytest.fixture
    def runs(self, tmp_path) -> Sequence[str]:
        return ("--dataset-path", empty(tmp_path))


class TestLoose(Hellos):
    workload = "loose"


class TestMistaken(Hellos):
    workload = "mistaken"


class TestUnread(Hellos):
    workload = "unread"


class TestTaking(Hellos):
    workload = "taking"


class TestBoundless(Hellos):
    workload = "boundless"


class TestIdle(Hellos):
    workload = "idle"

    @pytest.fixture
    def runs(self, tmp_path) -> Sequence[str]:
        return ("--dataset-path", empty(tmp_path))


class TestHeavy(Hellos):
    workload = "heavy"


class TestSilent(Hellos):
    workload = "silent"


class TestUnlocked(Hellos):
    workload = "unlocked"


class TestSeeing(Hellos):
    workload = "seeing"
    job = ()


class TestGreedy(Hellos):
    workload = "greedy_one"


class TestPicky(Hellos):
    workload = "picky"


class TestAbsent(Hellos):
    workload = "absent"


class TestPeeking(Hellos):
    workload = "peeking"


class TestMisnamed(Hellos):
    workload = "misnamed"
