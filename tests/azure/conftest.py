"""Azure as far as the resource manager goes, in a moment; with storage and a workspace for what is slow."""

import pytest
from azure_stand_in.fixtures import azure, azure_session, nobody, outputs, tenant_session, workspace, workspace_session
from azure_stand_in.tenant import Tenant
from robotrain_runtime.contract.document import JobDocument
from tracked_document import start_tracking, tracked_job

__all__ = ["azure", "azure_session", "nobody", "outputs", "start_tracking"]
__all__ += ["tenant_session", "workspace", "workspace_session"]


@pytest.fixture
def tenant(tenant_session, monkeypatch, nobody) -> Tenant:
    """This process is signed in there, as a client with a secret; nothing is there yet."""
    tenant_session.manager.empty()
    tenant_session.sign_in.requests.clear()
    tenant_session.proxy.refused.clear()
    for name, value in tenant_session.environ.items():
        monkeypatch.setenv(name, value)
    return tenant_session


@pytest.fixture
def job(tmp_path, azure, workspace, nobody, monkeypatch) -> JobDocument:
    """One that is tracked in the workspace; this process is signed in as the job will be."""
    for name, value in {**azure.workload_identity, "MLFLOW_HTTP_REQUEST_TIMEOUT": "60"}.items():
        monkeypatch.setenv(name, value)
    return tracked_job(work=str(tmp_path), cache=str(tmp_path / "cache"))
