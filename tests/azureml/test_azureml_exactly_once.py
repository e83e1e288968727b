"""From the command line: whatever is cut off, and whoever lost an answer, the same command leaves one job."""

import contextlib
import dataclasses
import itertools
import os
import queue
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from azureml_workspace_plans import add_dataset, list_requests
from robotrain.store import files, records
from warm_server import WarmProcess, WarmServer, open_server

pytestmark = pytest.mark.slow  # real processes, killed


class Forked:
    """Runs one command at a time, which another thread may kill."""

    def __init__(self, server: WarmServer) -> None:
        self._server = server
        self._started: queue.SimpleQueue[WarmProcess] = queue.SimpleQueue()

    def run(self, *words: str) -> int:
        """The exit status, as `subprocess` has it; the command sees the names of this process as they are now."""
        self._started = queue.SimpleQueue()
        started = self._server.start(["-m", "robotrain", *words], os.environ)
        self._started.put(started)
        return started.wait()

    def kill(self) -> None:
        """End the command that runs, from another thread: it is gone when this returns."""
        number = self._started.get().pid
        watched = os.pidfd_open(number)
        os.kill(number, signal.SIGKILL)
        select.select([watched], [], [])
        os.close(watched)


@pytest.fixture(scope="module")
def fork_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forked]:
    """Starts commands that find the SDK loaded, forked from a process that imported it."""
    imports = "import azure.ai.ml, azure.identity, azure.storage.blob"
    log = tmp_path_factory.mktemp("server") / "log"
    with contextlib.closing(open_server(log, Path(sys.executable), imports, os.environ)) as server:
        yield Forked(server)


@pytest.fixture
def submit_words(azureml):
    """A job whose data the workspace holds, and its workspace; with all it needs but its environment."""
    azureml.kubernetes()
    azureml.data("episodes", 3, add_dataset(azureml, "episodes/3"))
    job = ("submit", "--platform", "azureml", "--dataset-asset", "azureml:episodes:3", "--training-steps", "10")
    return (*job, "--compute", "k8s-robot-dev-00", *azureml.options)


@pytest.fixture
def start_submit(command, submit_words):
    """Begin the submit as a process of its own."""

    def start(*more: str) -> "subprocess.Popen[bytes]":
        return subprocess.Popen([*command, *submit_words, *more], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)

    return start


@pytest.fixture
def begin_anew(azureml, tmp_path, monkeypatch):
    """Begin anew: nothing was ever sent from here, and the workspace has no job, no code, no environment."""
    numbers = itertools.count()

    def begin() -> None:
        monkeypatch.setenv("ROBOTRAIN_STATE", str(tmp_path / f"state-{next(numbers)}"))
        for kind in (azureml.ml.jobs, azureml.ml.codes, azureml.ml.environments, azureml.calls):
            kind.clear()
        azureml.servers["blobs"].empty()
        azureml.store.put(azureml.container, {})
        add_dataset(azureml, "episodes/3")

    return begin


def list_recorded_jobs() -> list[str]:
    """The jobs that records name."""
    runs = (file.parent.name for file in (files.get_state_folder() / "runs").glob("*/record.json"))
    return [records.read_record(run).reference["job"] for run in runs]


def kill_submit_at_call(azureml, forked, words, number: int, after: bool) -> bool:
    """Kill the submit before or after its call of that number was done; whether it came so far."""
    how = {"then": forked.kill, "lost": True} if after else {"act": forked.kill, "gone": True}
    azureml.at_call(number, **how)
    ended = forked.run(*words)
    for server in azureml.servers.values():
        server.faults.clear()
    return ended == -signal.SIGKILL


def test_a_killed_submit_leaves_no_folder_in_the_temporary_folder(
    azureml, fork_server, submit_words, begin_anew, tmp_path, monkeypatch
):
    begin_anew()
    (tmp_path / "temporary").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    azureml.fault("POST .*/startPendingUpload", act=fork_server.kill, gone=True)
    assert fork_server.run(*submit_words) == -signal.SIGKILL
    assert list((tmp_path / "temporary").iterdir()) == []
    runs = files.get_state_folder() / "runs"
    assert [path.parent.name for path in runs.glob("*/sending/job.yaml")], "in the run's folder, while it was sent"
    assert fork_server.run(*submit_words) == 0
    assert not list(runs.glob("*/sending"))
    assert len(azureml.jobs) == 1


