"""What the container calls of LeRobot exists in each version that is shipped, and a training with each works."""

import ast
import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import robotrain_workloads
from lerobot_calls import CALLS
from robotrain_runtime.contract.event import Checkpoint, Metrics, Outcome
from robotrain_workloads.lerobot import versions
from small_training import SMALL, Trained, read_lines_until

NEWEST, *OLDER = (one.name for one in versions.list_versions())
OLDER_ARE_LONG = [NEWEST, *(pytest.param(one, marks=pytest.mark.long) for one in OLDER)]
FOLDER = Path(robotrain_workloads.__file__).parent
MODULE = re.compile(r"lerobot(\.\w+)+")
TRACKED = re.compile(r"lerobot\.(framework|job_name|distributed)")
"""Names of tags."""


def find_modules(path: Path) -> Iterator[str]:
    """The modules of LeRobot that a file imports, or names in a text."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "lerobot":
            yield str(node.module)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and MODULE.fullmatch(node.value):
            yield from [] if TRACKED.fullmatch(node.value) else [node.value]


@pytest.mark.slow
def test_every_module_of_lerobot_that_is_imported_is_checked() -> None:
    named = {module: path for path in FOLDER.rglob("*.py") for module in find_modules(path)}
    assert {module: path for module, path in named.items() if module not in CALLS} == {}
    assert "lerobot.scripts.lerobot_train" in named


@pytest.mark.slow
@pytest.mark.parametrize("version", OLDER_ARE_LONG)
def test_a_shipped_version_has_what_is_called(environment_of: Any, version: str) -> None:
    program = Path(__file__).with_name("lerobot_calls.py")
    command = [f"{environment_of(version)}/bin/python", program]
    done = subprocess.run(command, env={**os.environ, "HF_HUB_OFFLINE": "1"}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == []


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize("version", OLDER)
@pytest.mark.usefixtures("cold")
def test_an_older_version_trains_stops_resumes_and_is_evaluated(
    start: Any, train: Any, robotrain: Any, pusht: Path, tmp_path: Path, environment_of: Any, version: str
) -> None:
    """All other tests of trainings are those of the newest."""
    job = {"lerobot_version": version, "environment": environment_of(version), "log_freq": 1}
    process = start(pusht, SMALL["act"], work="stopped", **job, training_steps=10_000, save_freq=5_000, eval_freq=0)
    lines = list(read_lines_until(process, "train/loss"))
    os.killpg(process.pid, signal.SIGTERM)
    lines += process.communicate(timeout=120)[0].splitlines()
    stopped = Trained(process.returncode, lines, tmp_path / "stopped", tmp_path / "none.db")
    assert stopped.exit_code == 143, "\n".join(lines)
    (saved,) = stopped.events(Checkpoint)

    last = saved.step + 4
    checkpoint = {"resume": Path(saved.path)}
    resumed = train(pusht, SMALL["act"], checkpoint, "resumed", **job, training_steps=last, save_freq=2, eval_freq=2)
    steps = [event.step for event in resumed.events(Metrics) if "train/loss" in event.values]
    assert steps == list(range(saved.step + 1, last + 1))
    assert last in resumed.read_metric("val/loss")
    assert resumed.events(Outcome)[-1].state == "succeeded"

    policy = Path(resumed.events(Checkpoint)[-1].path, "pretrained_model")
    place = ("--platform", "local", "--environment", environment_of(version), "--tracking-uri", "none")
    what = ("--policy-path", policy, "--dataset-path", pusht, "--replay-episodes", "0")
    words = ("--lerobot-version", version, "--device", "cpu", "--wait", "--json")
    for given in (what, (*what[:2], "--env", "pusht", "--eval-episodes", "1", "--env-steps", "3")):
        answer = robotrain("submit", "lerobot-eval", *place, *given, *words)
        assert answer.exit_code == 0, answer.stderr
