"""`robotrain status` of a workflow: its state, why it waits or failed, and what to do."""

import time

import pytest
from osmo_observed_run import EVENTS, Observed, sealed
from robotrain.errors import Rejected
from robotrain.model.run import RunGone
from robotrain_osmo.observe import status, workflow_state
from robotrain_osmo.platform import OSMO
from robotrain_runtime.contract import checkpoint
from robotrain_runtime.contract.event import Checkpoint, Evaluated, Outcome, Published, StageEvent


def read_state(word: str, task: str, **more) -> workflow_state.WorkflowState:
    """A workflow state from OSMO's answer; more: fields of the workflow or of its task."""
    of_task = {name: more.pop(name) for name in ("retry_id", "exit_code", "failure_message") if name in more}
    tasks = [{"name": "train", "retry_id": 0, "status": task, **of_task}]
    return workflow_state.parse_workflow(
        {"name": "lerobot-train-1", "status": word, "groups": [{"tasks": tasks}], **more}, "train"
    )


SCHEDULING, NO_MACHINE = ("PENDING", "SCHEDULING"), "no machine of the pool is free"
IMAGE_EVENT = 'Failed: Failed to pull image "nvcr.io/x/y:9": rpc error: not found'
UNSCHEDULED = "FailedScheduling: 0/3 nodes are available: 3 Insufficient nvidia.com/gpu."


@pytest.mark.parametrize(
    ("words", "more", "event", "reason"),
    [
        *(
            (SCHEDULING, {"queued_time": seconds}, "", f"{NO_MACHINE}, for more than 10 min")  # the same over time
            for seconds in (601.0, 700.0, 1100.0)
        ),
        (SCHEDULING, {"queue_timeout": 7200.0}, "", f"{NO_MACHINE}; OSMO gives up after 2:00 h (--queue-timeout)"),
        (SCHEDULING, {"queue_timeout": 5184000.0}, "", NO_MACHINE),  # OSMO's longest
        (SCHEDULING, {}, UNSCHEDULED, f"{NO_MACHINE} (OSMO: {UNSCHEDULED.rstrip('.')})"),
        (
            SCHEDULING,
            {},
            "Failed: https://me:hunter2@x/y?sig=abcdef",
            f"{NO_MACHINE} (OSMO: Failed: https://<redacted>",
        ),
        (("PENDING", "INITIALIZING"), {}, "", "its image is being pulled"),
        (("PENDING", "INITIALIZING"), {}, IMAGE_EVENT, "its image nvcr.io/x/y:9 could not be pulled: check --image"),
        (("WAITING", "WAITING"), {}, "", "OSMO is preparing it"),
    ],
)
def test_waiting_workflow_says_what_it_waits_for(words, more, event, reason):
    explained = status.explain_waiting(read_state(*words, **more), event)
    assert explained.startswith(reason)
    assert explained == reason or not more
    assert "hunter2" not in explained


PULLING = (
    "Scheduled: Successfully assigned osmo/pod to node-1",
    'Pulling: Pulling image "nvcr.io/x/y:9"',
    IMAGE_EVENT,
    "Failed: Error: ErrImagePull",
    'BackOff: Back-off pulling image "nvcr.io/x/y:9"',
)


@pytest.mark.parametrize(
    ("texts", "worst"),
    [
        (PULLING, PULLING[2]),
        ([*PULLING, 'Pulled: Successfully pulled image "nvcr.io/x/y:9"'], ""),
        ([UNSCHEDULED], UNSCHEDULED),
        ([UNSCHEDULED, *PULLING[:2]], ""),
        (PULLING[3:], PULLING[4]),
        (PULLING[:2], ""),
        ([], ""),
    ],
)
def test_newest_unresolved_problem_of_the_events_is_found(texts, worst):
    assert status.find_blocking_event(texts) == worst


def test_events_are_queried_only_after_a_long_wait(run, monkeypatch):
    monkeypatch.setattr(status, "EVENTS_QUIET_SECONDS", 0.3)
    for pod_event in PULLING:
        run.osmo.event(run.id, pod_event)
    run.set_status("INITIALIZING")
    run.osmo.forget()
    assert "is being pulled" in run.status().reason
    assert len(run.osmo.calls) == 1
    monkeypatch.setattr(status, "MIN_WAIT_SECONDS", 0.0)
    assert "nvcr.io/x/y:9 could not be pulled" in run.status().reason
    assert [call[:3] for call in run.osmo.calls][-1] == ["workflow", "events", run.id]