@pytest.mark.long
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_submit_that_is_killed_at_any_call_and_repeated_leaves_one_job(
    azureml, robotrain, fork_server, submit_words, after, begin_anew
):
    begin_anew()
    assert robotrain(*submit_words).exit_code == 0
    total = len(azureml.calls)
    killed = 0
    for number in range(1, total + 1):
        begin_anew()
        if kill_submit_at_call(azureml, fork_server, submit_words, number, after):
            answer = robotrain(*submit_words)
            assert answer.exit_code == 0, (number, answer.stderr)
            killed += 1
        assert len(azureml.jobs) == 1, number
        assert list_recorded_jobs() == list(azureml.jobs), number
    assert killed == total
    assert total > 16


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_submit_says_that_the_job_may_exist_and_is_taken_up_again(
    azureml, robotrain, start_submit, submit_words, tmp_path, monkeypatch, number
):
    monkeypatch.setenv("TMPDIR", str(tmp_path))  # nothing is staged there
    azureml.fault("PUT .*/jobs/", times=1, latency=30)
    with start_submit() as process:
        while not list_requests(azureml, "PUT /jobs/"):
            assert process.poll() is None
            time.sleep(0.02)
        process.send_signal(number)
        stderr = process.communicate(timeout=30)[1].decode()
    assert process.returncode == 130
    assert not list(tmp_path.glob("robotrain-*"))
    [call] = list_requests(azureml, "PUT /jobs/")
    name = call.rpartition("/")[2]
    assert f"the job {name} may exist: https://ml.azure.com/runs/{name}?wsid=" in stderr
    assert "[submit-unsure]" in stderr
    assert "Traceback" not in stderr
    answer = robotrain(*submit_words)
    assert answer.exit_code == 0, answer.stderr
    assert list(azureml.jobs) == list_recorded_jobs() == [name]


def test_ctrl_c_during_an_upload_ends_at_once_and_nothing_was_sent(azureml, start_submit, pusht):
    azureml.fault("PUT .*/robotrain/data/", latency=60)
    with start_submit("--dataset-path", str(pusht)) as process:
        while not [call for call in azureml.calls if call.startswith("PUT") and "/robotrain/data/" in call]:
            assert process.poll() is None
            time.sleep(0.02)
        before = time.monotonic()
        process.send_signal(signal.SIGINT)
        stderr = process.communicate(timeout=30)[1].decode()
    assert time.monotonic() - before < 30  # of the 60 s of storage's silence
    assert process.returncode == 130
    assert "interrupted; nothing was sent to azureml" in stderr
    assert "[submit-unsure]" not in stderr
    assert list_recorded_jobs() == []


def test_the_subscription_that_is_named_is_the_one_that_is_used(azureml, robotrain, submit_words, pusht):
    other = azureml.elsewhere()
    other.kubernetes()
    other.data("episodes", 3, "episodes/3")
    words = [other.names[0] if word == azureml.names[0] else word for word in submit_words]
    azureml.calls.clear()
    answer = robotrain(*words, "--dataset-path", pusht, "--json")
    assert answer.exit_code == 0, answer.stderr
    assert azureml.jobs == {}
    assert list_recorded_jobs() == list(other.jobs)
    assert records.read_record(answer.json["run"]).reference["subscription"] == other.names[0]
    below = [call for call in azureml.calls if "/workspaces/" in call]
    assert below == [call for call in below if other.names[0] in call]


@pytest.mark.parametrize("command", ["status", "cancel"])
def test_a_job_whose_submit_was_killed_is_seen_and_stopped(azureml, robotrain, submit_words, command):
    assert robotrain(*submit_words).exit_code == 0
    [run] = [folder.name for folder in (files.get_state_folder() / "runs").glob("*-1")]
    records.write_record(dataclasses.replace(records.read_record(run), phase="sending", reference={}))
    answer = robotrain(command, run, "--json")
    assert answer.exit_code == 0, answer.stderr
    assert answer.json["state"] == ("cancelled" if command == "cancel" else "pending")
    assert list_recorded_jobs() == list(azureml.jobs)
