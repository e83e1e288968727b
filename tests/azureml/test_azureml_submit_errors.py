"""Errors of a submission: Azure refuses or does not answer at each call, and no unknown state is left."""

import os
import time
import types

import pytest
from azure.core.exceptions import ClientAuthenticationError, HttpResponseError, ServiceRequestError
from azure.core.pipeline.transport import RequestsTransport
from azure_stand_in.sign_in import OBJECT
from azureml_workspace_plans import make_submittable_plan, submit_rejected
from robotrain import errors
from robotrain.errors import NotSubmitted, Rejected, Unanswered, format_problem
from robotrain.model.amounts import format_duration
from robotrain.store import records
from robotrain_azure.arm import ArmError, StorageError
from robotrain_azure.credential import UNKNOWN_OBJECT_ID
from robotrain_azure.errors import NETWORK_HINT
from robotrain_azure.workspace import Workspace
from robotrain_azureml import errors as azureml_errors
from robotrain_azureml.platform import AZUREML
from robotrain_azureml.spec import submission_spec
from robotrain_azureml.submit import errors as submit_errors
from robotrain_azureml.submit import submit

ARM = ("GET .*/environments/", "PUT .*/environments/", "GET .*/codes/", "POST .*/startPendingUpload", "PUT .*/codes/")
BLOBS = ("HEAD .*/code/job.json", "PUT .*/code/payload.zip", "PUT .*comp=metadata")
JOB = "PUT .*/jobs/"
MADE_THEN = ((ARM[0], 404), (BLOBS[0], 404), (JOB, 409))
"""What is not there is made: no refusal. A conflict is with a job that is there."""
REFUSALS = [
    (call, status) for call in (*ARM, *BLOBS, JOB) for status in (401, 403, 404, 409) if (call, status) not in MADE_THEN
]


@pytest.fixture
def submission(azureml):
    return submission_spec.SUBMISSION.load(make_submittable_plan(azureml), errors.Stage.SUBMIT)


def describe_error(error, order, call=None) -> str:
    [problem] = submit_errors.make_submit_rejection(error, order, call).problems
    assert problem.stage.exit_code == 1
    return format_problem(problem)


NO_TOKEN = (
    "DefaultAzureCredential failed to retrieve a token from the included credentials.\nAttempted credentials:\n"
    "\tEnvironmentCredential: EnvironmentCredential authentication unavailable. No variables are set.\n"
    "\tAzureCliCredential: ERROR: AADSTS70043: The refresh token has expired or is invalid due to sign-in frequency"
    " checks by conditional access. Trace ID: 1\nTo mitigate this issue, please refer to the guidelines."
)


def test_an_expired_sign_in_is_reported_with_azures_reason_and_what_to_type(submission):
    text = describe_error(ClientAuthenticationError(NO_TOKEN), submission)
    assert "your sign-in to Azure has expired" in text
    assert "AADSTS70043: The refresh token has expired" in text
    assert f"(then `az account set --subscription {submission.subscription}`" in text
    assert "Trace ID" not in text


def test_an_expired_sign_in_is_reported_before_anything_is_sent(azureml, monkeypatch):
    class Nobody:
        def get_token_info(self, *scopes: str, **options: object) -> None:
            raise ClientAuthenticationError(NO_TOKEN)

        get_token = get_token_info

    for module in ("robotrain_azure.credential", "robotrain_azureml.submit.sdk"):
        monkeypatch.setattr(f"{module}.get_shared_credential", Nobody)
    wanted = make_submittable_plan(azureml)
    [problem] = AZUREML.engine.preflight(wanted)
    sent = submit_rejected(wanted)
    assert (problem.code, problem.title, problem.why) == (sent.code, sent.title, sent.why)
    assert azureml.calls == []


class ValidationException(Exception):
    """As the SDK refuses a job."""

    __module__ = "azure.ai.ml.exceptions"
    message = "Invalid distribution https://a.blob/?sig=c2VjcmV0c2VjcmV0. And much more."


