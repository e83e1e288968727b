"""WorkloadKit on workloads that are wrong: run by itself, and many of these tests are to fail."""

import os
from collections.abc import Sequence
from pathlib import Path

import pytest
from robotrain.testing import WorkloadKit

SITES = Path(os.environ["KIT_SITES"]) / "workload"


class Hellos(WorkloadKit):
    job = ("--dataset-path", "/nothing")
    tells = ()

    @pytest.fixture(autouse=True)
    def site(self, monkeypatch) -> None:
        monkeypatch.syspath_prepend(SITES / self.workload)


class Running(Hellos):
    options_of_run: Sequence[str] = ()

    @pytest.fixture
    def runs(self, tmp_path) -> Sequence[str]:
        (tmp_path / "empty").mkdir()
        return ("--dataset-path", str(tmp_path / "empty"), *self.options_of_run)


class TestGood(Running):
    workload = "good_hello"
    options_of_run = ("--whom", "you")


class TestBoasting(Running):
    workload = "boasting"


class TestIdle(Running):
    workload = "idle"


class TestSeeing(Hellos):
    workload = "seeing"
    job = ()


class TestGreedy(Hellos):
    workload = "greedy_one"


WRONG = ("loose", "mistaken", "unread", "taking", "boundless", "heavy", "silent", "unlocked", "picky", "absent")
for workload in (*WRONG, "peeking", "misnamed"):
    globals()[f"Test{workload.title()}"] = type(f"Test{workload.title()}", (Hellos,), {"workload": workload})
