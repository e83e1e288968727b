"""The look into data assets before a submit: a folder that is no dataset is told before a GPU is paid for."""

import pytest
from azure_stand_in.manager import READER
from azure_stand_in.ml.azureml import PRINCIPAL
from azureml_plans import assets, model, source
from azureml_workspace_plans import HUB, add_dataset, list_codes, make_plan, prepare_workspace, run_preflight
from robotrain.errors import format_problem


@pytest.fixture
def workspace(azureml):
    """A workspace with storage, and a folder with a dataset in it beside one without."""
    ml = prepare_workspace(azureml)
    ml.store.put(ml.container, {"sets/none/readme.txt": b"nothing here"})
    ml.data("good", 3, add_dataset(ml, "sets/mini"))
    ml.data("none", 1, "sets/none")
    return ml


def test_a_data_asset_that_is_no_dataset_is_told_before_anything_is_sent(workspace):
    assert run_preflight(make_plan(workspace, *assets("azureml:good:3"))) == []
    [problem] = run_preflight(make_plan(workspace, *assets("azureml:good:3", "azureml:none:1")))
    assert (problem.code, problem.severity, problem.where) == ("source-undescribed", "error", "--dataset-asset")
    assert problem.given == "azureml:none:1"
    assert "it has no meta/info.json" in problem.title
    assert workspace.jobs == {}


def test_one_that_is_a_blob_address_is_looked_at_as_well(workspace):
    at = f"https://{workspace.account}.blob.core.windows.net/{workspace.container}/sets"
    workspace.data("far", 1, f"{at}/mini/")
    workspace.data("away", 1, f"{at}/none/")
    assert list_codes(run_preflight(make_plan(workspace, *assets("azureml:far:1")))) == []
    assert list_codes(run_preflight(make_plan(workspace, *assets("azureml:away:1")))) == [
        ("source-undescribed", "error")
    ]


def test_one_that_cannot_be_seen_from_here_stops_nobody(workspace):
    workspace.data("hidden", 1, "https://elsewhere.blob.core.windows.net/c/hidden")
    workspace.data("odd", 1, "wasbs://c@elsewhere.blob.core.windows.net/odd")
    [problem] = run_preflight(make_plan(workspace, *assets("azureml:hidden:1", "azureml:odd:1")))
    assert (problem.code, problem.severity) == ("azure-unchecked", "warning")  # as that of a --blob-url is told
    assert "elsewhere" in problem.title


def test_the_job_s_identity_needs_a_role_on_the_accounts_that_its_assets_lie_in(workspace):
    account = workspace.manager.account("elsewhere")
    workspace.data("far", 1, "https://elsewhere.blob.core.windows.net/c/far")
    workspace.model("act", 1, "https://elsewhere.blob.core.windows.net/c/act")
    workspace.model("near", 1, "act")
    workspace.datastore("other", "c", account="elsewhere")
    folder = source("datastore_path", "azureml://datastores/other/paths/run/000400", role="resume")
    for sources in (assets("azureml:far:1"), (HUB, model("azureml:act:1")), (HUB, folder)):
        [problem] = run_preflight(make_plan(workspace, *sources))
        assert (problem.code, problem.severity) == ("azure-role-missing", "warning")
        assert f'--assignee {PRINCIPAL} --role "Storage Blob Data Reader" --scope "{account}"' in format_problem(
            problem
        )
    assert run_preflight(make_plan(workspace, HUB, model("azureml:near:1"))) == []
    workspace.manager.assign(PRINCIPAL, READER, account)
    assert run_preflight(make_plan(workspace, *assets("azureml:far:1"))) == []
