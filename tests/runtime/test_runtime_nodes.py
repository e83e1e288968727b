"""A job that the platform starts on each node: all work, and only the lead publishes, tracks and reports."""

import dataclasses
import os
import shutil

import pytest
from robotrain_runtime.contract import checkpoint, event, job_node
from robotrain_runtime.contract.event import Note, Outcome, StageEvent, make_record
from robotrain_runtime.contract.failure import JobFailed
from robotrain_runtime.process.event_relay import describe_node_event

TRAIN = "from pretend_training import *\ntrain({}, 20)"
SUBMISSION = {"THIS_ONE": "wf-1"}


@pytest.fixture
def node(job, placed, shelf, run, tmp_path):
    """Run one of the nodes of a job to its end, in a work folder of its own: `node(1, 40)`, total: the steps."""

    def start(rank: int, total: int = 40, program: str = TRAIN, **placement):
        job(carried=["a"])  # so that the environment to write with is there
        place = {"submission": "THIS_ONE", "node_rank": "NODE_RANK", "work": str(tmp_path / f"node{rank}"), **placement}
        made = placed(f"shelf:{shelf}", program.format(total), **place)
        ran = run(made, NODE_RANK=str(rank), **SUBMISSION)
        return dataclasses.replace(ran, work=tmp_path / f"node{rank}")

    return start


def read_events(ran):
    return [event.parse_event(line).event for line in (ran.work / "events.jsonl").read_text().splitlines()]


def first_step(ran) -> int:
    assert ran.exit_code == 0, ran.lines
    return int(next(line for line in ran.ordinary if line.startswith("from step ")).removeprefix("from step "))


@pytest.mark.slow
def test_another_node_works_and_publishes_nothing(node, shelf):
    ran = node(1)
    assert (first_step(ran), [*shelf.iterdir()]) == (1, [])
    assert "opened" not in "".join(ran.ordinary)
    assert not (ran.work / "publishing.json").exists()
    assert first_step(node(0)) == 1
    assert [step for step, _ in checkpoint.list_checkpoints(shelf)] == [40, 20]


@pytest.mark.slow
def test_log_of_another_node_has_no_progress_and_no_end(node):
    ran = node(1)
    assert ran.records == []
    assert "node 1: succeeded" in ran.ordinary
    assert any(line.startswith("node 1: work done after ") for line in ran.ordinary)
    assert isinstance(read_events(ran)[-1], Outcome), "its own events are in its folder"
    assert ran.outcome["state"] == "succeeded"
    assert any(isinstance(record.event, StageEvent) for record in node(0).records)


def test_failure_of_another_node_is_an_error_with_its_rank(node):
    ran = node(3, program="raise ValueError('a reason {}')")
    assert ran.exit_code == 1
    assert ran.notes("error") == ["node 3 failed: ValueError: a reason 40"]


@pytest.mark.slow
def test_all_nodes_go_on_from_the_last_published_checkpoint(node, shelf, tmp_path):
    node(0, 40)
    for lost in ("node0", "cache/data"):
        shutil.rmtree(tmp_path / lost, ignore_errors=True)
    assert [first_step(node(rank, 60)) for rank in (1, 0)] == [41, 41]
    assert [step for step, _ in checkpoint.list_checkpoints(shelf)] == [60, 40, 20]


@pytest.mark.slow
def test_checkpoint_that_only_the_lead_has_is_set_aside(node, shelf):
    node(0, 40)
    shutil.rmtree(shelf / "000040")
    assert first_step(node(1, 60)) == 21
    ran = node(0, 60)
    assert first_step(ran) == 21
    assert "step 40 was saved on this node only: kept as 000040.torn-1, not used" in ran.notes("warning")
    assert [step for step, _ in checkpoint.list_checkpoints(shelf)] == [60, 40, 20]


@pytest.mark.slow
def test_only_the_lead_is_tracked(job, run):
    made = job("pass", tracking_uri="http://127.0.0.1:9", node_rank="NODE_RANK")
    assert run(made, NODE_RANK="1").exit_code == 0
    assert run(made, NODE_RANK="0").exit_code != 0, "the server does not answer"


GROUP = {"NODE_RANK": "1", "RANK": "1", "WORLD_SIZE": "2", "LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "1"}
SHOW = f"import os\nprint('has', *sorted(os.environ.keys() & {[*GROUP]}))"


@pytest.mark.parametrize(
    ("variable", "left"), [("NODE_RANK", {"NODE_RANK"}), ("RANK", {"NODE_RANK", "RANK"}), ("", GROUP)]
)
def test_variables_of_ranks_are_dropped_where_each_node_is_started(job, monkeypatch, variable, left):
    for name, value in GROUP.items():
        monkeypatch.setenv(name, value)
    job_node.drop_process_variables(job(node_rank=variable))
    assert os.environ.keys() & GROUP == {*left}


def test_programs_of_a_node_do_not_take_themselves_for_ranks(job, run):
    ran = run(job(SHOW, node_rank="NODE_RANK"), **GROUP)
    assert ran.exit_code == 0, ran.lines
    assert "has NODE_RANK" in ran.ordinary


def test_unknown_rank_is_a_sentence(job, run):
    ran = run(job("pass", node_rank="NODE_RANK"), NODE_RANK="one")
    assert ran.exit_code == 2
    assert "not the rank of a node: 'one'" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_single_node_is_the_lead(job, monkeypatch):
    assert job_node.is_lead(job())
    grouped = job(node_rank="NODE_RANK")
    monkeypatch.setenv("NODE_RANK", "2")
    assert (job_node.is_lead(grouped), job_node.read_node_rank(grouped)) == (False, 2)
    monkeypatch.setenv("NODE_RANK", "")
    with pytest.raises(JobFailed):
        job_node.is_lead(grouped)


def test_warning_of_another_node_is_a_line_of_its_log():
    assert describe_node_event(make_record(Note(level="warning", text="slow")), 2) == "node 2: warning: slow"
