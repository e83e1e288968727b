"""Policies of rsl_rl and skrl, exported and played in Isaac Lab's stand-in: real classes, PyTorch, ONNX Runtime."""

import contextlib
import json
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from isaac_stand_in import environments, policy
from robotrain_runtime.contract.event import Evaluated, parse_event
from robotrain_workloads.isaac.image import exported_policy

MadeOnce = Callable[[str, Callable[[Path], None]], Path]


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
    command = [str(environments.install()), "-c", code, str(file)]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


@pytest.mark.slow
@pytest.mark.long
def test_a_recurrent_policy_is_exported_played_and_registered(made_once: MadeOnce, tmp_path: Path) -> None:
    trained = made_once("isaac-recurrent", partial(policy.train, task=policy.RECURRENT_TASK))
    words = ("--checkpoint-uri", str(trained / "checkpoint"), "-r", "standing")
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
        measured = json.loads((results / f"metrics/{name}_metrics.json").read_text())
        assert (measured["format"], measured["num_envs"], measured["total_steps"]) == (name, 4, 40)
        compared = json.loads((results / "exported/comparison.json").read_text())[name]
        assert (compared["observations"], compared["passed"]) == (200, True)
        assert compared["max_error"] < 1e-5
    lines = (run / "events.jsonl").read_text().splitlines()
    (evaluated,) = (
        record.event for line in lines if (record := parse_event(line)) and isinstance(record.event, Evaluated)
    )
    assert (evaluated.step, evaluated.scores["onnx/max_error"] < 1e-5) == (0, True)
    with contextlib.closing(sqlite3.connect(tmp_path / "state/mlflow.db")) as database:
        tags = dict(database.execute("select key, value from model_version_tags"))
    assert tags["formats"] == "onnx,jit"


@pytest.mark.slow
def test_a_policy_of_skrl_is_exported(made_once: MadeOnce, tmp_path: Path) -> None:
    trained = made_once("isaac-skrl", partial(policy.train, backend="skrl"))
    words = ("--checkpoint-uri", str(trained / "checkpoint"), "--max-steps", "0", "--video-length", "0")
    code, output, run = submit(tmp_path, *words, "--tracking-uri", "none")
    assert code == 0, output
    compared = json.loads((run / "outputs/export_results/export_results.json").read_text())["comparison"]
    assert {name: comparison["observations"] for name, comparison in compared.items()} == {"onnx": 200, "jit": 200}


@pytest.mark.slow
def test_a_difference_beyond_the_tolerance_does_not_pass() -> None:
    code = f"""
import sys, torch
sys.path.insert(0, {str(Path(exported_policy.__file__).parent)!r})
from exported_policy import ActionComparison
for actions in ([1.0001, 9e-6], [1.0002, 0.0], [1.0, 2e-5], [1.0, float("nan")]):
    comparison = ActionComparison()
    comparison.add(torch.tensor([[1.0, 0.0]]), torch.tensor([actions]))
    print(comparison.passed, comparison.max_error)
"""
    done = subprocess.run([str(environments.install()), "-c", code], capture_output=True, text=True, check=True)
    within, *beyond = (line.split() for line in done.stdout.splitlines())
    assert within[0] == "True"
    assert float(within[1]) == pytest.approx(1e-4, rel=1e-3)
    assert [passed for passed, _ in beyond] == ["False"] * 3
    assert beyond[-1][1] == "inf"
