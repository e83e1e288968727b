"""A training in a job of Azure ML: data and models lie where the platform mounted them, and names say where."""

import dataclasses
import shutil
from pathlib import Path

import pytest
from job_documents import read_request
from robotrain_runtime.contract.document import JobSource, Mount
from robotrain_runtime.environments import environment_check
from robotrain_runtime.preflight import run_preflight
from robotrain_workloads.lerobot_train import container

ASSET = JobSource(role="dataset", kind="data_asset", uri="azureml:pusht:3")
BLOB = JobSource(role="dataset", kind="blob_url", uri="https://a.blob.core.windows.net/box/more")
MODEL = JobSource(role="init_policy", kind="model_asset", uri="azureml:act-pusht:7")
DATASET_0 = "AZURE_ML_INPUT_dataset_asset_0"


@pytest.fixture
def job(training, monkeypatch):
    """Make the document of a job: `job({ASSET: "dataset_asset_0"})`: which source is mounted under which input.

    No interpreter is started to look for the environment, which none of these tests has.
    """
    monkeypatch.setattr(environment_check, "find_environment_problems", lambda *arguments: iter(()))
    monkeypatch.setenv("AZUREML_RUN_ID", "lerobot-train-00000000-1-abc123")

    def make(brought, *fetched, **parameters):
        mounted = tuple(
            Mount(role=source.role, uri=source.uri, folder=f"${{AZURE_ML_INPUT_{name}}}", origin=f"the input {name}")
            for source, name in brought.items()
        )
        made = training(placement={"mounts": mounted, "submission": "AZUREML_RUN_ID"}, **parameters)
        return dataclasses.replace(made, platform="azureml", sources=(*brought, *fetched))

    return make


def find_data_problems(document) -> list[str]:
    """What preflight finds, but for the environment, which is none in these tests."""
    ours = ("data-unusable", "mount-missing", "mount-empty", "source-unreachable")
    return [problem.title for problem in run_preflight(document) if problem.code in ours]


@pytest.mark.parametrize("name", [DATASET_0, DATASET_0.upper()])
def test_an_input_is_found_under_either_spelling_of_its_name(job, dataset, monkeypatch, name):
    folder = dataset(folder="in/pusht")
    monkeypatch.setenv(name, str(folder))
    document = job({ASSET: "dataset_asset_0"})
    assert find_data_problems(document) == []
    shutil.rmtree(folder / "meta")
    assert find_data_problems(document) == ["azureml:pusht:3 is not a LeRobot dataset: it has no meta/info.json"]


def test_a_warm_start_takes_the_weights_of_a_mounted_model(job, pusht, policy, tmp_path, monkeypatch):
    without = ("policy_preprocessor.json", "policy_postprocessor.json")
    folder = policy("model/000020/pretrained_model", without=without)
    monkeypatch.setenv("AZURE_ML_INPUT_init_from_policy_model", str(tmp_path / "model"))
    monkeypatch.setenv(DATASET_0, str(pusht))
    document = job({ASSET: "dataset_asset_0", MODEL: "init_from_policy_model"})
    assert find_data_problems(document) == []
    work = container.work(document, {ASSET: pusht, MODEL: folder}, Path(document.placement.work))
    assert f"--policy.path={folder}" in work.arguments
    assert read_request(work.arguments).new_processors
    tags = container.tracked(document).tags
    assert {key: value for key, value in tags.items() if key.startswith("warm_start")} == {
        "warm_start.source": "azureml:act-pusht:7",
        "warm_start.model_name": "act-pusht",
        "warm_start.model_version": "7",
    }


@pytest.mark.parametrize(
    ("sources", "source", "dataset_source"),
    [((ASSET,), "azureml-lerobot-asset", "azureml-data-asset"), ((ASSET, BLOB), "azureml-lerobot-mixed", "mixed")],
)
def test_a_model_has_tags_of_where_it_comes_from(job, sources, source, dataset_source):
    publishing = container.publishing(job({}, *sources), {})
    assert (publishing.tags["source"], publishing.tags["dataset_source"]) == (source, dataset_source)
    assert publishing.tags["azureml_run_id"] == "lerobot-train-00000000-1-abc123"
    assert publishing.description.splitlines()[-1] == "Azure ML job: lerobot-train-00000000-1-abc123"
    if ASSET in sources:
        assert (publishing.tags["dataset_assets"], publishing.tags["dataset_asset_count"]) == ("azureml:pusht:3", "1")


def test_a_model_of_another_platform_names_no_job_of_azure_ml(job):
    elsewhere = job({}, ASSET)
    placement = dataclasses.replace(elsewhere.placement, submission="OSMO_WORKFLOW_ID")
    publishing = container.publishing(dataclasses.replace(elsewhere, placement=placement, platform="osmo"), {})
    assert "azureml_run_id" not in publishing.tags
    assert publishing.tags["source"] == "osmo-lerobot-asset"
