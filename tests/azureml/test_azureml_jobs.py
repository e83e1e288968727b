"""Asking the workspace for a job: one that is gone, and whatever keeps the question from being answered, in a sentence
and with an exit code.
"""

import pytest
from azure_stand_in.sign_in import OBJECT
from azureml_observed_run import JOB
from robotrain.errors import Rejected, format_problem
from robotrain.model.platform_features import RunAccess
from robotrain.model.run import RunGone
from robotrain_azureml.platform import AZUREML
from robotrain_azureml.service import jobs

MANAGER = "management.azure.com"
ASKS = {
    "status": lambda run: run.status(),
    "logs": lambda run: run.logs(),
    "follow": lambda run: run.logs(follow=True),
    "cancel": lambda run: AZUREML.engine.cancel(run.reference),
    "outputs": lambda run: run.outputs(),
    "register": lambda run: AZUREML.engine.register(run.reference, "pusht-act", None),
}
QUICK = ("status", "logs")
asked = pytest.mark.parametrize(
    "ask", [pytest.param(ask, id=name, marks=() if name in QUICK else pytest.mark.slow) for name, ask in ASKS.items()]
)


def problem(raised: "pytest.ExceptionInfo[Rejected]"):
    (reported,) = raised.value.problems
    assert raised.value.exit_code == 1
    assert reported.title
    assert reported.why.endswith(".")
    return reported


@asked
def test_a_job_that_the_workspace_does_not_know_is_gone(run, ask):
    run.reference["job"] = "nothing-of-that-name-7"
    with pytest.raises(RunGone, match="robots-ml has no job nothing-of-that-name-7"):
        ask(run)


def deny_all(run, _) -> None:
    for where in ("arm", "history"):
        run.azure.fault("", where=where, status=403, code="AuthorizationFailed")


ROLE = f'az role assignment create --assignee {OBJECT} --role "AzureML Data Scientist"'
REJECTED = {
    "a gateway's 404": (lambda run, _: run.azure.fault("", status=404, code=""), "platform-refused", ()),
    "no such workspace": (
        lambda run, _: run.reference.update(workspace="ml-2"),
        "resource-unknown",
        ("workspace ml-2",),
    ),
    "a sign-in that ran out": (
        lambda _, monkeypatch: monkeypatch.setenv("AZURE_CLIENT_SECRET", "of yesterday"),
        "platform-signed-out",
        ("set a valid AZURE_CLIENT_SECRET",),
    ),
    "no role": (deny_all, "platform-forbidden", (ROLE,)),
}


@asked
@pytest.mark.parametrize(("arrange", "code", "facts"), REJECTED.values(), ids=REJECTED)
def test_question_that_azure_refuses_is_rejected_and_the_job_not_called_gone(
    run, ask, monkeypatch, arrange, code, facts
):
    arrange(run, monkeypatch)
    with pytest.raises(Rejected) as raised:
        ask(run)
    reported = problem(raised)
    assert (reported.code, isinstance(raised.value, RunGone), raised.value.transient) == (code, False, False)
    assert [fact for fact in facts if fact not in format_problem(reported)] == []
    assert "of yesterday" not in str(reported)


@pytest.mark.parametrize("command", [("wait",), ("logs", "-f")])
def test_an_expired_sign_in_is_not_waited_for(run, robotrain, monkeypatch, command):
    run.record()
    monkeypatch.setenv("AZURE_CLIENT_SECRET", "of yesterday")
    answer = robotrain(*command)
    assert answer.exit_code == 1
    assert "set a valid AZURE_CLIENT_SECRET" in answer.stderr


@asked
def test_a_missing_right_is_reported_with_the_role(run, ask):
    run.azure.fault("", where="arm", status=403, code="AuthorizationFailed")
    run.azure.fault("", where="history", status=403, code="AuthorizationFailed")
    with pytest.raises(Rejected) as raised:
        ask(run)
    reported = problem(raised)
    assert reported.code == "platform-forbidden"
    assert (
        f'az role assignment create --assignee {OBJECT} --role "AzureML Data Scientist"' in reported.suggestions[0].text
    )


@pytest.mark.parametrize("ask", [ASKS[name] for name in QUICK], ids=QUICK)
def test_unreachable_network_is_reported(run, ask):
    with run.azure.tenant.unreachable(MANAGER), pytest.raises(Rejected) as raised:
        ask(run)
    assert problem(raised).code == "platform-away"


@pytest.mark.parametrize(("status", "code"), [(429, "TooManyRequests"), (500, "InternalServerError"), (503, "Busy")])
def test_lasting_error_is_reported_as_passing(run, status, code):
    run.azure.fault("/jobs/", status=status, code=code)
    with pytest.raises(Rejected) as raised:
        run.status()
    reported = problem(raised)
    assert (reported.code, reported.suggestions[0].text) == ("platform-away", "the same command")
    assert raised.value.transient
    assert f"HTTP {status}" in reported.why


def test_passing_error_is_retried(run, monkeypatch):
    monkeypatch.setattr(jobs, "PATIENCE_SECONDS", 10.0)
    monkeypatch.setattr("robotrain_azure.arm.time.sleep", lambda seconds: None)
    run.azure.fault("/jobs/", status=503, times=2)
    assert run.status().state == "pending"


def test_missing_job_is_found_missing(run):
    arm, at = jobs.get_client(), jobs.get_run_workspace(run.reference)
    assert jobs.find_job(arm, at, "nothing-of-that-name-7") is None
    assert (jobs.find_job(arm, at, JOB) or {})["name"] == JOB


def test_a_name_that_differs_in_case_alone_is_the_job(run):
    run.reference["job"] = JOB.upper()
    assert run.status().state == "pending"


def test_the_page_of_a_job_is_that_of_the_cloud_one_is_signed_in_to(monkeypatch):
    reference = {"job": JOB, "subscription": "S", "group": "robots", "workspace": "robots-ml"}
    names = "wsid=/subscriptions/S/resourcegroups/robots/workspaces/robots-ml"
    page = f"https://ml.azure.com/runs/{JOB}?{names}"
    assert AZUREML.engine.describe_reference(reference) == {"job": JOB, "studio": page}
    assert AZUREML.get_engine_for(RunAccess).find_page(reference) == page
    monkeypatch.setenv("AZURE_AUTHORITY_HOST", "https://login.microsoftonline.us")
    assert AZUREML.engine.describe_reference(reference)["studio"] == page.replace("ml.azure.com", "ml.azure.us")
    assert AZUREML.engine.describe_reference({}) == {}


def test_missing_datastore_is_not_a_missing_workspace(run):
    run.reference["datastore"] = "another-store"
    with pytest.raises(Rejected) as raised:
        run.set_native_state("Running", "Completed").outputs()
    reported = problem(raised)
    assert reported.code == "platform-refused"
    assert reported.title == "could not read the datastore another-store of the workspace"
