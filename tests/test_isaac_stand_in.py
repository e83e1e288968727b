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

pytestmark = pytest.mark.slow

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


def check_leavings(folder: Path, checkpoint: str) -> None:
    """A run leaves its parameters, checkpoints and a video."""
    assert (folder / "params/agent.yaml").is_file()
    assert (folder / checkpoint).is_file()
    assert (folder / "videos/train/rl-video-step-0.mp4").read_bytes()[4:8] == b"ftyp"


VIDEO = ("--video", "--video_length", "8")


def test_rsl_rl_of_2_3_leaves_checkpoints_by_iteration(old_python: Path, start: Start, tmp_path: Path) -> None:
    process = start(old_python, "-p", script("rsl_rl", "train", tmp_path), *SHORT, *VIDEO)
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output
    assert "[INFO] Using python from: " in output
    folder = next((tmp_path / "logs/rsl_rl/cartpole").iterdir())
    check_leavings(folder, "model_1.pt")
    assert list(folder.glob("events.out.tfevents.*"))  # skrl writes none in fewer than 100 timesteps


def test_skrl_of_3_0_leaves_checkpoints_by_timestep(start: Start, tmp_path: Path) -> None:
    python = environments.install(environments.GENERATIONS[1])
    process = start(python, "train", *SHORT, version="3.0")
    output, _ = process.communicate(timeout=300)
    assert (process.returncode, "--rl_library" in output) == (2, True)
    process = start(python, "train", "--rl_library", "skrl", *SHORT, *VIDEO, version="3.0")
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output
    check_leavings(next((tmp_path / "logs/skrl/cartpole").iterdir()), "checkpoints/agent_32.pt")


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


def test_an_old_skrl_exits_0_without_training(old_python: Path, start: Start, tmp_path: Path) -> None:
    train = ("-p", script("skrl", "train", tmp_path), *SHORT)
    process = start(old_python, *train, environ={"STANDIN_SKRL_MINIMUM": "2.1.0"})
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 0
    assert "Unsupported skrl version" in output
    assert not (tmp_path / "logs").exists()


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
