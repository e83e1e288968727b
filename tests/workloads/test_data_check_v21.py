"""`robotrain data` of a dataset of LeRobot v2.1: it is checked and shown before it is converted."""

import shutil
import subprocess
from pathlib import Path

import pytest
from old_datasets import write_v21

pytestmark = pytest.mark.slow

CAMERA = Path(__file__).parents[2] / "examples/pusht-camera/dataset"
COPY_NUMBERS = """
import sys
import pyarrow.parquet as pq
table = pq.read_table(sys.argv[1])
for name, value in {"episode_index": 7, "index": 280}.items():
    first, place = table[name][0].as_py(), table.column_names.index(name)
    column = [value + one.as_py() - first for one in table[name]]
    table = table.set_column(place, table.field(name), [column])
pq.write_table(table, sys.argv[2])
"""
"""Make the last episode a copy of another one."""


@pytest.fixture(scope="module")
def converted(training_environment, tmp_path_factory) -> Path:
    return write_v21(training_environment, CAMERA, tmp_path_factory.mktemp("old") / "old")


@pytest.fixture
def old(converted, training_python, tmp_path, monkeypatch) -> Path:
    """A good dataset with a camera, in the folder of the user."""
    monkeypatch.setenv("ROBOTRAIN_CHECKER", str(training_python))
    monkeypatch.setenv("ROBOTRAIN_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return Path(shutil.copytree(converted, tmp_path / "old"))


@pytest.mark.usefixtures("old")
def test_a_good_one_has_no_findings_and_is_converted_to_train_on_it(robotrain):
    checked = robotrain("data", "check", "old")
    assert (checked.exit_code, checked.stdout) == (
        0,
        "old: 8 episodes, 320 frames, 1 camera, 64 of 320 pictures decoded; nothing found\n",
    )
    assert [line for line in checked.stderr.splitlines() if "--convert-v21" in line]


def test_numbers_and_pictures_are_looked_at(robotrain, old):
    videos = old / "videos/chunk-000/observation.image"
    shutil.copy(videos / "episode_000001.mp4", videos / "episode_000005.mp4")
    checked = robotrain("data", "check", "old", "--json")
    (dataset,) = checked.json["datasets"]
    assert (checked.exit_code, dataset["can_train"], dataset["convert_v21"]) == (0, True, True)
    findings = [(finding["code"], finding["feature"], finding["episodes"]) for finding in dataset["findings"]]
    assert findings == [("episode-repeated", "observation.image", [5])]


def test_a_broken_one_is_refused_with_the_episode(robotrain, old):
    (old / "data/chunk-000/episode_000004.parquet").unlink()
    checked = robotrain("data", "check", "old", "--json")
    (dataset,) = checked.json["datasets"]
    assert checked.exit_code == 2
    assert [(finding["code"], finding["episodes"]) for finding in dataset["findings"]] == [("file-missing", [4])]


@pytest.mark.usefixtures("old")
def test_an_episode_is_shown_with_its_pictures_and_its_video(robotrain):
    robotrain("data", "view", "old", 6).check(0)
    page = Path("old-episode-6.html").read_text()
    assert page.count("data:image/jpeg") == 16
    assert "data:video/mp4" in page
    assert "lerobot-dataset-viz" not in page  # LeRobot does not read it


def test_the_page_has_the_findings_of_the_check(robotrain, old, training_python):
    data = old / "data/chunk-000"
    words = [training_python, "-c", COPY_NUMBERS, data / "episode_000001.parquet", data / "episode_000007.parquet"]
    subprocess.run(words, check=True)
    (checked,) = robotrain("data", "check", "old", "--json").json["datasets"]
    assert {"episode-repeated", "episode-in-validation"} <= {finding["code"] for finding in checked["findings"]}
    assert robotrain("data", "view", "old", "--json").json["findings"] == checked["findings"]
