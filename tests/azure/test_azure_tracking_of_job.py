"""Tracking of a job that Azure ML runs: the platform sets the tracking address and creates the tracking run."""

import uuid
from collections.abc import Mapping
from pathlib import Path

import pytest
from azure_stand_in.sign_in import token
from robotrain_azure import tracking as container
from robotrain_runtime.contract import document
from robotrain_runtime.contract.container_plugin import PLATFORM_TRACKING_VARIABLE
from robotrain_runtime.contract.document import JobDocument
from robotrain_runtime.contract.event import Metrics, Track
from robotrain_runtime.environments import run_environment
from robotrain_runtime.tracking.tracker import ARTIFACT_REQUEST
from tracked_document import HERE, ask_mlflow, tracked_job

HOST = "azureml://westeurope.api.azureml.ms"
GIVEN = f"{HOST}/mlflow/v1.0{HERE.resource}"
TAGS = {"checkpoint": "000020", "robotrain_run": "pretend-1", "checkpoint_sha256": "d" * 64}


def job(**placement: str) -> JobDocument:
    return tracked_job(platform="azureml", **placement)


@pytest.fixture
def set_job_address(tenant, monkeypatch):
    """This process is a program of a job that was given an address; nobody is signed in, and ARM cannot be reached."""

    def give(address: str) -> None:
        monkeypatch.setenv(PLATFORM_TRACKING_VARIABLE, address)

    with tenant.unreachable("management.azure.com"):
        yield give


@pytest.mark.parametrize(
    "address",
    [
        GIVEN,
        GIVEN.replace("resourceGroups", "resourcegroups"),
        f"{GIVEN}?is-remote=True",
        f"{HOST}{HERE.resource.upper()}",
    ],
    ids=["as the workspace has it", "in another case", "with a query", "in capitals"],
)
def test_the_tracking_address_of_the_platform_is_used_without_a_request(set_job_address, tenant, address):
    set_job_address(address)
    refused = list(tenant.proxy.refused)
    assert list(container.preflight_address(HERE.tracking_uri)) == []
    assert container.address(HERE.tracking_uri) == address
    assert (tenant.sign_in.requests, tenant.manager.requests, tenant.proxy.refused) == ([], [], refused)


@pytest.mark.parametrize(
    "address",
    [
        "",
        f"{GIVEN}-2",
        GIVEN.replace(HERE.group, "another"),
        GIVEN.replace("azureml:", "https:"),
        "sqlite:////tmp/mlflow.db",
    ],
)
def test_one_of_another_workspace_is_no_answer(tenant, monkeypatch, address):
    monkeypatch.setenv(PLATFORM_TRACKING_VARIABLE, address)
    tenant.manager.workspace("robots-ml")
    assert container.address(HERE.tracking_uri).startswith(HOST)
    assert len(tenant.manager.requests) == 1


def test_programs_find_it_beside_the_address_of_the_document(monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", GIVEN)
    assert run_environment.make_program_environ(job())[PLATFORM_TRACKING_VARIABLE] == GIVEN
    assert document.read_platform_tracking_run(job(tracking_run="MLFLOW_RUN_ID")) == ""
    monkeypatch.setenv("MLFLOW_RUN_ID", "job-1")
    assert document.read_platform_tracking_run(job(tracking_run="MLFLOW_RUN_ID")) == "job-1"
    assert document.read_platform_tracking_run(job()) == ""


@pytest.fixture
def job_run(workspace) -> str:
    """The run that Azure ML made for the job."""
    at = ask_mlflow(workspace, "experiments/create", {"name": uuid.uuid4().hex})["experiment_id"]
    made = ask_mlflow(workspace, "runs/create", {"experiment_id": at, "run_name": "witty_name"})
    return str(made["run"]["info"]["run_id"])


@pytest.fixture
def inside_job(azure, workspace, nobody, monkeypatch, job_run):
    """The environment of a job: `own` is its identity, empty for none but the token that Azure ML gives to a job."""

    def give(own: Mapping[str, str]) -> None:
        platform = {
            "MLFLOW_TRACKING_URI": GIVEN,
            "MLFLOW_RUN_ID": job_run,
            "MLFLOW_EXPERIMENT_NAME": "lerobot-training",
            "AZUREML_RUN_ID": job_run,
            "MLFLOW_HTTP_REQUEST_TIMEOUT": "60",
        }
        for name, value in {**platform, **azure.way, **own}.items():
            monkeypatch.setenv(name, value)

    return give


@pytest.fixture
def checkpoint(tmp_path) -> Path:
    folder = tmp_path / "checkpoints/000020"
    (folder / "pretrained_model").mkdir(parents=True)
    (folder / "pretrained_model/config.json").write_text("{}")
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("identity", ["workload identity", "the job's own token"])
def test_the_run_of_the_job_is_written_to_and_stays_azures(
    start_tracking, azure, workspace, inside_job, job_run, checkpoint, identity
):
    own = {"MLFLOW_TRACKING_TOKEN": token("https://management.azure.com")}
    inside_job(dict(azure.workload_identity) if identity == "workload identity" else own)
    with azure.unreachable("management.azure.com"):
        made = job(tracking_run="MLFLOW_RUN_ID")
        track = Track(experiment="mine", run_name="mine", params={"a": "b"}, tags={"c": "d"})
        resume_run = document.read_platform_tracking_run(made)
        tracked = start_tracking(made, track, resume_run=resume_run, attached=True)
        where = tracked.wait_for_run()
        tracked.send(Metrics(values={"train/loss": 0.5}, step=20))
        values = {"run_id": job_run, "folder": str(checkpoint), "model": "pretrained_model", "digest": "d" * 64}
        assert tracked.ask(ARTIFACT_REQUEST, **values)["artifact"] == "checkpoints/000020"
        assert tracked.end() == []
    assert (where.run_id, where.ui.partition("?")[0]) == (job_run, f"https://ml.azure.com/runs/{job_run}")

    run = ask_mlflow(workspace, f"runs/get?run_id={job_run}")["run"]
    assert (run["info"]["run_name"], run["info"]["status"]) == ("witty_name", "RUNNING")
    tags = {tag["key"]: tag["value"] for tag in run["data"]["tags"]}
    assert (tags["training_status"], tags["c"]) == ("completed", "d")
    assert run["data"]["params"] == [{"key": "a", "value": "b"}]
    assert [metric["key"] for metric in run["data"]["metrics"]] == ["train/loss"]
    assert workspace.artifacts[job_run] == ["checkpoints/000020/config.json"]
    assert not [line for line in workspace.requests if "experiments/create" in line or "runs/update" in line]
