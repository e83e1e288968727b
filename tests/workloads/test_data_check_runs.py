"""`robotrain data check` of a dataset on this machine: what is printed, and the exit code."""

import json
import shutil
from pathlib import Path

import pytest

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
