"""Tracking of a job that Azure ML runs: the platform sets the tracking address and creates the tracking run."""

import json
import urllib.request
import uuid
from collections.abc import Mapping
from pathlib import Path

import pytest
from azure_stand_in.sign_in import token
from robotrain_azure import tracking as container
from robotrain_runtime.contract import document, event
from robotrain_runtime.contract.container_plugin import PLATFORM_TRACKING_VARIABLE
from robotrain_runtime.contract.document import JobDocument
from robotrain_runtime.contract.event import Metrics, Outcome, Track, Tracking
from robotrain_runtime.environments import run_environment
from robotrain_runtime.tracking.tracker import ARTIFACT_REQUEST, Tracker
from tracked_document import HERE, tracked_job

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
    "given",
    [
        GIVEN,
        GIVEN.replace("resourceGroups", "resourcegroups"),
        f"{GIVEN}?is-remote=True",
        f"{HOST}{HERE.resource.upper()}",
    ],
    ids=["as the workspace has it", "in another case", "with a query", "in capitals"],
)
def test_the_address_that_the_platform_gave_is_used_and_nobody_is_asked(set_job_address, tenant, given):
    set_job_address(given)
    refused = list(tenant.proxy.refused)
    assert list(container.preflight_address(HERE.tracking_uri)) == []
    assert container.address(HERE.tracking_uri) == given
    assert (tenant.sign_in.requests, tenant.manager.requests, tenant.proxy.refused) == ([], [], refused)


@pytest.mark.parametrize(
    "given",
    [
        "",
        f"{GIVEN}-2",
        GIVEN.replace(HERE.group, "another"),
        GIVEN.replace("azureml:", "https:"),
        "sqlite:////tmp/mlflow.db",
    ],
)
def test_one_of_another_workspace_is_no_answer(tenant, monkeypatch, given):
    monkeypatch.setenv(PLATFORM_TRACKING_VARIABLE, given)
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


def ask_tracking(workspace, path: str, body: Mapping[str, object] | None = None):
    """MLflow's server, past what stands in front."""
    address = f"http://127.0.0.1:{workspace.mlflow}/api/2.0/mlflow/{path}"
    sent = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(address, sent, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request) as came:
        return json.load(came)


@pytest.fixture
def job_run(workspace) -> str:
    """The run that Azure ML made for the job."""
    at = ask_tracking(workspace, "experiments/create", {"name": uuid.uuid4().hex})["experiment_id"]
    made = ask_tracking(workspace, "runs/create", {"experiment_id": at, "run_name": "witty_name"})
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


class Tracked:
    """A tracking process as the engine starts it, and what it said."""

    def __init__(self, python: Path, theirs: str) -> None:
        self.said: list[event.Event] = []
        made = job(tracking_run="MLFLOW_RUN_ID")
        self.tracker = Tracker(
            python,
            made.placement.tracking_uri,
            system_metrics=False,
            environ=run_environment.make_program_environ(made),
            on_event=lambda record: self.said.append(record.event),
            resume_run=document.read_platform_tracking_run(made),
            attached=True,
        )
        self.tracker.send(
            event.make_record(Track(experiment="mine", run_name="mine", params={"a": "b"}, tags={"c": "d"}))
        )
        while not self.tracker.run_id:
            try:
                self.tracker.wait_for_run(lambda: False)
            except OSError:  # not yet, on a busy machine
                continue
        assert self.tracker.run_id == theirs

    def end(self) -> None:
        self.tracker.close(Outcome(state="succeeded", exit_code=0))


@pytest.fixture
def started(training_python, job_run):
    made: list[Tracked] = []

    def start() -> Tracked:
        made.append(Tracked(training_python, job_run))
        return made[-1]

    yield start
    for one in made:
        one.tracker.close(None)


@pytest.fixture
def checkpoint(tmp_path) -> Path:
    folder = tmp_path / "checkpoints/000020"
    (folder / "pretrained_model").mkdir(parents=True)
    (folder / "pretrained_model/config.json").write_text("{}")
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("identity", ["workload identity", "the job's own token"])
def test_the_run_of_the_job_is_written_to_and_stays_azures(
    started, azure, workspace, inside_job, job_run, checkpoint, identity
):
    own = {"MLFLOW_TRACKING_TOKEN": token("https://management.azure.com")}
    inside_job(dict(azure.workload_identity) if identity == "workload identity" else own)
    with azure.unreachable("management.azure.com"):
        tracked = started()
        tracked.tracker.send(event.make_record(Metrics(values={"train/loss": 0.5}, step=20)))
        of = {"run_id": job_run, "folder": str(checkpoint), "model": "pretrained_model", "digest": "d" * 64}
        assert tracked.tracker.send_request(ARTIFACT_REQUEST, of, lambda: False)["artifact"] == "checkpoints/000020"
        tracked.end()
    assert [one.text for one in tracked.said if isinstance(one, event.Note)] == []
    (where,) = [one for one in tracked.said if isinstance(one, Tracking)]
    assert (where.run_id, where.ui.partition("?")[0]) == (job_run, f"https://ml.azure.com/runs/{job_run}")

    run = ask_tracking(workspace, f"runs/get?run_id={job_run}")["run"]
    assert (run["info"]["run_name"], run["info"]["status"]) == ("witty_name", "RUNNING")
    tags = {one["key"]: one["value"] for one in run["data"]["tags"]}
    assert (tags["training_status"], tags["c"]) == ("completed", "d")
    assert run["data"]["params"] == [{"key": "a", "value": "b"}]
    assert [one["key"] for one in run["data"]["metrics"]] == ["train/loss"]
    assert workspace.artifacts[job_run] == ["checkpoints/000020/config.json"]
    assert not [line for line in workspace.requests if "experiments/create" in line or "runs/update" in line]
