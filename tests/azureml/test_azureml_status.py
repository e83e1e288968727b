"""`robotrain status` of a job: how it is, why it waits or failed, and what to do about it."""

import copy
import dataclasses
import json
import time

import pytest
from azure_stand_in import manager
from azure_stand_in.tenant import CLIENT
from azureml_observed_run import EVENTS, JOB, RUN
from robotrain.store import records
from robotrain_azureml.observe import job_state, status
from robotrain_azureml.platform import AZUREML
from robotrain_runtime.contract.event import Checkpoint, Outcome, StageEvent

NOW = 1_800_000_000.0


def make_job(
    word: str, message: str = "", code: str = "UserError", warnings: tuple[str, ...] = (), **more
) -> job_state.AzureMLJob:
    """As Azure ML answers of a job that was made a minute ago. more: of its run's details."""
    properties = {
        "status": "NotStarted",
        "computeId": "/subscriptions/S/x/computes/k8s-robot-dev-00",
        "resources": {"instanceType": "gpuspot"},
        "environmentVariables": {"AZURE_CLIENT_ID": CLIENT},
        "limits": {"timeout": "PT12H"},
    }
    errors = {"error": {"error": {"code": code, "message": message}}} if message else {}
    errors["warnings"] = [{"source": "Job", "message": text} for text in warnings]
    made = {"createdTimeUtc": _iso(NOW - 60)}
    return job_state.parse_job({"name": JOB, "properties": properties}, {"status": word, **made, **errors, **more})


