"""robotrain's own tests of a workload, on this one: `python -m pytest -v` lists what they try."""

import sys
from collections.abc import Sequence

import pytest
from robotrain.testing import WorkloadKit


class TestEarlierWorkload(WorkloadKit):
    workload = "earlier-workload"
    job = ("--times", "5")  # a complete job; with data: ("--dataset-path", "/folder/of/a/dataset")

    @pytest.fixture
    def runs(self) -> Sequence[str]:
        """A small job that really runs, in this Python instead of a new environment."""
        return ("--environment", sys.prefix, "--times", "2")
