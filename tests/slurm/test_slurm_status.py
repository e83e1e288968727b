"""The status of a run: its own record counts first, then the queue of Slurm, what was seen of it, its accounting."""

import os
import time
from dataclasses import replace

import pytest
from problem_assertions import check_problems
from recorded_slurm import JOB, RUN, RunFolder
from robotrain.errors import Rejected
from robotrain.model.run import RunGone
from robotrain_runtime.contract import failure
from robotrain_slurm.settings import SlurmSettings
from robotrain_slurm.submitted_runs import find_submitted
from slurm_pipelines import ENGINE


def test_waiting_run_says_why(recorded, run):
    recorded.set_job("PENDING", "Priority")
    status = ENGINE.status(run.reference)
    assert (status.state, status.started) == ("pending", None)
    assert "Priority" in status.reason
    assert recorded.asked == ["squeue"]


def test_run_that_slurm_starts_again_has_not_ended(recorded, run):
    run.begin()
    recorded.set_job("RUNNING", nodes="n1")
    assert ENGINE.status(run.reference).reason == "on n1"
    run.end("cancelled", "requeue", "its time was up")
    for state in ("RUNNING", "COMPLETING", "REQUEUED"):
        recorded.set_job(state, nodes="n1")
        assert not ENGINE.status(run.reference).finished, state
    recorded.set_job("PENDING", "BeginTime", start=time.time() + 100)
    status = ENGINE.status(run.reference)
    assert (status.state, status.started) == ("pending", 1000.0)
    assert status.reason.startswith("it starts again at ")
    run.begin(restart=1)
    recorded.set_job("RUNNING", nodes="n2")
    assert ENGINE.status(run.reference).reason == "on n2, attempt 2"


def test_run_that_another_job_continues_has_not_ended(recorded, run):
    run.begin()
    run.end("cancelled", "node", "its time was up")
    (run.path / f"continued.{JOB}").write_text("15")
    (run.path / "taken").rename(run.path / f"taken.{JOB}")
    recorded.set_job("COMPLETED")
    recorded.set_job("PENDING", "Resources", number="15", continues=JOB)
    assert ENGINE.status(run.reference).state == "pending"
    recorded.set_job("FAILED", "BadConstraints", number="16", continues=JOB)
    assert ENGINE.status(run.reference).state == "pending"
    run.begin(job="15", began=3000.0)
    run.end("succeeded", job="15", at=4000.0, code=0)
    recorded.forget()
    status = ENGINE.status(run.reference)
    assert (status.state, status.exit_code, status.started, status.ended) == ("succeeded", 0, 1000.0, 4000.0)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("outcome.json", '{"state": "failed", "exit_code": 1, "reason": null}'),
        ("outcome.json", '{"state": "succeeded", "exit_code": 1e400}'),
        ("engine-end", '{"id": "12", "name": "count-1", "comment": "", "state": 7, "reason": ""}'),
        ("engine-end", '{"id": "12", "name": "count-1", "comment": "", "state": "FAILED", "reason": "", "end": 1e300}'),
        ("attempts.jsonl", '{"event": "began", "job": "12", "restart": 0, "node": "n1", "began": null}'),
        ("attempts.jsonl", '{"event": "began", "job": ["12"], "restart": 0, "node": "n1", "began": 1e400}'),
        ("attempts.jsonl", "[" * 100_000),
    ],
)
def test_damaged_document_of_a_run_counts_as_missing(recorded, run, name, content):
    recorded.set_job("FAILED", "NonZeroExitCode", nodes="n1")
    expected = ENGINE.list_statuses([run.reference])
    (run.path / "engine-end").unlink()
    (run.path / name).write_text(content)
    status = ENGINE.status(run.reference)
    assert ENGINE.list_statuses([run.reference]) == [status]
    if name == "outcome.json":
        reason, is_told, _ = status.reason.partition("; its outcome.json is damaged")
        assert is_told
        status = replace(status, reason=reason)
    assert status == expected[0]


