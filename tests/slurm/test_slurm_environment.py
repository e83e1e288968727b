"""Jobs of two nodes that need the same environment: it is built once, on the disk that both see."""

import os
import re
import signal
import ssl
from contextlib import suppress
from pathlib import Path

import pytest
from lab import wait_until
from robotrain.run_folder.scheduler_plan import format_become_python
from robotrain_slurm.spec import script

pytestmark = pytest.mark.slow

BUILDING = r"building the environment \S+ with"
CERTIFICATES = os.environ.get("SSL_CERT_FILE") or ssl.get_default_verify_paths().openssl_cafile


@pytest.fixture
def submit(lab, robotrain, monkeypatch, tmp_path):
    """Submit a short program to a node; return its run folder."""
    monkeypatch.setattr(
        script,
        "format_become_python",
        lambda *words: f"export SSL_CERT_FILE='{CERTIFICATES}'\n{format_become_python(*words)}",
    )

    def submit(node):
        folders = ("--runs-dir", tmp_path / "runs", "--cache-dir", tmp_path / "cache", "--new", "--json")
        resources = ("--gpus", 0, "--cpus", 1, "--memory", "1G", "--sbatch", f"nodelist={node}")
        options = (*resources, "--continuation", "never")
        command = ("--", "python3", "-c", "print('done')")
        answer = robotrain("submit", "command", "--platform", "slurm", *folders, *options, *command)
        answer.check(0)
        return tmp_path / "runs" / answer.json["run"]

    return submit


@pytest.fixture
def count_builds(tmp_path):
    """Count how often an environment was built, by the logs of all runs."""
    return lambda: len(re.findall(BUILDING, "".join(log.read_text() for log in tmp_path.glob("runs/*/log.txt"))))


def wait_for_end(folder):
    wait_until((folder / "outcome.json").exists, f"the end of {folder}", seconds=120)
    assert '"succeeded"' in (folder / "outcome.json").read_text(), read_log(folder)


def test_two_nodes_build_the_environment_once(submit, count_builds, tmp_path):
    runs = [submit(node) for node in ("n1", "n2")]
    for run in runs:
        wait_for_end(run)
    assert count_builds() == 1
    waited = [run for run in runs if "another run is building" in read_log(run)]
    assert len(waited) == 1


@pytest.mark.long
def test_killed_build_is_repaired_by_the_node_that_waits(submit, count_builds, lab, tmp_path):
    first = submit("n1")
    wait_until(lambda: [*tmp_path.glob("cache/environments/.*.part/bin")], "the build", seconds=60)
    job = lab.run("squeue", "--noheader", "--format=%i", "--nodelist=n1")
    processes = [process for process in lab.find_processes() if f"\0SLURM_JOB_ID={job}\0" in read_environment(process)]
    for process in processes:
        with suppress(ProcessLookupError):  # a short one that has ended since
            os.kill(process, signal.SIGSTOP)
    second = submit("n2")
    wait_until(lambda: "another run is building" in read_log(second), "the second node", seconds=30)
    for process in processes:  # of a node that loses power: nothing cleans up
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
    wait_for_end(second)
    assert count_builds() == 2
    assert not [*tmp_path.glob("cache/environments/.*.part")]
    assert not (first / "outcome.json").exists()


def read_log(run):
    return (run / "log.txt").read_text() if (run / "log.txt").exists() else ""


def read_environment(process):
    try:
        return "\0" + Path(f"/proc/{process}/environ").read_text()
    except OSError:
        return ""
