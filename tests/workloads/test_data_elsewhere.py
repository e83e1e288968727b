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
from robotrain_workloads.data_command.process import InspectedDataset, inspect_dataset

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
CAMERA = ROOT / "examples/pusht-camera/dataset"
WRITE = """
import sys
from pathlib import Path
import made_datasets
made = made_datasets.make_dataset(5, cameras=2, video=False, kind="position", episodes=12)
made.episodes[7].pictures["observation.images.front"][:] = 0
made_datasets.write_dataset(made, Path(sys.argv[1], "plain"))
"""
"""Pictures in the tables, with a black camera in episode 7."""


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
    """Ask about a folder as if it were elsewhere."""
    monkeypatch.setenv("ROBOTRAIN_CACHE", str(tmp_path / "cache"))

    def ask(folder: Path) -> InspectedDataset:
        sizes = {str(path.relative_to(folder)): path.stat().st_size for path in folder.rglob("*") if path.is_file()}

        def download(paths, target, seconds) -> None:
            shutil.copytree(folder, target, dirs_exist_ok=True)

        questions = {"tables": {}, "quality": {"val_split": 0.1}}
        files = RemoteFiles("u/d", str(folder), lambda: sizes, download)
        return inspect_dataset(files, questions, lambda: training_python)

    return ask


def put_on_hub(hub: HubStandIn, name: str, folder: Path) -> None:
    files = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    hub.repository(name, files, "dataset")


def test_a_dataset_of_the_hub_has_the_findings_of_a_folder(robotrain, hub, made):
    put_on_hub(hub, "u/plain", made / "plain")
    here, elsewhere = robotrain("data", "check", made / "plain", "u/plain", "--json").json["datasets"]
    assert [finding["code"] for finding in here["findings"]] == ["camera-black"]
    assert {**elsewhere, "dataset": here["dataset"]} == here


def test_videos_of_a_dataset_of_the_hub_are_not_looked_at(robotrain, hub):
    put_on_hub(hub, "u/camera", CAMERA)
    (checked,) = robotrain("data", "check", "u/camera", "--json").json["datasets"]
    assert [finding["code"] for finding in checked["findings"]] == ["statistics-differ"] * 2
    assert (checked["pictures"], checked["decoded_pictures"]) == (0, 0)
    assert "videos" in checked["not_checked"]
    assert "videos" in robotrain("data", "check", "u/camera").stderr


def test_a_file_that_is_damaged_where_the_tables_were_not_compared_is_an_error(ask, made, tmp_path):
    folder = Path(shutil.copytree(made / "plain", tmp_path / "damaged"))
    path = folder / "data/chunk-000/file-000.parquet"
    content = bytearray(path.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 4000] = bytes(4000)
    path.write_bytes(content)
    answer = ask(folder)
    assert [finding.code for finding in answer.findings][-1:] == ["file-unreadable"]
