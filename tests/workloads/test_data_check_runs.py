"""`robotrain data check` of a dataset on this machine: what is printed, and the exit code."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from small_training import SMALL

pytestmark = pytest.mark.slow

CAMERA = Path(__file__).parents[2] / "examples/pusht-camera/dataset"


DECODED = "64 of 320 pictures decoded"


@pytest.fixture
def dataset(tmp_path, monkeypatch, training_python) -> Path:
    """A good dataset in the folder of the user, and a Python that reads it."""
    monkeypatch.setenv("ROBOTRAIN_CHECKER", str(training_python))
    monkeypatch.setenv("ROBOTRAIN_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    folder = Path(shutil.copytree(CAMERA, tmp_path / "recordings"))
    change_statistics(folder, lambda values: [values.pop(name) for name in ("q01", "q99")], "observation.state")
    change_statistics(folder, lambda values: [values.pop(name) for name in ("q01", "q99")], "action")
    return folder


def change_statistics(folder, change, feature="action") -> None:
    path = folder / "meta/stats.json"
    statistics = json.loads(path.read_text())
    change(statistics[feature])
    path.write_text(json.dumps(statistics))


def test_a_good_dataset_is_one_line(robotrain, dataset):
    checked = robotrain("data", "check", dataset.name)
    assert (checked.exit_code, checked.stdout) == (
        0,
        f"recordings: 8 episodes, 320 frames, 1 camera, {DECODED}; nothing found\n",
    )


def test_what_makes_a_policy_worse_is_a_warning_and_what_does_not_train_is_exit_code_2(robotrain, dataset):
    change_statistics(dataset, lambda values: values.update(std=[1000 * deviation for deviation in values["std"]]))
    worse = robotrain("data", "check", "recordings", CAMERA, "--json")
    assert worse.exit_code == 0
    findings = [
        [(finding["code"], finding["severity"], finding["feature"]) for finding in checked["findings"]]
        for checked in worse.json["datasets"]
    ]
    differs = [("statistics-differ", "warning", feature) for feature in ("observation.state", "action")]
    assert findings == [differs[1:], differs]  # LeRobot averaged the quantiles of the second one
    assert "true statistics: --statistics computed\n" in robotrain("data", "check", CAMERA).stderr
    (dataset / "meta/info.json").write_text("{}")
    broken = robotrain("data", "check", "recordings")
    assert broken.exit_code == 2
    assert "description-invalid" in broken.stdout


MIDDLE = "import sys, pathlib, damaged_datasets; damaged_datasets.damage_middle(pathlib.Path(sys.argv[1]))"


def test_damage_in_the_middle_of_a_video_is_found_with_all_its_episodes(robotrain, dataset, training_python):
    environ = {"PYTHONPATH": str(Path(__file__).parent)}
    subprocess.run([training_python, "-c", MIDDLE, dataset], env=environ, check=True)
    (checked,) = robotrain("data", "check", "recordings", "--json").json["datasets"]
    assert {finding["code"]: finding["episodes"] for finding in checked["findings"]}["video-unreadable"] == [3, 4]
    assert checked["exclude_episodes"] == "3-4"
    (left,) = robotrain("data", "check", "recordings", "--exclude-episodes", "3,4", "--json").json["datasets"]
    assert (left["can_train"], left["pictures"]) == (True, 240)
    (every,) = robotrain("data", "check", "recordings", "--exclude-episodes", "3,4", "--decode", "all", "--json").json[
        "datasets"
    ]
    assert (every["can_train"], every["decoded_pictures"]) == (True, 240)


DAMAGE = "import sys, pathlib, damaged_datasets; damaged_datasets.damage_episodes(pathlib.Path(sys.argv[1]))"


@pytest.mark.long
def test_the_episodes_that_are_printed_are_all_that_must_be_left_out(robotrain, dataset, training_python, train):
    environ = {"PYTHONPATH": str(Path(__file__).parent)}
    subprocess.run([training_python, "-c", DAMAGE, dataset], env=environ, check=True)
    (checked,) = robotrain("data", "check", "recordings", "--json").json["datasets"]
    assert {finding["code"]: finding["episodes"] for finding in checked["findings"]} == {
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
    assert (again.exit_code, again.stdout.endswith("nothing found\n")) == (0, True)
    train(dataset, SMALL["act"], exclude_episodes="1,3,5-7")


@pytest.mark.usefixtures("dataset")
def test_episodes_that_do_not_exist_cannot_be_left_out(robotrain):
    checked = robotrain("data", "check", "recordings", "--exclude-episodes", "3,8")
    assert (checked.exit_code, "there is no episode 8" in checked.stdout) == (2, True)
