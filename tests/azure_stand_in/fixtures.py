"""The stand-in as fixtures: `from azure_stand_in.fixtures import azure, azure_session` in a conftest."""

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from robotrain_azure import credential

from azure_stand_in import AzureStandIn, mlflow_server, started
from azure_stand_in.tenant import Tenant, tenant
from azure_stand_in.workspace import CONTAINER, Workspace

TOOLS = ("npm", "node")


@pytest.fixture
def nobody(monkeypatch) -> None:
    """No identity of whoever runs the tests is seen."""
    for name in list(os.environ):
        if name.startswith(("AZURE_", "MSI_", "IDENTITY_", "AZUREML_", "MLFLOW_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("PATH", "")  # `az` and `azd`
    credential.clear_shared_credential()


@pytest.fixture(scope="session")
def tenant_session(tmp_path_factory) -> Iterator[Tenant]:
    """Started once."""
    with tenant(tmp_path_factory.mktemp("tenant")) as here:
        yield here


@pytest.fixture(scope="session")
def azure_session(tmp_path_factory) -> Iterator[AzureStandIn]:
    """Started once; a machine that cannot is a failure with a sentence, never a silent skip."""
    if lacking := [tool for tool in TOOLS if not shutil.which(tool)]:
        pytest.fail(f"the Azure stand-in needs {', '.join(lacking)}: install Node.js with npm", pytrace=False)
    with started(tmp_path_factory.mktemp("azure")) as stand_in:
        yield stand_in


@pytest.fixture
def azure(azure_session) -> Iterator[AzureStandIn]:
    """For one test: nothing noted, nothing refused. Blobs of earlier tests lie there still."""
    for server in (azure_session.front, azure_session.sign_in, azure_session.managed):
        server.requests.clear()
    azure_session.manager.empty()
    azure_session.proxy.refused.clear()
    yield azure_session
    azure_session.front.faults.clear()


@pytest.fixture(scope="session")
def workspace_session(azure_session, tmp_path_factory) -> Iterator[Workspace]:
    """What answers for workspaces in `westeurope`, with a real MLflow server behind it."""
    made = azure_session.certificates
    with (
        mlflow_server.running(tmp_path_factory.mktemp("mlflow")) as port,
        Workspace(made, azure_session.manager, port, azure_session.account) as answers,
    ):
        azure_session.blobs.put(CONTAINER, {})
        azure_session.proxy.hosts["westeurope.api.azureml.ms"] = answers.port
        yield answers


@pytest.fixture
def workspace(azure, workspace_session) -> Iterator[Workspace]:
    """For one test: the workspace `robots-ml` is there, nothing is refused. Runs of earlier tests are there still."""
    workspace_session.requests.clear()
    azure.manager.workspace("robots-ml")
    yield workspace_session
    workspace_session.faults.clear()


@pytest.fixture
def outputs(nobody, tmp_path, monkeypatch):
    """State here, and a `terraform` that prints outputs of these values; how often it was run."""
    folder = tmp_path / "bin"
    folder.mkdir()
    Path("infrastructure/terraform").mkdir(parents=True)
    Path("infrastructure/terraform/terraform.tfstate").write_text("{}")
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    monkeypatch.setenv("AZURE_CONFIG_DIR", str(tmp_path))

    def print_(**values: object) -> None:
        body = {name: {"sensitive": False, "value": value} for name, value in values.items()}
        (folder / "printed").write_text(json.dumps(body))
        (folder / "terraform").write_text(f"#!/bin/sh\necho run >> '{folder}/runs'\ncat '{folder}/printed'\n")
        (folder / "terraform").chmod(0o755)

    print_.runs = lambda: len((folder / "runs").read_text().split()) if (folder / "runs").exists() else 0
    return print_
