"""Macs submit and follow runs; they run none. `pytest --macos` runs other tests of commands so."""

import ctypes
import os
import subprocess
import sys

import macos
import pytest
from robotrain import cli
from robotrain.run_folder import ssh_transport
from robotrain_workloads.lerobot import device


@pytest.fixture
def mac(monkeypatch):
    """This process is one of a Mac."""
    macos.become_mac(monkeypatch)


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("open('/proc/self/mounts')", FileNotFoundError),
        ("os.listdir('/proc')", FileNotFoundError),
        ("os.sched_getaffinity(0)", AttributeError),
        ("ctypes.CDLL(None).prctl", AttributeError),
        ("subprocess.run(['ps', '-ef'])", AssertionError),
    ],
)
def test_what_linux_alone_has_is_missing(line, error):
    names = {"__name__": "robotrain.imagined", "os": os, "ctypes": ctypes, "subprocess": subprocess}
    with pytest.raises(error):
        exec(line, names)


def test_job_on_this_machine_is_refused_in_a_sentence(robotrain, pusht):
    answer = robotrain("submit", "--dataset-path", pusht, "--training-steps", 2, "--platform", "local", "--dry-run")
    answer.check_problems(3, "feature-not-there --platform")


def test_job_for_another_machine_does_not_depend_on_this_one():
    values = {"num_gpus": 1, "device": "auto", "mixed_precision": "fp16"}
    assert device.find_gpu_requirement(values) is not None


def test_doctor_says_what_runs_here(robotrain):
    answer = robotrain("doctor", "--platform", "local", "--json")
    facts = {check["name"]: check["findings"][0]["says"] for check in answer.json["checks"]}
    assert "needs Linux" in facts["gpu"]


def test_socket_of_ssh_has_a_short_path(monkeypatch):
    monkeypatch.setattr(ssh_transport, "_shared", {})
    monkeypatch.setattr(ssh_transport, "_has_own_sharing", lambda host: False)
    monkeypatch.setattr("tempfile.tempdir", "/var/folders/zz/zyxvpxvq6csfxvn_n0000000000000/T")
    path = ssh_transport._share_connection("cluster")["ControlPath"]
    os.rmdir(os.path.dirname(path))
    assert len(path.replace("%C", "c" * 40)) + 17 <= 104


def test_windows_is_told_to_use_wsl(monkeypatch):
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(sys, "argv", ["robotrain", "runs"])
    with pytest.raises(SystemExit, match="use WSL 2"):
        cli.main()