MISSING = "The Resource 'Microsoft.MachineLearningServices/workspaces/robots-ml' under resource group 'robots'"
NO_KEYS = "KeyBasedAuthenticationNotPermitted"
KEYS_REFUSED = (f"the storage account acc refused (HTTP 403 {NO_KEYS})", 403, NO_KEYS, "acc")
EXPLAINED = [
    (ClientAuthenticationError("Please run 'az login' to set up an account"), ["you are not signed in to Azure"], []),
    (
        ServiceRequestError("<urllib3…>: Failed to resolve 'management.azure.com' ([Errno -2])"),
        ["[platform-away]", "Failed to resolve 'management.azure.com'", "the same command"],
        [],
    ),
    (
        ArmError(f"{MISSING} was not found (HTTP 404 ResourceNotFound)", 404, "ResourceNotFound"),
        ["no Azure ML workspace robots-ml in the resource group robots"],
        [],
    ),
    (StorageError(*KEYS_REFUSED), ["you have no access to the storage account acc", "HTTP 403 KeyBased"], []),
    *(
        (
            ArmError(f"It is earlier (HTTP 401 {code})", 401, code),
            ["sign-in to Azure has expired", "az login"],
            ["--tenant"],
        )
        for code in ("ExpiredAuthenticationToken", "InvalidAuthenticationToken")
    ),
    (ValidationException("x"), ["Invalid distribution"], ["c2VjcmV0", "much more"]),
    (KeyError("secret-looking text"), ["Azure ML's SDK failed (KeyError)"], ["secret-looking"]),
]


@pytest.mark.parametrize(("error", "shown", "hidden"), EXPLAINED)
def test_error_of_a_submit_is_explained(submission, error, shown, hidden):
    text = describe_error(error, submission)
    assert [part for part in shown if part not in text] == []
    assert [part for part in hidden if part in text] == []


def test_what_the_workspace_lacks_is_quoted(submission):
    lacking = "Datastore workspaceblobstore was not found (HTTP 404 UserError)"
    text = describe_error(ArmError(lacking, 404, "UserError"), submission)
    assert "[platform-refused]" in text
    assert lacking in text


def test_a_sentence_of_the_sdk_about_a_role_is_reported_by_the_answer_behind_it(submission):
    class Answer:
        status_code, reason, headers = 403, "Forbidden", {"x-ms-error-code": "AuthorizationPermissionMismatch"}

        class request:
            url = "https://acc.blob.core.windows.net/box/b"

    error = ValueError("You don't have permission to alter this storage account. Ensure that you have been assigned")
    behind = HttpResponseError("x")
    behind.status_code, behind.response, behind.error = 403, Answer, None
    error.__cause__ = behind
    text = describe_error(error, submission)
    assert "you have no access to the storage account acc" in text
    assert '--role "Storage Blob Data Contributor"' in text


def test_the_whole_reason_of_azure_is_reported(azureml):
    text = format_problem(submit_rejected(make_submittable_plan(azureml, instance_type="gpux")))
    assert "AML Kubernetes Compute job failed. 9: Invalid instance type. There is no 'gpux' (HTTP 400" in text


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("No.\n9: Look at https://a.blob/?sig=c2VjcmV0c2VjcmV0.", "No. 9: Look at https://a.blob/?<redacted>"),
        (f"No. {'And more. ' * 100}", f"No. {'And more. ' * 100}"[:388]),
    ],
)
def test_a_reason_is_reported_up_to_some_length_and_without_secrets(submission, message, shown):
    error = HttpResponseError("x")
    error.status_code, error.error = 400, types.SimpleNamespace(code="UserError", message=message)
    reason = submit_errors.make_submit_rejection(error, submission, None).problems[0].why
    assert reason.startswith(shown)
    assert reason.endswith(" (HTTP 400 UserError).")
    assert len(reason) < 430