def _iso(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S.0000000+00:00", time.gmtime(seconds))


STATES = {
    **dict.fromkeys(("NotStarted", "Unapproved", "Scheduled", "Starting", "Provisioning"), "pending"),
    **dict.fromkeys(("Preparing", "Queued", "Pausing", "Paused"), "pending"),
    **dict.fromkeys(("Running", "Finalizing"), "running"),
    "Completed": "succeeded",
    "Failed": "failed",
    "Canceled": "cancelled",
}


def test_every_state_of_azure_ml_is_known():
    for word, state in STATES.items():
        job = make_job(word)
        assert (word, job.state, job.is_known) == (word, state, True)
        assert state != "pending" or status.explain_waiting(job, NOW)


@pytest.mark.parametrize("word", ["CancelRequested", "NotResponding", "Unknown", "Hibernating"])
def test_ambiguous_state_is_pending_or_running_by_its_times(word):
    assert (make_job(word).state, make_job(word, startTimeUtc="2026-11-20T06:05:29Z").state) == ("pending", "running")


def test_unknown_state_is_shown():
    assert "Hibernating" in status.explain_waiting(make_job("Hibernating"), NOW)
    assert "requested" in status.explain_waiting(make_job("CancelRequested"), NOW)
    assert "does not respond" in status.explain_waiting(
        make_job("NotResponding", startTimeUtc="2026-11-20T06:05:29Z"), NOW
    )


@pytest.mark.parametrize("answer", [{}, {"error": 3, "warnings": 4, "logFiles": []}, {"error": {"error": None}}])
def test_malformed_answer_is_not_an_end(answer):
    assert job_state.parse_job({"properties": {"status": 4, "limits": [], "services": None}}, answer).state == "pending"


def test_the_reason_of_waiting_keeps_its_words_as_time_goes_on():
    job = make_job("Queued")
    assert status.explain_waiting(job, NOW) == "no machine of its compute is free for it yet"
    reasons = {status.explain_waiting(job, NOW + later) for later in (600, 800, 1100)}
    assert reasons == {"no machine of its compute is free for it yet, for more than 10 min"}
    assert "its image is being pulled" in status.explain_waiting(make_job("Preparing"), NOW)


def test_a_waiting_job_is_told_with_azure_mls_warning():
    warning = 'Back-off pulling image "nvcr.io/x/y:9": ImagePullBackOff'
    reason = status.explain_waiting(make_job("Preparing", warnings=(warning,)), NOW)
    assert reason == f"its image is being pulled and its inputs are being mounted (Azure ML: {warning})"


def test_preempted_job_waits_again():
    job = make_job("Queued", startTimeUtc=_iso(NOW - 3600))
    assert job.state == "pending"
    assert status.explain_waiting(job, NOW).startswith(
        "its machine was preempted, and it waits for another: no machine"
    )


USER = (
    "Execution failed. User process 'python3' exited with status code {}. "
    "Please check log file 'user_logs/std_log.txt' for error details."
)
FAILURES = {
    "memory, by the exit code": (USER.format(137), ("it was killed", "--instance-type")),
    "the look before the start": (USER.format(4), ("preflight checks failed", "exit code 4")),
    "a document": (USER.format(2), ("job document",)),
    "no python": (USER.format(127), ("no Python 3.10", "--image")),
    "any other words": ("ErrImagePull: not found", ("it failed (Azure ML: ErrImagePull: not found)",)),
}


@pytest.mark.parametrize(("message", "expected"), FAILURES.values(), ids=FAILURES)
def test_a_failure_is_told_by_its_exit_code_or_in_azure_mls_words(message, expected):
    reason = status.explain_failure(make_job("Failed", message), None)
    assert [part for part in expected if part not in reason] == []
    assert not reason.endswith(".")


def test_azure_mls_words_are_added_where_they_say_more_than_the_exit_code():
    assert status.explain_failure(make_job("Failed", USER.format(1)), None) == "it failed (exit code 1)"


def test_the_inner_errors_of_a_failure_count():
    error = {"error": {"message": "Job failed", "details": [{"message": "OOMKilled"}]}}
    assert "(Azure ML: Job failed OOMKilled)" in status.explain_failure(make_job("Failed", error=error), None)


def test_job_over_its_time_limit_failed():
    times = {"startTimeUtc": _iso(NOW - 12 * 3600), "endTimeUtc": _iso(NOW)}
    job = make_job("Canceled", **times)
    assert job.state == "failed"
    assert (
        "reached its time limit, 12:00 h: use `robotrain resume` or `robotrain resubmit` with a larger --exec-timeout"
        in status.explain_failure(job, None)
    )
    assert make_job("Canceled", **times | {"startTimeUtc": _iso(NOW - 3600)}).state == "cancelled"
    words = "The job exceeded MaxRunDurationSeconds"
    for word in ("Canceled", "Failed"):
        nearly = make_job(word, words, **times | {"startTimeUtc": _iso(NOW - 12 * 3600 + 20)})
        assert nearly.state == "failed"
        assert status.explain_failure(nearly, None).endswith(f"--exec-timeout (Azure ML: {words})")


@pytest.mark.parametrize(
    "started", [{}, {"startTimeUtc": _iso(NOW - 3600)}, {"startTimeUtc": _iso(NOW - 13 * 3600), "endTimeUtc": ""}]
)
def test_other_timeouts_are_not_the_time_limit(started):
    message = "The job failed: mounting its data timed out"
    job = make_job("Failed", message, **{"endTimeUtc": _iso(NOW), **started})
    assert status.explain_failure(job, None) == f"it failed (Azure ML: {message})"


def test_a_job_without_a_limit_never_ran_too_long():
    times = {"startTimeUtc": _iso(NOW - 99 * 3600), "endTimeUtc": _iso(NOW), "status": "Failed"}
    job = job_state.parse_job({}, {**times, "error": {"error": {"message": "the job timed out"}}})
    assert not job.has_timed_out


def test_outcome_that_contradicts_the_exit_code_is_ignored():
    failed = make_job("Failed", USER.format(1))
    assert status.explain_failure(failed, Outcome(state="failed", exit_code=1, reason="why")) == "why"
    for other in (Outcome(state="failed", exit_code=75, reason="why"), Outcome(state="succeeded", exit_code=0)):
        assert status.explain_failure(failed, other) == "it failed (exit code 1)"


def test_completed_job_succeeded(run):
    status = run.set_native_state("Running", "Completed").status()
    assert (status.state, status.reason, status.exit_code) == ("succeeded", "", 0)
    assert status.ended


def test_cancelled_job_says_so(run):
    assert run.set_native_state("Canceled").status().reason == "it was cancelled"


def test_a_running_job_takes_two_requests_and_one_sign_in(run):
    run.set_native_state("Running")
    run.azure.tenant.sign_in.requests.clear()
    status = run.status()
    assert (status.state, status.reason, status.exit_code, status.ended) == ("running", "", None, None)
    assert abs((status.started or 0) - time.time()) < 60
    assert len(run.azure.calls) == 2, run.azure.calls
    assert sum("/token" in request for request in run.azure.tenant.sign_in.requests) == 1


def test_why_it_failed_is_the_words_of_the_run_itself_where_there_are_any(run):
    reason = "azure says 403: give the identity a role"
    run.set_native_state("Running").say("Traceback …")
    run.tell(Outcome(state="failed", exit_code=4, reason=reason, fault="configuration"))
    status = run.fails(USER.format(4)).status()
    assert (status.state, status.reason, status.exit_code) == ("failed", reason, 4)


def test_outcome_of_an_earlier_attempt_is_ignored(run):
    run.tell(Outcome(state="failed", exit_code=143, reason="word of the first"))
    run.tell(StageEvent(name="preflight", state="started"))
    assert "word of the first" not in run.fails(USER.format(143)).status().reason


def test_no_secret_of_a_failure_message_is_shown(run):
    run.fails("at https://a.blob.core.windows.net/box?sv=1&sig=c2VjcmV0 with hf_abcdefghijklmnopqrst")
    reason = run.status().reason
    assert "a.blob.core.windows.net" in reason
    assert "c2VjcmV0" not in reason
    assert "hf_abc" not in reason


def test_a_region_that_cannot_be_reached_takes_nothing_from_what_is_known(run):
    run.set_native_state("Running")
    with run.azure.tenant.unreachable("westeurope.api.azureml.ms"):
        status = run.status()
    assert status.state == "running"
    assert "westeurope.api.azureml.ms cannot be reached" in status.reason


def test_a_run_that_the_region_does_not_know_yet_is_as_the_workspace_says(run):
    run.azure.fault("/details", status=404, code="UserError")
    assert run.status().state == "pending"


def test_a_token_goes_to_hosts_of_azure_ml_alone(run, monkeypatch):
    from azure_stand_in.ml import jobs

    monkeypatch.setattr(jobs, "HOST", "westeurope.api.azureml.ms.evil.example")
    assert run.status().state == "pending"
    assert run.azure.tenant.proxy.refused == []
    assert "GET https://management.azure.com" in run.azure.calls[1]  # the workspace was asked for its region


def test_status_names_the_job_and_its_page(run, robotrain):
    run.set_native_state("Running").tell(Checkpoint(step=400, path="/tmp/robotrain/here/000400"), *EVENTS[:2])
    text = robotrain("status", run.record()).stdout
    assert f"{RUN}  running  on azureml" in text
    assert f"job         {JOB}" in text
    assert (
        f"https://ml.azure.com/runs/{JOB}?wsid=/subscriptions/{run.reference['subscription']}/resourcegroups/robots"
        in text
    )
    assert "step 10/20 (50%)  loss 0.5" in text


def test_status_shows_state_reason_and_the_next_command(run, robotrain):
    name = run.fails('Failed to pull image "nvcr.io/x/y:9"').record()
    answer = robotrain("status", name)
    assert answer.exit_code == 0
    assert f"{name}  failed  on azureml" in answer.stdout
    assert "nvcr.io/x/y:9" in answer.stdout
    assert f"robotrain logs --tail 40 {name}" in answer.stdout


BATCH, DETAILS = "/batchrundata", "/details"


@pytest.fixture
def jobs(azureml, run):
    """Makes jobs in these states of Azure ML, each with the record of a run; their references."""

    def make(*states: str) -> list[dict[str, str]]:
        run.record()
        made = []
        for number, state in enumerate(states):
            name = f"{JOB}-{number}"
            job = copy.copy(run.job)
            job.name, job.times = name, dict(run.job.times)
            for before in ("Running",) if state in ("Completed", "Failed", "Canceled") else ():
                job.state(before)
            job.state(state)
            azureml.ml.jobs[name.lower()] = job
            reference = run.reference | {"job": name, "run": f"act-{number}-1"}
            record = dataclasses.replace(records.read_record(RUN), run=f"act-{number}-1", reference=reference)
            records.write_record(record)
            made.append(reference)
        (records.get_run_folder(RUN) / records.RECORD_FILE).unlink()
        azureml.calls.clear()
        return made

    return make


def count(azureml, part: str) -> int:
    """How many requests had this in their path."""
    return sum(part in call for call in azureml.calls)


def test_live_runs_are_counted_in_one_request(robotrain, azureml, jobs):
    jobs(*["Running"] * 13, *["Queued"] * 13)
    listed = robotrain("runs", "--json").json["runs"]
    assert sorted(run["state"] for run in listed) == ["pending"] * 13 + ["running"] * 13
    assert count(azureml, BATCH) == 1
    assert count(azureml, DETAILS) <= 8  # of a few logs


@pytest.mark.parametrize("state", ["NotStarted", "Preparing", "Queued", "Running", "Completed", "Failed", "Canceled"])
def test_a_list_and_a_query_agree(state, azureml, jobs):
    references = jobs(state, "Running")
    listed, other = AZUREML.engine.list_statuses(references)
    single = AZUREML.engine.status(references[0])
    assert (listed.finished, other.state) == (single.finished, "running")
    if not single.finished or single.state == "succeeded":
        assert listed == single


def test_a_job_that_is_gone_is_asked_for_alone(robotrain, azureml, jobs):
    jobs("Running", "Queued", "Running")
    del azureml.ml.jobs[f"{JOB}-1".lower()]
    states = {run["run"]: run["state"] for run in robotrain("runs", "--json").json["runs"]}
    assert states == {"act-0-1": "running", "act-1-1": "gone", "act-2-1": "running"}


def test_a_region_out_of_reach_lists_nothing(azureml, jobs):
    references = jobs("Running", "Queued")
    azureml.fault("POST .*batchrundata", status=403, code="Forbidden")
    assert AZUREML.engine.list_statuses(references) == [None, None]


def test_no_instance_type_is_suggested_on_a_managed_compute():
    """`resubmit --set instance_type=…` would be refused there."""
    job = dataclasses.replace(make_job("Failed", USER.format(137)), instance_type="")
    reason = status.explain_failure(job, None)
    assert ("--compute" in reason, "--instance-type" in reason) == (True, False)


WRONG_ANSWERS = {"page": "<html></html>", "list": "[]", "deep": "[" * 100_000, "type": '{"properties": 7}'}
WRONG_FIELDS = ('{"properties": {"services": "x"}}', '{"properties": {"services": {"Tracking": [7]}}}')


@pytest.mark.parametrize("answer", WRONG_ANSWERS.values(), ids=WRONG_ANSWERS)
def test_an_answer_of_another_form_is_azures_fault(run, robotrain, answer_all, answer):
    answer_all(answer)
    shown = robotrain("status", run.record(), "--json")
    assert shown.exit_code == 1
    assert [problem["code"] for problem in json.loads(shown.stdout)["problems"]] == ["platform-refused"]
    assert "Azure's answer cannot be read" in shown.stdout


@pytest.mark.parametrize("answer", WRONG_FIELDS)
def test_a_region_that_is_not_named_leaves_what_the_job_says(run, robotrain, answer_all, answer):
    answer_all(answer)
    shown = robotrain("status", run.record())
    assert (shown.exit_code, "cannot be read" in shown.stdout + shown.stderr) == (0, True)


@pytest.fixture
def answer_all(monkeypatch):
    """Let the resource manager answer everything with a text."""

    def change(text):
        answer = lambda self, status, content: self.answer(status, text.encode())  # noqa: E731
        monkeypatch.setattr(manager._Handler, "answer_json", answer)

    return change
