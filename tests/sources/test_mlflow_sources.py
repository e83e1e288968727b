"""Models and artifacts of MLflow, without MLflow: preflight, the run that trained a policy, and fetched folders."""

import fcntl
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from problem_assertions import check_refusals
from robotrain_runtime.contract.container_plugin import ContainerContext
from robotrain_runtime.contract.document import JobSource
from robotrain_runtime.contract.files import find_complete_files
from robotrain_sources.mlflow import container
from robotrain_sources.mlflow.fetch_program import MANIFEST, fill_cache_folder, read_policy_lineage

WRITER = """
import os, sys, time
from pathlib import Path
from robotrain_sources.mlflow.fetch_program import fill_cache_folder

def fill(folder):
    (folder / "first").write_text("1")
    Path(sys.argv[2]).touch()
    while not Path(sys.argv[3]).exists():
        time.sleep(0.01)
    (folder / "second").write_text("22")
    print("filled", flush=True)

print(fill_cache_folder(Path(sys.argv[1]), fill), flush=True)
"""


def fill_folder(folder: Path) -> None:
    (folder / "sub").mkdir()
    (folder / "sub/weights").write_bytes(b"123")


def fail_to_fill(folder: Path) -> None:
    pytest.fail("it was fetched again")


@pytest.fixture
def writer(tmp_path):
    """A process that lands a folder: it stops half way until it may go on."""
    started: list[subprocess.Popen[str]] = []

    def start() -> subprocess.Popen[str]:
        command = [sys.executable, "-c", WRITER, tmp_path / "data", tmp_path / "half", tmp_path / "go"]
        started.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()
        process.stdout.close()


def wait_for(path: Path) -> None:
    while not path.exists():
        time.sleep(0.01)


def test_a_fetch_that_fails_leaves_nothing_to_be_found(tmp_path):
    def fails(folder: Path) -> None:
        fill_folder(folder)
        raise ConnectionError("gone")

    with pytest.raises(ConnectionError):
        fill_cache_folder(tmp_path / "data", fails)
    assert find_complete_files(tmp_path / "data", MANIFEST) is None
    assert [path.name for path in tmp_path.glob("data*")] == ["data.lock"]  # a full disk is not left full
    assert fill_cache_folder(tmp_path / "data", fill_folder) == find_complete_files(tmp_path / "data", MANIFEST)


def test_a_fetch_that_is_killed_is_done_again_from_its_beginning(tmp_path, writer):
    first = writer()
    wait_for(tmp_path / "half")
    first.send_signal(signal.SIGKILL)
    first.wait()
    assert find_complete_files(tmp_path / "data", MANIFEST) is None
    files = fill_cache_folder(tmp_path / "data", fill_folder)
    assert sorted(path.name for path in files.iterdir()) == ["sub"]  # nothing of the one that was killed


@pytest.mark.slow
def test_of_two_that_ask_at_once_one_fetches_and_the_other_waits(tmp_path, writer):
    first = writer()
    wait_for(tmp_path / "half")
    second = writer()
    assert "waiting" in second.stdout.readline()
    (tmp_path / "go").touch()
    files = str(tmp_path / "data/files")
    assert first.communicate()[0].split() == ["filled", files]
    assert second.communicate()[0].split() == [files]


def test_one_that_is_complete_is_found_without_waiting(tmp_path):
    files = fill_cache_folder(tmp_path / "a/data", fill_folder)
    assert (files / "sub/weights").read_bytes() == b"123"
    with (tmp_path / "a/data.lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)  # as a run that uses it does
        assert fill_cache_folder(tmp_path / "a/data", fail_to_fill) == files


@pytest.mark.parametrize("harm", ["shorter", "missing", "no manifest"])
def test_a_folder_that_was_damaged_is_fetched_again(tmp_path, capfd, harm):
    files = fill_cache_folder(tmp_path / "data", fill_folder)
    if harm == "shorter":
        os.truncate(files / "sub/weights", 1)
    else:
        (files / "sub/weights" if harm == "missing" else tmp_path / "data" / MANIFEST).unlink()
    assert find_complete_files(tmp_path / "data", MANIFEST) is None
    assert (fill_cache_folder(tmp_path / "data", fill_folder) / "sub/weights").read_bytes() == b"123"
    assert "was changed or damaged" in capfd.readouterr().out


REGISTRY = "sqlite:////nowhere/mlflow.db"


@pytest.fixture
def no_network(monkeypatch):
    def refuse(*arguments: object) -> None:
        raise AssertionError("preflight asked the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.mark.parametrize(
    ("uri", "message"), [("models:/act/7", ""), ("act:7", ""), ("models:/act/champion", "is not a version")]
)
def test_a_name_is_judged_without_asking_anybody(uri, message, tmp_path, no_network):
    place = ContainerContext(cache=tmp_path, tracking_uri=REGISTRY)
    result = list(container.preflight(JobSource(role="policy", kind="any", uri=uri), place))
    assert bool(result) == bool(message)
    assert message in "".join(result)


def test_without_tracking_there_is_no_registry(tmp_path):
    source = JobSource(role="policy", kind="registered_model", uri="models:/act/7")
    (result,) = container.preflight(source, ContainerContext(cache=tmp_path))
    assert "models:/act/7 cannot be looked up" in result
    with pytest.raises(OSError) as refused:
        container.fetch(source, ContainerContext(cache=tmp_path))
    check_refusals(refused.value, "os-error")


TRAINED = {"robotrain_run": "lerobot-train-1", "checkpoint": "000400", "checkpoint_sha256": "c", "job_digest": "d"}
KNOWN = {
    "policy_run": "lerobot-train-1",
    "policy_step": "400",
    "policy_checkpoint_sha256": "c",
    "policy_job_digest": "d",
}
EVALUATED = {**TRAINED, "robotrain_run": "lerobot-eval-1", "policy_uri": "/p"}


@pytest.mark.parametrize(
    ("tags", "lineage"),
    [
        ({}, {}),
        (TRAINED, KNOWN),
        ({**EVALUATED, **KNOWN}, KNOWN),
        (EVALUATED, {"policy_step": "400"}),
        ({**EVALUATED, "checkpoint": "000000"}, {}),
        ({"checkpoint": "best"}, {}),
    ],
)
def test_a_run_that_only_evaluated_it_is_not_the_one_that_made_it(tags, lineage):
    assert read_policy_lineage(tags) == lineage
