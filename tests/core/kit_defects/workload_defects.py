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
    options_of_run: Sequence[str] = ()

    @pytest.fixture(autouse=True)
    def site(self, monkeypatch) -> None:
        monkeypatch.syspath_prepend(SITES / self.workload)

    @pytest.fixture
    def runs(self, tmp_path) -> Sequence[str]:
        (tmp_path / "empty").mkdir()
        return ("--dataset-path", str(tmp_path / "empty"), *self.options_of_run)


FURTHER = {"good_hello": {"options_of_run": ("--whom", "you")}, "unknown_role": {"job": ()}}
for folder in SITES.iterdir():
    members = {"workload": folder.name, **FURTHER.get(folder.name, {})}
    globals()[f"Test_{folder.name}"] = type(f"Test_{folder.name}", (Hellos,), members)