@pytest.mark.parametrize(
    ("way", "state", "age", "expected"),
    [
        # what the last start left, what Slurm says of its job, how long ago it ended: the state of the run
        ("requeue", "FAILED", 5, "pending"),
        ("requeue", "", 5, "pending"),
        ("node", "FAILED", 5, "pending"),
        ("slurm", "NODE_FAIL", 5, "pending"),
        ("requeue", "CANCELLED", 5, "cancelled"),
        ("requeue", "FAILED", 300, "failed"),
        ("node", "", 300, "lost"),
        ("", "FAILED", 5, "cancelled"),
    ],
)
def test_run_between_two_starts_has_not_ended_for_a_while(recorded, run, way, state, age, expected):
    """Between the end of its batch script and its requeue Slurm shows a job as failed, or not at all."""
    run.begin()
    run.end("cancelled", way, "its time was up", at=time.time() - age)
    if state:
        recorded.set_job(state, "NonZeroExitCode")
    status = ENGINE.status(run.reference)
    assert status.state == expected
    assert ("no job continues it" in status.reason) == (expected in ("failed", "lost") and bool(way))


def test_job_of_a_run_of_the_same_name_in_another_folder_counts_for_nothing(recorded, run):
    recorded.set_job("PENDING", "Priority")
    recorded.set_job("RUNNING", number="13")
    recorded.set_job("RUNNING", number="14", continues="13")
    assert ENGINE.status(run.reference).state == "pending"


def test_job_of_another_run_counts_for_nothing(recorded, run):
    recorded.set_job("RUNNING", name="count-2")
    recorded.set_job("RUNNING", number="13", comment="")
    assert ENGINE.status(run.reference).state == "lost"


def test_outcome_of_an_earlier_start_is_not_the_end(recorded, run):
    """Slurm requeued the job, and its next start failed before the runtime began."""
    run.begin()
    run.end("cancelled", "slurm", "Slurm starts the job again")
    (run.path / "slurm.txt").write_text("slurmstepd-n1: error: *** JOB 12 ***\nerror: no Python\nslurmstepd: done\n")
    recorded.set_job("FAILED", "NonZeroExitCode")
    status = ENGINE.status(run.reference)
    assert status.state == "failed"
    assert status.reason.endswith(": no Python")


def test_run_that_ended_by_its_own_record_is_told_while_slurm_is_away(recorded, run):
    run.begin()
    recorded.set_away()
    with pytest.raises(Rejected) as caught:
        ENGINE.status(run.reference)
    check_problems(caught.value.problems, "platform-away")
    assert caught.value.transient
    run.end("failed", outcome="the data is gone", code=1)
    status = ENGINE.status(run.reference)
    assert (status.state, status.reason, status.exit_code) == ("failed", "the data is gone", 1)


def test_settled_run_asks_slurm_nothing(recorded, run):
    run.begin()
    run.end("succeeded", code=0)
    assert ENGINE.status(run.reference).state == "succeeded"
    (run.path / "cancelled").touch()
    run.end("cancelled")
    status = ENGINE.status(run.reference)
    assert (status.state, status.reason, recorded.asked) == ("cancelled", "the run was stopped", [])


@pytest.mark.parametrize(
    ("state", "reason", "expected", "fact"),
    [
        ("NODE_FAIL", "NodeDown", "lost", "its node failed"),
        ("OUT_OF_MEMORY", "OutOfMemory", "failed", "memory ran out"),
        ("TIMEOUT", "TimeLimit", "failed", "time limit"),
        ("CANCELLED", "Priority", "cancelled", "cancelled in Slurm"),
        ("PREEMPTED", "", "lost", "higher priority"),
    ],
)
def test_end_is_kept_when_slurm_forgets_it(recorded, run, state, reason, expected, fact):
    run.begin()
    recorded.set_job(state, reason, start=900.0, end=1100.0, nodes="n1")
    first = ENGINE.status(run.reference)
    assert (first.state, first.ended) == (expected, 1100.0)
    assert fact in first.reason
    recorded.forget()
    assert ENGINE.status(run.reference) == first
    assert "sacct" not in recorded.asked


