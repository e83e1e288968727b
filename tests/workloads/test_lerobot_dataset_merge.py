"""Datasets that LeRobot's own tools merge and convert, and a training on the result."""

import hashlib
import json
import math
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from hub_stand_in import HubStandIn
from job_documents import folders
from old_datasets import write_v21
from robotrain_runtime.contract.document import JobSource
from robotrain_runtime.contract.event import Outcome, StageEvent
from robotrain_workloads.lerobot_train import container
from small_training import SMALL

pytestmark = [pytest.mark.slow, pytest.mark.long]

ROOT = Path(__file__).parents[2]
MINI, MORE, CAMERA, OTHER = (
    ROOT / f"examples/{name}/dataset" for name in ("pusht-mini", "pusht-more", "pusht-camera", "reach-other")
)
SHORT = {"training_steps": 2, "save_freq": 2, "log_freq": 1, "eval_freq": 0, "system_metrics": False}
READ_DATASETS = """
import json, sys
from pathlib import Path
import numpy as np
import pyarrow.parquet as pq
found = {}
for folder in map(Path, sys.argv[1:]):
    table = pq.ParquetDataset(folder / "data").read(["episode_index", "action"])
    lengths = np.bincount(np.asarray(table["episode_index"])).tolist()
    found[str(folder)] = {"lengths": lengths, "action": table["action"].to_pylist()}
print(json.dumps(found))
"""


