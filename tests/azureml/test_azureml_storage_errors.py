"""Errors of storage: each is reported once, with the id of the signed-in identity."""

import pytest
from azure_stand_in.sign_in import OBJECT
from azureml_workspace_plans import make_submittable_plan, submit_rejected
from robotrain_azure.credential import UNKNOWN_OBJECT_ID
from robotrain_azure.storage import NETWORK_HINT, StorageError
from robotrain_azure.workspace import Workspace
from robotrain_azureml import errors

AT = Workspace("SUB", "group", "ws")


def describe_error(status: int, code: str, signed: bool = False):
    error = StorageError(f"the storage account acc refused (HTTP {status} {code})", status, code, "acc", signed)
    [problem] = errors.make_rejection(error, AT, "read the outputs").problems
    return problem


def test_a_role_is_given_to_who_is_signed_in(azureml):
    problem = describe_error(403, "AuthorizationPermissionMismatch")
    assert problem.suggestions[0].text.startswith(f"az role assignment create --assignee {OBJECT} ")


def test_a_role_is_given_to_a_placeholder_where_the_sign_in_does_not_say_who(azureml, monkeypatch):
    monkeypatch.delenv("AZURE_CLIENT_SECRET")
    assert (
        f"--assignee {UNKNOWN_OBJECT_ID} " in describe_error(403, "AuthorizationPermissionMismatch").suggestions[0].text
    )


def test_no_role_is_named_where_a_signature_was_not_let_in():
    problem = describe_error(403, "AuthorizationFailure", signed=True)
    assert [way.text for way in problem.suggestions] == [NETWORK_HINT]


@pytest.mark.slow
def test_nor_where_the_job_s_code_was_not_let_in_which_goes_by_one(azureml):
    azureml.fault("PUT .*sig=", where="blobs", status=403, code="AuthorizationFailure")
    problem = submit_rejected(make_submittable_plan(azureml))
    assert [way.text for way in problem.suggestions] == [NETWORK_HINT]


@pytest.mark.parametrize(
    ("code", "title"),
    [
        ("KeyBasedAuthenticationNotPermitted", "the storage account acc does not accept keys"),
        ("AuthorizationFailure", "the storage account acc denies you access"),
    ],
)
def test_the_reason_is_a_sentence_and_does_not_say_the_title_again(azureml, code, title):
    problem = describe_error(403, code)
    assert problem.title == title
    assert f"HTTP 403 {code}" in problem.why
    assert title not in problem.why


def test_a_failure_that_the_title_says_nothing_of_names_the_account(azureml):
    problem = describe_error(500, "InternalError")
    assert (problem.title, problem.why) == (
        "could not read the outputs",
        "The storage account acc refused (HTTP 500 InternalError).",
    )
