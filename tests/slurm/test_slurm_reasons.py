"""Why a run waits and why it ended, in Slurm's own words."""

import time

import pytest
from slurm_pipelines import ENGINE

NOON = 1795521600.0  # 2026-11-24 12:00:00 UTC


@pytest.fixture(autouse=True)
def noon(monkeypatch):
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    monkeypatch.setattr(time, "time", lambda: NOON)
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.fixture
def explain(recorded, run):
    """Return the reason of a run whose job is in a state."""

    def explain(state: str, reason: str = "", **values: object) -> str:
        recorded.set_job(state, reason, **values)
        return ENGINE.status(run.reference).reason

    return explain


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        ("", "Slurm says nothing yet"),
        ("Priority", "Slurm says Priority"),
        ("ReqNodeNotAvail, UnavailableNodes:n[1-3]", "Slurm says ReqNodeNotAvail, UnavailableNodes:n[1-3]"),
        ("DependencyNeverSatisfied", "Slurm says DependencyNeverSatisfied: it never starts; cancel it"),
        ("JobHeldUser", "Slurm says JobHeldUser: `scontrol release 12` lets it start"),
        ("job_requeued_in_held_state", "Slurm says job_requeued_in_held_state: `scontrol release 12` lets it start"),
    ],
)
def test_reason_is_quoted(explain, reason, told):
    assert explain("PENDING", reason) == told


def test_start_is_told_in_steps_and_with_what_was_before(explain, run):
    """An estimate changes every half minute: whoever waits would see a line each time."""
    told = [explain("PENDING", "Priority", start=NOON + more) for more in (3700, 3900, 90000, -30)]
    assert [text.partition("; ")[2] for text in told] == [
        "expected start 13:10",
        "expected start 13:10",
        "expected start 2026-11-25 13:00",
        "",
    ]
    assert "expected" not in explain("PENDING", "JobHeldUser", start=NOON + 3700)
    assert explain("PENDING", "BeginTime", start=NOON + 130) == "it starts at 12:03"
    assert explain("RUNNING", nodes="n1") == "on n1"
    assert explain("LEVITATING") == "Slurm says LEVITATING"
    for restart in range(4):
        run.begin(restart)
    assert explain("PENDING", "BeginTime", start=NOON + 130) == "it starts again at 12:03"
    assert explain("PENDING", "BeginTime", start=NOON - 1) == "it starts again soon"
    assert explain("PENDING", "Priority").startswith("it waits to start again: ")
    assert explain("RUNNING", nodes="n2") == "on n2, attempt 4"
    assert explain("SUSPENDED", nodes="n2") == "Slurm says SUSPENDED"


@pytest.mark.parametrize(
    ("state", "reason", "fact"),
    [
        ("NODE_FAIL", "NodeDown", "its node failed"),
        ("OUT_OF_MEMORY", "OutOfMemory", "--memory"),
        ("TIMEOUT", "TimeLimit", "time limit"),
        ("PREEMPTED", "", "higher priority"),
        ("CANCELLED", "DependencyNeverSatisfied", "DependencyNeverSatisfied"),
        ("CANCELLED", "Priority", "cancelled in Slurm (CANCELLED)"),
        ("CANCELLED by 0", "", "root cancelled it"),
        ("FAILED", "NonZeroExitCode", "its job ended (FAILED)"),
        ("FAILED", "JobLaunchFailure", "killed"),
        ("BOOT_FAIL", "", "BOOT_FAIL"),
        ("DEADLINE", "DeadLine", "DEADLINE, DeadLine"),
    ],
)
def test_end_is_told_in_words(explain, run, state, reason, fact):
    run.begin()
    assert fact in explain(state, reason)


@pytest.mark.parametrize(("code", "fact"), [("3:0", "exit code 3"), ("0:9", "killed")])
def test_exit_code_is_told_by_accounting(recorded, run, code, fact):
    run.begin()
    recorded.set_account("FAILED", code)
    assert fact in ENGINE.status(run.reference).reason


def test_job_that_could_not_be_launched_is_told_apart_from_a_killed_one(explain):
    assert explain("FAILED", "JobLaunchFailure") == "its job ended (FAILED, JobLaunchFailure)"
