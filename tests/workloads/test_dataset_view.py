"""What `robotrain data view` collects about a dataset, good and damaged: scores, curves, pictures and video."""

import base64
import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest
from robotrain_runtime.contract import child_python
from robotrain_workloads.data_command.process import inspect_dataset

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
CAMERA, MINI = ROOT / "examples/pusht-camera/dataset", ROOT / "examples/pusht-mini/dataset"
JPEG, MP4 = b"\xff\xd8\xff", b"ftyp"


@pytest.fixture(scope="module")
def damaged(tmp_path_factory, training_python) -> Path:
    folder = tmp_path_factory.mktemp("damaged")
    environ = child_python.make_import_environ([ROOT / "workloads", ROOT / "runtime"], os.environ)
    words = [training_python, Path(__file__).with_name("damaged_datasets.py"), CAMERA, folder]
    subprocess.run(words, env=environ, check=True, capture_output=True)
    return folder


@pytest.fixture
def view(training_python):
    """Collect what the page of a dataset shows: `view(folder, episode=3)`."""

    def collect(folder, **options):
        return inspect_dataset(folder, {"view": {"val_split": 0.1, **options}}, lambda: training_python).results[
            "view"
        ]["view"]

    return collect


def test_an_episode_has_its_curves_its_pictures_and_its_video(view):
    content = view(CAMERA, episode=3)
    assert (content["episodes"], content["frames"], content["last"], content["task_count"]) == (8, 320, 7, 1)
    assert content["cameras"] == [{"name": "observation.image", "kind": "video", "width": 64, "height": 64}]
    shown = content["shown"]
    assert (shown["episode"], shown["frames"], shown["problem"]) == (3, 40, "")
    assert {name: [curve["name"] for curve in curves] for name, curves in shown["curves"].items()} == {
        "action": ["target_x", "target_y"],
        "observation.state": ["agent_x", "agent_y"],
    }
    assert [frame for frame, _ in shown["curves"]["action"][0]["points"]] == [*range(40)]
    (strip,) = shown["strips"]
    assert (strip["problem"], strip["remark"], strip["clip_start"]) == ("", "", 0.0)
    frames = [frame for frame, _ in strip["pictures"]]
    assert (len(frames), frames[0], frames[-1]) == (16, 0, 39)
    assert all(base64.b64decode(content).startswith(JPEG) for _, content in strip["pictures"])
    assert base64.b64decode(strip["clip"])[4:8] == MP4


def test_each_episode_has_its_scores(view):
    content = view(MINI)
    assert [score["episode"] for score in content["scores"][:1]] == [content["shown"]["episode"]], (
        "the worst comes first"
    )
    assert len(content["scores"]) == content["episodes"] == 50
    assert all(score["idle"] >= 0 and 0 < score["jump"] == max(score["motion"]) for score in content["scores"])
    assert content["shown"]["strips"] == []


def test_an_episode_that_does_not_exist_is_not_shown(view):
    content = view(CAMERA, episode=8)
    assert (content["shown"], content["last"]) == (None, 7)


def test_the_worst_episode_is_shown_by_default(view, damaged):
    content = view(damaged / "jitter")
    assert content["shown"]["episode"] == 1
    assert content["scores"][0]["codes"] == ["timestamp-off"]


def test_a_number_that_is_not_finite_is_left_out_of_its_curve_and_counted(view, damaged):
    (x, y) = view(damaged / "not-a-number")["shown"]["curves"]["action"]
    assert (x["omitted"], len(x["points"]), y["omitted"], len(y["points"])) == (1, 39, 0, 40)


@pytest.mark.parametrize(
    ("damage", "episode", "problem"),
    [
        ("video-unreadable", 0, "file-000.mp4 cannot be read"),
        ("video-of-another-number", 6, "file-003.mp4 does not exist"),
    ],
)
def test_a_video_that_cannot_be_read_leaves_the_numbers(view, damaged, damage, episode, problem):
    shown = view(damaged / damage)["shown"]
    (strip,) = shown["strips"]
    assert shown["episode"] == episode
    assert problem in strip["problem"]
    assert (strip["pictures"], strip["clip"]) == ([], "")
    assert len(shown["curves"]["action"]) == 2


CHANGE = """
import sys
from pathlib import Path
from damaged_datasets import DATA, change_column, put
change_column(Path(sys.argv[1], DATA), "action", put(5, {value}))
"""


@pytest.mark.parametrize(("value", "omitted"), [("[None, 1.0]", [1, 0]), ("None", [1, 1])])
def test_a_null_in_a_vector_is_left_out_of_its_curve(view, tmp_path, training_python, value, omitted):
    data = shutil.copytree(CAMERA, tmp_path / "data")
    words = [training_python, "-c", CHANGE.format(value=value), data]
    subprocess.run(words, cwd=Path(__file__).parent, check=True, capture_output=True)
    shown = view(data, episode=0)["shown"]
    assert (shown["problem"], [curve["omitted"] for curve in shown["curves"]["action"]]) == ("", omitted)


@pytest.mark.parametrize(
    "name", ["meta/info.json", "meta/stats.json", "meta/tasks.parquet", "data/chunk-000/file-000.parquet"]
)
@pytest.mark.parametrize("make", [os.mkfifo, lambda path: make_sparse_file(path, 3 << 30)])
def test_a_file_that_no_dataset_has_is_not_read(view, tmp_path, name, make):
    data = shutil.copytree(CAMERA, tmp_path / "data")
    (data / name).unlink()
    make(data / name)
    began = time.monotonic()
    view(data)
    assert time.monotonic() - began < 20


def make_sparse_file(path, size):
    path.touch()
    os.truncate(path, size)


def test_a_dataset_without_a_description_has_no_page(view, tmp_path):
    assert view(tmp_path) is None
