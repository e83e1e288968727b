"""Claims on a run that an engine starts twice, or after its cancellation: `run JOB.json --once NAME --log FILE`."""

import itertools
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from robotrain_runtime.contract import claim, document, event
from robotrain_runtime.contract.event import Metrics

PLUGIN_FOLDER = Path(__file__).parent / "container_plugins"
RUNTIME = (sys.executable, "-m", "robotrain_runtime", "run", "job.json")


@pytest.fixture
def begin_run(tmp_path):
    """Begin the run of a folder as a job of an engine; what the job printed. Its document is none, which is told."""
    (tmp_path / "job.json").write_text("{}")

    def begun(*words):
        done = subprocess.run([*RUNTIME, *words], cwd=tmp_path, capture_output=True, text=True, check=False)
        return done.returncode, done.stderr

    return begun


@pytest.mark.slow
def test_one_job_does_the_work_and_again_when_its_engine_starts_it_again(begin_run, tmp_path):
    assert begin_run("--once", "7", "--log", "log.txt") == (2, "")
    assert begin_run("--once", "8", "--log", "log.txt") == (0, "nothing to do: the job 7 does the work of this run\n")
    first = os.readlink(tmp_path / "taken")
    assert begin_run("--once", "7", "--log", "log.txt") == (2, "")
    assert os.readlink(tmp_path / "taken") != first, "it names the process that does the work now"
    assert (tmp_path / "log.txt").read_text().count("is not a valid job document") == 2


def test_a_job_of_a_cancelled_run_does_nothing(begin_run, tmp_path):
    (tmp_path / "cancelled").touch()
    assert begin_run("--once", "7", "--log", "log.txt") == (1, "nothing to do: the run was cancelled\n")
    assert not (tmp_path / "log.txt").exists()


@pytest.fixture
def training(job, tmp_path):
    """Start the job 7 on a training that saves each tenth step, once more each time it is called."""
    (tmp_path / "job.json").write_text(
        document.format_document(job("from pretend_training import *; train(10**6, 10, 0.01)"))
    )
    started = []

    def start():
        environ = os.environ | {"PYTHONPATH": str(PLUGIN_FOLDER), "ROBOTRAIN_GRACE_SECONDS": "2"}
        options = ("--once", "7", "--log", "log.txt")
        started.append(subprocess.Popen([*RUNTIME, *options], cwd=tmp_path, env=environ, start_new_session=True))
        return started[-1]

    yield start
    for process in started:
        process.poll() is None and os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def wait_until(condition):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def read_steps(tmp_path):
    records = map(event.parse_event, (tmp_path / "work/events.jsonl").read_text().splitlines())
    return [record.event.step for record in records if record and isinstance(record.event, Metrics)]


def list_states(group):
    listed = subprocess.run(["ps", "-A", "-o", "pgid=,stat="], stdout=subprocess.PIPE, text=True, check=True).stdout
    return [state for each, state in map(str.split, listed.splitlines()) if each == str(group)]


@pytest.mark.slow
def test_a_process_whose_job_was_started_again_elsewhere_ends_and_saves_nothing_more(training, tmp_path):
    first = training()
    wait_until(lambda: (tmp_path / "work/checkpoints/000010").exists())
    os.killpg(first.pid, signal.SIGSTOP)  # its machine is lost
    wait_until(lambda: {state[0] for state in list_states(first.pid)} == {"T"})
    owner, count = claim.find_owner(tmp_path), len(read_steps(tmp_path))
    second = training()
    wait_until(lambda: claim.find_owner(tmp_path) != owner)
    os.killpg(first.pid, signal.SIGCONT)
    assert first.wait(timeout=30) == -signal.SIGKILL
    wait_until(lambda: {state[0] for state in list_states(first.pid)} <= {"Z"})  # its trainer has ended too
    wait_until(lambda: len(read_steps(tmp_path)) > count + 10)
    second.terminate()
    assert second.wait(timeout=30) == 143
    assert f"process {first.pid} on {os.uname().nodename} ends" in (tmp_path / "log.txt").read_text()
    steps = read_steps(tmp_path)[count:]
    gaps = [step for before, step in itertools.pairwise(steps) if step != before + 1]
    assert len(gaps) <= 2, "the events of one process only, but for one that was being written"
    assert json.loads((tmp_path / "work/outcome.json").read_text())["state"] == "cancelled"


