"""A LeRobot training as a document, and a small dataset to break."""

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from robotrain_runtime.document import JobDocument, Placement, Source
from robotrain_workloads.lerobot_train.container import ENVIRONMENT
from robotrain_workloads.lerobot_train.parameters import Parameters

HALVES = {
    "workload.lerobot-train": "robotrain_workloads.lerobot_train.container",
    "source.local_path": "robotrain_sources.local_path.container",
}


@pytest.fixture
def training(tmp_path):
    """Make a document: `training(batch_size=8)`."""

    def make(dataset="/data", args=(), placement=None, **parameters) -> JobDocument:
        place = {"work": str(tmp_path / "work"), "cache": str(tmp_path / "cache"), **(placement or {})}
        return JobDocument(
            schema=1,
            run="lerobot-train-00000000-1",
            job="0" * 64,
            workload="lerobot-train",
            platform="here",
            halves=HALVES,
            parameters=dataclasses.asdict(Parameters(**parameters)),
            placement=Placement(**place),
            sources=(Source(role="dataset", kind="local_path", uri=str(dataset)),),
            trainer_args=tuple(args),
        )

    return make


@pytest.fixture
def dataset(tmp_path):
    """Make the shell of a v3 dataset: `dataset(total_frames=0)`; a value of None leaves the key out."""

    def make(without=(), video=False, **changes) -> Path:
        folder = tmp_path / "data"
        features = {"observation.state": {"dtype": "float32"}, "action": {"dtype": "float32"}}
        if video:
            features["observation.image"] = {"dtype": "video"}
        info = {
            "codebase_version": "v3.0",
            "total_episodes": 2,
            "total_frames": 20,
            "total_tasks": 1,
            "fps": 10,
            "features": features,
            **changes,
        }
        files = {
            "meta/info.json": json.dumps({name: value for name, value in info.items() if value is not None}),
            "meta/stats.json": "{}",
            "meta/tasks.parquet": "PAR1PAR1",
            "meta/episodes/chunk-000/file-000.parquet": "PAR1PAR1",
            "data/chunk-000/file-000.parquet": "PAR1PAR1",
        }
        for name, text in files.items():
            if name not in without:
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                (folder / name).write_text(text)
        return folder

    return make


@pytest.fixture(scope="session")
def training_environment() -> str:
    """The environment that trainings run in: `ROBOTRAIN_TEST_ENVIRONMENT`, else the locked one, built as for a user."""
    if said := os.environ.get("ROBOTRAIN_TEST_ENVIRONMENT"):
        return said
    command = [sys.executable, "-m", "robotrain_runtime", "environment", str(ENVIRONMENT.lock)]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