@pytest.mark.slow
@pytest.mark.parametrize(("call", "status"), REFUSALS)
def test_a_refusal_at_any_call_is_reported_and_leaves_nothing(azureml, call, status):
    wanted = make_submittable_plan(azureml)
    azureml.fault(call, status=status, code={403: "AuthorizationFailed"}.get(status, "UserError"))
    problem = submit_rejected(wanted)
    assert problem.code in ("platform-forbidden", "platform-refused")
    if call in BLOBS and status == 403:  # the code goes by a signature: no role would help
        assert [way.text for way in problem.suggestions] == [NETWORK_HINT]
    assert len(problem.title) < 160
    assert "Traceback" not in format_problem(problem)
    assert not azureml.jobs
    assert submit.read_job_name(wanted) == ""


@pytest.mark.slow
@pytest.mark.parametrize("status", [429, 500, 503])
@pytest.mark.parametrize("call", ARM)
def test_a_service_that_is_down_before_the_job_is_reported(azureml, call, status):
    wanted = make_submittable_plan(azureml)
    azureml.fault(call, status=status, code="ServiceUnavailable")
    problem = submit_rejected(wanted)
    assert problem.code in ("platform-busy", "platform-away", "platform-refused")
    assert any("the same command" in way.text for way in problem.suggestions)
    assert not azureml.jobs


@pytest.mark.slow
@pytest.mark.parametrize("call", [*ARM, JOB])
@pytest.mark.parametrize("how", [{"status": 429, "retry_after": 1}, {"status": 503}, {"gone": True}])
def test_passing_error_is_retried(azureml, call, how):
    azureml.fault(call, times=1, **how)
    assert AZUREML.engine.submit(make_submittable_plan(azureml))["job"] in azureml.jobs


@pytest.mark.slow
def test_a_storage_account_that_cannot_be_reached_is_reported_by_its_name_in_seconds(azureml):
    host, before = f"{azureml.account}.blob.core.windows.net", time.monotonic()
    with azureml.tenant.unreachable(host):
        text = format_problem(submit_rejected(make_submittable_plan(azureml)))
    assert "could not submit the job" in text
    assert f"{host} cannot be reached (Unable to connect to proxy)" in text
    assert time.monotonic() - before < 20


def test_a_pause_that_azure_asks_for_is_made_and_announced(azureml, monkeypatch, capsys):
    pauses = []
    monkeypatch.setattr(RequestsTransport, "sleep", lambda self, duration: pauses.append(duration))
    azureml.fault("GET .*/codes/", status=429, retry_after=120, code="TooManyRequests", times=1)
    assert AZUREML.engine.submit(make_submittable_plan(azureml))["job"] in azureml.jobs
    assert pauses == [120]
    assert "120 s" in capsys.readouterr().err


def test_a_long_wait_that_azure_asks_for_is_named_and_ends_the_submit(azureml):
    azureml.fault("GET .*/codes/", status=429, retry_after=3600, code="TooManyRequests", times=1)
    problem = submit_rejected(make_submittable_plan(azureml))
    assert (problem.code, format_duration(3600) in problem.why) == ("platform-busy", True)
    assert len([call for call in azureml.manager.calls if "/codes/" in call]) == 1


def unanswered_plan(azureml, monkeypatch):
    """A plan that the workspace was asked for, and did not answer."""
    wanted = make_submittable_plan(azureml)
    azureml.fault(JOB, gone=True)
    monkeypatch.setattr("robotrain_azureml.submit.sdk.RETRIES", 0)
    with pytest.raises(Unanswered):
        AZUREML.engine.submit(wanted)
    azureml.manager.faults.clear()
    assert AZUREML.engine.find(wanted) is None
    return wanted, submit.read_job_name(wanted)


@pytest.mark.slow
@pytest.mark.parametrize(("call", "status"), [("GET .*/environments/", 403), (JOB, 400), (JOB, 409)])
def test_a_job_that_was_asked_for_keeps_its_name_whatever_refuses_the_next_attempt(azureml, monkeypatch, call, status):
    """The first request may still be done: another name would be another job."""
    wanted, name = unanswered_plan(azureml, monkeypatch)
    azureml.fault(call, status=status, code="AuthorizationFailed")
    with pytest.raises(Unanswered) as raised:
        AZUREML.engine.submit(wanted)
    assert raised.value.problems[0].suggestions
    assert submit.read_job_name(wanted) == name
    azureml.manager.faults.clear()
    assert AZUREML.engine.submit(wanted)["job"] == name


