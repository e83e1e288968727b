"""What is said of storage and data before a job is sent: whether they are there, and let you and the job in."""

import pytest
from azure_stand_in.manager import CONTRIBUTOR, READER
from azure_stand_in.ml.azureml import PRINCIPAL
from azure_stand_in.sign_in import OBJECT
from azureml_plans import assets, blobs, model, read_document, source
from azureml_workspace_plans import (
    COMPUTE,
    HUB,
    add_dataset,
    list_codes,
    make_plan,
    make_submission_spec,
    prepare_workspace,
    run_preflight,
)
from robotrain.errors import format_problem
from robotrain_azure.arm import ArmClient
from robotrain_azureml.preflight import access
from robotrain_azureml.preflight.context import PreflightContext
from robotrain_azureml.service import datastore


@pytest.fixture
def ready_workspace(azureml):
    """The workspace with everything that the job needs."""
    return prepare_workspace(azureml)


def check_storage(azureml, *sources, parameters=None, **settings):
    """What is said of the storage of a plan."""
    wanted, arm = make_plan(azureml, *sources, parameters=parameters, **settings), ArmClient()
    made = make_submission_spec(azureml, *sources, parameters=parameters, **settings)
    return list(access.check_storage(PreflightContext(arm, made, arm.get(azureml.at)), read_document(wanted)))


def get_account(azureml, name: str = "") -> dict:
    """The properties of a storage account."""
    account = azureml.manager.account(name or azureml.account)
    return azureml.manager.there.resources[account.lower()]["properties"]


def test_a_datastore_that_is_not_there_is_offered_those_that_are(ready_workspace):
    ready_workspace.datastore("more", "more")
    [problem] = check_storage(ready_workspace, datastore="workspaceblobstor")
    assert (problem.code, problem.where) == ("resource-unknown", "--datastore")
    assert problem.suggestions[0].text == "--datastore workspaceblobstore"
    assert "more" in problem.suggestions[0].remark


@pytest.mark.slow
def test_a_datastore_that_holds_no_blobs_is_reported(ready_workspace):
    ready_workspace.datastore("files", "files", kind="AzureFile")
    [problem] = check_storage(ready_workspace, datastore="files")
    assert (problem.code, problem.severity) == ("resource-unsuitable", "error")
    assert "AzureFile" in problem.title


def test_an_account_without_keys_is_reported_where_the_workspace_signs_in_with_one(ready_workspace):
    get_account(ready_workspace)["allowSharedKeyAccess"] = False
    [problem] = check_storage(ready_workspace)
    assert (problem.code, problem.severity) == ("azureml-keys-refused", "error")
    assert "--system-datastores-auth-mode identity" in format_problem(problem)
    for who in (OBJECT, PRINCIPAL):  # who submits, and the job
        assert f'--assignee {who} --role "Storage Blob Data Contributor"' in format_problem(problem)
    ready_workspace.auth_mode("identity")
    assert check_storage(ready_workspace) == []


def test_account_keys_are_checked_without_the_right_to_see_identities(ready_workspace):
    get_account(ready_workspace)["allowSharedKeyAccess"] = False
    ready_workspace.fault("userAssignedIdentities", status=403, code="AuthorizationFailed")
    assert ("azureml-keys-refused", "error") in list_codes(check_storage(ready_workspace))


def test_signatures_of_an_identity_need_no_key_and_a_mode_of_tomorrow_is_a_note(ready_workspace):
    get_account(ready_workspace)["allowSharedKeyAccess"] = False
    workspace = ready_workspace.manager.there.resources[ready_workspace.at.lower()]["properties"]
    workspace["systemDatastoresAuthMode"] = "UserDelegationSAS"
    assert check_storage(ready_workspace) == []
    workspace["systemDatastoresAuthMode"] = "QuantumKeys"
    [problem] = check_storage(ready_workspace)
    assert (problem.code, problem.severity, "QuantumKeys" in problem.title) == ("not-checked-here", "note", True)


def test_how_the_workspace_signs_in_to_its_own_account_is_no_news_of_another_one(ready_workspace):
    get_account(ready_workspace, "other1")["allowSharedKeyAccess"] = False
    ready_workspace.datastore("other", "c", account="other1")
    ready_workspace.manager.there.resources[ready_workspace.at.lower()]["properties"]["systemDatastoresAuthMode"] = (
        "QuantumKeys"
    )
    assert "not-checked-here" not in [code for code, _ in list_codes(check_storage(ready_workspace, datastore="other"))]


@pytest.mark.slow
def test_a_datastore_with_a_key_to_an_account_without_keys_is_reported(ready_workspace):
    get_account(ready_workspace, "other1")["allowSharedKeyAccess"] = False
    ready_workspace.datastore("other", "c", credentials="AccountKey", account="other1")
    ready_workspace.auth_mode("identity")
    [problem] = check_storage(ready_workspace, datastore="other")
    assert (problem.code, "other1" in problem.title) == ("azureml-keys-refused", True)


@pytest.mark.slow
@pytest.mark.parametrize("closed", [{"publicNetworkAccess": "Disabled"}, {"networkAcls": {"defaultAction": "Deny"}}])
def test_an_account_that_is_closed_to_other_networks_is_a_warning(ready_workspace, closed):
    get_account(ready_workspace).update(closed)
    assert list_codes(check_storage(ready_workspace)) == [("azureml-storage-closed", "warning")]


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


