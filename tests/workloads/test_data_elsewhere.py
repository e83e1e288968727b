"""`robotrain data` of datasets that are elsewhere: what is found by parts of their files, and how much is read."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from hub_stand_in import HubStandIn
from robotrain.model.data_report import RemoteFiles
from robotrain_runtime.contract import child_python
from robotrain_workloads.lerobot_data.inspector import InspectedDataset, inspect_dataset

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
CAMERA = ROOT / "examples/pusht-camera/dataset"
MOST_BYTES = 80_000_000
WRITE = """
import sys
from pathlib import Path
import numpy as np
import made_datasets
draw = np.random.default_rng(1)
for name, is_noise in {"plain": False, "noise": True}.items():
    made = made_datasets.make_dataset(5, cameras=2, video=False, kind="position", episodes=12)
    if is_noise:
        for one in made.episodes:
            one.pictures = {name: draw.integers(0, 255, all.shape, np.uint8) for name, all in one.pictures.items()}
    else:
        made.episodes[7].pictures["observation.images.front"][:] = 0
    made_datasets.write_dataset(made, Path(sys.argv[1], name))
made = made_datasets.make_dataset(5, cameras=0, kind="position", episodes=12)
for one in made.episodes:
    one.values = {name: draw.normal(0, 1, (20_000, all.shape[1])) for name, all in one.values.items()}
made_datasets.write_dataset(made, Path(sys.argv[1], "long"))
"""
"""Pictures in the tables: with a black camera in episode 7, and of 60 MB; and 30 MB of numbers."""
MOST_REQUESTS = 60


@pytest.fixture
def hub(monkeypatch, tmp_path, training_python) -> Iterator[HubStandIn]:
    for name in ("HF_TOKEN", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    with HubStandIn() as stand_in:
        monkeypatch.setenv("HF_ENDPOINT", stand_in.address)
        monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
        monkeypatch.setenv("ROBOTRAIN_CHECKER", str(training_python))
        monkeypatch.setenv("ROBOTRAIN_CACHE", str(tmp_path / "cache"))
        monkeypatch.chdir(tmp_path)
        yield stand_in


@pytest.fixture(scope="module")
def made(training_python, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    parts = [ROOT / "workloads", ROOT / "runtime", Path(__file__).parent]
    environ = child_python.make_import_environ(parts, os.environ)
    subprocess.run([training_python, "-c", WRITE, folder], env=environ, check=True)
    return folder


@pytest.fixture
def ask(training_python, tmp_path, monkeypatch):
    """Ask about a folder as if it were elsewhere: `ask(folder)` returns the answer, and the bytes of each request."""
    monkeypatch.setenv("ROBOTRAIN_CACHE", str(tmp_path / "cache"))

    def ask(folder: Path) -> tuple[InspectedDataset, list[int]]:
        sizes = {str(path.relative_to(folder)): path.stat().st_size for path in folder.rglob("*") if path.is_file()}
        read = []

        def read_ranges(ranges) -> list[bytes]:
            read.append(sum(stop - start for _, start, stop in ranges))
            return [(folder / path).read_bytes()[start:stop] for path, start, stop in ranges]

        questions = {"tables": {}, "quality": {"val_split": 0.1}}
        files = RemoteFiles("u/d", str(folder), lambda: sizes, read_ranges)
        return inspect_dataset(files, questions, lambda: training_python), read

    return ask


def put_on_hub(hub: HubStandIn, name: str, folder: Path) -> None:
    files = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    hub.repository(name, files, "dataset")


def test_a_dataset_of_the_hub_has_the_findings_of_a_folder(robotrain, hub, made):
    for name, folder in {"u/plain": made / "plain", "u/camera": CAMERA}.items():
        put_on_hub(hub, name, folder)
        here, elsewhere = robotrain("data", "check", folder, name, "--json").json["datasets"]
        assert {**elsewhere, "dataset": str(folder)} == here


@pytest.mark.long
def test_pictures_in_tables_are_looked_at_until_enough_is_read(ask, made):
    answer, read = ask(made / "plain")
    assert [(finding.code, finding.episodes) for finding in answer.findings] == [("camera-black", (7,))]
    quality = answer.results["quality"]
    assert (quality["numbered_episodes"], quality["pictured_episodes"]) == (12, 12)
    assert 0 < quality["decoded_pictures"] < quality["pictures"]
    answer, read = ask(made / "noise")
    assert answer.results["quality"]["numbered_episodes"] == 12
    assert 0 < answer.results["quality"]["pictured_episodes"] < 12
    assert sum(read) < MOST_BYTES


@pytest.mark.long
def test_numbers_are_looked_at_in_as_many_episodes_as_few_requests_hold(ask, made):
    answer, read = ask(made / "long")
    assert 0 < answer.results["quality"]["numbered_episodes"] < 12
    assert len(read) < MOST_REQUESTS
    assert sum(read) < MOST_BYTES / 2


def test_a_file_that_is_damaged_where_the_tables_were_not_compared_is_an_error(ask, made, tmp_path):
    folder = Path(shutil.copytree(made / "plain", tmp_path / "damaged"))
    path = folder / "data/chunk-000/file-000.parquet"
    content = bytearray(path.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 4000] = bytes(4000)
    path.write_bytes(content)
    answer, _ = ask(folder)
    assert [finding.code for finding in answer.findings][-1:] == ["file-unreadable"]
