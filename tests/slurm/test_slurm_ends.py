"""How the end of one of several nodes becomes that of the run, and whether the run goes on: ends × moments."""

import pytest
from robotrain_runtime.contract import failure
from robotrain_runtime.contract.failure import EXIT_RETRY
from robotrain_slurm.node import attempts, continuation
from robotrain_slurm.node.attempts import Attempt, AttemptEnd
from robotrain_workloads.nodes.node_group import NodeEnd
from robotrain_workloads.nodes.starter import choose_end

LOST_PEER = "RuntimeError: Connection closed by peer"
NOT_MET = "error: the nodes did not meet at n1:4000: is the port taken? RendezvousConnectionError"
MOMENTS = {"before the rendezvous": (0, 0), "between checkpoints": (30, 20), "while saving": (20, 10)}
"""The last step and checkpoint of an attempt that went on from step 10; before it, only of step 0."""
STOPPED, KILLED, OOM = (
    NodeEnd(143, "", 1, "n2"),
    NodeEnd(-9, "killed", 3, "n2"),
    NodeEnd(-9, "memory ran out", 1, "n2"),
)
TERMINATED = NodeEnd(143, "", 4, "n1")  # by the platform, as the other one failed
MISSED, NEVER_MET = NodeEnd(1, LOST_PEER, 2, "n1"), NodeEnd(1, NOT_MET, 2, "n1")
TABLE = [
    # the ends of the nodes, the exit code, whose name is told, and whether the run goes on at each moment
    ("one node is stopped", (STOPPED, TERMINATED), EXIT_RETRY, "n2", (True, True, True)),
    ("its peer reports that first", (STOPPED, NEVER_MET), EXIT_RETRY, "n2", (True, True, True)),
    ("its peer fails later", (STOPPED, NodeEnd(1, "ValueError: x", 2, "n1")), EXIT_RETRY, "n2", (True, True, True)),
    ("one rank is killed", (MISSED, KILLED), 137, "n2", (False, True, False)),
    ("a killed rank's peer crashes", (NodeEnd(-6, "SIGABRT", 2, "n1"), KILLED), 137, "n2", (False, True, False)),
    ("memory runs out", (OOM, TERMINATED), 137, "n2", (False, True, False)),
    ("one node is lost", (TERMINATED,), EXIT_RETRY, "n2", (True, True, True)),
    ("one node fails", (NodeEnd(1, "ValueError: x", 1, "n2"), TERMINATED), 1, "n2", (False, False, False)),
    ("one node crashes", (NodeEnd(-11, "SIGSEGV", 1, "n2"), MISSED), 139, "n2", (False, False, False)),
]


@pytest.mark.parametrize(
    ("ends", "code", "node", "continued"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE]
)
@pytest.mark.parametrize("moment", MOMENTS)
def test_end_of_a_node_is_that_of_the_run(tmp_path, ends, code, node, continued, moment):
    status, text = choose_end(sorted(ends, key=lambda end: end.time), ["n1", "n2"], 1, 2, is_stopped=False)
    assert failure.find_exit_code(status, []) == code
    assert node in text.splitlines()[-1]
    step, checkpoint = MOMENTS[moment]
    attempt = Attempt(job="7", restart=0, node="n1", began=0.0, step=10 * bool(step), checkpoint=10 * bool(step))
    end = AttemptEnd("failed", code, step=step, checkpoint=checkpoint, restored=attempt.checkpoint)
    nobodys = attempts.is_nobodys_end(tmp_path, attempt, end)
    way, _ = continuation.decide(
        attempt, end, "running", ("requeue",), cancelled=False, superseded=False, is_nobodys=nobodys
    )
    assert bool(way) == continued[[*MOMENTS].index(moment)]


@pytest.mark.parametrize("code", [143, 137, -9])
def test_node_that_is_stopped_as_its_program_begins_is_tried_once_more(code):
    status, text = choose_end([], [], code, 2, is_stopped=False)
    assert status == EXIT_RETRY
    assert text == "error: 2 of 2 nodes did not start the program: one was stopped or killed before"


def test_stop_that_nobody_asked_for_is_tried_once_more_at_the_same_step(tmp_path):
    first, second = (Attempt(job="7", restart=number, node="n1", began=0.0) for number in (0, 1))
    end = AttemptEnd("failed", EXIT_RETRY)
    assert attempts.is_nobodys_end(tmp_path, first, end)
    attempts._append_line(tmp_path, {"event": "began", "job": "7", "restart": 0, "node": "n1", "began": 0.0})
    attempts.end_attempt(tmp_path, first, end)
    assert not attempts.is_nobodys_end(tmp_path, second, end)


@pytest.mark.parametrize("code", [137, 143, 129])
def test_work_that_was_ended_from_outside_goes_on_from_a_newer_checkpoint(code):
    attempt = Attempt(job="7", restart=0, node="n1", began=0.0, checkpoint=10)
    for checkpoint, way in ((10, ""), (20, "requeue")):
        end = AttemptEnd("failed", code, step=30, checkpoint=checkpoint)
        assert continuation.decide(attempt, end, "", ("requeue",), cancelled=False, superseded=False)[0] == way
