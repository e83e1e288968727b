"""A folder with a script and nothing else: two commands train it, and a missing module is said with what brings it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow  # real runs
TRAIN = """
import os
for step in range(1, 401):
    if step % 50 == 0:
        print(f"step {step}/400 loss={1 / step:.4f}", flush=True)
    if step % 100 == 0:
        folder = os.path.join("checkpoints", f"checkpoint-{step}")
        os.makedirs(folder)
        with open(os.path.join(folder, "model.pt"), "w") as file:
            file.write(str(step))
"""


@pytest.fixture
def run(command, tmp_path: Path):
    """Run a command in the folder of the script."""
    folder = tmp_path / "lab"
    folder.mkdir()
    python = Path(sys.executable).parent  # a shell has one
    environ = {**os.environ, "ROBOTRAIN_STATE": str(tmp_path / "state"), "PATH": f"{python}:{os.environ['PATH']}"}

    def run(*words: str, exit_code: int = 0) -> str:
        done = subprocess.run([*command, *words], cwd=folder, env=environ, capture_output=True, text=True, timeout=300)
        assert done.returncode == exit_code, done.stdout + done.stderr
        return done.stdout

    return run


def test_two_commands_train_a_script_that_knows_only_its_own_folder(run, tmp_path):
    (tmp_path / "lab/train.py").write_text(TRAIN)
    run("init")
    run("submit", "job.yaml", "--wait", "--tracking-uri", "none")
    status = json.loads(run("status", "--json"))
    assert (status["state"], status["step"], status["total"], status["metrics"]) == (
        "succeeded",
        400,
        400,
        {"loss": 0.0025},
    )
    outputs = run("outputs")
    assert [step for step in (100, 200, 300, 400) if f"checkpoints/{step:06}" in outputs] == [100, 200, 300, 400]
    assert run("status").count("note: ") == 2


def test_one_command_trains_it_and_is_the_same_job_in_both_spellings(run, tmp_path):
    (tmp_path / "lab/train.py").write_text(TRAIN)
    words = ("--platform", "local", "--tracking-uri", "none", "--output-folder", "checkpoints", "--json")
    short = json.loads(run("submit", "train.py", *words))["run"]
    long = json.loads(run("submit", "command", "--code", ".", *words, "--", "python", "train.py"))["run"]
    assert short.rpartition("-")[0] == long.rpartition("-")[0]


def test_what_a_program_file_writes_beside_it_is_kept(run, tmp_path):
    (tmp_path / "lab/train.py").write_text(TRAIN)
    run("submit", "train.py", "--platform", "local", "--tracking-uri", "none", "--wait")
    assert "checkpoints/000400" in run("outputs")
