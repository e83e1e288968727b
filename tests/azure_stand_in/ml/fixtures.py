"""The workspace as fixtures: `from azure_stand_in.ml.fixtures import azureml, …` in a conftest."""

from collections.abc import Iterator

import pytest
from osmo_stand_in.pod.room import isolates

from azure_stand_in.fixtures import nobody
from azure_stand_in.ml.azureml import AzureML
from azure_stand_in.ml.contents import HOST
from azure_stand_in.ml.job_execution import Machine
from azure_stand_in.ml.memory import Memory
from azure_stand_in.vault import Vault
from azure_stand_in.workspace import Workspace

__all__ = ["azureml", "azureml_session", "azureml_stored", "nobody"]

ACCOUNT = "rtmemory"


@pytest.fixture(scope="session")
def azureml_session(tenant_session) -> Iterator[AzureML]:
    """Started once, in a moment: its blobs are in this process, and nothing tracks its runs."""
    made = tenant_session.certificates
    with Memory(made, ACCOUNT) as blobs, Workspace(made, tenant_session.manager, 0, ACCOUNT) as history:
        tenant_session.proxy.hosts |= {f"{ACCOUNT}.blob.core.windows.net": blobs.port, HOST: history.port}
        yield AzureML(tenant_session, blobs, {"arm": tenant_session.manager, "history": history, "blobs": blobs})


@pytest.fixture
def azureml(azureml_session, monkeypatch, nobody) -> Iterator[AzureML]:
    """For one test: this process is signed in; the workspace `robots-ml` is there, with its own datastores alone."""
    azureml_session.servers["blobs"].empty()
    yield from _begun(azureml_session, monkeypatch)


@pytest.fixture
def azureml_stored(azure, workspace_session, monkeypatch, nobody) -> Iterator[AzureML]:
    """The same with blobs in Azurite, and a real MLflow server. Blobs and runs of earlier tests are there still."""
    servers = {"arm": azure.manager, "history": workspace_session, "blobs": azure.front}
    yield from _begun(AzureML(azure, azure.blobs, servers, workspace_session.runs), monkeypatch)


def _begun(whole: AzureML, monkeypatch: pytest.MonkeyPatch) -> Iterator[AzureML]:
    whole.begin()
    for setting in ("submit.sdk.LONGEST_PAUSE", "service.datastore.RETRY_PAUSE"):  # it hardly waits in between
        monkeypatch.setattr(f"robotrain_azureml.{setting}", 0.05)
    # its import would go on in a thread while the next test makes errors of warnings
    monkeypatch.setattr("robotrain_azureml.submit.sdk.start_import", lambda: None)
    for name, value in whole.environ.items():
        monkeypatch.setenv(name, value)
    yield whole
    for job in [*whole.ml.jobs.values()]:
        job.cancelled.set()
    whole.here.runner = None
    for server in whole.servers.values():
        server.faults.clear()


@pytest.fixture(scope="session")
def vault_session(azure_session) -> Iterator[Vault]:
    """Started once, beside the stand-in with storage."""
    with Vault(azure_session.certificates) as answers:
        azure_session.proxy.hosts[answers.host] = answers.port
        yield answers


@pytest.fixture
def vault(vault_session) -> Vault:
    """For one test: `robots`, empty, that everybody may read."""
    vault_session.empty()
    return vault_session


@pytest.fixture(scope="session")
def enclosed() -> bool:
    """Whether containers have paths of their own: asked while this process still has its PATH."""
    return isolates()


@pytest.fixture
def machine(enclosed, azureml_stored, data_python, training_python, tmp_path) -> Iterator[Machine]:
    """The compute of every job of the workspace, and the environments as its image bakes them."""
    image = {"ROBOTRAIN_BAKED": str(data_python.parents[3]), "OMP_NUM_THREADS": "1"}
    executes = Machine(azureml_stored, tmp_path / "compute", image)
    azureml_stored.here.runner = executes
    yield executes
    executes.stop()
