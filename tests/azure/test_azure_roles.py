"""The roles of the identity that jobs will have, looked up before anything is sent."""

import pytest
from azure_stand_in import CLIENT, Fault
from azure_stand_in.manager import GROUP, SUBSCRIPTION
from robotrain_azure import preflight_checks

READER, CONTRIBUTOR, OWNER = (
    "2a2b9908-6ea1-4ae2-8e65-a410df84e7d1",
    "ba92f5b4-2d11-453d-a403-e96b0029c9fe",
    "b7e6dc6d-f1e8-4753-8033-0f276bb0955b",
)
HOLDER = "33333333-3333-3333-3333-333333333333"
ABOVE = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{GROUP}"
ACCOUNT = f"{ABOVE}/providers/Microsoft.Storage/storageAccounts/data"
SCOPES = (ACCOUNT, ABOVE, f"/subscriptions/{SUBSCRIPTION}", "/")


@pytest.fixture
def manager(tenant):
    """Four storage accounts and three identities, of which one is the job's: more than a page of each."""
    for name in ("one", "two", "three"):
        tenant.manager.account(name)
        tenant.manager.identity(name, f"client-{name}", f"object-{name}")
    tenant.manager.identity("robotrain", CLIENT.upper(), HOLDER)
    tenant.manager.account("data")
    return tenant.manager


def check_roles(writes: bool = False, account: str = "data"):
    return list(preflight_checks.check_identity_blob_roles(CLIENT, SUBSCRIPTION, {account: writes}))


@pytest.mark.parametrize(("role", "scope"), list(zip([READER, CONTRIBUTOR, OWNER, READER], SCOPES, strict=True)))
def test_a_role_there_or_above_reads(manager, role, scope):
    manager.assign(HOLDER, role, scope)
    assert check_roles() == []


def test_no_role_is_a_warning_with_the_line_that_gives_it(manager):
    manager.assign("object-one", READER, ACCOUNT)
    manager.assign(HOLDER, READER, f"{ACCOUNT}2")
    (problem,) = check_roles()
    assert (problem.severity, problem.code, problem.where) == ("warning", "azure-role-missing", "--workload-identity")
    assert problem.suggestions[0].text == (
        f'az role assignment create --assignee {HOLDER} --role "Storage Blob Data Reader" --scope "{ACCOUNT}"'
    )


def test_a_reader_does_not_write(manager):
    manager.assign(HOLDER, READER, ACCOUNT)
    (problem,) = check_roles(writes=True)
    assert problem.title == "the job's identity may not write blobs of the account data"
    assert '--role "Storage Blob Data Contributor"' in problem.suggestions[0].text
    manager.assign(HOLDER, CONTRIBUTOR, ABOVE)
    assert check_roles(writes=True) == []


def test_a_role_of_its_group_counts(manager):
    manager.there.members["the-robots"] = {HOLDER}
    manager.assign("the-robots", READER, ACCOUNT)
    assert check_roles() == []


def test_a_role_on_one_container_may_be_enough(manager):
    manager.assign(HOLDER, READER, f"{ACCOUNT}/blobServices/default/containers/training")
    assert check_roles() == []


@pytest.mark.parametrize(("action", "missing"), [("read", False), ("delete", True)])
def test_a_role_of_somebodys_own_making_is_read(manager, action, missing):
    blobs = "Microsoft.Storage/storageAccounts/blobServices/containers/blobs"
    manager.there.definitions["own"] = {"permissions": [{"dataActions": [f"{blobs}/{action}"]}]}
    manager.assign(HOLDER, "own", ACCOUNT)
    assert bool(check_roles()) == missing


@pytest.mark.parametrize("refused", ["userAssignedIdentities", "storageAccounts\\?", "roleAssignments"])
def test_a_refused_look_up_is_not_a_missing_role(manager, refused):
    manager.faults.append(Fault(refused, status=403, code="AuthorizationFailed"))
    (problem,) = check_roles()
    assert (problem.severity, problem.code) == ("warning", "not-checked-here")
    assert "does not have authorization" in problem.why


def test_a_role_that_cannot_be_read_is_not_a_missing_role(manager):
    manager.assign(HOLDER, "own", ACCOUNT)
    manager.faults.append(Fault("roleDefinitions", status=403, code="AuthorizationFailed"))
    assert [problem.code for problem in check_roles()] == ["not-checked-here"]


def test_an_identity_or_an_account_of_elsewhere_could_not_be_checked(manager):
    (of_elsewhere,) = preflight_checks.check_identity_blob_roles("unheard-of", SUBSCRIPTION, {"data": False})
    assert SUBSCRIPTION in of_elsewhere.why
    (problem,) = check_roles(account="other")
    assert (problem.code, problem.why) == (
        "not-checked-here",
        f"You can see no storage account other in the subscription {SUBSCRIPTION}.",
    )


def test_a_missing_role_is_reported_for_each_storage_account(manager):
    problems = preflight_checks.check_identity_blob_roles(
        CLIENT, SUBSCRIPTION, {"data": True, "one": False, "elsewhere": False}
    )
    assert [problem.code for problem in problems] == ["azure-role-missing", "not-checked-here", "azure-role-missing"]
    manager.requests.clear()
    assert list(preflight_checks.check_identity_blob_roles(CLIENT, SUBSCRIPTION, {})) == manager.requests == []
