"""A state folder that two machines share, or two containers: nobody is called lost, or signalled, by the wrong one."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from local_runs import SLEEP, Runs, wait_for
from problem_assertions import check_problems
from robotrain.errors import Rejected
from robotrain.model.reference import Reference
from robotrain_local import process, process_list

LOOK = """
import json, sys
from robotrain.errors import Rejected
from robotrain_local.platform import LOCAL
reference = {"folder": sys.argv[1]}
status = LOCAL.engine.status(reference)
try:
    LOCAL.engine.cancel(reference) if "cancel" in sys.argv else None
    refused = ""
except Rejected as rejected:
    refused = str(rejected)
print(json.dumps([status.state, status.reason, refused]))
"""
SUBMIT = """
import sys, time
sys.path[:0] = [sys.argv[1], sys.argv[1] + "/container_plugins"]
from local_runs import SLEEP, Runs; from pathlib import Path
Runs(Path(sys.argv[2])).submit(SLEEP)
time.sleep(600)
"""
CONTAINER = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", "--uts", sys.executable, "-c"]


def supervisor(reference: Reference) -> dict[str, Any]:
    return dict(json.loads(Path(reference["folder"], "supervisor.json").read_text()))


def edit_supervisor_facts(reference: Reference, **facts: Any) -> None:
    Path(reference["folder"], "supervisor.json").write_text(json.dumps(supervisor(reference) | facts))


@pytest.fixture
def remote_run(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> Reference:
    """A run of this machine, seen from another that shares its folder and where its process numbers mean others."""
    reference = runs.submit(SLEEP)
    runs.wait_until_ready(reference)
    other = process.Host("desk", "0123456789abcdef", "another boot", "pid:[4026531836]")
    monkeypatch.setattr(process, "get_host", lambda: other)
    return reference


def test_run_has_its_host(runs: Runs) -> None:
    where = supervisor(runs.submit(SLEEP))["host"]
    assert where["name"] == os.uname().nodename
    assert process.Host(**where) == process.get_host()
    assert process.Host(**where).is_here


def test_run_of_another_machine_is_not_lost(runs: Runs, remote_run: Reference) -> None:
    status = runs.local.status(remote_run)
    assert (status.state, status.finished) == ("running", False)
    assert f"it runs on {os.uname().nodename}" in status.reason
    assert "its newest event is" in status.reason
    assert status.started is not None


def test_ended_run_of_another_machine_has_its_state_and_may_be_cancelled(
    runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    reference = runs.submit("pass")
    seen_here = runs.wait_for_end(reference)
    monkeypatch.setattr(process, "get_host", lambda: process.Host("desk", "x", "y", "z"))
    assert runs.local.status(reference) == seen_here
    runs.local.cancel(reference)
    Path(reference["folder"], "exit.json").unlink()  # the supervisor was killed before it wrote it
    assert runs.local.status(reference).state == "succeeded"


def test_run_of_another_machine_is_not_signalled_from_here(
    runs: Runs, remote_run: Reference, monkeypatch: pytest.MonkeyPatch
) -> None:
    signalled: list[int] = []
    with monkeypatch.context() as watched:
        watched.setattr(os, "kill", lambda pid, number: signalled.append(pid))
        with pytest.raises(Rejected) as caught:
            runs.local.cancel(remote_run)
    check_problems(caught.value.problems, "run-elsewhere")
    assert caught.value.exit_code == 1
    assert signalled == []
    assert not Path(remote_run["folder"], "cancelled").exists()


def test_run_is_lost_after_a_restart_of_its_machine(runs: Runs) -> None:
    """Also when its process number is taken again, by a process that leads a session as a supervisor does."""
    reference = runs.submit(SLEEP)
    runs.wait_until_ready(reference)
    process_list.send_signal(runs.processes(reference), signal.SIGKILL)
    wait_for(lambda: runs.local.status(reference).finished)
    with subprocess.Popen(["sleep", "600"], start_new_session=True) as stranger:
        before = {**supervisor(reference)["host"], "boot": "before"}
        edit_supervisor_facts(reference, pid=stranger.pid, birth="12345@before", host=before)
        status = runs.local.status(reference)
        assert status.state == "lost"
        assert "restarted" in status.reason
        runs.local.cancel(reference)
        assert stranger.poll() is None
        stranger.kill()


def test_session_that_reuses_the_pid_of_a_supervisor_is_not_the_run(runs: Runs) -> None:
    """Its leader is gone too, so that the number is nobody's."""
    reference = runs.submit(SLEEP)
    runs.wait_until_ready(reference)
    process_list.send_signal(runs.processes(reference), signal.SIGKILL)
    wait_for(lambda: runs.local.status(reference).finished)
    leader = subprocess.Popen(["sh", "-c", "sleep 600 & echo $!"], start_new_session=True, stdout=subprocess.PIPE)
    assert leader.stdout is not None
    with leader.stdout:
        left = int(leader.stdout.readline())
    leader.wait()
    try:
        edit_supervisor_facts(reference, pid=leader.pid)
        assert process_list.list_session(leader.pid) == [left]
        assert runs.local.status(reference).state == "lost"
        runs.local.cancel(reference)
        assert process_list.get_birth(left)
    finally:
        os.kill(left, signal.SIGKILL)


