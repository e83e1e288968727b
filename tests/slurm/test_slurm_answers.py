"""Answers of squeue and sacct: those of 22.05 are recorded from the lab, those of others follow their documentation."""

import pytest
from robotrain.errors import Rejected
from robotrain_slurm.client import accounting, queue
from robotrain_slurm.client.commands import SlurmAway, SlurmRefused

QUEUE = """\
12|12|PENDING|BeginTime|1795491390|N/A||(null)|count-1|robotrain:count-1:aa
7_1|7|PENDING|Resources|N/A|N/A||(null)|sweep|(null)
7_2|8|RUNNING|None|1795491290|1795494290|n1|(null)|sweep|(null)
36|36|PENDING|Dependency|N/A|N/A||afterok:29(unfulfilled)|count-6|robotrain:count-6:bb
53|53|PENDING|job requeued in held state|1795493529|1795497129||(null)|count-9|robotrain:count-9:cc
11|11|PENDING|Priority|N/A|N/A||(null)|a name
of two lines|of another program
90|90|PENDING|ReqNodeNotAvail, UnavailableNodes:n[1-3]|N/A|N/A||(null)|a|b|c
"""
EARLIER = "5|5|RUNNING|None|1795491290|NONE|n1||old|\n6|6|PENDING|Priority|Unknown|Unknown|(null)|NULL|old|(null)\n"
"""Before 18.08: no `(null)` for no dependency and no comment."""
ACCOUNTS = """\
1|1|FAILED|3:0|1795493632|1795493632|n1|count-1|
2|2|FAILED|0:9|1795493632|1795493633|n1|count-2|
5|5|RUNNING|0:0|1795493633|Unknown|n2|count-3|
7_3|9|CANCELLED by 1000|0:15|None|1795493700|None assigned|sweep|robotrain:sweep:dd
8|8|OUT_OF_MEMORY|0:125|1795493632|1795493633|n1|count-4|
"""


def answer(monkeypatch, module, text):
    """Let a command of Slurm answer; return the words that it was called with."""
    calls = []

    def run_slurm(*words, **options):
        calls.append(words)
        if isinstance(text, Exception):
            raise text
        return text

    monkeypatch.setattr(module, "run_slurm", run_slurm)
    return calls


def test_queue_is_parsed(monkeypatch):
    calls = answer(monkeypatch, queue, QUEUE)
    jobs = {job.id: job for job in queue.query_queue(["count-1", "sweep"], "1000")}
    assert {"--all", "--array", "--states=all", "--user=1000", "--name=count-1,sweep"} <= {*calls[0]}
    assert [*jobs] == ["12", "7_1", "7_2", "36", "53", "90"], "a job of another program is left out"
    first = jobs["12"]
    assert (first.state, first.reason, first.start, first.end) == ("PENDING", "BeginTime", 1795491390.0, None)
    assert (first.name, first.comment, first.dependency) == ("count-1", "robotrain:count-1:aa", "")
    trial = jobs["7_2"]
    assert (trial.array, trial.task, trial.number, trial.nodes, trial.reason) == ("7", "2", "8", "n1", "")
    assert jobs["36"].dependency == "afterok:29(unfulfilled)"
    assert jobs["90"].reason == "ReqNodeNotAvail, UnavailableNodes:n[1-3]"


def test_queue_of_an_earlier_version_is_parsed(monkeypatch):
    answer(monkeypatch, queue, EARLIER)
    first, second = queue.query_queue()
    assert (first.dependency, first.comment, first.end, first.nodes) == ("", "", None, "n1")
    assert (second.dependency, second.comment, second.start, second.nodes) == ("", "", None, "")


def test_queue_that_cannot_be_read_is_a_problem_that_may_pass(monkeypatch):
    answer(monkeypatch, queue, SlurmRefused("squeue: error: Munge encode failed: Failed to access munge.socket", 1))
    with pytest.raises(Rejected) as failed:
        queue.query_queue(["count-1"])
    assert failed.value.problems[0].code == "slurm-authentication"
    assert failed.value.transient


def test_accounts_are_parsed(monkeypatch):
    calls = answer(monkeypatch, accounting, ACCOUNTS)
    jobs = {job.id: job for job in accounting.query_accounting(["1", "2"])}
    assert "--jobs=1,2" in calls[0]
    assert {number: job.exit_code for number, job in jobs.items()} == {"1": 3, "2": 137, "5": 0, "7_3": 143, "8": None}
    assert (jobs["5"].end, jobs["7_3"].start, jobs["7_3"].end) == (None, None, 1795493700.0)
    assert (jobs["7_3"].state, jobs["7_3"].number, jobs["7_3"].comment) == (
        "CANCELLED by 1000",
        "9",
        "robotrain:sweep:dd",
    )


@pytest.mark.parametrize(
    "failure",
    [
        SlurmRefused("Slurm accounting storage is disabled", 1),
        SlurmAway("Connection refused"),
        SlurmRefused('sacct: fatal: Invalid field requested: "JobIDRaw"', 1),
    ],
)
def test_cluster_without_accounting_has_no_answer(monkeypatch, failure):
    answer(monkeypatch, accounting, failure)
    assert accounting.query_accounting(["1"]) is None
