"""The end of child processes: asked with SIGTERM, killed after a grace period or at a second signal."""

import os
import signal
import subprocess
import sys
import time

import pytest
from robotrain_runtime.process import stop
from robotrain_runtime.process.stop import (
    ChildGroup,
    StopForwarder,
    StopRequested,
    StopSignal,
    stop_process,
    wait_or_kill,
)

SLEEP = "import time; time.sleep(60)"
IGNORE = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); time.sleep(60)"


@pytest.fixture
def forwarder():
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield StopForwarder(60.0)
    for number, handler in handlers.items():
        signal.signal(number, handler)


def start(code: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)


def wait_for_end(group: ChildGroup, forwarder: StopForwarder) -> None:
    while group.is_running():
        forwarder.kill_overdue()
        time.sleep(0.01)


@pytest.mark.parametrize(("code", "number"), [(SLEEP, signal.SIGTERM), (IGNORE, signal.SIGKILL)])
def test_process_is_terminated_and_killed_after_the_grace_period(code, number):
    with start(code) as process:
        if code == IGNORE:
            process.stdout.readline()
        stop_process(process, 30.0 if code == SLEEP else 0.1)
        assert process.returncode == -number


def test_process_that_ends_in_time_is_not_killed():
    with start("") as process:
        wait_or_kill(process, 30.0)
        assert process.returncode == 0
    with start(SLEEP) as process:
        wait_or_kill(process, 0.01)
        assert process.returncode == -signal.SIGKILL


def test_first_signal_reaches_what_a_child_started(forwarder, tmp_path):
    command = f"({sys.executable} -c '{SLEEP}' & echo > {tmp_path}/started); exec sleep 60"
    group = ChildGroup(["bash", "-c", command])
    forwarder.groups.append(group)
    while not (tmp_path / "started").exists():
        time.sleep(0.01)
    os.kill(os.getpid(), signal.SIGTERM)
    wait_for_end(group, forwarder)
    assert forwarder.is_requested
    assert group.exit_code == -signal.SIGTERM
    assert not group.send(0)


@pytest.mark.parametrize("end", ["second signal", "time limit", "earlier time limit"])
def test_group_that_ignores_the_first_signal_is_killed(forwarder, tmp_path, end, monkeypatch):
    monkeypatch.setattr(stop, "ONE_STOP_SECONDS", 0.01)
    ready = tmp_path / "ready"
    group = ChildGroup([sys.executable, "-c", IGNORE.replace("print(flush=True)", f"open({str(ready)!r}, 'x')")])
    forwarder.groups.append(group)
    while not ready.exists():
        time.sleep(0.01)
    if end == "earlier time limit":
        forwarder.limit_time(0.2)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(0.05)
    assert group.is_running()
    if end == "second signal":
        os.kill(os.getpid(), signal.SIGINT)
    elif end == "time limit":
        forwarder.limit_time(0.0)
    wait_for_end(group, forwarder)
    assert group.exit_code == -signal.SIGKILL


def test_signals_to_all_processes_of_a_job_are_one_stop(forwarder):
    """An engine signals every process at once, and the one above passes its signal on."""
    group = ChildGroup([sys.executable, "-c", "import time; time.sleep(60)"])
    with StopSignal() as signals:
        for _ in range(3):
            os.kill(os.getpid(), signal.SIGTERM)
        assert signals.count == 1
    for _ in range(3):
        forwarder._handle_signal(signal.SIGTERM, None)
    forwarder.groups.append(group)
    forwarder.kill_overdue()
    assert group.is_running(), "the grace period has not been cut short"
    group.send(signal.SIGKILL)
    wait_for_end(group, forwarder)


def test_a_block_within_another_leaves_that_interruptible():
    def stop_after_an_inner_block() -> None:
        with stop.interruptible():
            pass
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(1.0)

    def stop_in_an_inner_block() -> None:
        with stop.interruptible():
            stop.interrupt()
            time.sleep(1.0)

    with StopSignal() as stop:
        for act in (stop_after_an_inner_block, stop_in_an_inner_block):
            with pytest.raises(StopRequested), stop.interruptible():
                act()
        stop.interrupt()
        time.sleep(0.01)  # what follows a stop is not interrupted
