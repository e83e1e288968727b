"""Nodes that look for one another with torchrun (c10d), as trainings do: what keeps them from meeting."""

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from free_ports import find_free_port
from robotrain_workloads.nodes.node_group import NODES_VARIABLE, JobNodes, NodeEnd

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
SECONDS = 240.0
"""Longer than anything here takes on a busy machine."""
PROGRAM = """
import sys
from robotrain_workloads.nodes import node_group
from robotrain_workloads.lerobot_train import multi_gpu_launcher
node_group.JOIN_SECONDS = int(sys.argv[1])
multi_gpu_launcher.ANSWER_SECONDS = 5.0
multi_gpu_launcher.LAUNCHER = "platform"  # a module that prints a line
multi_gpu_launcher.main(["--count=2", "--"])
"""


class Meeting:
    """Two nodes that are to meet on this machine."""

    def __init__(self, python: Path, folder: Path) -> None:
        self._python = python
        self.ends = folder / "ends"
        self.ends.mkdir()
        host = socket.gethostname()
        self.group = JobNodes(count=2, address=host, port=find_free_port(), id="a", ends=str(self.ends))
        self._started: list[subprocess.Popen[str]] = []

    def start(self, join_seconds: int, is_first: bool = True) -> subprocess.Popen[str]:
        """Start the program of a node, which waits so long for the other one."""
        group = self.group if is_first else replace(self.group, address="localhost")
        path = os.pathsep.join(map(str, (ROOT / "workloads", ROOT / "runtime")))
        environ = {**os.environ, "PYTHONPATH": path, NODES_VARIABLE: group.to_json(), "OMP_NUM_THREADS": "1"}
        command = [self._python, "-c", PROGRAM, str(join_seconds)]
        self._started.append(subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True))
        return self._started[-1]

    def read_end(self, process: subprocess.Popen[str]) -> NodeEnd:
        """Wait until a node has ended; return how it says that it did."""
        process.communicate(timeout=SECONDS)
        (file,) = self.ends.glob(f"*-{process.pid}.json")
        return NodeEnd(**json.loads(file.read_text()))

    def close(self) -> None:
        for process in self._started:
            with process:
                process.kill()


@pytest.fixture
def meeting(cold: None, training_python: Path, tmp_path: Path) -> Iterator[Meeting]:
    made = Meeting(training_python, tmp_path)
    yield made
    made.close()


def test_nodes_that_start_far_apart_meet(meeting):
    first = meeting.start(7200)
    time.sleep(15)
    assert first.poll() is None
    second = meeting.start(7200, is_first=False)
    assert [meeting.read_end(process).status for process in (first, second)] == [0, 0]


def test_node_that_starts_before_the_first_one_waits_for_it(meeting):
    """Without a limit of its own: torchrun's is a minute."""
    second = meeting.start(7200, is_first=False)
    lines = iter(second.stdout.readline, "")
    assert any("waiting for the first node" in line for line in lines)
    first = meeting.start(7200)
    assert [meeting.read_end(process).status for process in (first, second)] == [0, 0]


def test_rank_that_never_starts_is_told(meeting):
    end = meeting.read_end(meeting.start(5))
    assert end.status == 1
    assert end.text.startswith(f"error: not all of 2 nodes came to {meeting.group.address}:{meeting.group.port}")
    assert end.text.endswith("a rank never started")


def test_port_that_another_program_holds_without_an_answer_is_told(meeting):
    with socket.create_server(("", meeting.group.port)):
        end = meeting.read_end(meeting.start(7200))
    assert end.status == 1
    assert end.text.startswith(f"error: the nodes cannot meet at {meeting.group.address}:{meeting.group.port}: another")


def test_stop_before_the_nodes_met_ends_them_at_once(meeting):
    process = meeting.start(7200)
    assert "torchrun" in process.stdout.readline()
    time.sleep(2)
    process.send_signal(signal.SIGUSR1)
    process.communicate(timeout=30)
    assert process.returncode == 143
