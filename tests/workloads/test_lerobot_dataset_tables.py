"""The tables of a dataset are compared: on the machine that sends the job, and before its first step."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from damaged_datasets import DAMAGES
from robotrain.model.data_report import RemoteFiles
from robotrain_runtime.contract import child_python
from robotrain_workloads.data_command import process

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
    "video shifted": ["file-000.mp4", "begins at 0.5 s", "ends 0.5 s after"],
    "video that begins late": ["file-000.mp4", "first picture at 0.5 s"],
    "video of half the rate": ["file-000.mp4", "5 pictures a second", "fps 10"],
    "video of the double rate": ["file-000.mp4", "20 pictures a second", "fps 10"],
    "pictures of another size": ["observation.image in episode 3, frame 10", "96 × 96", "64 × 64"],
    "video of another number": ["file-003.mp4", "episode 6", "does not exist"],
    "video of two episodes": ["episode 5", "0 to 24 s", "episode 0 has a part"],
    "video without its frames": ["episode 7 has 40 frames", "28 to 29 s"],
    "video empty": ["file-000.mp4", "episode 0", "is empty"],
    "video of Git LFS": ["file-000.mp4", "episode 0", "Git LFS pointer", "git lfs pull"],
    "table of Git LFS": ["data/chunk-000/file-000.parquet", "Git LFS pointer", "git lfs pull"],
    "table being written": ["data/chunk-000/file-000.parquet", "still being written"],
    "page of a table": ["data/chunk-000/file-000.parquet is damaged"],
    "no tasks": ["meta/tasks.parquet does not exist"],
    "no value": ["episode 1", "action of frame 10 has no value"],
    "column without a feature": ["file-000.parquet", "column extra", "does not name"],
    "feature without a column": ["file-000.parquet", "no column action"],
    "text as a number": ["action as string", "float32"],
    "more rows than frames": ["total_episodes 8", "has 6"],
    "numbers by millions in a small file": ["data/chunk-000/file-000.parquet claims", "bytes of numbers in 1 rows"],
    "path out of the dataset": ["file--01.mp4, the video of episode 0, does not exist"],
    "v2.1": [],
    "v2.1, no file of an episode": ["episode_000003.parquet", "episode 3", "does not exist"],
    "v2.1, frame number": ["episode_000003.parquet", "frame_index 6", "frame 5 of episode 3"],
    "v2.1, length": ["total_frames 320", "meta/episodes.jsonl has 321"],
    "v2.1, tasks over several lines": ["line 1 of meta/tasks.jsonl"],
    "video unreadable": ["file-000.mp4", "episode 0", "is not a complete MP4 file"],
    "not a number, not chosen": [],
    "not a number, allowed": [],
    "reward, read": ["episode 1", "next.reward of frame 2", "not a finite number"],
    "reward, not read": [],
}
SEVERAL = {"fps": 2, "length zero": 4, "more rows than frames": 3, "v2.1, length": 2}
"""Damages that other tables show too: all are told at once."""


@pytest.fixture(scope="module")
def datasets(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("damaged")


@pytest.fixture(scope="module")
def findings_by_name(datasets, training_python) -> dict[str, list[list[str]]]:
    """What the comparison finds in each damaged dataset."""
    environ = child_python.make_import_environ([ROOT / "workloads", ROOT / "runtime"], os.environ)
    words = [training_python, Path(__file__).with_name("damaged_datasets.py"), CAMERA, datasets]
    return json.loads(subprocess.run(words, env=environ, check=True, capture_output=True, text=True).stdout)


def test_every_damage_has_a_finding():
    assert DAMAGES.keys() < FINDINGS.keys()


@pytest.mark.parametrize("damage", FINDINGS)
def test_a_disagreement_is_one_finding_with_its_episode_and_values(findings_by_name, damage):
    titles = [title for title, *_ in findings_by_name[damage]]
    assert len(titles) == SEVERAL.get(damage, bool(FINDINGS[damage])), titles
    assert [part for part in FINDINGS[damage] if part not in titles[0]] == []


@pytest.mark.usefixtures("findings_by_name")
def test_a_finding_names_all_its_episodes(datasets):
    every = [[*range(8)]]
    assert json.loads((datasets / "episodes.json").read_text()) == {
        "video shifted": every,
        "video that begins late": every,
        "video of half the rate": every,
        "pictures of another size": [[3, 4]],
    }


def test_a_tolerance_is_suggested_only_where_it_helps(findings_by_name):
    ways = {name: findings[0][1:] for name, findings in findings_by_name.items() if findings}
    assert {name: way for name, way in ways.items() if way} == {"jitter": ["-- --tolerance_s=0.042"]}


@pytest.mark.usefixtures("findings_by_name")
def test_the_machine_that_sends_the_job_says_it_and_its_suggestion_is_accepted(
    robotrain, datasets, training_python, tmp_path, monkeypatch
):
    monkeypatch.setenv("ROBOTRAIN_CACHE", str(tmp_path / "cache"))
    data = shutil.copytree(datasets / "jitter", tmp_path / "jitter")
    line = ("submit", SMALL, "--platform", "local", "--dataset-path", data, "--checker", training_python)
    refused = robotrain(*line, "--dry-run", "--json")
    (problem,) = [problem for problem in refused.json["problems"] if problem["severity"] == "error"]
    assert (refused.exit_code, problem["code"]) == (4, "data-unusable")
    assert "use   -- --tolerance_s=0.042\n" in robotrain(*line, "--dry-run").stderr
    assert robotrain(*line, "--dry-run", "--json", "--", "--tolerance_s=0.042").exit_code == 0
    shutil.copytree(CAMERA, data, dirs_exist_ok=True)  # mended: the verdict was on other files
    assert robotrain(*line, "--dry-run", "--json").exit_code == 0


def test_a_submit_says_in_one_line_what_the_dataset_holds(robotrain, datasets, training_python, tmp_path, monkeypatch):
    monkeypatch.setenv("ROBOTRAIN_CACHE", str(tmp_path / "cache"))
    data = shutil.copytree(CAMERA, tmp_path / "good")
    line = ("submit", SMALL, "--platform", "local", "--dataset-path", data, "--dry-run")
    said = f"data: 8 episodes, 320 frames, 1 camera; no errors; robotrain data check {data} looks closer\n"
    assert said in robotrain(*line, "--checker", training_python).stderr
    assert "data:" not in robotrain(*line, "--checker", "none").stderr
    counts = {"source": str(data), "episodes": 8, "frames": 320, "cameras": 1, "findings": []}
    assert robotrain(*line, "--checker", training_python, "--json").json["data"] == [counts]
    monkeypatch.setattr(process, "_ask_process", None)  # the same files are not read again
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


def test_values_that_are_not_numbers_may_be_allowed(
    robotrain, datasets, findings_by_name, training_python, tmp_path, monkeypatch
):
    monkeypatch.setenv("ROBOTRAIN_CACHE", str(tmp_path / "cache"))
    data = ("--dataset-path", datasets / "not-a-number", "--checker", training_python, "--dry-run")
    line = ("submit", SMALL, "--platform", "local", *data)
    assert "episode 0: action of frame 5" in robotrain(*line).stderr
    assert robotrain(*line, "--allow-non-finite").exit_code == 0
    assert robotrain(*line, "--exclude-episodes", "0").exit_code == 0


@pytest.mark.usefixtures("findings_by_name")
def test_a_run_ends_before_its_first_step_with_the_episode_and_without_a_traceback(
    robotrain, datasets, training_environment
):
    data = ("--dataset-path", datasets / "video-too-short", "--environment", training_environment)
    ended = robotrain("submit", SMALL, "--platform", "local", *data, "--wait", "--json")
    assert ended.exit_code == 5
    status = robotrain("status", "--json").json
    assert "episode 7 ends at 90 s" in status["reason"]
    assert "Traceback" not in robotrain("logs").stdout


@pytest.mark.usefixtures("findings_by_name")
@pytest.mark.parametrize("damage", ["nothing", "jitter", "episode twice", "task"])
def test_a_dataset_that_is_elsewhere_gets_the_same_finding(
    datasets, findings_by_name, training_python, tmp_path, monkeypatch, damage
):
    monkeypatch.setenv("ROBOTRAIN_CACHE", str(tmp_path / "cache"))
    folder = datasets / damage.replace(" ", "-")

    def download(paths, target, seconds) -> None:
        shutil.copytree(folder, target, dirs_exist_ok=True)

    def list_sizes() -> dict[str, int]:
        return {str(path.relative_to(folder)): path.stat().st_size for path in folder.rglob("*") if path.is_file()}

    files = RemoteFiles("u/d", damage, list_sizes, download)
    inspected = process.inspect_dataset(files, {"tables": {}}, lambda: Path(training_python))
    assert [finding.text for finding in inspected.findings] == [title for title, *_ in findings_by_name[damage]]
