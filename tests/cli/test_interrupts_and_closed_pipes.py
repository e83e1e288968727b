"""Interrupts, closed pipes and broken environments of a command: no result is lost, nothing incomplete is left."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow  # real processes and their patience


def shell(command: str, **environ: str) -> subprocess.CompletedProcess[str]:
    line = f"set -o pipefail; {command.replace('ROBOTRAIN', f'{sys.executable} -m robotrain')}"
    return subprocess.run(["bash", "-c", line], capture_output=True, text=True, env=os.environ | environ)


RENDER = "ROBOTRAIN render --platform local --dataset-path x"


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (f"{RENDER} | sleep 0", 0),
        (f"{RENDER} --bogus 2> >(exec true)", 2),
        ("ROBOTRAIN status nosuch 2>&-", 2),
        (f"{RENDER} 2>&-", 0),
    ],
)
def test_closed_pipe_does_not_change_the_exit_code(command, code):
    done = shell(command)
    assert done.returncode == code
    assert "Traceback" not in done.stderr


def test_result_is_printed_without_stderr():
    done = shell(f"{RENDER} --json 2>&-")
    assert json.loads(done.stdout)["platform"] == "local"


@pytest.mark.parametrize("watching", ["logs -f", "logs", "watch", "watch --json", "logs --json -f"])
def test_watching_ends_without_a_message_when_the_reader_is_gone(scripted, tmp_path, watching):
    event = '::robotrain:: {"event": "checkpoint", "time": 1, "step": 1, "path": "/x"}'
    # more than a pipe holds, so that something is written after `head` is gone
    run = scripted.run("train-1", *[event] * 4000, state="running")
    site = str(tmp_path / "site-robotrain-scripted")
    done = shell(f"ROBOTRAIN {watching} train-1 | head -1", PYTHONPATH=site)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) == 1
    assert (run.folder / "status.json").exists()


@pytest.mark.parametrize(
    "command", [*(f"{words} train-1" for words in ("logs -f", "logs", "watch", "watch --json")), ""]
)
def test_full_disk_behind_stdout_is_reported(scripted, tmp_path, command):
    event = '::robotrain:: {"event": "checkpoint", "time": 1, "step": 1, "path": "/x"}'
    scripted.run("train-1", event, state="running")
    line = f"ROBOTRAIN {command}" if command else RENDER
    done = shell(f"{line} > /dev/full", PYTHONPATH=str(tmp_path / "site-robotrain-scripted"))
    assert done.returncode == 1
    assert "No space left on device" in done.stderr
    assert "Traceback" not in done.stderr


def test_text_is_escaped_for_an_ascii_terminal():
    done = shell("ROBOTRAIN explain --platform local --dataset-path ü", PYTHONIOENCODING="ascii")
    assert done.returncode == 0
    assert "\\xfc" in done.stdout


@pytest.mark.parametrize("state", ["~nosuch/x", "x" * 300, "/dev/null/x"])
def test_state_folder_that_cannot_be_created_is_an_error(state):
    done = shell("ROBOTRAIN status; ROBOTRAIN submit --platform local --dataset-path x", ROBOTRAIN_STATE=state)
    assert "Traceback" not in done.stderr
    assert "error:" in done.stderr


def test_plan_folder_that_cannot_be_created_is_an_error(robotrain, tmp_path):
    (tmp_path / "file").write_text("")
    answer = robotrain("render", "--platform", "local", "--dataset-path", "x", "--to", tmp_path / "file/plan")
    answer.check_problems(2, "value-invalid --to")


def test_interrupted_submit_gives_its_name_back(tmp_path, command):
    python = tmp_path / "slow/bin/python"
    python.parent.mkdir(parents=True)
    python.write_text("#!/bin/sh\ntouch started\nsleep 60\n")
    python.chmod(0o755)
    data = Path(__file__).parents[2] / "examples/pusht-mini/dataset"
    words = ["submit", "--platform", "local", "--dataset-path", str(data), "--environment", str(tmp_path / "slow")]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen([*command, *words], start_new_session=True, **quiet)
    end = time.monotonic() + 30
    while not Path("started").exists():
        assert time.monotonic() < end
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGINT)
    assert process.wait(30) == 130
    os.killpg(process.pid, signal.SIGKILL)
    assert not list((tmp_path / "state/runs").iterdir())
