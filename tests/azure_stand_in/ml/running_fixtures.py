"""The fixtures of what executes jobs: `from azure_stand_in.ml.running_fixtures import machine, vault` in a test."""

from collections.abc import Iterator

import pytest
from osmo_stand_in.pod.room import isolates

from azure_stand_in.certificates import Certificates
from azure_stand_in.ml.running import Machine
from azure_stand_in.vault import Vault


@pytest.fixture(scope="session")
def vault_session(azure_session) -> Iterator[Vault]:
    """Started once, beside the stand-in with storage."""
    made = Certificates(azure_session.ca, azure_session.folder / "server.pem", azure_session.folder / "server.key")
    with Vault(made) as answers:
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
    azureml_stored.runner = executes
    yield executes
    executes.stop()
