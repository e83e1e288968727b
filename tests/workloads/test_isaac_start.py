"""Where a training of Isaac Lab starts: a run that has ended is not resumed for nothing."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import job_documents
import pytest
from robotrain_workloads.isaac import checkpoint_file
from robotrain_workloads.isaac.checkpoint_file import CheckpointContent
from robotrain_workloads.isaac_train import start


@pytest.mark.parametrize(("trained", "codes"), [("Isaac-Cartpole", ["other-task"]), ("Isaac-Cartpole-Direct", [])])
def test_a_checkpoint_of_another_task_is_told(robotrain: Any, tmp_path: Path, trained: str, codes: list[str]) -> None:
    checkpoint_file.write_facts(tmp_path, trained, "rsl_rl")
    (tmp_path / "model_2.pt").write_bytes(b"weights")
    start = ("--checkpoint-uri", tmp_path, "--checkpoint-mode", "warm-start")
    robotrain("render", "isaac-train", "--platform", "local", *start).check_problems(0, *codes)


@pytest.mark.parametrize(
    ("role", "file", "wanted", "total", "iteration", "way"),
    [
        ("resume", "model_19.pt", 20, None, 19, "--set max_iterations=40"),
        ("checkpoint", "model_19.pt", 20, None, 19, "--max-iterations 40"),
        ("resume", "model_19.pt", 21, (20, 1), 19, ""),
        ("resume", "model_19.pt", None, (20, 1), 19, "--set max_iterations=40"),
        ("resume", "model_9.pt", None, (20, 1), 9, ""),
        ("resume", "model_19.pt", None, None, 19, ""),
        ("checkpoint", "model_19.pt", None, (20, 1), 19, ""),
        ("resume", "agent_960.pt", None, (960, 16), None, "--set max_iterations=120"),
        ("resume", "agent_960.pt", 60, (960, 16), None, "--set max_iterations=120"),
        ("resume", "agent_960.pt", 61, (960, 16), None, ""),
        ("resume", "agent_480.pt", None, (960, 16), None, ""),
        ("resume", "agent_960.pt", 60, None, None, ""),
        ("resume", "model_960_steps.zip", 60, (960, 16), None, "--set max_iterations=120"),
        ("checkpoint", "model_960_steps.zip", 61, (960, 16), None, ""),
    ],
)
def test_a_training_without_iterations_left_is_refused_with_the_way_on(
    tmp_path: Path,
    role: str,
    file: str,
    wanted: int | None,
    total: tuple[int, int] | None,
    iteration: int | None,
    way: str,
) -> None:
    """`total`: how long the training of the checkpoint was, and one iteration of it, in the unit of its name."""
    backend = "sb3" if file.endswith(".zip") else "skrl" if file.startswith("agent") else "rsl_rl"
    checkpoint_file.write_facts(tmp_path, "Isaac-Cartpole-v0", backend, *(total or ()))
    (tmp_path / file).write_bytes(b"weights")
    parameters = {"max_iterations": wanted, "backend": backend}
    parameters["checkpoint_mode"] = "resume" if role == "checkpoint" else None
    base = job_documents.training("/data", {"work": "", "cache": ""}, starts={role: tmp_path})
    document = replace(base, parameters=parameters, sources=base.sources[1:])
    begin = start.load_start(document, {document.sources[0]: tmp_path})
    timesteps = begin.number if backend == "sb3" else None
    content = CheckpointContent(backend=backend, iteration=iteration, timesteps=timesteps)
    problem = start.find_iteration_problem(document, begin, content)
    assert (problem and [suggestion.text for suggestion in problem.suggestions]) == ([way] if way else None)