def test_a_conflict_at_the_first_attempt_is_with_a_job_that_is_there(azureml):
    wanted = make_submittable_plan(azureml)
    azureml.fault(JOB, status=409, code="Conflict")
    with pytest.raises(Unanswered, match="rejects the job"):
        AZUREML.engine.submit(wanted)
    assert submit.read_job_name(wanted)


def test_a_job_name_that_was_never_sent_is_forgotten_after_a_refusal(azureml):
    wanted = make_submittable_plan(azureml)
    drawn = submit.choose_job_name(wanted)  # by a submit that was killed a moment later
    azureml.deny("GET /environments/")
    assert AZUREML.engine.find(wanted) is None
    submit_rejected(wanted)
    assert submit.read_job_name(wanted) == ""
    assert drawn


def test_ctrl_c_before_the_job_was_asked_for_has_sent_nothing(azureml, monkeypatch, capsys):
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("robotrain_azureml.submit.upload.upload_folders", interrupted)
    wanted = make_submittable_plan(azureml)
    with pytest.raises(NotSubmitted):
        AZUREML.engine.submit(wanted)
    assert submit.read_job_name(wanted) == ""


@pytest.mark.parametrize("content", [b"", b'{"plan": "', b"[]", b"{}", b"\xff"])
def test_damaged_note_is_reported_with_a_suggestion(azureml, content):
    wanted = make_submittable_plan(azureml)
    submit.choose_job_name(wanted)
    file = records.get_run_folder(wanted.run) / submit.NOTE.file
    file.write_bytes(content)
    with pytest.raises(Rejected) as raised:
        AZUREML.engine.find(wanted)
    text = format_problem(raised.value.problems[0])
    assert str(file) in text
    assert "--new" in text
    with pytest.raises(Unanswered, match="note of an earlier submit"):
        AZUREML.engine.submit(wanted)
    assert azureml.calls == []


@pytest.mark.slow
def test_a_token_that_ended_is_asked_for_anew_once(azureml):
    wanted = make_submittable_plan(azureml)
    azureml.fault("GET .*/environments/", status=401, code="ExpiredAuthenticationToken", times=1)
    assert AZUREML.engine.submit(wanted)["job"] in azureml.jobs
    azureml.fault("GET .*/environments/", status=401, code="ExpiredAuthenticationToken")
    with pytest.raises(Unanswered, match="has expired"):
        AZUREML.engine.submit(wanted)


def test_a_silent_service_is_reported_while_waiting(azureml, monkeypatch, capsys):
    monkeypatch.setattr("robotrain_azureml.submit.sdk.SILENCE_SECONDS", 0.1)
    azureml.fault("GET .*/environments/", latency=0.3, times=1)
    AZUREML.engine.submit(make_submittable_plan(azureml))
    assert "management.azure.com has not answered for 0.1 s; still waiting\n" in capsys.readouterr().err


@pytest.mark.slow
def test_a_service_that_stays_silent_is_given_up_soon_and_a_job_is_waited_for_longer(azureml, monkeypatch):
    monkeypatch.setattr("robotrain_azureml.submit.sdk.TIMEOUTS", {"connection_timeout": 5, "read_timeout": 0.2})
    azureml.fault(JOB, latency=0.6, times=1)
    AZUREML.engine.submit(make_submittable_plan(azureml))
    azureml.fault("GET .*/environments/", latency=0.6)
    azureml.calls.clear()
    with pytest.raises(Unanswered, match="timed out"):
        AZUREML.engine.submit(make_submittable_plan(azureml))
    assert len(azureml.calls) == 2


@pytest.mark.slow
@pytest.mark.parametrize("status", [500, 503])
def test_a_job_that_the_service_broke_off_at_is_not_known(azureml, status):
    wanted = make_submittable_plan(azureml)
    azureml.fault(JOB, status=status, code="InternalServerError")
    with pytest.raises(Unanswered):
        AZUREML.engine.submit(wanted)
    assert submit.read_job_name(wanted)
    azureml.manager.faults.clear()
    assert AZUREML.engine.find(wanted) is None
    assert AZUREML.engine.submit(wanted)["job"] in azureml.jobs


