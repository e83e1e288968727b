"""Status and logs of a pipeline's workflow and of its steps, also after an interrupted submit."""

import pytest
from osmo_pipelines import RUN, plan, steps
from osmo_stand_in.world import CutShort, cut_short
from robotrain.errors import Rejected
from robotrain_osmo.client import service
from robotrain_osmo.platform import OSMO
from robotrain_runtime.contract import event
from robotrain_runtime.contract.event import Outcome, Published

ENGINE = OSMO.engine
THRESHOLD = "the success rate is 0.50, below the threshold of 0.70"


@pytest.fixture
def reference(osmo) -> dict[str, str]:
    """A pipeline that waits, as it was submitted."""
    return dict(ENGINE.submit(plan(steps(settings={"pool": "default"}))))


def list_step_states(reference) -> dict[str, str]:
    return {step.name: step.state for step in ENGINE.list_steps(reference)}


def reference_step(reference, step: str) -> dict[str, str]:
    return {**reference, "step": step}


def complete_steps(osmo, reference, *names: str) -> None:
    for name in names:
        osmo.set_state(reference["workflow"], task=name, task_status="RUNNING")
        osmo.set_state(reference["workflow"], task=name, task_status="COMPLETED", exit_code=0)


def test_steps_have_the_order_of_the_plan(osmo, reference):
    assert list_step_states(reference) == {"train": "pending", "evaluate": "waiting", "again": "waiting"}
    assert ENGINE.status(reference).state == "pending"
    osmo.set_state(reference["workflow"], task="train", task_status="RUNNING")
    assert ENGINE.status(reference).state == ENGINE.status(reference_step(reference, "train")).state == "running"
    complete_steps(osmo, reference, "train")
    assert list_step_states(reference) == {"train": "succeeded", "evaluate": "pending", "again": "waiting"}
    whole = ENGINE.status(reference)
    assert [whole.state, whole.exit_code] == ["running", None]  # although OSMO says PENDING again
    assert ENGINE.list_statuses([reference]) == [None]
    assert "step evaluate: OSMO is preparing it" in whole.reason
    complete_steps(osmo, reference, "evaluate", "again")
    assert [ENGINE.status(reference).state, *list_step_states(reference)] == [
        "succeeded",
        "train",
        "evaluate",
        "again",
    ]


def test_pipeline_and_steps_need_one_query(osmo, reference):
    osmo.forget()
    whole, steps = ENGINE.query_pipeline(reference)
    assert len(osmo.calls) == 1
    assert (whole, steps) == (ENGINE.status(reference), ENGINE.list_steps(reference))


def test_reason_is_that_of_the_first_failed_step(osmo, reference):
    complete_steps(osmo, reference, "train")
    osmo.set_state(reference["workflow"], task="evaluate", task_status="RUNNING")
    text = event.format_event(Outcome(state="failed", exit_code=5, reason=THRESHOLD))
    osmo.say(reference["workflow"], text, task="evaluate")
    osmo.set_state(reference["workflow"], task="evaluate", task_status="FAILED", exit_code=5)
    assert list_step_states(reference) == {"train": "succeeded", "evaluate": "failed", "again": "skipped"}
    whole = ENGINE.status(reference)
    assert [whole.state, whole.exit_code] == ["failed", 5]
    assert whole.reason == f"step evaluate failed: {THRESHOLD}"
    assert ENGINE.status(reference_step(reference, "evaluate")).reason == THRESHOLD
    _, listed = ENGINE.query_pipeline(reference)
    assert [step.reason for step in listed] == ["", THRESHOLD, ""]
    assert ENGINE.status(reference_step(reference, "train")).state == "succeeded"


def test_the_log_of_an_ended_pipeline_is_read_once_for_all_steps(osmo, reference):
    complete_steps(osmo, reference, "train")
    osmo.set_state(reference["workflow"], task="evaluate", task_status="FAILED", exit_code=1)
    osmo.forget()
    ENGINE.query_pipeline(reference)
    for step in ("train", "evaluate"):
        list(ENGINE.logs(reference_step(reference, step), False))
        list(ENGINE.outputs(reference_step(reference, step)))
    assert [call[1] for call in osmo.calls].count("logs") == 1


