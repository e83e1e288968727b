"""A small training as a job of Azure ML runs it: mounted data, an output, a tracking run that is the platform's."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from robotrain_runtime.contract import checkpoint, document, event
from robotrain_runtime.contract.document import JobSource, Mount
from robotrain_runtime.contract.event import Published, Registered, Tracking
from small_training import SMALL, STEPS

pytestmark = [pytest.mark.slow, pytest.mark.long]

MAKE = """
import mlflow, sys
client = mlflow.MlflowClient(sys.argv[1])
print(client.create_run(client.create_experiment("lerobot-training"), run_name="witty_name").info.run_id)
"""
SHOW = """
import json, mlflow, sys
client = mlflow.MlflowClient(sys.argv[1])
run, (model,) = client.get_run(sys.argv[2]), client.search_model_versions("name='pusher'")
print(json.dumps([run.info.run_name, run.info.status, run.data.tags, model.tags, model.run_id]))
"""


def run_program(python: Path, program: str, *arguments: str) -> str:
    return subprocess.run(
        [python, "-c", program, *arguments], capture_output=True, text=True, check=True
    ).stdout.strip()


def test_it_trains_on_what_is_mounted_keeps_its_checkpoints_and_registers_one(
    training, pusht, training_python, training_environment, tracking_database, tmp_path
):
    uri = tracking_database(tmp_path / "mlflow.db")
    theirs = run_program(training_python, MAKE, uri)
    output = tmp_path / "wd" / "checkpoints"
    output.mkdir(parents=True)
    assets = tuple(JobSource(role="dataset", kind="data_asset", uri=f"azureml:pusht:{number}") for number in (1, 2))
    placement = {
        "environment": training_environment,
        "tracking_uri": uri,
        "tracking_run": "MLFLOW_RUN_ID",
        "submission": "AZUREML_RUN_ID",
        "kept": "${AZURE_ML_OUTPUT_checkpoints}",
        "kept_as": "azureml://datastores/store/paths/azureml/${AZUREML_RUN_ID}/checkpoints",
        "mounts": tuple(
            Mount(role="dataset", uri=asset.uri, folder=f"${{AZURE_ML_INPUT_dataset_asset_{at}}}")
            for at, asset in enumerate(assets)
        ),
    }
    made = training(placement=placement, args=SMALL["act"], register_checkpoint="pusher", **STEPS)
    made = replace(made, platform="azureml", sources=assets)
    (tmp_path / "job.json").write_text(document.format_document(made))
    environ = {
        "MLFLOW_RUN_ID": theirs,
        "AZUREML_RUN_ID": "job-1",
        "AZURE_ML_OUTPUT_CHECKPOINTS": str(output),
        "AZURE_ML_INPUT_DATASET_ASSET_0": str(pusht),
        "AZURE_ML_INPUT_dataset_asset_1": str(pusht),
    }
    command = [sys.executable, "-m", "robotrain_runtime", "run", str(tmp_path / "job.json")]
    done = subprocess.run(command, env={**os.environ, **environ}, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    told = [found.event for line in done.stdout.splitlines() if (found := event.parse_event(line))]
    assert [one.run_id for one in told if isinstance(one, Tracking)] == [theirs]
    assert [(one.name, one.version) for one in told if isinstance(one, Registered)] == [("pusher", "1")]
    kept = [folder for _, folder in checkpoint.list_checkpoints(output)]
    assert kept
    assert [checkpoint.validate_checkpoint(folder) for folder in kept] == [""] * len(kept)
    addresses = {one.to for one in told if isinstance(one, Published)}
    assert {f"azureml://datastores/store/paths/azureml/job-1/checkpoints/{folder.name}" for folder in kept} <= addresses

    name, status, tags, model, run_id = json.loads(run_program(training_python, SHOW, uri, theirs))
    assert (name, status, tags["training_status"], run_id) == ("witty_name", "RUNNING", "completed", theirs)
    assert (model["source"], model["dataset_source"]) == ("azureml-lerobot-asset", "azureml-data-asset")
    assert (model["dataset_asset_count"], model["azureml_run_id"], model["mlflow_run_id"]) == ("2", "job-1", theirs)
    (beside,) = tmp_path.rglob("azureml_lineage.json")
    lineage = json.loads(beside.read_text())
    assert lineage["dataset_assets"] == ["azureml:pusht:1", "azureml:pusht:2"]
    assert (lineage["azureml_run_id"], lineage["mlflow_run_id"], len(lineage)) == ("job-1", theirs, 9)
