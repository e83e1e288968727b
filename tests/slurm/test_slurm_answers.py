"""Answers of squeue and sacct: those of 22.05 are recorded from the lab, those of others follow their documentation."""

import pytest
from problem_assertions import check_problems
from recorded_slurm import RunFolder
from robotrain.errors import Rejected
from slurm_pipelines import ENGINE

QUEUE = """\
12|PENDING|BeginTime|1795491390|N/A||(null)|count-1|robotrain:count-1:aa
36|PENDING|Dependency|N/A|N/A||afterok:29(unfulfilled)|count-6|robotrain:count-6:bb
53|PENDING|job requeued in held state|1795493529|1795497129||(null)|count-9|robotrain:count-9:cc
11|PENDING|Priority|N/A|N/A||(null)|a name
of two lines|of another program
90|PENDING|ReqNodeNotAvail, UnavailableNodes:n[1-3]|N/A|N/A||(null)|a|b|c
"""
EARLIER = "5|RUNNING|None|1795491290|NONE|n1||old|\n6|PENDING|Priority|Unknown|Unknown|(null)|NULL|old|(null)\n"
"""Before 18.08: no `(null)` for no dependency and no comment."""
ACCOUNTS = """\
1|FAILED|3:0|1795493632|1795493632|n1|count-1|
2|FAILED|0:9|1795493632|1795493633|n1|count-2|
5|RUNNING|0:0|1795493633|Unknown|n2|count-3|
9|CANCELLED by 1000|0:15|None|1795493700|None assigned|sweep|robotrain:sweep:dd
8|OUT_OF_MEMORY|0:125|1795493632|1795493633|n1|count-4|
"""
# of a command's answer: a run, its job, its state, start and end, exit code, and a word of its reason
TOLD = [
    ("squeue", QUEUE, "count-1", "12", "pending", None, None, None, "it starts"),
    ("squeue", QUEUE, "count-6", "36", "pending", None, None, None, "Dependency"),
    ("squeue", QUEUE, "count-9", "53", "pending", None, None, None, "scontrol release 53"),
    ("squeue", QUEUE, "a", "90", "pending", None, None, None, "UnavailableNodes:n[1-3]"),
    ("squeue", QUEUE, "a name", "11", "lost", None, None, None, "no longer knows"),
    ("squeue", EARLIER, "old", "5", "running", 1795491290.0, None, None, "on n1"),
    ("squeue", EARLIER, "old", "6", "pending", None, None, None, "Priority"),
    ("sacct", ACCOUNTS, "count-1", "1", "failed", 1795493632.0, 1795493632.0, 3, "exit code 3"),
    ("sacct", ACCOUNTS, "count-2", "2", "failed", 1795493632.0, 1795493633.0, 137, "killed"),
    ("sacct", ACCOUNTS, "count-3", "5", "running", 1795493633.0, None, None, "on n2"),
    ("sacct", ACCOUNTS, "sweep", "9", "cancelled", None, 1795493700.0, 143, "cancelled it in Slurm"),
    ("sacct", ACCOUNTS, "count-4", "8", "failed", 1795493632.0, 1795493633.0, None, "memory ran out"),
]


@pytest.mark.parametrize(
    ("command", "text", "name", "job", "state", "started", "ended", "code", "word"),
    TOLD,
    ids=[f"{row[0]} {row[3]} of {row[2]}" for row in TOLD],
)
def test_line_is_a_status(recorded, tmp_path, command, text, name, job, state, started, ended, code, word):
    recorded.answer(command, text)
    folder = RunFolder(tmp_path / name)
    status = ENGINE.status(folder.reference | {"job": job})
    assert (status.state, status.started, status.ended, status.exit_code) == (state, started, ended, code)
    assert word in status.reason
    first, *others = recorded.read_calls()
    assert {"--all", "--states=all"} <= {*first.split()}
    assert first.endswith(f"--name={name}")
    assert not others or f"--jobs={job}" in others[0].split()


def test_queue_that_cannot_be_read_is_a_problem_that_may_pass(recorded, run):
    recorded.answer("squeue", error="squeue: error: Munge encode failed: Failed to access munge.socket", code=1)
    with pytest.raises(Rejected) as failed:
        ENGINE.status(run.reference)
    check_problems(failed.value.problems, "platform-away")
    assert failed.value.transient


@pytest.mark.parametrize(
    "failure",
    [
        "Slurm accounting storage is disabled",
        "sacct: error: Problem talking to the database: Connection refused",
        'sacct: fatal: Invalid field requested: "JobIDRaw"',
    ],
)
def test_cluster_without_accounting_has_no_answer(recorded, run, failure):
    recorded.answer("sacct", error=failure, code=1)
    assert ENGINE.status(run.reference).state == "lost"
