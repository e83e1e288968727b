"""The order of runs, and `robotrain leaderboard` as a process with a platform of the tests' own that ends every run."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from robotrain_leaderboard.command import Entry, format_table, rank_entries

DATASET = Path(__file__).parents[3] / "pusht-mini/dataset"
PLATFORM = """
from robotrain.plugin import ANY, YES, Capabilities, Plan, Platform, Status, hook
from robotrain_runtime.contract.event import format_event
from robotrain_runtime.plugin import Metrics


class LeaderboardPlatform(Platform):
    name, summary = "remote", "far away"
    capabilities = Capabilities(sources={("dataset", ANY): YES, ("dataset", "local_path"): YES}, workloads={ANY: YES})

    def render(self, job, settings, run, payload, plugins):
        return Plan(platform="remote", run=run, job=job, files={"seed": str(job["seed"]).encode()}, spec="seed")

    def submit(self, plan):
        return {"seed": plan.files["seed"].decode()}

    def find(self, plan):
        return None

    def status(self, reference):
        if reference["seed"] == "9":
            raise OSError("remote does not answer")
        return Status(state="succeeded")

    def logs(self, reference, follow=False, tail=None):
        if reference["seed"] != "7":
            yield format_event(Metrics(step=1, total=1, values={"val/loss": int(reference["seed"]) / 10}), 0.0)

    def outputs(self, reference):
        return ()


@hook
def robotrain_platforms():
    return [LeaderboardPlatform()]
"""


def make_entry(run: str, score: float) -> Entry:
    return Entry(run, score, "lerobot-eval", "local", "succeeded", "pusht-act", {"seed": run, "env": "pusht"})


def test_the_best_come_first_and_of_equal_ones_the_newer():
    entries = [make_entry("newest", 0.5), make_entry("older", 0.9), make_entry("oldest", 0.5)]
    assert [one.run for one in rank_entries(entries, lowest=False)] == ["older", "newest", "oldest"]
    assert [one.run for one in rank_entries(entries, lowest=True)] == ["newest", "oldest", "older"]


def test_columns_are_aligned():
    lines = format_table([make_entry("a", 0.123456), make_entry("long-name", 2.0)]).splitlines()
    assert [line.split() for line in lines[1:]] == [
        ["a", "0.1235", "pusht-act", "lerobot-eval", "local", "succeeded", "seed", "a"],
        ["long-name", "2", "pusht-act", "lerobot-eval", "local", "succeeded", "seed", "long-name"],
    ]
    assert len({line.index("lerobot-eval") for line in lines[1:]}) == 1


@pytest.fixture
def robotrain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Run `robotrain` in an empty folder, with the platform remote installed."""
    site = tmp_path / "site"
    info = site / "remote-1.0.dist-info"
    info.mkdir(parents=True)
    (site / "remote_plugin.py").write_text(PLATFORM)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: remote\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[robotrain]\nplatform.remote = remote_plugin\n")
    for name in [name for name in os.environ if name.startswith("ROBOTRAIN_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("ROBOTRAIN_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("PYTHONPATH", str(site))
    monkeypatch.chdir(tmp_path)

    def run(*words: str) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "robotrain", *words]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    return run


@pytest.mark.slow
def test_runs_are_ranked_by_a_metric(robotrain):
    for seed in ("3", "1", "7", "9"):
        sent = robotrain("submit", "--platform", "remote", "--dataset-path", str(DATASET), "--seed", seed)
        assert sent.returncode == 0, sent.stderr
    answer = robotrain("leaderboard", "val/loss", "--lowest")
    assert [line.split()[1] for line in answer.stdout.splitlines()] == ["SCORE", "0.1", "0.3"]
    assert [line.rpartition("  ")[2] for line in answer.stdout.splitlines()] == ["DIFFERS IN", "seed 1", "seed 3"]
    assert "is left out: remote does not answer" in answer.stderr
    found = json.loads(robotrain("leaderboard", "val/loss", "--count", "1", "--json").stdout)
    assert [one["score"] for one in found["runs"]] == [0.3]
    assert "no run reports val/lss" in robotrain("leaderboard", "val/lss").stderr
