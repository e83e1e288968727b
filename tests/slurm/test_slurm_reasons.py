"""Why a job waits and why it ended, in words: Slurm's own word is kept for administrators."""

import time

import pytest
from robotrain_slurm.client.queue import QueuedJob
from robotrain_slurm.observe import reasons

NOON = 1795521600.0  # 2026-11-24 12:00:00 UTC


@pytest.fixture(autouse=True)
def noon(monkeypatch):
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    monkeypatch.setattr(time, "time", lambda: NOON)
    yield
    monkeypatch.undo()
    time.tzset()


def make_job(reason="", state="PENDING", **values):
    return QueuedJob(id="12", name="count-1", comment="", state=state, reason=reason, **values)


@pytest.mark.parametrize(
    ("reason", "facts"),
    [
        ("", "not looked"),
        ("Priority", "higher priority"),
        ("Resources", "no node has free"),
        ("Dependency", "job 11 must end"),
        ("DependencyNeverSatisfied", "job 11 did not succeed"),
        ("JobHeldUser", "scontrol release 12"),
        ("JobHeldAdmin", "administrator"),
        ("launch failed requeued held", "could not be started"),
        ("job_requeued_in_held_state", "scontrol release 12"),
        ("PartitionTimeLimit", "--time"),
        ("PartitionDown", "starts no jobs"),
        ("PartitionInactive", "--partition"),
        ("BadConstraints", "never starts"),
        ("ReqNodeNotAvail, UnavailableNodes:n[1-3]", "UnavailableNodes:n[1-3]"),
        ("QOSMaxGRESPerUser", "its QOS allows a user no more GPUs"),
        ("QOSMaxJobsPerUserLimit", "its QOS allows a user no more jobs"),
        ("AssocGrpCpuLimit", "its account allows no more CPU cores"),
        ("AssocGrpCPUMinutesLimit", "budget of its account"),
        ("AssocMaxWallDurationPerJobLimit", "more time than its account allows"),
        ("QOSMinGRES", "less than its QOS requires"),
        ("MaxGRESPerAccount", "its QOS allows an account no more GPUs"),
        ("AssociationJobLimit", "limit of its account"),
        ("InvalidQOS", "--qos"),
        ("AccountNotAllowed", "--account"),
        ("Licenses", "license"),
    ],
)
def test_reason_is_told_in_words(reason, facts):
    told = reasons.explain_waiting(make_job(reason, dependency="afterok:11(unfulfilled)"))
    assert facts in told
    assert reason in told or reason in ("", "Priority", "Dependency")


def test_unknown_reason_is_told_as_slurm_prints_it():
    assert reasons.explain_waiting(make_job("SolarFlare")) == "Slurm says SolarFlare"
    assert reasons.explain_running(make_job(state="LEVITATING"), 1) == "Slurm says LEVITATING"
    assert "LEVITATING" in reasons.explain_end(make_job(state="LEVITATING"))


def test_expected_start_is_told_in_steps():
    """An estimate changes every half minute: whoever waits would see a line each time."""
    told = [reasons.explain_waiting(make_job("Priority", start=NOON + more)) for more in (3700, 3900, 90000, -30)]
    assert [text.partition("; ")[2] for text in told] == [
        "expected start 13:10",
        "expected start 13:10",
        "expected start 2026-11-25 13:00",
        "",
    ]
    assert "expected" not in reasons.explain_waiting(make_job("JobHeldUser", start=NOON + 3700))


def test_job_that_starts_again_says_when():
    soon, past = make_job("BeginTime", start=NOON + 130), make_job("BeginTime", start=NOON - 1)
    assert reasons.explain_waiting(soon) == "it starts at 12:03"
    assert reasons.explain_waiting(soon, has_begun=True) == "it starts again at 12:03"
    assert reasons.explain_waiting(past, has_begun=True) == "it starts again soon"
    assert reasons.explain_waiting(make_job("Priority"), has_begun=True).startswith("it waits to start again: ")


def test_running_job_says_where():
    assert reasons.explain_running(make_job(state="RUNNING", nodes="n1"), 1) == "on n1"
    assert reasons.explain_running(make_job(state="RUNNING", nodes="n2"), 4) == "on n2, for the 4th time"
    assert "suspended" in reasons.explain_running(make_job(state="SUSPENDED", nodes="n2"), 1)


@pytest.mark.parametrize(
    ("state", "reason", "code", "fact"),
    [
        ("NODE_FAIL", "NodeDown", None, "its node failed"),
        ("OUT_OF_MEMORY", "OutOfMemory", None, "--memory"),
        ("TIMEOUT", "TimeLimit", None, "time limit"),
        ("PREEMPTED", "", None, "higher priority"),
        ("CANCELLED", "DependencyNeverSatisfied", None, "did not succeed"),
        ("CANCELLED", "Priority", None, "cancelled in Slurm (CANCELLED)"),
        ("CANCELLED by 0", "", None, "root cancelled it"),
        ("FAILED", "NonZeroExitCode", None, "batch script failed"),
        ("FAILED", "", 3, "exit code 3"),
        ("FAILED", "", 137, "killed"),
        ("FAILED", "JobLaunchFailure", None, "killed"),
        ("BOOT_FAIL", "", None, "could not be started"),
        ("DEADLINE", "DeadLine", None, "deadline"),
    ],
)
def test_end_is_told_in_words(state, reason, code, fact):
    assert fact in reasons.explain_end(make_job(reason, state, exit_code=code))


def test_job_that_could_not_be_launched_is_told_apart_from_a_killed_one():
    job = make_job("JobLaunchFailure", "FAILED")
    assert "cannot be read on the node" in reasons.explain_end(job, has_begun=False)