def test_end_that_nobody_saw_is_told_by_accounting(recorded, run):
    run.begin()
    recorded.set_account("NODE_FAIL")
    status = ENGINE.status(run.reference)
    assert (status.state, recorded.asked) == ("lost", ["squeue", "sacct"])
    assert "node failed" in status.reason


def test_number_that_slurm_gave_another_job_is_not_the_run(recorded, run):
    """Slurm may begin its numbers again."""
    recorded.set_account("COMPLETED", name="other")
    assert ENGINE.status(run.reference).state == "lost"


def test_run_without_any_trace_is_lost(recorded, run):
    (run.path / "slurm.txt").write_text("error: no Python\n")
    status = ENGINE.status(run.reference)
    assert (status.state, status.exit_code) == ("lost", None)
    assert status.reason.endswith(": no Python")


def test_run_of_another_cluster_is_not_lost(recorded, run, monkeypatch):
    reference = {**run.reference, "conf": "/etc/slurm-a/slurm.conf"}
    monkeypatch.setenv("SLURM_CONF", "/etc/slurm-b/slurm.conf")
    with pytest.raises(Rejected) as refused:
        ENGINE.status(reference)
    check_problems(refused.value.problems, "slurm-other-cluster")
    assert ENGINE.list_statuses([reference]) == [None]
    monkeypatch.setenv("SLURM_CONF", "/etc/slurm-a/slurm.conf")
    assert ENGINE.status(reference).state == "lost"


def test_own_reason_is_told_with_that_of_slurm(recorded, run):
    run.begin()
    run.end("failed", outcome="the training was killed", code=1)
    recorded.set_job("OUT_OF_MEMORY", "OutOfMemory")
    status = ENGINE.status(run.reference)
    assert status.reason.startswith("the training was killed: memory ran out")
    run.end("cancelled", explanation="the job has --continuation never")
    recorded.set_job("FAILED", "NonZeroExitCode")
    told = ENGINE.status(run.reference).reason
    assert told == "the run was stopped by Slurm, as when its time is up; the job has --continuation never"


def test_node_without_internet_is_told_what_fetches_before(recorded, run):
    run.begin()
    run.end("failed", outcome="Network is unreachable", code=75, fault="network")
    recorded.set_job("FAILED", "NonZeroExitCode")
    assert "--stage" in ENGINE.status(run.reference).reason


def test_memory_that_ran_out_is_told_once(recorded, run):
    run.begin()
    run.end("failed", outcome=f"signal 9 (SIGKILL): {failure.MEMORY_RAN_OUT}", code=137)
    recorded.set_job("OUT_OF_MEMORY", "OutOfMemory")
    assert ENGINE.status(run.reference).reason.count("memory ran out") == 1


def test_memory_kill_that_slurm_calls_a_failure_is_told(recorded, run):
    run.begin()
    (run.path / "slurm.txt").write_text("slurmstepd-n1: error: Exceeded job memory limit\n")
    recorded.set_job("FAILED", "JobLaunchFailure")
    assert "--memory" in ENGINE.status(run.reference).reason


def test_run_of_another_user_is_found(recorded, run, monkeypatch):
    recorded.set_job("RUNNING", nodes="n1")
    monkeypatch.setattr(os, "getuid", lambda: run.path.stat().st_uid + 1)
    assert ENGINE.status(run.reference).state == "running"
    assert f"--user={run.path.stat().st_uid}" in recorded.read_calls()[0]


def test_missing_folder_is_told(recorded, tmp_path):
    with pytest.raises(RunGone):
        ENGINE.status({"run": RUN, "folder": str(tmp_path / "gone"), "job": JOB})


