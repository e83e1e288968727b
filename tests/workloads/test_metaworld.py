"""The example of Meta-World: recorded by its scripted policy, trained on, and evaluated there, all by robotrain."""

import ctypes.util
import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.long,
    pytest.mark.skipif(
        not ctypes.util.find_library("EGL"), reason="MuJoCo renders with libEGL (apt-get install libegl1)"
    ),
]
ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples/metaworld-reach"
LOCK = ROOT / "workloads/robotrain_workloads/lerobot_versions/v0_6_1/metaworld.txt"
TASKS = {"reach-v3": "Reach a goal position", "button-press-v3": "Press a button"}
STEPS = 4
READ_ROWS = """
import json, sys
import pyarrow.parquet as parquet
first = [("episode_index", "==", 0)]
rows = [parquet.read_table(f"{folder}/data", filters=first).to_pylist() for folder in sys.argv[1:]]
print(json.dumps([[one["observation.state"] + one["action"] for one in episode] for episode in rows]))
"""
Robotrain = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def run_robotrain(tmp_path_factory: pytest.TempPathFactory) -> Robotrain:
    """Run a command of robotrain, with a state of its own and nothing of the user's settings."""
    state = tmp_path_factory.mktemp("state")

    def run(*words: object) -> subprocess.CompletedProcess[str]:
        environ = {**os.environ, "ROBOTRAIN_STATE": str(state), "HF_HUB_OFFLINE": "1"}
        line = [sys.executable, "-m", "robotrain", *map(str, words)]
        done = subprocess.run(line, cwd=state, env=environ, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-6000:]
        return done

    return run


@pytest.fixture(scope="module")
def evaluated(run_robotrain: Robotrain) -> Mapping[str, Any]:
    """What `status --json` says of the evaluation of a policy that was just trained."""
    short = ("--training-steps", "2", "--save-freq", "2", "--batch-size", "2")
    run_robotrain("submit", EXAMPLE / "job.yaml", *short, "--platform", "local", "--name", "reach", "--wait")
    brief = ("--eval-episodes", "1", "--env-steps", STEPS, "--env-workers", "0", "--name", "eval", "--wait")
    run_robotrain("submit", EXAMPLE / "evaluate.yaml", "--policy-run", "reach", *brief, "--platform", "local")
    status: Mapping[str, Any] = json.loads(run_robotrain("status", "eval", "--json").stdout)
    return status


@pytest.fixture(scope="module")
def results(evaluated: Mapping[str, Any]) -> Path:
    return Path(evaluated["evaluated"]["results"])


def test_each_task_has_its_success_and_its_interval(evaluated: Mapping[str, Any], run_robotrain: Robotrain) -> None:
    scores, text = evaluated["evaluated"]["scores"], run_robotrain("status", "eval").stdout
    assert scores["rollout/episodes"] == len(TASKS)
    for task in TASKS:
        assert scores[f"rollout/{task}/episodes"] == 1
        low, rate, high = (scores[f"rollout/{task}/success_rate{part}"] for part in ("_low", "", "_high"))
        assert 0 <= low <= rate <= high <= 1
        assert any(line.split()[:4] == [task, str(round(rate)), "of", "1,"] for line in text.splitlines()), text


def test_policy_is_given_each_task_in_the_words_of_the_environment(results: Path, run_robotrain: Robotrain) -> None:
    rollout = json.loads((results / "eval_results.json").read_text())["rollout"]
    assert {task["task"]: task["description"] for task in rollout["tasks"]} == TASKS
    assert [(episode["task"], episode["steps"]) for episode in rollout["per_episode"]] == [
        (task, STEPS) for task in TASKS
    ]
    log = run_robotrain("logs", "eval").stdout
    for task, words in TASKS.items():
        assert f"rollout: {task}, told {words!r}: success" in log


def test_videos_lie_in_a_folder_for_each_task(results: Path) -> None:
    videos = sorted(file.relative_to(results / "videos").as_posix() for file in results.glob("videos/**/*.mp4"))
    names = (f"{task}/{name}.mp4" for number, task in enumerate(TASKS) for name in ("all", f"episode_{number:03d}"))
    assert videos == sorted(names)


def test_gates_read_the_success_of_each_task(results: Path) -> None:
    metrics = json.loads((results / "metrics.json").read_text())["metrics"]
    assert {f"success_rate/{task}" for task in TASKS} < {metric["name"] for metric in metrics}


def test_report_has_a_row_for_each_task(evaluated: Mapping[str, Any], run_robotrain: Robotrain, tmp_path: Path) -> None:
    run_robotrain("report", "eval", "--to", tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    assert "Tasks of metaworld" in page
    assert all(task in page and words in page for task, words in TASKS.items())


def test_scripted_policy_is_recorded_as_in_the_dataset(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "robotrain_runtime", "environment", LOCK, "--gib", "9"]
    folder = subprocess.run(build, check=True, capture_output=True, text=True).stdout.split()[-1]
    python, out = Path(folder, "bin/python"), tmp_path / "recorded"
    done = subprocess.run([python, EXAMPLE / "record_reach.py", out, "--episodes", "1"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-6000:]
    read = [python, "-c", READ_ROWS, out, EXAMPLE / "dataset"]
    recorded, expected = json.loads(subprocess.run(read, check=True, capture_output=True, text=True).stdout)
    assert len(recorded) == len(expected) > STEPS
    for row, other in zip(recorded, expected, strict=True):
        assert row == pytest.approx(other, abs=1e-3)
