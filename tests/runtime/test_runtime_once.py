"""An engine may start a run's job twice, or one that was cancelled: `run JOB.json --once NAME --log FILE`."""

import json
import os
import subprocess
import sys

import pytest

RUNTIME = (sys.executable, "-m", "robotrain_runtime", "run", "job.json")


@pytest.fixture
def begun(tmp_path):
    """Begin the run of a folder as a job of an engine; what the job printed. Its document is none, which is told."""
    (tmp_path / "job.json").write_text("{}")

    def begun(*words):
        done = subprocess.run([*RUNTIME, *words], cwd=tmp_path, capture_output=True, text=True, check=False)
        return done.returncode, done.stderr

    return begun


def test_one_job_does_the_work_and_again_when_its_engine_starts_it_again(begun, tmp_path):
    assert begun("--once", "7", "--log", "log.txt") == (2, "")
    assert begun("--once", "8", "--log", "log.txt") == (0, "nothing to do: the job 7 does the work of this run\n")
    first = os.readlink(tmp_path / "taken")
    assert begun("--once", "7", "--log", "log.txt") == (2, "")
    assert os.readlink(tmp_path / "taken") != first, "it names the process that does the work now"
    assert (tmp_path / "log.txt").read_text().count("is not a valid job document") == 2


def test_a_job_of_a_cancelled_run_does_nothing(begun, tmp_path):
    (tmp_path / "cancelled").touch()
    assert begun("--once", "7", "--log", "log.txt") == (0, "nothing to do: the run was cancelled\n")
    assert not (tmp_path / "log.txt").exists()


def test_without_the_option_every_start_is_a_run(begun, tmp_path):
    assert begun()[0] == begun()[0] == 2
    assert not (tmp_path / "taken").exists()


def test_a_log_that_cannot_be_written_is_told(begun):
    code, said = begun("--log", "nowhere/log.txt")
    assert code == 2
    assert "nowhere/log.txt" in said


def test_the_process_is_its_own(tmp_path):
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
