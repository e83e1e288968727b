"""Names of models of a workspace, and the storage locations behind Azure ML's addresses."""

import io
import json
import subprocess
import sys
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest
from robotrain.submission import packing
from robotrain_azure.arm import parse_answer
from robotrain_azure.models import container, origin
from robotrain_azure.models.origin import DatastoreFolder, JobOutputFolder
from robotrain_azure.workspace import MODEL_CONTAINER_PLUGINS, Workspace, find_model_plugins
from robotrain_runtime.contract.container_plugin import ContainerContext
from robotrain_runtime.contract.document import JobSource

HERE = Workspace("s", "g", "w")
OTHER = Workspace("s2", "g2", "w2")
IN_OTHER = "azureml://subscriptions/s2/resource{}roups/g2/workspaces/w2/{}"
PROVIDER = "azureml://subscriptions/s2/resourcegroups/g2/providers/Microsoft.MachineLearningServices/workspaces/w2/{}"
BLOBS = {"datastoreType": "AzureBlob", "accountName": "acc", "containerName": "box", "endpoint": "core.windows.net"}


@pytest.mark.parametrize(
    ("uri", "meant"),
    [
        ("azureml:act:7", (HERE, "act", "7")),
        (IN_OTHER.format("g", "models/act/versions/7"), (OTHER, "act", "7")),
        (IN_OTHER.format("G", "models/act/versions/7"), (OTHER, "act", "7")),
        (PROVIDER.format("models/act/versions/7"), (OTHER, "act", "7")),
    ],
)
def test_a_short_name_means_the_workspace_of_the_job_and_a_full_one_its_own(uri, meant):
    model_name = container.parse_model_name(uri, HERE)
    assert (model_name.workspace, model_name.name, model_name.version) == meant
    assert container.parse_model_name(str(model_name), None) == model_name


@pytest.mark.parametrize(
    ("uri", "here", "reason", "instead"),
    [
        ("azureml:act:7", None, "no workspace", container.FULL_NAME.format(name="act", version="7")),
        ("azureml://registries/r/models/act/versions/7", HERE, "a registry", "azureml:act:7"),
        ("azureml://locations/l/workspaces/w/models/act/versions/7", HERE, "its region", "azureml:act:7"),
        (
            "azureml://registries/r/models/act/versions/7",
            None,
            "a registry",
            container.FULL_NAME.format(name="act", version="7"),
        ),
        ("models:/act/7", HERE, "not a version", ""),
    ],
)
def test_one_that_cannot_be_looked_up_says_why_and_what_to_type(uri, here, reason, instead):
    with pytest.raises(container.ModelNameError, match=reason) as raised:
        container.parse_model_name(uri, here)
    assert raised.value.suggestion == instead


@pytest.mark.parametrize(
    ("uri", "leads"),
    [
        (IN_OTHER.format("G", "datastores/store/paths/a/b/"), DatastoreFolder(OTHER, "store", "a/b")),
        (PROVIDER.format("datastores/store/paths/a"), DatastoreFolder(OTHER, "store", "a")),
        ("azureml://datastores/store/paths/a/b", DatastoreFolder(HERE, "store", "a/b")),
        (
            "azureml://jobs/run-1/outputs/artifacts/paths/policy/000400/",
            DatastoreFolder(HERE, "workspaceartifactstore", "ExperimentRun/dcid.run-1/policy/000400"),
        ),
        (
            "runs:/run-1/policy/000400",
            DatastoreFolder(HERE, "workspaceartifactstore", "ExperimentRun/dcid.run-1/policy/000400"),
        ),
        (
            "azureml://jobs/run-1/outputs/checkpoints/paths/000400/",
            JobOutputFolder(HERE, "run-1", "checkpoints", "000400"),
        ),
        ("azureml://jobs/run-1/outputs/checkpoints", JobOutputFolder(HERE, "run-1", "checkpoints", "")),
        ("https://acc.blob.core.windows.net/box/a/", "https://acc.blob.core.windows.net/box/a"),
        ("https://acc.blob.core.windows.net/box/a?sig=x", None),
        ("https://example.com/a", None),
        ("wasbs://box@acc.blob.core.windows.net/aox", None),
        ("", None),
    ],
)
def test_each_address_that_azure_ml_writes_leads_somewhere(uri, leads):
    assert origin.parse_location(uri, HERE) == leads


