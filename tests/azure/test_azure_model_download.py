"""A model of a workspace on a machine where nobody mounts it: Azure's resource manager says where it lies, and the real
transfer brings its blobs, as the identity of this machine.
"""

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from azure_stand_in import Fault
from azure_stand_in.manager import GROUP, SUBSCRIPTION
from azure_stand_in.ml import datastores
from azure_stand_in.ml.job import Job
from robotrain_azure.models import container
from robotrain_azure.workspace import Workspace
from robotrain_runtime.contract.container_plugin import BatchFetch, ContainerContext, SurveyedSource
from robotrain_runtime.contract.document import JobSource
from robotrain_runtime.contract.problem import summarize_problem
from robotrain_sources.transfer import container as transfer_container

pytestmark = pytest.mark.slow

HERE = Workspace(SUBSCRIPTION, GROUP, "robots-ml")
FILES = {"config.json": b'{"type": "act"}', "model.safetensors": os.urandom(3 << 20), "sub/a b.txt": b"a note"}
WAYS = (
    "azureml://subscriptions/{s}/resourceGroups/{g}/workspaces/robots-ml/datastores/models/paths/policies/act/",
    "azureml://datastores/models/paths/policies/act",
    "azureml://jobs/run-1/outputs/artifacts/paths/policies/act/",
    "azureml://jobs/run-1/outputs/checkpoints/paths/act/",
    "runs:/run-1/policies/act",
    "https://{account}.blob.core.windows.net/{box}/policies/act",
)


@pytest.fixture
def blob_container(azure, request) -> str:
    """A container of this test's own, that the datastore `models` of the workspace stands for."""
    name = re.sub(r"[^a-z0-9]+", "-", request.node.name.lower())[-60:].strip("-")
    azure.blobs.put(name, {f"policies/act/{path}": content for path, content in FILES.items()})
    at = azure.manager.workspace("robots-ml")
    ml = azure.manager.there.workspaces[at.lower()]
    for store, held in (("models", name), ("workspaceartifactstore", f"{name}-a"[-63:].strip("-"))):
        ml.datastores[store] = datastores.make_properties(ml, held, "None", account=azure.account)
    values = {
        "outputs": {
            "checkpoints": {"jobOutputType": "uri_folder", "uri": "azureml://datastores/models/paths/policies/"}
        }
    }
    ml.jobs["run-1"] = Job(ml, "run-1", values)
    below = "ExperimentRun/dcid.run-1/policies/act"
    artifacts = ml.datastores["workspaceartifactstore"]["containerName"]
    azure.blobs.put(artifacts, {f"{below}/{path}": content for path, content in FILES.items()})
    return name


@pytest.fixture
def register(azure, blob_container) -> Callable[..., None]:
    """`register("act", 7, ADDRESS)`: as the workspace has it."""

    def register(name: str, version: int, uri: str) -> None:
        there = azure.manager.there.models.setdefault(f"{HERE.resource}/{name}".lower(), {})
        result = uri.format(s=SUBSCRIPTION, g=GROUP, account=azure.account, box=blob_container)
        there[str(version)] = {"modelType": "custom_model", "modelUri": result}

    return register


@pytest.fixture
def deliver(azure, blob_container, data_python, tmp_path, monkeypatch, nobody) -> Iterator[Callable[..., BatchFetch]]:
    """`deliver("azureml:act:7")`, of a run that is tracked in the workspace, with a pod's identity."""
    for name, value in azure.workload_identity.items():
        monkeypatch.setenv(name, value)
    begun: list[BatchFetch] = []

    def deliver(uri: str, tracking_uri: str = HERE.tracking_uri) -> BatchFetch:
        place = ContainerContext(
            cache=tmp_path / "cache", python=data_python, tracking_uri=tracking_uri, log_line=lambda line: None
        )
        source = JobSource(role="policy", kind="model_asset", uri=uri)
        begun.append(
            transfer_container.deliver([source], {"model_asset": container}, place, {"policy": ["config.json"]})
        )
        return begun[-1]

    yield deliver
    for fetch in begun:
        fetch.close()


def survey_model(made: BatchFetch) -> SurveyedSource:
    (source,) = made.survey()
    return source


def download_model(made: BatchFetch) -> dict[str, bytes]:
    assert survey_model(made).problems == ()
    (folder,) = made.fetch(lambda far: None).values()
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("uri", WAYS, ids=["in-full", "short", "artifact", "output", "run", "blobs"])
def test_a_model_comes_whole_whatever_its_address_looks_like(deliver, register, uri):
    register("act", 7, uri)
    assert download_model(deliver("azureml:act:7")) == FILES


def test_what_came_stays_and_what_was_cut_off_goes_on(azure, deliver, register, blob_container, monkeypatch):
    register("act", 7, WAYS[0])
    azure.front.faults.append(Fault(f"GET /{blob_container}/.*safetensors", cut=True, times=2))
    assert download_model(deliver("azureml:act:7")) == FILES
    azure.front.requests.clear()
    assert download_model(deliver(str(container.parse_model_name("azureml:act:7", HERE)), tracking_uri="")) == FILES
    assert [line for line in azure.front.requests if "comp=list" not in line] == []


@pytest.mark.parametrize(
    ("uri", "reason"),
    [
        ("azureml:act:9", r"^the Azure ML workspace robots-ml has no version 9 of act$"),
        ("azureml:atc:7", r"^the Azure ML workspace robots-ml has no version 7 of atc$"),
        ("azureml:far:1", r"model far version 1 is not stored as blobs: https://example.com/a$"),
        ("azureml:gone:1", r"model gone version 1 does not exist any more: "),
        ("azureml:bare:1", r"^the model bare version 1 has no files: there are no blobs below https://.*/nothing"),
    ],
)
def test_a_missing_model_is_reported_with_what_is_there(deliver, register, uri, reason):
    register("act", 7, WAYS[0])
    register("act", 11, WAYS[0])
    register("far", 1, "https://example.com/a?sig=S3CRET")
    register("gone", 1, "azureml://datastores/nowhere/paths/a")
    register("bare", 1, "azureml://datastores/models/paths/nothing")
    source = survey_model(deliver(uri))
    assert re.search(reason, summarize_problem(source.problems[0])), source.problems
    assert "S3CRET" not in summarize_problem(source.problems[0])


def test_a_short_model_name_without_a_workspace_is_reported_with_the_full_one(deliver):
    source = survey_model(deliver("azureml:act:7", tracking_uri="https://mlflow.example.com"))
    (way,) = source.problems[0].suggestions
    assert "no workspace tracks this run" in source.problems[0].title
    assert way.text == "azureml://subscriptions/ID/resourcegroups/GROUP/workspaces/NAME/models/act/versions/7"
    assert source.fault == "configuration"


def test_a_missing_role_for_the_workspace_or_its_blobs_is_reported(azure, deliver, register, blob_container):
    register("act", 7, WAYS[0])
    azure.front.faults.append(Fault(f"GET /{blob_container}", status=403, code="AuthorizationPermissionMismatch"))
    assert "Storage Blob Data Reader" in survey_model(deliver("azureml:act:7")).problems[0].title
    azure.manager.faults.append(Fault("GET", status=403, code="AuthorizationFailed"))
    result = survey_model(deliver("azureml:act:7"))
    assert "AzureML Data Scientist" in result.problems[0].title
    assert result.fault == "configuration"
    assert Path(result.source.uri).name == "azureml:act:7"
