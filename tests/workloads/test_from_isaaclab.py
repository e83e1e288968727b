"""`robotrain from-isaaclab`: each line that it prints is rendered and means the same; for others, it says why not."""

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

SCRIPTS = "scripts/reinforcement_learning"
SHELL = "./isaaclab.sh -p"
CARTPOLE = "--task Isaac-Cartpole-Direct"
RSL_RL = "--rl_library rsl_rl"
LINES = {
    # words after PLATFORM; FOLDER is one with a checkpoint of rsl_rl
    f"isaaclab train {RSL_RL} {CARTPOLE} --num_envs=16 --max_iterations=5 --device cpu physics=newton_mjwarp": (
        f"isaac-train --backend rsl_rl {CARTPOLE} --num-envs 16 --max-iterations 5 -- --device cpu"
        " physics=newton_mjwarp"
    ),
    "./isaaclab.sh train --rl_library skrl --task Isaac-Ant --seed 3 --video --video_length 100": (
        "isaac-train --backend skrl --task Isaac-Ant --seed 3 -- --video --video_length 100"
    ),
    f"isaaclab train {CARTPOLE} --headless": f"isaac-train {CARTPOLE}",
    f"isaaclab train_multigpu {RSL_RL} --nproc_per_node 4 {CARTPOLE}": (
        f"isaac-train --backend rsl_rl {CARTPOLE} --num-gpus 4"
    ),
    f"isaaclab train {RSL_RL} {CARTPOLE} --checkpoint FOLDER/model_99.pt": (
        f"isaac-train --backend rsl_rl {CARTPOLE} --checkpoint-uri FOLDER/model_99.pt --checkpoint-mode resume"
    ),
    f"isaaclab train {RSL_RL} --task my_tasks:Template-Reach": (
        "isaac-train --backend rsl_rl --task my_tasks:Template-Reach"
    ),
    f"isaaclab train {CARTPOLE} env.scene.num_envs=64 agent.seed=4": f"isaac-train {CARTPOLE} --num-envs 64 --seed 4",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a checkpoint of rsl_rl, and with what looks like the assets of Cartpole."""
    for path in (
        "model_99.pt",
        "Isaac/IsaacLab/Environments/Grid/default_ground_plane_checker_v1/default_ground_plane.usda",
        "Isaac/IsaacLab/Robots/Classic/Cartpole/cartpole.usd",
    ):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    return tmp_path


@pytest.mark.parametrize("line", LINES)
def test_a_line_of_isaac_lab_becomes_a_robotrain_line_that_means_the_same(
    translate: Callable[..., Any], folder: Path, line: str
) -> None:
    answer = translate("from-isaaclab", line.replace("FOLDER", str(folder)))
    assert answer.exit_code == 0, answer.stdout
    workload, _, options = LINES[line].replace("FOLDER", str(folder)).partition(" ")
    start = ["robotrain", "submit", workload, "--platform", "PLATFORM"]
    assert answer.json["command"][:5] == start
    assert split_words(answer.json["command"][5:]) == split_words(shlex.split(options))


def split_words(words: list[str]) -> tuple[list[str], list[str]]:
    """Return the words before `--` in any order, and those after it."""
    before = words[: words.index("--")] if "--" in words else words
    return sorted(before), words[len(before) + 1 :]


REFUSED = {
    f"isaaclab train {RSL_RL} {CARTPOLE} --checkpoint FOLDER/model_99.pt --max_iterations 9": (
        "option-not-translated --max_iterations"
    ),
    f"isaaclab train {RSL_RL} {CARTPOLE} --resume": "option-not-translated --resume",
    f"isaaclab train {RSL_RL} {CARTPOLE} agent.load_run=x": "option-not-translated agent.load_run",
    f"isaaclab train {RSL_RL}": "option-not-translated --task",
    f"isaaclab train_multigpu {RSL_RL} {CARTPOLE}": "option-not-translated train_multigpu",
    f"isaaclab train {RSL_RL} {CARTPOLE} --num_envs=0": "value-invalid --num-envs",
    f"isaaclab train {RSL_RL} --task=Isaac-Cartpol-Direct": "task-unknown --task",
    f"isaaclab train {RSL_RL} {CARTPOLE} --nope 3": "script-option-invalid --",
    f"isaaclab play {CARTPOLE}": "command-unknown ",
    f"nohup isaaclab train {CARTPOLE}": "command-unknown ",
}


@pytest.mark.parametrize("line", REFUSED)
def test_a_line_that_cannot_mean_the_same_is_refused(translate: Callable[..., Any], folder: Path, line: str) -> None:
    answer = translate("from-isaaclab", line.replace("FOLDER", str(folder)))
    (problem,) = answer.json["problems"]
    assert (answer.exit_code, f"{problem['code']} {problem['where']}") == (2, REFUSED[line])
