"""`robotrain data check` of a dataset on this machine: what is printed, and the exit code."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from small_training import SMALL

pytestmark = pytest.mark.slow

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def dataset(tmp_path, monkeypatch, training_python) -> Path:
    """A good dataset in the folder of the user, and a Python that reads it."""
    monkeypatch.setenv("ROBOTRAIN_CHECKER", str(training_python))
    monkeypatch.setenv("ROBOTRAIN_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return Path(shutil.copytree(EXAMPLES / "pusht-camera/dataset", tmp_path / "recordings"))


def test_a_good_dataset_is_one_line(robotrain, dataset):
    checked = robotrain("data", "check", dataset.name)
    assert (checked.exit_code, checked.stdout) == (0, "recordings: 8 episodes, 320 frames, 1 camera; nothing found\n")


def test_what_makes_a_policy_worse_is_a_warning_and_what_does_not_train_is_exit_code_2(robotrain, dataset):
    path = dataset / "meta/stats.json"
    statistics = json.loads(path.read_text())
    statistics["action"]["std"] = [1000 * one for one in statistics["action"]["std"]]
    path.write_text(json.dumps(statistics))
    worse = robotrain("data", "check", "recordings", EXAMPLES / "pusht-mini/dataset", "--json")
    assert worse.exit_code == 0
    first, second = worse.json["datasets"]
    assert [(one["code"], one["severity"], one["feature"]) for one in first["findings"]] == [
        ("statistics-differ", "warning", "action")
    ]
    assert (second["episodes"], second["findings"]) == (50, [])
    (dataset / "meta/info.json").write_text("{}")
    broken = robotrain("data", "check", "recordings")
    assert broken.exit_code == 2
    assert "description-invalid" in broken.stdout


DAMAGE = "import sys, pathlib, damaged_datasets; damaged_datasets.damage_episodes(pathlib.Path(sys.argv[1]))"


@pytest.mark.long
def test_the_episodes_that_are_printed_are_all_that_must_be_left_out(robotrain, dataset, training_python, train):
    environ = {"PYTHONPATH": str(Path(__file__).parent)}
    subprocess.run([training_python, "-c", DAMAGE, dataset], env=environ, check=True)
    (checked,) = robotrain("data", "check", "recordings", "--json").json["datasets"]
    assert {one["code"]: one["episodes"] for one in checked["findings"]} == {
        "value-not-finite": [1, 5],
        "task-missing": [3],
        "video-short": [7],
        "episode-repeated": [6],
        "episode-in-validation": [6],
    }
    printed = robotrain("data", "check", "recordings").stderr
    assert "--exclude-episodes 1,3,5-7\n" in printed
    submitted = robotrain("submit", "--platform", "local", "--dataset-path", dataset, "--dry-run")
    assert (submitted.exit_code, "--exclude-episodes 1,3,5,7" in submitted.stderr) == (4, True)
    again = robotrain("data", "check", "recordings", "--exclude-episodes", "1,3,5-7")
    assert (again.exit_code, again.stdout) == (0, "recordings: 8 episodes, 320 frames, 1 camera; nothing found\n")
    train(dataset, SMALL["act"], exclude_episodes="1,3,5-7")


@pytest.mark.usefixtures("dataset")
def test_episodes_that_do_not_exist_cannot_be_left_out(robotrain):
    checked = robotrain("data", "check", "recordings", "--exclude-episodes", "3,8")
    assert (checked.exit_code, "there is no episode 8" in checked.stdout) == (2, True)
