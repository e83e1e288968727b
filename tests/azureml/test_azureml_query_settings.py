"""Settings that only the workspace knows: queried when a job is pinned, never in place of given values."""

import dataclasses

import pytest
from azure_stand_in.sign_in import OBJECT
from azure_stand_in.tenant import CLIENT
from azureml_plans import find_rejection, settings
from azureml_workspace_plans import COMPUTE
from robotrain.model.platform import PlatformDefault
from robotrain_azureml.preflight import compute
from robotrain_azureml.settings import AzureMLSettings


@pytest.fixture
def named_workspace(azureml) -> AzureMLSettings:
    """Settings that name the workspace, and say no more."""
    return settings(**azureml.settings)


def query_settings(base: AzureMLSettings, **more: object) -> dict[str, str]:
    defaults = compute.fetch_compute_settings(None, dataclasses.replace(base, **more))
    assert all(isinstance(default, PlatformDefault) and default.why for default in defaults.values())
    return {name: default.value for name, default in defaults.items()}


def query_rejected(base: AzureMLSettings, **more: object):
    problem = find_rejection(lambda: query_settings(base, **more))
    assert problem.severity == "warning"
    return problem


def test_the_kind_and_first_identity_of_a_kubernetes_compute_are_read_in_one_request(azureml, named_workspace):
    azureml.kubernetes(COMPUTE, identities=(("first", CLIENT, "d1"), ("second", "c2", "d2")))
    azureml.calls.clear()
    assert query_settings(named_workspace) == {"compute_kind": "kubernetes", "workload_identity": CLIENT}
    assert len(azureml.calls) == 1


def test_explicit_settings_are_not_queried(azureml, named_workspace):
    azureml.kubernetes(COMPUTE)
    assert query_settings(named_workspace, compute_kind="managed") == {"workload_identity": CLIENT}
    assert query_settings(named_workspace, workload_identity="c9") == {"compute_kind": "kubernetes"}
    azureml.calls.clear()
    assert query_settings(named_workspace, compute_kind="managed", workload_identity="c9") == {}
    assert azureml.calls == []


@pytest.mark.parametrize("missing", [{"workspace_name": None}, {"compute": None, "aks_cluster": None}])
def test_nothing_is_queried_without_a_compute(named_workspace, missing):
    assert query_settings(named_workspace, **missing) == {}


def test_a_missing_compute_is_reported_as_in_the_preflight(azureml, named_workspace):
    problem = query_rejected(named_workspace)
    assert (problem.code, problem.title) == ("resource-unknown", f"the workspace has no compute {COMPUTE}")
    assert query_rejected(named_workspace, workspace_name="typo").code == "resource-unknown"


def test_computes_that_may_not_be_read_are_reported(azureml, named_workspace):
    azureml.kubernetes(COMPUTE)
    azureml.deny("GET /computes")
    problem = query_rejected(named_workspace)
    assert (problem.code, problem.title) == ("not-checked-here", f"cannot check the compute {COMPUTE}")
    assert problem.suggestions[0].text.startswith(f"az role assignment create --assignee {OBJECT} ")
    azureml.fault("GET .*/workspaces/robots-ml\\?", status=403, code="AuthorizationFailed")
    assert query_rejected(named_workspace).code == "platform-forbidden"  # of the workspace, as the preflight says
