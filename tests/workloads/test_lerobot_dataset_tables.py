"""The tables of a dataset are compared: on the machine that sends the job, and before its first step."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from damaged_datasets import DAMAGES
from robotrain_runtime.contract import child_python
from robotrain_workloads.lerobot_data import inspector

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
CAMERA = ROOT / "examples/pusht-camera/dataset"
SMALL = ROOT / "examples/pusht-camera/job.yaml"
FINDINGS = {
    "nothing": [],
    "frames in info": ["total_frames 9999", "320"],
    "episodes in info": ["total_episodes 9", "has 8"],
    "episode twice": ["episode 2 where episode 3 belongs"],
    "ranges from zero": ["episode 1", "0 to 80", "40 to 80"],
    "length zero": ["episode 2 has no frames"],
    "frame of another episode": ["episode_index 2", "frame 1 of episode 1"],
    "frame number": ["frame_index 6", "frame 5 of episode 1"],
    "fps": ["episode 0", "frame 39", "3.9 s", "30 fps", "1.3 s"],
    "wall clock": ["episode", "1.7e+09 s", "10 fps"],
    "jitter": ["episode 1", "frame 5", "0.54 s", "0.5 s"],
    "task": ["episode 2", "task 5", "meta/tasks.parquet"],
    "not a number": ["episode 0", "action of frame 5", "not a finite number"],
    "shape": ["observation.state", "2 values", "says 7"],
    "size of a video": ["observation.image", "64 × 64", "640 × 480"],
    "video too short": ["episode 7", "90 s", "32 s"],
    "video of another number": ["file-003.mp4", "episode 6", "does not exist"],
    "video unreadable": ["file-000.mp4", "episode 0", "cannot be read"],
    "not a number, not chosen": [],
    "not a number, allowed": [],
}


@pytest.fixture(scope="module")
def datasets(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("damaged")


@pytest.fixture(scope="module")
def found(datasets, training_python) -> dict[str, list[list[str]]]:
    """What the comparison finds in each damaged dataset."""
    environ = child_python.make_import_environ([ROOT / "workloads", ROOT / "runtime"], os.environ)
    words = [training_python, Path(__file__).with_name("damaged_datasets.py"), CAMERA, datasets]
    return json.loads(subprocess.run(words, env=environ, check=True, capture_output=True, text=True).stdout)


def test_every_damage_has_a_finding():
    assert DAMAGES.keys() < FINDINGS.keys()


@pytest.mark.parametrize("damage", FINDINGS)
def test_a_disagreement_is_one_finding_with_its_episode_and_values(found, damage):
    titles = [title for title, *_ in found[damage]]
    assert len(titles) == bool(FINDINGS[damage])
    assert [part for part in FINDINGS[damage] if part not in titles[0]] == []


def test_a_tolerance_is_suggested_only_where_it_helps(found):
    ways = {name: findings[0][1:] for name, findings in found.items() if findings}
    assert {name: way for name, way in ways.items() if way} == {"jitter": ["-- --tolerance_s=0.042"]}


@pytest.mark.usefixtures("found")
def test_the_machine_that_sends_the_job_says_it_and_its_suggestion_is_accepted(
    robotrain, datasets, training_python, tmp_path, monkeypatch
):
    monkeypatch.setenv("ROBOTRAIN_CACHE", str(tmp_path / "cache"))
    data = shutil.copytree(datasets / "jitter", tmp_path / "jitter")
    line = ("submit", SMALL, "--platform", "local", "--dataset-path", data, "--checker", training_python)
    refused = robotrain(*line, "--dry-run", "--json")
    (problem,) = [one for one in refused.json["problems"] if one["severity"] == "error"]
    assert (refused.exit_code, problem["code"]) == (4, "data-unusable")
    assert "use   -- --tolerance_s=0.042\n" in robotrain(*line, "--dry-run").stderr
    assert robotrain(*line, "--dry-run", "--json", "--", "--tolerance_s=0.042").exit_code == 0
    shutil.copytree(CAMERA, data, dirs_exist_ok=True)  # mended: the verdict was on other files
    assert robotrain(*line, "--dry-run", "--json").exit_code == 0


def test_a_submit_says_in_one_line_what_the_dataset_holds(robotrain, datasets, training_python, tmp_path, monkeypatch):
    monkeypatch.setenv("ROBOTRAIN_CACHE", str(tmp_path / "cache"))
    data = shutil.copytree(CAMERA, tmp_path / "good")
    line = ("submit", SMALL, "--platform", "local", "--dataset-path", data, "--dry-run")
    said = "data: 8 episodes, 320 frames, 1 camera; no findings\n"
    assert said in robotrain(*line, "--checker", training_python).stderr
    assert "data:" not in robotrain(*line, "--checker", "none").stderr
    counts = {"source": str(data), "episodes": 8, "frames": 320, "cameras": 1, "findings": []}
    assert robotrain(*line, "--checker", training_python, "--json").json["data"] == [counts]
    monkeypatch.setattr(inspector, "_ask_process", None)  # the same files are not read again
    assert said in robotrain(*line, "--checker", training_python).stderr


def test_a_task_without_text_is_a_finding_that_does_not_stop_a_submit(
    robotrain, training_python, tmp_path, monkeypatch
):
    monkeypatch.setenv("ROBOTRAIN_CACHE", str(tmp_path / "cache"))
    data = shutil.copytree(CAMERA, tmp_path / "un told")
    change = "import sys, pandas; t = pandas.read_parquet(sys.argv[1]); t.index = [' ']; t.to_parquet(sys.argv[1])"
    subprocess.run([training_python, "-c", change, data / "meta/tasks.parquet"], check=True)
    told = robotrain(
        *("submit", SMALL, "--platform", "local", "--dataset-path", data, "--dry-run", "--checker", training_python)
    )
    assert f"1 camera; 1 finding: robotrain data check '{data}'\n" in told.stderr
    assert told.exit_code == 0


def test_values_that_are_not_numbers_may_be_allowed(robotrain, datasets, found, training_python, tmp_path, monkeypatch):
    monkeypatch.setenv("ROBOTRAIN_CACHE", str(tmp_path / "cache"))
    data = ("--dataset-path", datasets / "not-a-number", "--checker", training_python, "--dry-run")
    line = ("submit", SMALL, "--platform", "local", *data)
    assert "episode 0: action of frame 5" in robotrain(*line).stderr
    assert robotrain(*line, "--allow-non-finite").exit_code == 0
    assert robotrain(*line, "--exclude-episodes", "0").exit_code == 0


@pytest.mark.usefixtures("found")
def test_a_run_ends_before_its_first_step_with_the_episode_and_without_a_traceback(
    robotrain, datasets, training_environment
):
    data = ("--dataset-path", datasets / "video-too-short", "--environment", training_environment)
    ended = robotrain("submit", SMALL, "--platform", "local", *data, "--wait", "--json")
    assert ended.exit_code == 5
    status = robotrain("status", "--json").json
    assert "episode 7 ends at 90 s" in status["reason"]
    assert "Traceback" not in robotrain("logs").stdout
