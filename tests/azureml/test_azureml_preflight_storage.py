"""What is said of storage and data before a job is sent: whether they are there, and let you and the job in."""

import pytest
from azure_stand_in.sign_in import OBJECT
from azureml_plans import source
from azureml_workspace_plans import (
    make_submission_spec,
    prepare_workspace,
)
from robotrain.errors import format_problem
from robotrain_azure.arm import ArmClient
from robotrain_azureml.preflight import assets
from robotrain_azureml.preflight.context import PreflightContext
from robotrain_azureml.service import datastore


@pytest.fixture
def ready_workspace(azureml):
    """The workspace with everything that the job needs."""
    return prepare_workspace(azureml)


def check_storage(azureml, *sources, **settings):
    """What is said of the storage of a plan."""
    return list(
        assets.check_storage(PreflightContext(ArmClient(), make_submission_spec(azureml, *sources, **settings)))
    )


def test_for_a_datastore_that_is_not_there_the_command_that_lists_the_others_is_suggested(ready_workspace):
    [problem] = check_storage(ready_workspace, datastore="workspaceblobstor")
    assert (problem.code, problem.where) == ("resource-unknown", "--datastore")
    assert problem.suggestions[0].text.startswith("az ml datastore list ")


@pytest.mark.slow
def test_a_datastore_that_holds_no_blobs_is_reported(ready_workspace):
    ready_workspace.datastore("files", "files", kind="AzureFile")
    [problem] = check_storage(ready_workspace, datastore="files")
    assert (problem.code, problem.severity) == ("resource-unsuitable", "error")
    assert "AzureFile" in problem.title


def test_what_folders_are_uploaded_to_is_tried_as_who_submits(ready_workspace, tmp_path):
    folder = source("local_path", str(tmp_path), pin=f"folder:{'ab' * 32}:{'cd' * 16}:12:3456")
    assert check_storage(ready_workspace, folder) == []
    ready_workspace.fault("comp=list", where="blobs", status=403, code="AuthorizationPermissionMismatch")
    [problem] = check_storage(ready_workspace, folder)
    assert (problem.code, problem.severity, problem.where) == ("platform-forbidden", "error", "--dataset-path")
    assert f'--assignee {OBJECT} --role "Storage Blob Data Contributor"' in format_problem(problem)
    assert check_storage(ready_workspace) == []  # nothing is uploaded


@pytest.mark.slow
def test_the_secret_of_what_folders_are_uploaded_to_is_read_as_who_submits(ready_workspace, tmp_path):
    ready_workspace.datastore("keyed", ready_workspace.container, credentials="Sas")
    folder = source("local_path", str(tmp_path), pin=f"folder:{'ab' * 32}:{'cd' * 16}:12:3456")
    assert check_storage(ready_workspace, folder, datastore="keyed") == []
    ready_workspace.fault("POST .*/listSecrets", status=403, code="AuthorizationFailed")
    [problem] = check_storage(ready_workspace, folder, datastore="keyed")
    assert (problem.code, problem.severity) == ("platform-forbidden", "error")
    assert '--role "AzureML Data Scientist"' in format_problem(problem)


def test_accounts_are_those_of_blobs_and_of_what_is_written():
    assert datastore.get_account_name("https://one.blob.core.windows.net/box/p") == "one"
    assert datastore.get_account_name("https://two.dfs.core.windows.net/box") == "two"
    assert datastore.get_account_name("lerobot/pusht") == ""
    for host in ("Acct", "acct-secondary", "acct.z12"):
        assert datastore.get_account_name(f"https://{host}.blob.core.windows.net/box/p") == "acct"
