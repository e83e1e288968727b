"""A stranger's workload with metrics of its own: its runs are sent, watched, listed, compared, reported, registered."""

import json
from pathlib import Path
from typing import Any

import pytest
from robotrain.store import records
from robotrain_runtime.contract import event
from robotrain_runtime.contract.event import Checkpoint, Evaluated, Metrics, Outcome, StageEvent

PLUGIN_FOLDER = Path(__file__).parents[1] / "parity/container_plugins"


@pytest.fixture(autouse=True)
def stranger(install: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The plugin of the parity tests, installed."""
    install("robotrain-stranger", {"workload.sing": "parity_stranger.work"})
    monkeypatch.syspath_prepend(PLUGIN_FOLDER)


@pytest.fixture
def submit_stranger(robotrain: Any, fake_platform: Path, pusht: Path) -> Any:
    """Runs of the stranger's workload, which ended with some return: `submit_stranger(30)`."""

    def run(last: float, **scores: float) -> str:
        answer = robotrain("submit", "sing", "--dataset-path", pusht, "--platform", "fake", "--new", "--json")
        assert answer.exit_code == 0, answer.stderr
        name = str(answer.json["run"])
        result = [
            StageEvent(name="work", state="started"),
            Metrics(values={"episode_return": last / 2, "song_length": 3.0}, step=10, total=20),
            Metrics(values={"episode_return": last, "song_length": 4.0}, step=20, total=20),
            Checkpoint(step=20, path="/fake/000020"),
            *([Evaluated(episodes=4, scores=scores, results="/fake/songs")] if scores else []),
            Outcome(state="succeeded", exit_code=0),
        ]
        lines = [event.format_event(run_event, 1e9 + at) for at, run_event in enumerate(result)]
        state = {"state": "succeeded", "log": lines, "checkpoints": [20]}
        (fake_platform / f"{name}.json").write_text(json.dumps(state))
        return name

    return run


def test_declared_outputs_and_headline_are_recorded_watched_and_listed(robotrain: Any, submit_stranger: Any) -> None:
    run = submit_stranger(30.0)
    record = records.read_record(run)
    assert (record.outputs.folder, record.outputs.noun) == ("songs", "concert")
    assert [(metric.name, metric.better) for metric in record.metrics] == [
        ("episode_return", "higher"),
        ("song_length", ""),
    ]
    for command in ("status", "watch"):
        assert "step 20/20 (100%)  return 30" in robotrain(command, run).stdout
    assert robotrain("status", run, "--json").json["metrics"] == {"episode_return": 30.0, "song_length": 4.0}
    assert "return 30" in robotrain("runs").stdout
    (row,) = robotrain("runs", "--json").json["runs"]
    assert row["loss"] is None


def test_report_without_a_loss(robotrain: Any, submit_stranger: Any, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    robotrain("report", submit_stranger(30.0), "--to", page)
    text = page.read_text()
    assert "<h2>episode_return</h2>" in text
    assert "the run told no loss" not in text
    assert "song_length" in text


def test_comparison_names_the_better_direction(robotrain: Any, submit_stranger: Any, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    runs = [submit_stranger(value, episode_return=value, song_length=2.5) for value in (30.0, 40.0)]
    answer = robotrain("report", *runs, "--to", page, "--json")
    assert {"name": "episode_return", "values": [30.0, 40.0]} in answer.json["scores"]
    text = page.read_text()
    assert "<h2>episode_return</h2>" in text
    assert "2.5 s" in text
    assert "Higher is better: episode_return." in text


def test_checkpoint_is_registered_with_the_score(robotrain: Any, submit_stranger: Any) -> None:
    answer = robotrain("register", submit_stranger(30.0, episode_return=30.0), "choir")
    assert "choir version 1" in answer.stdout
    assert "return 30" in answer.stdout
