"""Policies of rsl_rl and skrl, both generations, exported and played: real classes, PyTorch, ONNX Runtime."""

import contextlib
import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from isaac_stand_in import environments, policy
from robotrain_runtime.contract.event import Evaluated, parse_event

pytestmark = pytest.mark.slow
PROGRAM = Path(__file__).with_name("isaac_policies.py")
OLD, NEW = environments.GENERATIONS
POLICIES = {"rsl_rl mlp mish", "rsl_rl mlp clipped", "rsl_rl lstm", "rsl_rl gru", "skrl shared", "skrl separate"}
REFUSED = {
    "pickled": "it cannot be read as weights",
    "recurrent skrl": "recurrent policies of skrl are not exported",
    "other sizes": "it is not of this checkpoint",
    "activation": "the activation square is not exported",
    "no normalizer": "it has a normalizer, and params/agent.yaml says the opposite",
    "std": "a standard deviation that depends on the observations is not exported",
    "rnn": "its recurrent layer is lstm, and params/agent.yaml says gru",
    "skrl scaler": "_preprocessor, and params/agent.yaml says the opposite",
    "skrl network": "it has no linear layer net_container.1",
}


@pytest.fixture(scope="module")
def trained_checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[Path, dict[str, Any]]]:
    """Returns the folder of a generation's checkpoints and what was measured of them: `trained_checkpoints(OLD)`."""

    @cache
    def make(generation: str) -> tuple[Path, dict[str, Any]]:
        folder = tmp_path_factory.mktemp(generation)
        command = [str(environments.install(generation)), str(PROGRAM), str(folder)]
        environ = {**os.environ, "OMP_NUM_THREADS": "1"}
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, env=environ)
        answers = [line for line in done.stdout.splitlines() if line.startswith("::policies:: ")]
        assert answers, done.stdout + done.stderr
        return folder, json.loads(answers[0].removeprefix("::policies:: "))

    return make


@pytest.mark.parametrize("generation", [OLD, NEW])
def test_exported_policies_give_the_librarys_own_actions_or_are_refused(
    trained_checkpoints: Any, generation: str
) -> None:
    measured = trained_checkpoints(generation)[1]
    policies, refused = measured["policies"], measured["refused"]
    assert (set(policies), set(refused)) == (POLICIES, set(REFUSED))
    for name, found in policies.items():
        assert found["rebuilt"] < 1e-6, name
        assert max(found["jit"], found["onnx"]) < 1e-5, name
        assert found["passed"], name
        assert found["batch_1"], name
        assert found["files"] == ["policy.onnx", "policy.pt", "samples.npz"]

    for name, words in REFUSED.items():
        assert words in refused[name], name


def test_a_difference_beyond_the_tolerance_does_not_pass(trained_checkpoints: Any) -> None:
    image = PROGRAM.parents[2] / "workloads/robotrain_workloads/isaac_export/image"
    code = f"""
import json, sys
sys.path.insert(0, {str(image)!r})
import convert
tried = ([1.0001, 9e-6], [1.0002, 0.0], [1.0, 2e-5], [1.0, float("nan")])
print(json.dumps([convert.compare([1.0, 0.0], one) for one in tried]))
"""
    done = subprocess.run([str(environments.install(OLD)), "-c", code], capture_output=True, text=True, check=True)
    within, *beyond = json.loads(done.stdout)
    assert within["passed"]
    assert within["max_error"] == pytest.approx(1e-4, rel=1e-3)
    assert [one["passed"] for one in beyond] == [False, False, False]
    assert beyond[-1]["max_error"] is None


def submit(folder: Path, *words: str) -> tuple[int, str, Path]:
    """Run an export on this machine; return its exit code, what was said, and the run's folder."""
    own = {**policy.make_environ(folder / "lab"), "ROBOTRAIN_STATE": str(folder / "state")}
    command = (sys.executable, "-m", "robotrain", "submit", "isaac-export", "--platform", "local", "--wait", "--json")
    command += ("--isaac-version", "2.3")
    done = subprocess.run([*command, *words], cwd=folder, env=own, capture_output=True, text=True, timeout=300)
    run = json.loads(done.stdout).get("run", "") if done.stdout else ""
    return done.returncode, done.stdout + done.stderr, folder / "state" / "local" / run


def list_files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def count_frames(file: Path) -> int:
    code = "import sys, imageio.v3; print(len(imageio.v3.imread(sys.argv[1])))"
    command = [str(environments.install(OLD)), "-c", code, str(file)]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def test_a_recurrent_policy_is_exported_played_and_registered(trained_checkpoints: Any, tmp_path: Path) -> None:
    checkpoint = trained_checkpoints(OLD)[0] / "lstm"
    words = ("--checkpoint-uri", str(checkpoint), "-t", "Isaac-Cartpole-Recurrent-v0", "-r", "standing")
    steps = ("--max-steps", "40", "--video-length", "50")
    code, output, run = submit(tmp_path, *words, *steps)
    assert code == 0, output
    results = run / "outputs" / "export_results"
    videos = {f"videos/{name}_play/rl-video-step-0.mp4" for name in ("onnx", "jit")}
    exported = {f"exported/{name}{end}" for name in ("policy.onnx", "policy.pt") for end in ("", ".sha256")}
    metrics = {"metrics/onnx_metrics.json", "metrics/jit_metrics.json"}
    own = {"export_results.json", "exported/comparison.json"}
    assert list_files(results) == {*exported, *metrics, *videos, *own}
    assert [count_frames(results / video) for video in sorted(videos)] == [50, 50]
    for name in ("onnx", "jit"):
        found = json.loads((results / f"metrics/{name}_metrics.json").read_text())
        assert (found["format"], found["num_envs"], found["total_steps"]) == (name, 4, 40)
        compared = json.loads((results / "exported/comparison.json").read_text())[name]
        assert set(compared) == {"samples", "played"}
        assert all(one["passed"] and one["max_error"] < 1e-5 for one in compared.values())
    lines = (run / "events.jsonl").read_text().splitlines()
    (evaluated,) = (one.event for line in lines if (one := parse_event(line)) and isinstance(one.event, Evaluated))
    assert (evaluated.step, evaluated.scores["onnx/max_error"] < 1e-5) == (7, True)
    with contextlib.closing(sqlite3.connect(tmp_path / "state/mlflow.db")) as database:
        tags = dict(database.execute("select key, value from model_version_tags"))
    assert tags["formats"] == "onnx,jit"


def test_what_cannot_be_exported_is_refused_before_it_is_queued(trained_checkpoints: Any, tmp_path: Path) -> None:
    checkpoint = trained_checkpoints(OLD)[0] / "bad7"  # params/agent.yaml of another policy
    code, output, _ = submit(tmp_path, "--checkpoint-uri", str(checkpoint), "--tracking-uri", "none")
    assert code == 4, output
    assert "its recurrent layer is lstm, and params/agent.yaml says gru" in output
