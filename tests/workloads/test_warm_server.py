"""A program that the warm server starts finds and does what it finds and does when its own Python starts it."""

import json
import os
import re
import select
import signal
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from small_training import SMALL
from warm_server import COLD_VARIABLE, LEROBOT_VARIABLES

pytestmark = pytest.mark.slow
HERE = Path(__file__).parent
OTHER_VARIABLES = {
    "HF_HOME": "/other/huggingface",
    "HF_HUB_CACHE": "/other/hub",
    "HF_ENDPOINT": "http://hub.other",
    "HF_HUB_OFFLINE": "0",
    "HF_DATASETS_OFFLINE": "0",
    "HF_HUB_DISABLE_IMPLICIT_TOKEN": "1",
    "HF_MODULES_CACHE": "/other/modules",
    "TORCH_HOME": "/other/torch",
}
OTHERWISE = re.compile(
    r"session_?id|__spec__|hffs|TERMINAL|write_basic_config|PATH_TO_TRANSFORMERS|model_type", re.IGNORECASE
)
"""Names of what differs between any two starts, is a state of the import, or is read by no program."""
STARTS: Mapping[str, Mapping[str, str]] = {"warm": {}, "cold": {COLD_VARIABLE: "1"}}
PROGRAM = """
import os, sys, time
print(os.getpid(), os.getppid(), os.getcwd(), os.environ.get("OWN"), sys.argv[1:], flush=True)
time.sleep(60 * ("wait" in sys.argv))
sys.exit(7)
"""


@pytest.fixture
def environ(training_environment: str, tmp_path: Path) -> Mapping[str, str]:
    """The variables of a program, which imports from the test's folder."""
    (tmp_path / "own_program.py").write_text(PROGRAM)
    paths = os.pathsep.join(map(str, (tmp_path, HERE)))
    return {**os.environ, **LEROBOT_VARIABLES, "PYTHONPATH": paths, "OWN": "own"}


@pytest.fixture
def start_module(training_python: Path, environ: Mapping[str, str]) -> Callable[..., "subprocess.Popen[str]"]:
    """Start a module, perhaps with other variables."""

    def start(*words: object, **variables: str) -> "subprocess.Popen[str]":
        line = [training_python, "-m", *map(str, words)]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        return subprocess.Popen(line, env={**environ, **variables}, cwd=HERE, text=True, **pipes)

    return start


def test_a_program_has_the_words_folder_variables_and_exit_code(start_module) -> None:
    program = start_module("own_program", "a b", "*")
    output, _ = program.communicate()
    process, parent, *rest = output.split(maxsplit=2)
    assert (program.returncode, rest) == (7, [f"{HERE} own ['a b', '*']\n"])
    assert int(process) != program.pid
    assert int(parent) != os.getpid()


@pytest.mark.parametrize(
    "variables", [{COLD_VARIABLE: "1"}, {"OMP_NUM_THREADS": "2"}, {"MKL_NUM_THREADS": "2"}], ids=str
)
def test_a_start_that_would_find_other_imports_is_cold(start_module, variables) -> None:
    program = start_module("own_program", **variables)
    output, _ = program.communicate()
    assert (program.returncode, output.split()[:2]) == (7, [str(program.pid), str(os.getpid())])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_a_signal_reaches_the_program(start_module, number: int) -> None:
    program = start_module("own_program", "wait")
    process = int(program.stdout.readline().split()[0])
    watched = os.pidfd_open(process)
    program.send_signal(number)
    program.communicate()
    assert select.select([watched], [], [], 60)[0] == [watched]
    os.close(watched)
    assert program.returncode == -number


def test_constants_that_imports_made_of_variables_are_those_of_a_cold_start(start_module, trainers, tmp_path) -> None:
    ends = [
        start_module("listed_constants", tmp_path / name, **OTHER_VARIABLES, **cold) for name, cold in STARTS.items()
    ]
    outputs = [end.communicate()[0] for end in ends]
    assert [end.returncode for end in ends] == [0, 0], outputs
    assert "-m listed_constants warm" in trainers.log.read_text()
    warm, cold = (json.loads((tmp_path / name).read_text()) for name in STARTS)
    names = [name for name in warm.keys() | cold.keys() if not OTHERWISE.search(name)]
    assert len(names) > 10_000
    assert not {name: (warm.get(name), cold.get(name)) for name in names if warm.get(name) != cold.get(name)}


@pytest.mark.long
def test_a_training_has_the_weights_and_the_state_of_a_cold_one(train, small, trainers, monkeypatch) -> None:
    checkpoints = {}
    for work, variables in STARTS.items():
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        trained = train(small.dataset, SMALL["act"], work=work)
        checkpoints[work] = trained.work / "outputs/checkpoints" / small.checkpoint.name
    assert "-m robotrain_workloads.lerobot_train.launcher warm" in trainers.log.read_text()
    files = sorted(path.relative_to(checkpoints["cold"]) for path in checkpoints["cold"].rglob("*.safetensors"))
    assert {"model.safetensors", "optimizer_state.safetensors", "rng_state.safetensors"} <= {
        file.name for file in files
    }
    assert not [file for file in files if len({(folder / file).read_bytes() for folder in checkpoints.values()}) > 1]
