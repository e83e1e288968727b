"""`robotrain doctor` on Azure ML: the libraries, the sign-in, the settings, the workspace."""

import importlib.util
import json
from pathlib import Path

import pytest
from azureml_workspace_plans import prepare_workspace
from robotrain.model.health import find_results
from robotrain_azureml.preflight import setup

GUID = "00000000-0000-0000-0000-000000000001"


def find_check_states(name: str) -> list[tuple[str, str]]:
    """The findings of a check, with their states."""
    (check,) = [check for check in setup.list_checks() if check.name == name]
    return [(finding.state, finding.text) for finding in find_results(check.run)]


@pytest.fixture
def workspace(azureml, name_workspace):
    """A workspace that is well, and named in the environment."""
    name_workspace(azureml, "k8s-robot-dev-00")
    return prepare_workspace(azureml)


def test_libraries_that_are_not_installed_are_named(monkeypatch):
    assert find_check_states("azureml libraries") == [("ok", "azure-ai-ml, azure-identity, azure-storage-blob")]
    find = importlib.util.find_spec

    def without(name: str, package: str | None = None):
        return None if name == "azure.ai.ml" else find(name, package)

    monkeypatch.setattr(importlib.util, "find_spec", without)
    assert find_check_states("azureml libraries") == [("fail", "not installed: azure-ai-ml")]


def test_doctor_names_the_identity_from_files_and_the_environment(nobody, tmp_path, monkeypatch):
    monkeypatch.setenv("AZURE_CONFIG_DIR", str(tmp_path))
    ((state, text),) = find_check_states("azure sign-in")
    assert (state, "not signed in" in text) == ("warn", True)
    profile = {"subscriptions": [{"id": "SUB", "isDefault": True, "state": "Enabled"}]}
    (tmp_path / "azureProfile.json").write_text(json.dumps(profile))
    assert find_check_states("azure sign-in") == [
        ("ok", f"az account ({tmp_path}/azureProfile.json), subscription SUB")
    ]
    monkeypatch.setenv("AZURE_CLIENT_ID", "c1")
    monkeypatch.setenv("AZURE_CLIENT_SECRET", "s3cret")
    assert find_check_states("azure sign-in") == [("ok", "as AZURE_CLIENT_ID, by AZURE_CLIENT_SECRET")]


def test_missing_settings_are_a_warning_with_the_way(nobody):
    assert find_check_states("azureml settings") == [
        ("warn", "not set: subscription id, resource group, workspace name, compute")
    ]


def test_settings_are_reported_as_a_submit_would_have_them(nobody, monkeypatch):
    for name in ("AZURE_RESOURCE_GROUP", "AZUREML_WORKSPACE_NAME"):
        monkeypatch.setenv(name, name.lower())
    monkeypatch.setenv("AZURE_SUBSCRIPTION_ID", GUID)
    Path("robotrain.toml").write_text('[platforms.azureml]\ncompute = "k8s-mine"\n')
    assert find_check_states("azureml settings") == [
        ("ok", "azureml_workspace_name in azure_resource_group, compute k8s-mine"),
    ]


def test_names_that_a_submit_refuses_count_as_not_set(nobody, monkeypatch):
    for name, value in (
        ("AZURE_SUBSCRIPTION_ID", GUID),
        ("AZURE_RESOURCE_GROUP", "g"),
        ("AZUREML_WORKSPACE_NAME", "w"),
    ):
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AZUREML_COMPUTE", "x y")
    assert find_check_states("azureml settings") == [("warn", "not set: workspace name, compute")]


def test_without_a_workspace_no_request_is_sent(nobody):
    assert find_check_states("azureml workspace") == [
        ("warn", "not set: subscription id, resource group, workspace name; Azure was not asked")
    ]


def test_settings_that_terraform_outputs_are_not_missing(nobody):
    Path("infrastructure/terraform/.terraform").mkdir(parents=True)
    ((state, text),) = find_check_states("azureml settings")
    assert (state, "infrastructure/terraform" in text) == ("ok", True)


def test_the_part_of_a_workspace_that_is_missing_is_named_with_what_doctor_reads(outputs):
    outputs(resource_group={"name": "robots"}, azureml_workspace={"name": "robots-ml"})
    (check,) = [check for check in setup.list_checks() if check.name == "azureml workspace"]
    (finding,) = find_results(check.run)
    assert finding.text == "not set: subscription id; Azure was not asked"
    ways = [way.text for way in finding.suggestions]
    assert ways == ["AZURE_SUBSCRIPTION_ID=ID", "az login"], "not the options of a submit"


def test_a_workspace_that_is_well_says_so(workspace):
    assert find_check_states("azureml workspace") == [
        ("ok", "robots-ml in westeurope"),
        ("ok", "it has the datastore workspaceblobstore and the compute k8s-robot-dev-00"),
    ]


def test_doctor_reports_all_problems_of_a_submit_at_once(workspace, monkeypatch):
    workspace.fault("/datastores/", status=403, code="AuthorizationFailed")
    monkeypatch.setenv("AZUREML_COMPUTE", "k8s-robot")
    _, compute, storage = find_check_states("azureml workspace")
    assert compute == ("fail", "the workspace has no compute k8s-robot (--compute k8s-robot)")
    assert (storage[0], "cannot check the datastore" in storage[1]) == ("warn", True)


def test_signed_out_user_is_reported_once(workspace, monkeypatch):
    monkeypatch.delenv("AZURE_CLIENT_SECRET")
    ((state, text),) = find_check_states("azureml workspace")
    assert (state, "not signed in" in text) == ("fail", True)


def test_missing_settings_stop_a_submit(nobody, robotrain, tmp_path, monkeypatch):
    monkeypatch.setenv("AZURE_CONFIG_DIR", str(tmp_path))
    answer = robotrain("doctor", "--platform", "azureml", "--json")
    assert answer.exit_code == 4
    states = {check["name"]: {finding["state"] for finding in check["findings"]} for check in answer.json["checks"]}
    assert (states["azure sign-in"], states["azureml settings"]) == ({"warn"}, {"fail"})
