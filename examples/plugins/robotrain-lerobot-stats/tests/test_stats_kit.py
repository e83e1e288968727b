"""The conformance kit of workloads, and a comparison with LeRobot's own statistics."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from robotrain.testing import WorkloadKit

DATASET = Path(__file__).parents[3] / "pusht-mini/dataset"


class TestLerobotStats(WorkloadKit):
    workload = "lerobot-stats"
    job = ("--dataset-path", str(DATASET))


@pytest.mark.slow
class TestLerobotStatsRuns(TestLerobotStats):
    @pytest.fixture
    def runs(self):
        return ("--dataset-path", str(DATASET), "--bins", "4")


@pytest.mark.slow
def test_statistics_match_those_of_the_dataset(tmp_path):
    words = ("submit", "lerobot-stats", "--platform", "local", "--dataset-path", str(DATASET), "--bins", "4", "--wait")
    done = subprocess.run(
        [sys.executable, "-m", "robotrain", *words],
        env={**os.environ, "ROBOTRAIN_STATE": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (file,) = tmp_path.glob("local/*/outputs/stats.json")
    (statistics,) = json.loads(file.read_text())
    expected = json.loads((DATASET / "meta/stats.json").read_text())
    assert (statistics["episodes"], statistics["frames"]) == (50, 2000)
    assert statistics["lengths"][0] == [0, 0, 50, 0]
    for name in ("action", "observation.state"):
        for what in ("mean", "std", "min", "max"):
            assert statistics["features"][name][what] == pytest.approx(expected[name][what], rel=1e-4)