def test_a_claim_that_cannot_be_read_ends_nothing(tmp_path):
    program = "from robotrain_runtime.contract import claim; claim.end_if_superseded()"
    environ = os.environ | {claim.CLAIM_VARIABLE: f"a-token:{tmp_path}/taken"}
    subprocess.run([sys.executable, "-c", program], env=environ, start_new_session=True, check=True)
    (tmp_path / "taken").symlink_to("7:another:1")
    done = subprocess.run([sys.executable, "-c", program], env=environ, start_new_session=True, check=False)
    assert done.returncode == -signal.SIGKILL


@pytest.mark.slow  # needs ps
def test_programs_under_a_lost_claim_end_whatever_group_they_are_in(tmp_path):
    claims = [os.environ | {claim.CLAIM_VARIABLE: f"{token}:{tmp_path}/taken"} for token in ("a-token", "another")]
    start = ["sh", "-c", "sleep 300 & sleep 300"]
    own, other = (subprocess.Popen(start, env=environ, start_new_session=True) for environ in claims)
    try:
        (tmp_path / "taken").symlink_to("7:another:1")
        program = "from robotrain_runtime.contract import claim; claim.start_watch(); import time; time.sleep(60)"
        done = subprocess.run([sys.executable, "-c", program], env=claims[0], start_new_session=True, check=False)
        assert done.returncode == own.wait(timeout=10) == -signal.SIGKILL
        wait_until(lambda: {state[0] for state in list_states(own.pid)} <= {"Z"})
        assert other.poll() is None
    finally:
        os.killpg(other.pid, signal.SIGKILL)
        other.wait()


@pytest.mark.slow
def test_without_the_option_every_start_is_a_run(begin_run, tmp_path):
    assert begin_run()[0] == begin_run()[0] == 2
    assert not (tmp_path / "taken").exists()


def test_a_log_that_cannot_be_written_is_told(begin_run):
    code, output = begin_run("--log", "nowhere/log.txt")
    assert code == 2
    assert "nowhere/log.txt" in output


def test_a_claimed_run_leaves_its_process_group_and_drops_tracking_variables(tmp_path):
    program = (
        "import json, os, pathlib, signal, sys; from robotrain_runtime import __main__;"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN);"
        "idle = __main__.claim_run(pathlib.Path(sys.argv[1]), 'a:b');"
        "default = signal.getsignal(signal.SIGTERM) == signal.SIG_DFL;"
        "print(json.dumps([idle, default, os.getpgrp() == os.getpid(), os.environ.get('MLFLOW_RUN_ID')]))"
    )
    environ = os.environ | {"MLFLOW_RUN_ID": "another project's"}
    done = subprocess.run([sys.executable, "-c", program, tmp_path], env=environ, stdout=subprocess.PIPE, check=True)
    assert json.loads(done.stdout) == ["", True, True, None]
    assert os.readlink(tmp_path / "taken").startswith("a:b:")


@pytest.mark.parametrize(("idle", "waits"), [(0.0, True), (60.0, False)], ids=["alive", "dead"])
def test_later_start_waits_for_the_lease_of_a_process_that_lives(tmp_path, monkeypatch, idle, waits):
    slept, sleep, own = [], time.sleep, threading.get_ident()

    def note(seconds: float) -> None:
        """Note a sleep of this test; threads that servers of others left sleep as they do."""
        slept.append(seconds) if threading.get_ident() == own else sleep(seconds)

    monkeypatch.setattr(claim.time, "sleep", note)
    monkeypatch.setenv(claim.CLAIM_VARIABLE, "")
    claim.take_claim(tmp_path, "7")
    then = time.time() - idle
    os.utime(tmp_path / "taken", (then, then), follow_symlinks=False)
    claim.take_claim(tmp_path, "7")
    assert bool(slept) == waits
    claim.release_claim()
    slept.clear()
    claim.take_claim(tmp_path, "7")
    assert slept == [], "one that has ended is not waited for"
