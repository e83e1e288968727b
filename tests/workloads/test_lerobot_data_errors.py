"""What LeRobot and its libraries raise about a dataset becomes a sentence, which a run ends with."""

import json
import os
import subprocess
from pathlib import Path

import pytest
from robotrain_runtime.contract import child_python
from robotrain_workloads.lerobot import data_errors

ROOT = Path(__file__).parents[2]
CAMERA = ROOT / "examples/pusht-camera/dataset"
SMALL = ROOT / "examples/pusht-camera/job.yaml"
TABLE, VIDEO = "data/chunk-000/file-000.parquet", "videos/observation.image/chunk-000/file-000.mp4"
SENTENCES = {
    "nothing": [],
    "episodes are missing": ["Episode index 6 out of range"],
    "more frames in info": ["out of bounds for size 320"],
    "another shape": ["Couldn't cast array of type"],
    "timestamp": [f"episode 3, frame 10: {VIDEO} cannot be read: ", "tolerance"],
    "wall clock": ["episode 0, frame 0"],
    "task": ["episode 3, frame 10: "],
    "no value": ["episode 3, frame "],
    "a page of the table": [f"{TABLE} is damaged: "],
    "a table of Git LFS": [f"{TABLE} is a Git LFS pointer", "`git lfs pull`"],
    "no tasks": ["meta/tasks.parquet"],
    "column of videos": ["videos/observation.image/from_timestamp"],
    "no video": ["cannot be read"],
    "empty video": [f"episode 0, frame 0: {VIDEO} is empty"],
    "a part of the video": ["episode 2, frame 6", f"{VIDEO} cannot be read", "(--exclude-episodes 2)"],
    "the middle of the video": ["episode 3, frame", f"{VIDEO} cannot be read", "(--exclude-episodes 3-4)"],
    "no picture": ["episode 3, frame "],
    "picture is garbage": ["episode 3, frame "],
    "picture is cut": ["episode 3, frame "],
    "picture of another size": ["equal size"],
}


@pytest.fixture(scope="module")
def datasets(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("unreadable")


@pytest.fixture(scope="module")
def sentences(datasets, training_python) -> dict[str, str]:
    """What is said of each dataset that LeRobot cannot read."""
    environ = child_python.make_import_environ(
        [ROOT / "workloads", ROOT / "runtime", Path(__file__).parent], os.environ
    )
    words = [training_python, Path(__file__).with_name("unreadable_frames.py"), CAMERA, datasets]
    return json.loads(subprocess.run(words, env=environ, check=True, stdout=subprocess.PIPE, text=True).stdout)


@pytest.mark.slow
@pytest.mark.parametrize("damage", SENTENCES)
def test_an_exception_about_data_becomes_a_sentence_with_episode_and_value(sentences, damage):
    told = [sentence for name, sentence in sentences.items() if name.startswith(f"{damage}, ")]
    assert told
    for sentence in told:  # of this process, and of one that loads data
        assert sentence.startswith(data_errors.REFUSED) == bool(SENTENCES[damage]), sentence
        assert [part for part in SENTENCES[damage] if part not in sentence] == []
        assert "\n" not in sentence


@pytest.mark.slow
def test_the_others_are_read_after_the_episodes_are_left_out_that_the_sentence_names(sentences):
    assert sentences["repaired: the middle of the video"] == "3-4"


@pytest.mark.slow
@pytest.mark.usefixtures("sentences")
def test_a_run_ends_with_the_episode_and_the_data_is_to_blame(robotrain, datasets, training_environment, tmp_path):
    data = ("--dataset-path", datasets / "the-middle-of-the-video", "--environment", training_environment)
    words = ("submit", SMALL, "--platform", "local", *data, "--num-workers", 1, "--wait", "--json")
    assert robotrain(*words).exit_code == 5
    status = robotrain("status", "--json").json
    assert status["reason"].startswith(f"{data_errors.REFUSED}episode ")
    assert status["reason"].endswith("2 of 8 episodes have such a picture (--exclude-episodes 3-4)")
    assert (status["fault"], status["cause"]) == ("data", "dataset")
    assert "robotrain data check" in status["remedy"]
    assert "Traceback" not in robotrain("logs").stdout


@pytest.mark.parametrize(
    "error",
    [MemoryError(), RuntimeError("DataLoader worker is killed by signal: Bus error"), ValueError("of a network")],
)
def test_what_no_dataset_is_to_blame_for_is_left_as_it_is(error, tmp_path):
    assert data_errors.explain_reading_error(error, tmp_path) == ""