def digest(folder: Path) -> str:
    """Of everything below it."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    digests = [(path.relative_to(folder).as_posix(), hashlib.sha256(path.read_bytes()).hexdigest()) for path in files]
    return hashlib.sha256(json.dumps(digests).encode()).hexdigest()


def make_source(folder: Path) -> JobSource:
    """A source whose content is known by its pin."""
    return JobSource(role="dataset", kind="local_path", uri=str(folder), pin=digest(folder))


@pytest.fixture
def merge(training, training_environment, tmp_path):
    """Run the program alone: `merge([MINI, MORE])` gives its process and the folder that it filled."""

    def run(datasets, cache=None, **parameters) -> tuple[subprocess.CompletedProcess[str], Path]:
        place = {"cache": str(cache or tmp_path / "cache")}
        document = training(list(datasets), placement=place, **parameters)
        data = folders(document)
        preparation = container.prepare(document, data, dict.fromkeys(data, ""))
        out = tmp_path / "made"
        command = [f"{training_environment}/bin/python", *preparation.arguments, str(out)]
        path = os.pathsep.join(str(ROOT / name) for name in ("workloads", "runtime"))
        environ = {**os.environ, "PYTHONPATH": path, **preparation.environ}
        return subprocess.run(command, capture_output=True, text=True, env=environ), out

    return run


def read(environment, *roots) -> list[dict]:
    command = [f"{environment}/bin/python", "-c", READ_DATASETS, *map(str, roots)]
    contents = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
    return [contents[str(root)] for root in roots]


def merges(ran) -> list[StageEvent]:
    return [stage for stage in ran.events(StageEvent) if stage.name == "merge" and stage.state == "done"]


def test_h1_18_two_datasets_are_merged_in_their_order_and_a_second_run_reuses_the_result(
    train, tmp_path, training_environment
):
    before = digest(MINI), digest(MORE)
    sources = [make_source(MORE), make_source(MINI)]
    ran = train(sources, SMALL["act"], **SHORT)
    losses = ran.read_metric().values()
    assert len(losses) == 2
    assert all(map(math.isfinite, losses))
    assert any("made one dataset: 70 episodes, 2800 frames" in line for line in ran.lines)
    (made,) = (tmp_path / "cache/prepared/lerobot-train").glob("*/files")
    whole, first, second = read(training_environment, made, MORE, MINI)
    assert whole["lengths"] == first["lengths"] + second["lengths"] == [40] * 70
    assert whole["action"] == first["action"] + second["action"]

    inode = made.stat().st_ino
    again = train(sources, SMALL["act"], **SHORT)  # its trainer finds that nothing is left to do
    assert [stage.detail for stage in merges(again)] == ["made before"]
    assert made.stat().st_ino == inode
    assert (digest(MINI), digest(MORE)) == before


def test_v21_is_converted_and_merged_with_v3_and_its_videos_are_trained_on(train, tmp_path, training_environment):
    old = write_v21(training_environment, CAMERA, tmp_path / "old")
    before = digest(old)
    refused = train([old, CAMERA], SMALL["act"], work="refused", exit_code=4, **SHORT)
    assert any("--convert-v21" in line for line in refused.lines)

    ran = train([old, CAMERA], SMALL["act"], convert_v21=True, image_normalization="dataset", **SHORT)
    assert len(ran.read_metric()) == 2
    assert any("converting v2.1 to v3.0" in line for line in ran.lines)
    made = next(tmp_path.glob("cache/prepared/*/*/files"), ran.work / "prepared/files")
    whole, native = read(training_environment, made, CAMERA)
    assert whole["lengths"] == native["lengths"] * 2
    assert whole["action"] == native["action"] * 2
    assert digest(old) == before


def test_booleans_are_trained_on_as_numbers(train, training_environment):
    ran = train(OTHER, SMALL["act"], **SHORT)
    assert len(ran.read_metric()) == 2
    assert any("boolean features become numbers: observation.gripper_closed" in line for line in ran.lines)


def test_videos_of_the_cache_are_linked_and_those_of_a_user_copied(merge, tmp_path):
    cached, own = tmp_path / "cache/data/camera", tmp_path / "own"
    for folder in (cached, own):
        shutil.copytree(CAMERA, folder)
    process, made = merge([cached, own])
    assert process.returncode == 0, process.stderr
    videos = sorted(made.rglob("*.mp4"))
    assert [video.stat().st_nlink for video in videos] == [2, 1]
    assert digest(cached) == digest(own) == digest(CAMERA)
    assert not any(path.is_symlink() for path in made.rglob("*"))
    assert not (made / ".making").exists()


def test_a_refusal_of_lerobot_is_one_line(merge):
    process, made = merge([MINI, OTHER])
    assert process.returncode == 1
    (line,) = [line for line in process.stderr.splitlines() if line.startswith("error: ")]
    assert f"LeRobot could not merge {MINI} and {OTHER}: Same fps is expected" in line
    assert "Traceback" not in process.stderr
    assert list(made.iterdir()) == []


def test_an_example_trains_from_two_datasets(robotrain, training_environment, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    job = str(ROOT / "examples/pusht-more/job.yaml")
    short = ("--training-steps", "2", "--save-freq", "2", "--batch-size", "8")
    place = ("--platform", "local", "--environment", training_environment)
    answer = robotrain("submit", job, *place, *short, "--wait", "--json")
    assert answer.exit_code == 0, answer.stderr
    assert answer.json["state"] == "succeeded"


def test_repositories_of_the_hub_and_a_folder_are_one_dataset(robotrain, training_environment, monkeypatch, tmp_path):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    job = str(ROOT / "examples/pusht-more/job.yaml")
    short = ("--training-steps", "2", "--save-freq", "2", "--batch-size", "8")
    place = ("--platform", "local", "--environment", training_environment)
    with HubStandIn() as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.address)
        for name, folder in {"u/more": MORE, "u/mini": MINI}.items():
            files = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
            hub.repository(name, files, "dataset")
        data = ("-d", "u/more", "-d", "u/mini", "--dataset-path", MINI)
        answer = robotrain("submit", job, *place, *data, *short, "--wait", "--json")
    assert answer.exit_code == 0, answer.stderr
    assert answer.json["state"] == "succeeded"
    assert "made one dataset: 120 episodes, 4800 frames" in robotrain("logs").stdout


def test_datasets_that_cannot_be_merged_fail_in_preflight(train):
    ran = train([MINI, OTHER], exit_code=4, **SHORT)
    (outcome,) = ran.events(Outcome)
    assert "fps: 10 in" in outcome.reason
    assert not merges(ran)
