"""The stand-in of Isaac Lab answers as the real scripts were read and measured to."""

import contextlib
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from isaac_stand_in import environments, make_lab

pytestmark = [pytest.mark.slow, pytest.mark.long]

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture(scope="module")
def old_python() -> Path:
    return environments.install(environments.GENERATIONS[0])


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts `isaaclab.sh` in a folder of its own, as a process group that ends with the test."""
    started: list[subprocess.Popen[str]] = []

    def begin(python: Path, *arguments: str, version: str = "2.3", environ: Mapping[str, str] = {}):
        lab = tmp_path / f"lab-{version}"
        script = lab / "isaaclab.sh"
        if not lab.exists():
            lab.mkdir()
            script = make_lab(lab, version)
        process = subprocess.Popen(
            ["bash", str(script), *arguments],
            cwd=tmp_path,
            env={**os.environ, "STANDIN_PYTHON": str(python), "OMP_NUM_THREADS": "1", **environ},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        started.append(process)
        return process

    yield begin
    for process in started:
        with_group_gone(process)


def with_group_gone(process: "subprocess.Popen[str]") -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def script(backend: str, action: str, lab: Path) -> str:
    return str(lab / "lab-2.3/scripts/reinforcement_learning" / backend / f"{action}.py")


SHORT = ("--task", "Isaac-Cartpole-v0", "--num_envs", "16", "--max_iterations", "2", "--headless")


def test_two_processes_train_together(old_python: Path, start: Start, tmp_path: Path) -> None:
    distributed = ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2")
    process = start(old_python, "-p", *distributed, script("rsl_rl", "train", tmp_path), *SHORT, "--distributed")
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output
    steps = int(SHORT[3]) * 16 * 2 * 2  # environments x steps an iteration x iterations x processes
    assert re.search(rf"Total timesteps: +{steps}\b", output), output


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("--no_such_flag", "3"), 2, "unrecognized arguments"),
        (("agent.nope=3",), 1, "Key 'nope' is not in struct"),
        (("--task", "Isaac-Nowhere-v0"), 1, "NameNotFound"),
    ],
)
def test_what_the_scripts_do_not_know_ends_them(
    arguments: tuple[str, ...], code: int, words: str, old_python: Path, start: Start, tmp_path: Path
) -> None:
    process = start(old_python, "-p", script("rsl_rl", "train", tmp_path), *SHORT, *arguments)
    output, _ = process.communicate(timeout=120)
    assert (process.returncode, words in output) == (code, True), output


def test_sigterm_reaches_the_shell_alone_and_the_handler_saves_nothing(
    old_python: Path, start: Start, tmp_path: Path
) -> None:
    long = ("--task", "Isaac-Cartpole-v0", "--num_envs", "16", "--max_iterations", "100000", "--headless")
    process = start(old_python, "-p", script("rsl_rl", "train", tmp_path), *long, environ={"STANDIN_SIGNAL_EXIT": "0"})
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


def test_without_arguments_isaaclab_refuses(old_python: Path, start: Start) -> None:
    process = start(old_python)
    output, _ = process.communicate(timeout=30)
    assert (process.returncode, "No arguments provided" in output) == (1, True)
    process = start(old_python, "train")
    assert process.wait(30) == 1