def test_running_workflow_has_a_start_time_and_no_reason(run):
    status = run.set_status("RUNNING", started="2026-11-20T06:05:29.5").status()
    assert (status.state, status.reason, status.started) == ("running", "", 1795154729.5)
    assert status.ended is None


def test_times_of_osmo_are_utc(monkeypatch):
    monkeypatch.setenv("TZ", "America/Los_Angeles")
    time.tzset()
    assert read_state("RUNNING", "RUNNING", start_time="2026-11-20T06:05:29").started == 1795154729.0
    monkeypatch.undo()
    time.tzset()


def test_the_page_of_a_workflow_is_the_one_that_osmo_names_with_its_host(run, monkeypatch):
    assert OSMO.engine.find_page(run.reference) == "", "the stand-in has no host name"
    named = read_state("RUNNING", "RUNNING", overview="https://osmo.example/workflows/lerobot-train-1")
    monkeypatch.setattr(workflow_state, "query_workflow", lambda reference: named)
    assert OSMO.engine.find_page(run.reference) == "https://osmo.example/workflows/lerobot-train-1"


def test_completed_workflow_succeeded(run):
    status = run.set_status("COMPLETED", exit_code=0).status()
    assert (status.state, status.reason, status.exit_code) == ("succeeded", "", 0)
    assert status.ended


FAILURES = [
    ("FAILED_IMAGE_PULL", None, 'Failed to pull image "nvcr.io/x/y:9": not found', ("nvcr.io/x/y:9", "--image")),
    ("FAILED_EVICTED", 3004, "The node was low on resource: ephemeral-storage.", ("disk", "--storage")),
    ("FAILED_EVICTED", 3004, "The node was low on resource: memory.", ("memory", "--memory")),
    ("FAILED_EVICTED", None, "", ("--storage", "--memory")),
    ("FAILED_EXEC_TIMEOUT", None, "", ("time limit", "--exec-timeout", "resume")),
    ("FAILED_QUEUE_TIMEOUT", None, "", ("no machine was free", "--queue-timeout")),
    ("FAILED_PREEMPTED", 3006, "", ("higher priority", "--priority HIGH")),
    ("FAILED_BACKEND_ERROR", 3001, "Node got removed from the cluster", ("not the job", "Node got removed")),
    ("FAILED_SERVER_ERROR", 3002, "", ("OSMO failed",)),
    ("FAILED_START_ERROR", 3003, "", ("could not start", "--image")),
    ("FAILED_START_TIMEOUT", 3005, "", ("in time",)),
    ("FAILED_START_ERROR", 3003, 'secret "hf" not found', ("a secret", "osmo credential list", "hf")),
    ("FAILED", 137, "", ("it was killed", "OOMKilled", "--memory")),
    ("FAILED", 2010, "", ("could not download an input", "osmo data list")),
    ("FAILED", 2012, "", ("could not upload", "--publish-url")),
    ("FAILED", 2013, "", ("Storage Blob Data Contributor",)),
    ("FAILED", 2014, "", ("DATA credential",)),
    ("FAILED", 2021, "", ("connection",)),
    ("FAILED", 256, "", ("osmo workflow events",)),
    ("FAILED", 4000, "", ("4000", "osmo workflow events")),
    ("FAILED", 4, "", ("preflight",)),
    ("FAILED", 75, "", ("environment", "resubmit")),
    ("FAILED", 77, "", ("exit code 77",)),
    ("FAILED_BY_MOONLIGHT", None, "full moon", ("its OSMO status is FAILED_BY_MOONLIGHT (OSMO: full moon)",)),
    (
        "FAILED_START_ERROR",
        None,
        "https://a.blob.core.windows.net/box?sig=c2VjcmV0 hf_abcdefghijklmnopqrst",
        ("--image",),
    ),
]


@pytest.mark.parametrize(("word", "code", "message", "facts"), FAILURES, ids=lambda value: str(value)[:24])
def test_failure_has_a_cause_and_what_to_do(word, code, message, facts):
    failed = read_state(word, word, exit_code=code, failure_message=message)
    is_outside = word in ("FAILED_PREEMPTED", "FAILED_BACKEND_ERROR", "FAILED_SERVER_ERROR")
    assert failed.state == ("lost" if is_outside else "failed")
    reason = status.explain_failure(failed)
    assert [part for part in facts if part not in reason] == []
    assert "c2VjcmV0" not in reason
    assert "hf_abc" not in reason