def test_outputs_of_a_log_that_osmo_does_not_send_are_unknown_not_missing(osmo, reference, monkeypatch):
    complete_steps(osmo, reference, "train", "evaluate", "again")
    monkeypatch.setattr(service, "REQUEST_SECONDS", 0.3)
    osmo.fail("workflow logs", "hang", times=None)
    for step in ("train", "evaluate"):
        with pytest.raises(Rejected) as rejected:
            list(ENGINE.outputs(reference_step(reference, step)))
        assert [problem.code for problem in rejected.value.problems] == ["platform-away"]
        assert rejected.value.transient
    assert ENGINE.query_pipeline(reference)[0].state == "succeeded"


def test_step_over_its_time_limit_says_so(osmo, reference):
    osmo.set_state(reference["workflow"], task="train", task_status="RUNNING")
    osmo.set_state(reference["workflow"], task="train", task_status="FAILED", exit_code=124)
    assert "step train failed: it reached its time limit (exit code 124)" in ENGINE.status(reference).reason


@pytest.mark.slow
def test_the_log_of_a_step_has_no_line_of_another(osmo, reference):
    for step, text in (("train", "loss 1"), ("evaluate", "rollout 1"), ("train", "loss 2")):
        osmo.set_state(reference["workflow"], task=step, task_status="RUNNING")
        osmo.say(reference["workflow"], text, task=step)
    assert list(ENGINE.logs(reference_step(reference, "train"), False)) == ["loss 1", "loss 2"]
    assert list(ENGINE.logs(reference_step(reference, "evaluate"), False)) == ["rollout 1"]
    assert list(ENGINE.logs(reference_step(reference, "train"), False, 1)) == ["loss 2"]
    complete_steps(osmo, reference, "train", "evaluate", "again")
    assert list(ENGINE.logs(reference_step(reference, "train"), False)) == ["loss 1", "loss 2"]
    assert list(ENGINE.logs(reference_step(reference, "train"), True)) == ["loss 1", "loss 2"]


def test_following_a_step_ends_with_the_step(osmo, reference, monkeypatch):
    monkeypatch.setattr("robotrain_osmo.observe.logs.STEP_SILENCE_SECONDS", 0.1)
    osmo.set_state(reference["workflow"], task="train", task_status="RUNNING")
    osmo.say(reference["workflow"], "loss 1", task="train")
    complete_steps(osmo, reference, "train")
    osmo.set_state(reference["workflow"], task="evaluate", task_status="RUNNING")
    assert list(ENGINE.logs(reference_step(reference, "train"), True)) == ["loss 1"]


def test_cancel_ends_all_steps(osmo, reference):
    complete_steps(osmo, reference, "train")
    osmo.set_state(reference["workflow"], task="evaluate", task_status="RUNNING")
    ENGINE.cancel(reference)
    assert osmo.cancels == [reference["workflow"]]
    assert list_step_states(reference) == {"train": "succeeded", "evaluate": "cancelled", "again": "cancelled"}
    assert ENGINE.status(reference).state == "cancelled"


def test_an_interrupted_submit_is_found_once(osmo):
    made = plan(steps(settings={"pool": "default"}))
    with cut_short("workflow", "submit", answered=True), pytest.raises(CutShort):
        ENGINE.submit(made)
    reference = ENGINE.find(made)
    assert reference["workflow"] == f"{RUN}-1"
    assert reference["steps"] == "train,evaluate,again"
    assert len(osmo.workflows) == 1


def test_step_of_a_removed_workflow_is_refused(osmo):
    finished = {"train": {"workflow": "gone-1", "run": "gone", "steps": "train", "step": "train"}}
    with pytest.raises(Rejected) as rejected:
        ENGINE.submit(plan(steps(settings={"pool": "default"})[1:], finished))
    (problem,) = rejected.value.problems
    assert problem.code == "platform-refused"
    assert "Task train of workflow gone-1 is not found" in problem.why


def test_outputs_of_a_step_are_what_it_published(osmo, reference):
    to = "https://account1.blob.core.windows.net/runs/x/000002"
    osmo.set_state(reference["workflow"], task="train", task_status="RUNNING")
    published = event.format_event(Published(step=2, to=to))
    osmo.say(reference["workflow"], published, task="train")
    complete_steps(osmo, reference, "train")
    assert [output.uri for output in ENGINE.outputs(reference_step(reference, "train"))] == [to]
    assert list(ENGINE.outputs(reference_step(reference, "evaluate"))) == []
