"""The stand-in of Isaac Lab answers as the real scripts were read and measured to."""

import contextlib
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from isaac_stand_in import environments, make_lab

pytestmark = [pytest.mark.slow, pytest.mark.long]

Start = Callable[..., "subprocess.Popen[str]"]
TRAIN = ("-p", "lab/scripts/reinforcement_learning/rsl_rl/train.py", "--task", "Isaac-Cartpole-v0", "--num_envs", "16")


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts `isaaclab.sh` of Isaac Lab 2.3 as a process group that ends with the test."""
    started: list[subprocess.Popen[str]] = []
    (tmp_path / "lab").mkdir()
    script = make_lab(tmp_path / "lab")
    python = str(environments.install())

    def begin(*arguments: str) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            ["bash", str(script), *arguments],
            cwd=tmp_path,
            env={**os.environ, "STANDIN_PYTHON": python, "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        started.append(process)
        return process

    yield begin
    for process in started:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ((), 1, "No arguments provided"),
        (("train",), 1, "Invalid argument provided: train"),
        ((*TRAIN, "--no_such_flag", "3"), 2, "unrecognized arguments"),
        ((*TRAIN, "agent.nope=3"), 1, "Key 'nope' is not in struct"),
        ((*TRAIN, "--task", "Isaac-Nowhere-v0"), 1, "NameNotFound"),
    ],
)
def test_what_the_scripts_do_not_know_ends_them(
    arguments: tuple[str, ...], code: int, words: str, start: Start
) -> None:
    process = start(*arguments)
    output, _ = process.communicate(timeout=120)
    assert (process.returncode, words in output) == (code, True), output


def test_sigterm_reaches_the_shell_alone_and_the_handler_saves_nothing(start: Start, tmp_path: Path) -> None:
    process = start(*TRAIN, "--max_iterations", "100000", "--headless")
    logs = tmp_path / "logs/rsl_rl/cartpole"
    deadline = time.monotonic() + 120
    while not list(logs.glob("*/model_0.pt")):
        assert time.monotonic() < deadline
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.2)
    process.terminate()
    assert process.wait(10) == -signal.SIGTERM
    os.killpg(process.pid, 0)  # Python goes on as an orphan of the shell
    os.killpg(process.pid, signal.SIGTERM)
    output, _ = process.communicate(timeout=30)
    assert "closed by a signal" in output
    saved = {int(re.sub(r"\D", "", path.name)) for path in logs.glob("*/model_*.pt")}
    assert all(number % 50 == 0 for number in saved)
