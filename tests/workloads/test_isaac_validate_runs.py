"""Validations in Isaac Lab's stand-in: its play scripts, rsl_rl and skrl are the real ones."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from isaac_stand_in import policy
from robotrain_workloads.isaac import checkpoint_file

pytestmark = pytest.mark.slow
TASK = policy.TASK
SHORT = {"STANDIN_STEPS": "5"}
"""Episodes in which no pole falls, whatever the policy does."""


class Ended(NamedTuple):
    """A validation that has ended."""

    code: int
    output: str
    results: Path

    @property
    def document(self) -> Any:
        return json.loads((self.results / "eval_results.json").read_text())


Validate = Callable[..., Ended]


@pytest.fixture(scope="session")
def trained(made_once: Callable[[str, Callable[[Path], None]], Path]) -> Callable[[str], Path]:
    """The checkpoint of one iteration: `trained("rsl_rl")`."""

    def train(backend: str) -> Path:
        return made_once(f"isaac-{backend}", partial(policy.train, backend=backend)) / "checkpoint"

    return train


@pytest.fixture
def validate(trained: Callable[[str], Path], tmp_path: Path) -> Validate:
    """Validates the checkpoint of a backend with the program that runs in the container: four episodes."""

    def run(
        backend: str = "rsl_rl",
        *words: str,
        environ: Mapping[str, str] = SHORT,
        checkpoint: Path | None = None,
    ) -> Ended:
        own = ("--work", tmp_path / "work", "--results", tmp_path / "results", "--cache", tmp_path / "cache")
        source = ("--checkpoint", checkpoint or trained(backend), "--source", "run@1", "--source-kind", "run")
        usual = ("--job-name", "validate", "--eval-episodes", "4", "--num-envs", "2", "--seed", "1", "--headless")
        program = (sys.executable, "-m", "robotrain_workloads.isaac_validate.supervisor")
        command = (*program, *own, *source, *usual, *words, "--")
        ended = subprocess.run(
            command,
            env={**policy.make_environ(tmp_path / "lab"), **environ},
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )
        return Ended(ended.returncode, ended.stdout + ended.stderr, tmp_path / "results")

    return run


def test_a_policy_passes_by_the_environments_own_signal_and_is_filmed(validate: Validate) -> None:
    ended = validate("rsl_rl", "--video-length", "8", environ={**SHORT, "STANDIN_SUCCESS": "timeout"})
    assert ended.code == 0, ended.output
    document = ended.document
    assert (document["verdict"], document["success_rate"], document["success_threshold"]) == ("passed", 1.0, 0.7)
    assert (document["task"], document["framework"], document["policy"]["step"]) == (TASK, "rsl_rl", 0)
    assert [episode["index"] for episode in document["rollout"]["per_episode"]] == [0, 1, 2, 3]
    assert {episode["steps"] for episode in document["rollout"]["per_episode"]} == {5}
    assert (ended.results / "videos/all.mp4").read_bytes()[4:8] == b"ftyp"


def test_a_fall_is_no_success(validate: Validate) -> None:
    ended = validate("rsl_rl", environ={"STANDIN_SUCCESS": "timeout"})
    assert ended.code == 1, ended.output
    assert "the success rate 0.00 (0 of 4) is below --success-threshold 0.7" in ended.output
    document = ended.document
    assert (document["verdict"], document["rollout"]["successes"]) == ("failed", 0)
    assert max(episode["steps"] for episode in document["rollout"]["per_episode"]) < 250  # all of them fell


def test_without_a_signal_nothing_is_judged(validate: Validate) -> None:
    ended = validate("skrl")
    assert ended.code == 0, ended.output
    assert "the policy was not judged" in ended.output
    assert ended.document["verdict"] == "not judged"
    assert ended.document["framework"] == "skrl"


def test_without_a_signal_the_mean_return_decides(validate: Validate) -> None:
    ended = validate("skrl", "--reward-threshold", "5.5")  # at most 1 in each of 5 steps
    assert (ended.code, ended.document["verdict"]) == (1, "failed"), ended.output


def test_a_task_that_isaac_lab_does_not_have_is_named(
    validate: Validate, trained: Callable[[str], Path], tmp_path: Path
) -> None:
    checkpoint = Path(shutil.copytree(trained("rsl_rl"), tmp_path / "checkpoint"))
    (checkpoint / checkpoint_file.FACTS_FILE).write_text("{}")
    ended = validate("rsl_rl", "--task", "Isaac-Nowhere-v0", checkpoint=checkpoint)
    assert ended.code == 1
    assert "Isaac-Nowhere-v0" in ended.output.rpartition("error:")[2]
