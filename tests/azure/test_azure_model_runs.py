"""A policy among the artifacts of a run that is tracked in a workspace, found by its id as at any other server."""

import json
import os
import subprocess
from pathlib import Path

import pytest
from robotrain_runtime.contract import plugin_loader
from robotrain_runtime.contract.container_plugin import ContainerContext
from robotrain_runtime.contract.document import JobSource
from robotrain_runtime.environments import run_environment
from robotrain_sources.mlflow import container
from tracked_document import HERE

pytestmark = pytest.mark.slow

LOG = """
import pathlib, sys
from robotrain_runtime.tracking.mlflow_store import MlflowStore
store = MlflowStore(sys.argv[1])
store.start_run("pusher", "pretend-1")
for name in sys.argv[3:]:
    store.upload_folder(pathlib.Path(sys.argv[2]), name)
print("run", store.run_id)
"""


def model(folder: Path) -> dict[str, bytes]:
    header = json.dumps({"w": {"dtype": "F32", "shape": [9], "data_offsets": [0, 36]}}).encode()
    weights = len(header).to_bytes(8, "little") + header + os.urandom(36)
    files = {"config.json": b'{"type": "act"}', "model.safetensors": weights}
    folder.mkdir()
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return files


@pytest.mark.long
def test_a_policy_of_a_run_in_the_workspace_comes_whole(job, training_python, tmp_path):
    files = model(tmp_path / "model")
    names = ("checkpoints/000400", "checkpoints/000400.2")
    command = [training_python, "-c", LOG, HERE.tracking_uri, tmp_path / "model", *names]
    done = subprocess.run(command, env=run_environment.make_program_environ(job), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    run = done.stdout.split()[-1]
    place = ContainerContext(
        cache=tmp_path / "cache",
        python=training_python,
        tracking_uri=HERE.tracking_uri,
        tracking_environ=plugin_loader.make_tracking_environ(job),
    )
    source = JobSource(role="policy", kind="mlflow_run", uri=f"runs:/{run}/checkpoints/000400")
    folder = container.fetch(source, place)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == files
    unknown = JobSource(role="policy", kind="mlflow_run", uri=f"runs:/{run}/checkpoint/000400")
    with pytest.raises(OSError, match=r"has no policy at checkpoint/000400"):
        container.fetch(unknown, place)
    nobody = JobSource(role="policy", kind="mlflow_run", uri="runs:/lerobot-train-1a2b3c4d-9/checkpoints/000400")
    with pytest.raises(OSError, match=r"^there is no run lerobot-train-1a2b3c4d-9 at azureml"):
        container.fetch(nobody, place)