@pytest.mark.parametrize(
    ("there", "here"),
    [
        ({}, True),
        ({"boot": "earlier"}, True),  # restarted since
        ({"boot": "earlier", "name": "rack-7"}, False),
        ({"boot": "earlier", "machine": "fed"}, False),  # named alike
        ({"name": "renamed"}, True),  # the same kernel
        ({"namespace": "pid:[1]"}, False),  # a container of this machine
        ({"name": "", "machine": "", "boot": "", "namespace": ""}, True),  # not written down
    ],
)
def test_host_is_here_if_its_processes_are_visible(there: dict[str, str], here: bool) -> None:
    assert replace(process.get_host(), **there).is_here is here


@pytest.fixture
def container(runs: Runs) -> Iterator["subprocess.Popen[bytes]"]:
    """A run that was submitted in a container of its own, which has its own process numbers."""
    arguments = [*CONTAINER, SUBMIT, str(Path(__file__).parent), str(runs.folder)]
    started = subprocess.Popen(arguments)
    try:
        wait_for(lambda: (runs.folder / "runs/tiny-1/supervisor.json").exists() or started.poll() is not None)
        if started.poll() is not None:
            pytest.skip("this user may not make namespaces")
        yield started
    finally:
        started.kill()
        started.wait()


@pytest.mark.slow  # needs unshare
def test_run_in_a_container_is_lost_with_the_container(runs: Runs, container: "subprocess.Popen[bytes]") -> None:
    reference = {"folder": str(runs.folder / "runs/tiny-1")}
    runs.wait_until_ready(reference)
    status = runs.local.status(reference)
    assert status.state == "running"
    assert "in the container" in status.reason
    with pytest.raises(Rejected) as caught:
        runs.local.cancel(reference)
    check_problems(caught.value.problems, "run-elsewhere")
    assert runs.local.status(reference).state == "running"
    container.kill()
    lost = runs.wait_for_end(reference)
    assert lost.state == "lost"
    assert "container" in lost.reason


@pytest.mark.slow  # needs unshare
def test_run_outside_a_container_is_not_reached_from_within(runs: Runs) -> None:
    reference = runs.submit(SLEEP)
    runs.wait_until_ready(reference)
    arguments = [*CONTAINER, LOOK, reference["folder"], "cancel"]
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"this user may not make namespaces: {done.stderr}")
    state, reason, refused = json.loads(done.stdout)
    assert state == "running"
    assert "outside this container" in reason
    assert "outside this container" in refused
    assert runs.local.status(reference).state == "running"
