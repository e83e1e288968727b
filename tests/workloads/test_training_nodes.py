"""A training whose platform starts it on each node: two runtimes on this machine, each with a folder of its own."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
from free_ports import find_free_port
from robotrain_runtime.contract import checkpoint, document, event
from robotrain_runtime.contract.failure import EXIT_RETRY
from small_training import SMALL, STEPS, read_lines_until

SECONDS = 240.0
"""Longer than anything here takes on a busy machine."""
PLATFORM = {"THE_LEAD": "127.0.0.1", "THE_RUN": "wf-7"}
LONG = {"training_steps": 100_000, "save_freq": 5}


class Nodes:
    """The nodes of a job."""

    def __init__(self, make_document, folder: Path) -> None:
        self._make_document = make_document
        self._folder = folder
        self._port = str(find_free_port())
        self.processes: list[subprocess.Popen[str]] = []

    def start(self, rank: int, **parameters) -> subprocess.Popen[str]:
        """Start a node."""
        job = self._folder / f"job-{rank}.json"
        made = self._make_document(self.get_work(rank), STEPS | {"num_nodes": 2, "eval_freq": 0} | parameters)
        job.write_text(document.format_document(made))
        process = subprocess.Popen(
            [sys.executable, "-m", "robotrain_runtime", "run", str(job)],
            env={**os.environ, **PLATFORM, "THE_RANK": str(rank), "THE_PORT": self._port},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.processes.append(process)
        return process

    def get_work(self, rank: int) -> Path:
        return self._folder / f"node-{rank}"

    def find_rank(self, rank: int) -> int:
        """Return the process that trains on a node."""
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                words, environ = (process / "cmdline").read_bytes(), (process / "environ").read_bytes()
                is_trainer = f"--output_dir={self.get_work(rank)}/outputs\0".encode() in words
                if is_trainer and f"\0RANK={rank}\0".encode() in environ:
                    return int(process.name)
        raise AssertionError(f"rank {rank} does not run")

    def close(self) -> None:
        for process in self.processes:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            with process:
                pass


@pytest.fixture
def nodes(cold, training, training_environment, pusht, tmp_path, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    (tmp_path / "published").mkdir()

    def make_document(work: Path, parameters):
        place = {
            "environment": training_environment,
            "work": str(work),
            "submission": "THE_RUN",
            "node_rank": "THE_RANK",
            "node_address": "${THE_LEAD}:${THE_PORT}",
        }
        return training(pusht, SMALL["act"], place, publish_url=f"file://{tmp_path}/published", **parameters)

    made = Nodes(make_document, tmp_path)
    yield made
    made.close()


def read_end(process) -> list[str]:
    return process.communicate(timeout=SECONDS)[0].splitlines()


def list_steps(folder: Path) -> list[int]:
    return sorted(step for step, _ in checkpoint.list_checkpoints(folder))


def read_kinds(lines: list[str]) -> set[str]:
    return {event.EVENT_NAMES[type(record.event)] for line in lines if (record := event.parse_event(line))}


@pytest.mark.slow
@pytest.mark.long
def test_two_nodes_with_two_ranks_each_train_together_and_the_lead_alone_publishes(nodes, tmp_path):
    other = nodes.start(1, num_gpus=2)
    time.sleep(2)  # nodes start one after another
    lead = nodes.start(0, num_gpus=2)
    lines, others = read_end(lead), read_end(other)
    assert (lead.returncode, other.returncode) == (0, 0), "\n".join([*lines, *others])
    assert list_steps(tmp_path / "published") == [3, 6]
    (counted,) = [json.loads(line.partition(" ")[2]) for line in lines if '"event": "processes"' in line]
    assert (counted["count"], counted["nodes"], counted["samples"]) == (4, 2, 16)
    assert {"metrics", "checkpoint", "published", "outcome"} <= read_kinds(lines)
    assert read_kinds(others) == set()
    assert "node 1: succeeded" in others
    assert list_steps(nodes.get_work(1) / "outputs/checkpoints") == []


@pytest.mark.slow
@pytest.mark.long
def test_killed_rank_ends_both_and_the_next_attempt_goes_on_from_what_was_published(nodes, tmp_path):
    lead, other = nodes.start(0, **LONG), nodes.start(1, **LONG)
    for _ in read_lines_until(lead, '"event": "published"'):
        pass
    os.kill(nodes.find_rank(1), signal.SIGKILL)
    lines, others = read_end(lead), read_end(other)
    assert lead.returncode != 0, lines
    assert other.returncode != 0, others
    assert any("rank 1 of 2 was ended by signal 9" in line for line in others), others
    last = list_steps(tmp_path / "published")[-1]

    total = {**LONG, "training_steps": last + 4}
    lead, other = nodes.start(0, **total), nodes.start(1, **total)
    lines, others = read_end(lead), read_end(other)
    assert (lead.returncode, other.returncode) == (0, 0), "\n".join([*lines, *others])
    assert list_steps(tmp_path / "published")[-1] == last + 4
    assert any(f"was interrupted: resuming from step {last}" in line for line in lines)
    assert any(f"was interrupted: resuming from step {last}" in line for line in others)


@pytest.mark.slow
@pytest.mark.long
def test_stop_of_another_node_is_no_success_of_the_lead(nodes, tmp_path):
    lead, other = nodes.start(0, **LONG), nodes.start(1, **LONG)
    for _ in read_lines_until(lead, '"event": "published"'):
        pass
    other.send_signal(signal.SIGTERM)
    lines, others = read_end(lead), read_end(other)
    assert other.returncode == 143, others
    assert lead.returncode == EXIT_RETRY, lines
    assert any("the platform stopped another node" in line for line in lines)


@pytest.mark.slow
@pytest.mark.long
def test_port_of_the_lead_that_is_in_use_is_a_sentence(nodes):
    with socket.socket() as listener:
        listener.bind(("", int(nodes._port)))
        listener.listen()
        lead = nodes.start(0)
        lines = read_end(lead)
    assert lead.returncode == 1
    (reason,) = [line for line in lines if '"event": "outcome"' in line]
    assert f"the nodes did not meet at 127.0.0.1:{nodes._port}: is the port taken" in reason