@pytest.mark.parametrize(
    ("said", "folder"),
    [
        ("", DatastoreFolder(HERE, "workspaceblobstore", "azureml/run-1/checkpoints/000400")),
        (
            "azureml://datastores/d/paths/runs/${{name}}/${{output_name}}/",
            DatastoreFolder(HERE, "d", "runs/run-1/checkpoints/000400"),
        ),
        (IN_OTHER.format("g", "datastores/d/paths/x"), DatastoreFolder(OTHER, "d", "x/000400")),
    ],
)
def test_an_output_lies_where_the_job_says_or_at_azure_mls_default(said, folder):
    assert origin.resolve_output_folder(JobOutputFolder(HERE, "run-1", "checkpoints", "000400"), said) == folder


@pytest.mark.parametrize(
    ("changed", "url"),
    [
        ({}, "https://acc.blob.core.windows.net/box/a/b"),
        (
            {"datastoreType": "AzureDataLakeGen2", "containerName": None, "filesystem": "lake"},
            "https://acc.blob.core.windows.net/lake/a/b",
        ),
        ({"datastoreType": "AzureFile"}, ""),
        ({"endpoint": "core.chinacloudapi.cn"}, ""),
        ({"accountName": None}, ""),
    ],
)
def test_a_datastore_has_an_address_where_it_holds_blobs_of_the_public_cloud(changed, url):
    arm = SimpleNamespace(get_properties=lambda path: parse_answer(json.dumps({**BLOBS, **changed})))
    assert origin.find_blob_url(arm, DatastoreFolder(HERE, "d", "a/b")) == url


def test_what_travels_with_a_job_is_all_that_the_container_needs(tmp_path):
    """As in the container: the payload alone, and no site-packages."""
    with zipfile.ZipFile(io.BytesIO(packing.pack_modules(MODEL_CONTAINER_PLUGINS.values()).archive)) as packed:
        packed.extractall(tmp_path)
    modules = (
        *MODEL_CONTAINER_PLUGINS.values(),
        container.ORIGIN,
        container.CARRIER,
        origin.ORIGIN,
        "robotrain_sources.transfer.container",
    )
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import {', '.join(modules)}"
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_model_plugin_travels_only_with_a_job_that_has_such_a_model():
    model = JobSource(role="policy", kind="model_asset", uri="azureml:act:7")
    other = JobSource(role="policy", kind="huggingface", uri="u/p")
    assert (find_model_plugins([other, model]), find_model_plugins([other])) == (MODEL_CONTAINER_PLUGINS, {})


def test_models_of_a_registry_are_those_of_the_workspace_that_tracks_the_run():
    walker = JobSource(role="checkpoint", kind="registered_model", uri="models:/walker/latest", pin="3")
    fixed = JobSource(role="checkpoint", kind="registered_model", uri="models:/walker/2")
    (plugin,) = MODEL_CONTAINER_PLUGINS.values()
    assert find_model_plugins([walker], HERE.tracking_uri) == {"source.registered_model": plugin}
    assert find_model_plugins([walker, fixed], "https://mlflow.example") == {}
    place = ContainerContext(cache=Path("/c"), tracking_uri=HERE.tracking_uri)
    full = f"azureml://subscriptions/{HERE.subscription}/resourcegroups/{HERE.group}/workspaces/{HERE.name}"
    assert container.get_request_uri(walker, place) == f"{full}/models/walker/versions/3"
    assert container.get_request_uri(fixed, place) == f"{full}/models/walker/versions/2"