def test_fifty_runs_cost_one_question(recorded, tmp_path):
    runs = [RunFolder(tmp_path / f"count-{number}") for number in range(50)]
    for number, run in enumerate(runs):
        run.reference["job"] = str(number + 1)
        recorded.set_job("PENDING", "Priority", number=str(number + 1), name=run.path.name)
    gone = {"run": "count-99", "folder": str(tmp_path / "gone"), "job": "99"}
    statuses = ENGINE.list_statuses([*(run.reference for run in runs), gone])
    assert [status and status.state for status in statuses] == ["pending"] * 50 + [None]
    assert recorded.asked == ["squeue"]
    recorded.forget("1")
    ENGINE.list_statuses([run.reference for run in runs])
    assert recorded.asked[1:] == ["squeue", "sacct"]


@pytest.mark.slow
def test_log_is_followed_over_a_requeue(recorded, run, monkeypatch):
    monkeypatch.setattr("robotrain.run_folder.log.QUERY_SECONDS", 0.0)
    monkeypatch.setattr("robotrain.run_folder.log.POLL_SECONDS", 0.0)
    recorded.set_job("PENDING", "Resources")
    lines = ENGINE.logs(run.reference, True)
    assert next(lines) == "[slurm] waiting: Slurm says Resources"
    recorded.set_job("PENDING", "Priority")
    assert "Priority" in next(lines)
    (run.path / "slurm.txt").write_text("loading cuda\n")
    assert next(lines) == "[slurm] loading cuda"
    run.begin()
    recorded.set_job("RUNNING", nodes="n1")
    (run.path / "log.txt").write_text("one\n")
    assert next(lines) == "one"
    run.end("cancelled", "requeue", "its time was up")
    recorded.set_job("PENDING", "BeginTime")
    assert next(lines) == "[slurm] waiting: it starts again soon"
    run.begin(restart=1)
    recorded.set_job("RUNNING", nodes="n1")
    recorded.set_away()
    with (run.path / "log.txt").open("a") as file:
        file.write("two\nlast")
    assert next(lines) == "two"
    recorded.set_away(False)
    run.end("succeeded", code=0)
    assert [*lines] == ["last"]


def test_log_of_a_run_that_never_began_is_that_of_its_batch_script(recorded, run):
    (run.path / "slurm.txt").write_text("loading cuda\nslurmstepd: error: *** JOB 12 CANCELLED ***\n")
    told = ["[slurm] loading cuda", "[slurm] slurmstepd: error: *** JOB 12 CANCELLED ***"]
    assert [*ENGINE.logs(run.reference, False)] == told
    (run.path / "log.txt").write_text("one\ntwo\n")
    os.utime(run.path / "log.txt", (1000, 1000))
    assert [*ENGINE.logs(run.reference, False)] == [told[0], "one", "two", told[1]]
    assert [*ENGINE.logs(run.reference, False, tail=2)] == ["two", told[1]]


def test_what_slurm_added_to_an_earlier_start_is_not_the_end_of_the_log(recorded, run):
    (run.path / "slurm.txt").write_text("slurmstepd: error: *** JOB 12 CANCELLED ***\n")
    os.utime(run.path / "slurm.txt", (1000, 1000))
    (run.path / "log.txt").write_text("succeeded\n")
    assert [*ENGINE.logs(run.reference, False)][-1] == "succeeded"


@pytest.mark.parametrize(
    ("says", "is_gone"), [("slurm_load_jobs error: Invalid job id specified", True), ("sh: 1: squeue: Killed", False)]
)
def test_a_job_is_forgotten_only_where_slurm_says_so(recorded, says, is_gone):
    recorded.answer("squeue", error=says, code=1)
    with pytest.raises(Rejected) as caught:
        find_submitted("12", SlurmSettings())
    assert isinstance(caught.value, RunGone) == is_gone