def test_the_job_s_identity_needs_roles_on_every_account_that_it_reaches(ready_workspace):
    data = ready_workspace.manager.account("account1")
    problems = check_storage(
        ready_workspace, *blobs(), parameters={"publish_url": "https://account2.blob.core.windows.net/box/out"}
    )
    assert [problem.severity for problem in problems] == ["warning", "warning"]
    assert f'--assignee {PRINCIPAL} --role "Storage Blob Data Reader" --scope "{data}"' in format_problem(problems[0])
    assert "account2" in problems[1].title  # of another subscription: not told, and not missing
    ready_workspace.manager.assign(PRINCIPAL, READER, data)
    assert check_storage(ready_workspace, *blobs()) == []


def test_a_compute_of_its_own_identity_needs_the_roles_too(ready_workspace):
    ready_workspace.kubernetes(COMPUTE, identities=(), system=True)
    principal = ready_workspace.ml.computes[COMPUTE]["identity"]["principalId"]
    [problem] = check_storage(ready_workspace, workload_identity=None)
    assert (problem.code, problem.where, problem.given) == ("azure-role-missing", "--compute", COMPUTE)
    assert f'--assignee {principal} --role "Storage Blob Data Contributor"' in format_problem(problem)
    ready_workspace.manager.assign(principal, CONTRIBUTOR, ready_workspace.manager.account(ready_workspace.account))
    assert check_storage(ready_workspace, workload_identity=None) == []


def test_a_job_without_an_identity_signs_in_as_the_only_one_of_the_compute(ready_workspace):
    ready_workspace.manager.there.assignments.clear()
    [problem] = check_storage(ready_workspace, workload_identity=None)
    assert f"--assignee {PRINCIPAL} " in format_problem(problem)


def test_an_account_that_does_not_answer_from_here_is_a_warning_with_its_host(ready_workspace):
    host = f"{ready_workspace.account}.blob.core.windows.net"
    with ready_workspace.tenant.unreachable(host):
        [problem] = check_storage(ready_workspace)
    assert (problem.code, problem.severity, problem.given) == ("not-checked-here", "warning", host)
    assert "The job's code is uploaded" in problem.why


def test_a_proxy_that_the_sdk_trusts_is_trusted(ready_workspace, monkeypatch):
    monkeypatch.delenv("SSL_CERT_FILE")  # REQUESTS_CA_BUNDLE is what `az` and Azure's libraries read
    assert check_storage(ready_workspace) == []


@pytest.mark.slow
def test_the_job_s_identity_must_write_the_output_where_the_workspace_keeps_no_secret(ready_workspace):
    ready_workspace.manager.there.assignments.clear()
    [problem] = check_storage(ready_workspace)
    assert (problem.code, ready_workspace.account in problem.title) == ("azure-role-missing", True)
    ready_workspace.datastore("keyed", ready_workspace.container, credentials="Sas")
    assert check_storage(ready_workspace, datastore="keyed") == []


def test_accounts_are_those_of_blobs_and_of_what_is_written():
    assert datastore.get_account_name("https://one.blob.core.windows.net/box/p") == "one"
    assert datastore.get_account_name("https://two.dfs.core.windows.net/box") == "two"
    assert datastore.get_account_name("lerobot/pusht") == ""
    for host in ("Acct", "acct-secondary", "acct.z12"):
        assert datastore.get_account_name(f"https://{host}.blob.core.windows.net/box/p") == "acct"


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://Acct.blob.core.windows.net/box/log?sig=x", "acct"),
        ("https://acct-secondary.blob.core.windows.net/box/log?sig=x", "acct"),
        ("https://logs.example.com/c/log?sig=x", "logs.example.com"),
    ],
)
def test_storage_that_does_not_answer_is_named(url, name):
    error = datastore.make_connection_error(OSError("refused"), url)
    assert error.account == name
    assert f" {name} cannot be reached" in str(error)


@pytest.mark.slow
def test_an_account_that_one_may_not_look_at_is_a_note_and_the_roles_are_looked_at_all_the_same(ready_workspace):
    ready_workspace.manager.there.assignments.clear()
    ready_workspace.fault(f"/storageAccounts/{ready_workspace.account}\\?", status=403, code="AuthorizationFailed")
    assert list_codes(check_storage(ready_workspace)) == [
        ("not-checked-here", "note"),
        ("azure-role-missing", "warning"),
    ]


@pytest.fixture
def workspace(ready_workspace):
    """With a data asset of a folder that holds a dataset, and one of a folder that does not."""
    ready_workspace.store.put(ready_workspace.container, {"sets/none/readme.txt": b"nothing here"})
    ready_workspace.data("good", 3, add_dataset(ready_workspace, "sets/mini"))
    ready_workspace.data("none", 1, "sets/none")
    return ready_workspace


def test_a_data_asset_that_is_no_dataset_is_reported_before_anything_is_sent(workspace):
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


def test_a_data_asset_that_cannot_be_read_from_here_is_no_error(workspace):
    workspace.data("hidden", 1, "https://elsewhere.blob.core.windows.net/box/hidden")
    workspace.data("odd", 1, "wasbs://c@elsewhere.blob.core.windows.net/odd")
    [problem] = run_preflight(make_plan(workspace, *assets("azureml:hidden:1", "azureml:odd:1")))
    assert (problem.code, problem.severity) == ("not-checked-here", "warning")  # as that of a --blob-url is told
    assert "elsewhere" in problem.title


def test_the_job_s_identity_needs_a_role_on_the_accounts_that_its_assets_lie_in(workspace):
    account = workspace.manager.account("elsewhere")
    workspace.data("far", 1, "https://elsewhere.blob.core.windows.net/box/far")
    workspace.model("act", 1, "https://elsewhere.blob.core.windows.net/box/act")
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