@pytest.mark.parametrize(
    ("words", "more", "state", "reason"),
    [
        (("FAILED_CANCELED", "FAILED_CANCELED"), {"cancelled_by": "anna"}, "cancelled", "anna cancelled it"),
        (("FAILED_EXEC_TIMEOUT", "FAILED_EXEC_TIMEOUT"), {"cancelled_by": "osmo"}, "failed", "time limit"),
        (("FAILED", "FAILED_BACKEND_ERROR"), {"failure_message": "Node got removed"}, "lost", "not the job"),
    ],
)
def test_failure_is_that_of_the_more_precise_status(words, more, state, reason):
    failed = read_state(*words, **more)
    assert failed.state == state
    assert reason in status.explain_failure(failed)


@pytest.mark.parametrize(
    ("task", "started", "state"),
    [
        ("DREAMING", None, "pending"),
        ("DREAMING", "2026-11-20T06:05:29", "running"),
        ("RUNNING", None, "running"),
        ("SCHEDULING", "2026-11-20T06:05:29", "pending"),
    ],
)
def test_unknown_status_ends_nothing_and_is_read_by_that_of_its_task(task, started, state):
    unknown = read_state("HIBERNATING", task, start_time=started)
    assert (unknown.state, unknown.is_finished) == (state, False)
    assert "HIBERNATING" in status.explain_waiting(unknown)


def test_newest_attempt_counts():
    tries = [
        {"name": "train", "retry_id": number, "status": word} for number, word in enumerate(("RESCHEDULED", "RUNNING"))
    ]
    for tasks in (tries, tries[::-1]):
        workflow = workflow_state.parse_workflow({"status": "RUNNING", "groups": [{"tasks": tasks}]}, "train")
        assert (workflow.task_status, workflow.retry) == ("RUNNING", 1)


@pytest.mark.slow
def test_restart_is_shown_in_the_reason(run):
    run.set_status("RUNNING")
    run.osmo.retry(run.id, exit_code=3006)
    assert run.set_status("SCHEDULING").status().state == "pending"
    assert run.status().reason.startswith("it was restarted after losing its machine (retry 1): no machine")
    assert run.set_status("RUNNING").status().reason.endswith("(retry 1)")


def test_reason_that_the_run_logged_comes_first(run):
    run.set_status("RUNNING").say("Traceback …")
    run.tell(
        Outcome(state="failed", exit_code=4, reason="azure says 403: give the identity a role", fault="configuration")
    )
    assert run.set_status("FAILED", exit_code=4).status().reason == "azure says 403: give the identity a role"
    assert run.status().exit_code == 4


@pytest.mark.slow
def test_reason_of_an_earlier_attempt_does_not_count(run):
    run.set_status("RUNNING").tell(Outcome(state="failed", exit_code=143, reason="word of the first"))
    run.tell(StageEvent(name="preflight", state="started"))
    assert "word of the first" not in run.set_status("FAILED", exit_code=143).status().reason


@pytest.mark.slow
def test_log_is_read_only_if_the_run_itself_failed(run):
    for word, calls in (("RUNNING", 1), ("FAILED_EVICTED", 1), ("FAILED", 2)):
        run.osmo.forget()
        assert run.set_status(word).status()
        assert len(run.osmo.calls) == calls


def test_unknown_workflow_is_gone(run):
    run.reference["workflow"] = "nothing-of-that-name-7"
    with pytest.raises(RunGone, match="nothing-of-that-name-7"):
        run.status()


def test_failed_query_is_no_lost_run(run):
    run.osmo.logout()
    with pytest.raises(Rejected) as raised:
        run.status()
    assert not isinstance(raised.value, RunGone)
    assert "signed in" in str(raised.value)


@pytest.mark.parametrize("answer", [None, [], {}, {"groups": 3}, {"status": 4, "groups": [{"tasks": [None, {}]}]}])
def test_answer_of_another_shape_ends_nothing(answer):
    assert workflow_state.parse_workflow(answer).state == "pending"


