"""`robotrain data view`: where its page is, what it prints, and what it says about an episode that does not exist."""

import shlex
import shutil
from pathlib import Path

import pytest
from parsed_page import Page

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("training_python")]

CAMERA = Path(__file__).parents[2] / "examples/pusht-camera/dataset"


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_page_is_in_this_folder_and_its_place_is_the_result(robotrain, folder):
    data = shutil.copytree(CAMERA, folder / "push 積み木")
    answer = robotrain("data", "view", data)
    answer.check(0)
    assert answer.stdout.strip() == "push-積み木-episodes.html"
    assert "8 episodes, 320 frames, 1 camera" in answer.stderr
    page = Page((folder / "push-積み木-episodes.html").read_text())
    assert page.embedded == ["data:video/mp4", *["data:image/jpeg"] * 16]
    assert page.addresses == []
    (viewer,) = [line for line in answer.stderr.splitlines() if "lerobot-dataset-viz" in line]
    words = shlex.split(viewer.removeprefix("more:").partition("   (")[0])
    expected = ["--repo-id", "local/push", "--root", str(data), "--episode-index", "0"]
    assert words == ["lerobot-dataset-viz", *expected]


def test_an_episode_is_named_in_the_file_and_in_json(robotrain, folder):
    answer = robotrain("data", "view", CAMERA, 3, "--to", f"{folder}/pages/", "--json")
    assert answer.exit_code == 0
    said = {key: answer.json[key] for key in ("episode", "episodes", "frames", "cameras", "path")}
    path = str(folder / "pages/dataset-episode-3.html")
    assert said == {"episode": 3, "episodes": 8, "frames": 320, "cameras": 1, "path": path}
    assert "episode 3 of dataset" in Page(Path(path).read_text()).texts


def test_page_can_be_printed(robotrain, folder):
    answer = robotrain("data", "view", CAMERA, "--to", "-")
    assert "Episodes" in Page(answer.stdout).texts
    assert [*folder.glob("*.html")] == []


def test_an_episode_that_does_not_exist_is_refused_with_those_that_do(robotrain, folder):
    answer = robotrain("data", "view", CAMERA, 8)
    answer.check_problems(2, "value-invalid")
    assert "0 to 7" in answer.stderr
    assert [*folder.glob("*.html")] == []


def test_a_folder_of_something_else_is_refused(robotrain, folder):
    (folder / "photos").mkdir()
    robotrain("data", "view", folder / "photos").check_problems(2, "data-unusable")