@pytest.mark.slow
def test_an_answer_that_was_lost_is_asked_for_by_its_name(azureml, capsys):
    wanted = make_submittable_plan(azureml)
    azureml.fault(JOB, times=1, lost=True)
    azureml.fault(JOB, times=None, status=503)
    reference = AZUREML.engine.submit(wanted)
    assert list(azureml.jobs) == [reference["job"]]
    assert f"the workspace has the job {reference['job']}" in capsys.readouterr().err
    azureml.manager.faults.clear()
    azureml.fault(JOB, status=409, code="UserError")  # the job is there already, and would be another one
    assert AZUREML.engine.submit(wanted) == reference


def test_a_subscription_that_is_not_seen_is_reported(azureml):
    other = "bbbbbbbb-0000-0000-0000-0000000000ff"
    assert other in submit_rejected(make_submittable_plan(azureml, subscription_id=other)).title


@pytest.mark.slow
def test_another_cloud_is_asked_where_its_sign_in_is_named(azureml, monkeypatch):
    monkeypatch.setenv("AZUREML_CURRENT_CLOUD", "AzureCloud")  # the SDK writes it
    monkeypatch.setenv("AZURE_AUTHORITY_HOST", "https://login.microsoftonline.us")
    problem = submit_rejected(make_submittable_plan(azureml))
    assert problem.code == "platform-away"
    assert set(azureml.proxy.refused) == {"login.microsoftonline.us"}
    assert os.environ["AZUREML_CURRENT_CLOUD"] == "AzureUSGovernment"


AT = Workspace("SUB", "group", "ws")


def reject_storage_error(status: int, code: str, signed: bool = False):
    error = StorageError(f"the storage account acc refused (HTTP {status} {code})", status, code, "acc", signed)
    [problem] = azureml_errors.make_rejection(error, AT, "read the outputs").problems
    return problem


def test_a_role_is_given_to_who_is_signed_in(azureml):
    problem = reject_storage_error(403, "AuthorizationPermissionMismatch")
    assert problem.suggestions[0].text.startswith(f"az role assignment create --assignee {OBJECT} ")


def test_a_role_is_given_to_a_placeholder_where_the_sign_in_does_not_say_who(azureml, monkeypatch):
    monkeypatch.delenv("AZURE_CLIENT_SECRET")
    assert (
        f"--assignee {UNKNOWN_OBJECT_ID} "
        in reject_storage_error(403, "AuthorizationPermissionMismatch").suggestions[0].text
    )


def test_service_that_fails_is_answered_with_one_advice(azureml, monkeypatch):
    monkeypatch.setattr("robotrain_azureml.submit.sdk.RETRIES", 0)
    wanted = make_submittable_plan(azureml)
    azureml.fault("GET .*/environments/", status=503, code="InternalServerError")
    with pytest.raises(Rejected) as raised:
        AZUREML.engine.submit(wanted)
    assert [way.text for problem in raised.value.problems for way in problem.suggestions] == ["the same command"]


def test_no_role_is_named_where_a_signature_was_not_let_in():
    problem = reject_storage_error(403, "AuthorizationFailure", signed=True)
    assert [way.text for way in problem.suggestions] == [NETWORK_HINT]


def test_the_reason_is_a_sentence_and_does_not_say_the_title_again(azureml):
    problem = reject_storage_error(403, "AuthorizationFailure")
    assert problem.title == "you have no access to the storage account acc"
    assert "HTTP 403 AuthorizationFailure" in problem.why
    assert problem.title not in problem.why


def test_a_failure_that_the_title_says_nothing_of_names_the_account(azureml):
    problem = reject_storage_error(500, "InternalError")
    assert (problem.title, problem.why) == (
        "could not read the outputs",
        "The storage account acc refused (HTTP 500 InternalError).",
    )