def test_status_names_the_workflow_and_no_folder_of_a_machine_that_is_gone(run, robotrain):
    run.reference["publishes"] = "azure://robots/checkpoints/one"
    made = Checkpoint(step=400, path="/tmp/robotrain/here/000400")
    run.set_status("RUNNING").tell(made)
    text = robotrain("status", run.record()).stdout
    assert f"workflow    {run.id}" in text
    assert "copied to   azure://robots/checkpoints/one" in text
    assert made.path in text
    run.set_status("COMPLETED", exit_code=0)
    text = robotrain("status").stdout
    assert made.path not in text
    assert "it saved no checkpoint" in text
    assert "--policy-run" not in text, "nothing was copied"
    run.osmo.fail("data list", "refused", times=None)
    text = robotrain("status").stdout
    assert "checkpoint  step 400; its machine is gone: `robotrain outputs` lists the copies" in text


@pytest.mark.parametrize("is_tracked", [False, True])
def test_outputs_that_went_with_the_pod_are_not_offered(run, robotrain, is_tracked):
    run.set_status("RUNNING").tell(*EVENTS[:-1], Checkpoint(step=400, path="/tmp/robotrain/here/000400"))
    if is_tracked:
        run.tell(Published(step=400, to="runs:/1/checkpoints/000400"))
    name = run.set_status("COMPLETED", exit_code=0).record()
    page = robotrain("status", name).stdout
    assert "they are deleted with the pod's disk" in page
    assert "--policy-run" not in page
    assert "robotrain outputs" not in page
    assert robotrain("status", "--json").json["checkpoint"] is None
    assert "--policy-run" not in robotrain("wait").stdout
    run.set_status("FAILED", exit_code=1)
    assert "robotrain resume" not in robotrain("status").stdout


def test_results_that_went_with_the_pod_are_not_offered(run, robotrain):
    evaluation = Evaluated(episodes=4, scores={"rollout/success_rate": 0.5}, results="/tmp/robotrain/here/results")
    run.set_status("RUNNING").tell(evaluation)
    run.set_status("COMPLETED", exit_code=0).record()
    page = robotrain("status").stdout
    assert "the results of" in page
    assert "they are deleted with the pod's disk" in page
    assert "robotrain outputs" not in page


@pytest.mark.slow
def test_published_checkpoint_replaces_its_folder_in_the_pod(run, robotrain):
    to = "https://robots.blob.core.windows.net/checkpoints/one/000400"
    run.set_status("RUNNING").tell(Checkpoint(step=400, path="/tmp/robotrain/here/000400"), Published(step=400, to=to))
    name = run.set_status("FAILED", exit_code=1).record()
    text = robotrain("status", name).stdout
    assert f"published   step 400, {to}" in text
    assert "/tmp/robotrain" not in text


@pytest.mark.slow
def test_checkpoints_that_only_the_storage_shows_can_be_resumed(osmo, robotrain):
    place, files = "azure://robots/checkpoints/one", {"pretrained_model/config.json": b"{}"}
    run = Observed(osmo, publishes=place)
    name = run.set_status("RUNNING").set_status("FAILED", exit_code=1).record()
    text = robotrain("status", name).stdout
    assert "it saved no checkpoint" in text
    assert "robotrain resubmit" not in text, "nothing says that another attempt would go better"
    for step in (400, 800):
        osmo.put(f"{place}/{step:06}", files | {checkpoint.MANIFEST: sealed(files, step)})
    text = robotrain("status", name).stdout
    assert "published   step 800, https://robots.blob.core.windows.net/checkpoints/one/000800 and 1 earlier" in text
    assert f"robotrain resume {name}" in text
    assert [publication["step"] for publication in robotrain("status", name, "--json").json["published"]] == [400, 800]
    osmo.fail("data list", "refused", times=None)
    text = robotrain("status", name).stdout
    assert "it saved no checkpoint" not in text
    assert f"robotrain outputs {name}" in text


@pytest.mark.parametrize(
    ("word", "message"), [("FAILED_START_ERROR", 'secret "hf" not found'), ("FAILED_START_TIMEOUT", "")]
)
def test_a_start_that_may_lack_a_secret_names_no_option_of_the_image(word, message):
    failed = read_state(word, word, failure_message=message)
    assert "--image" not in status.explain_failure(failed), "the next command would offer another one"
