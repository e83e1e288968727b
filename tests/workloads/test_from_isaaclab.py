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
    # words after PLATFORM; FOLDER is one with a checkpoint of rsl_rl and the assets of Cartpole
    f"isaaclab train {RSL_RL} {CARTPOLE} --num_envs=16 --max_iterations=5 --device cpu physics=newton_mjwarp": (
        f"isaac-train --backend rsl_rl {CARTPOLE} --num-envs 16 --max-iterations 5 -- --device cpu"
        " physics=newton_mjwarp"
    ),
    f"{SHELL} {SCRIPTS}/rsl_rl/train.py --task Isaac-Cartpole-v0 --headless": (
        "isaac-train --backend rsl_rl --task Isaac-Cartpole"
    ),
    "./isaaclab.sh train --rl_library skrl --task Isaac-Ant-v0 --seed 3 --video --video_length 100": (
        "isaac-train --backend skrl --task Isaac-Ant --seed 3 -- --video --video_length 100"
    ),
    f"python {SCRIPTS}/skrl/train.py --task=Isaac-Velocity-Rough-Anymal-C-v0 --headless --num_envs 4096"
    " agent.agent.learning_rate=1e-4": (
        "isaac-train --backend skrl --task IsaacContrib-Velocity-Rough-AnymalC --num-envs 4096 --"
        " agent.agent.learning_rate=1e-4"
    ),
    f"{SHELL} {SCRIPTS}/train.py {RSL_RL} {CARTPOLE} agent.clip_actions=1.0 env.episode_length_s=4.0": (
        f"isaac-train --backend rsl_rl {CARTPOLE} -- agent.clip_actions=1.0 env.episode_length_s=4.0"
    ),
    f"isaaclab train {CARTPOLE}": f"isaac-train {CARTPOLE}",
    f"{SHELL} -m torch.distributed.run --nnodes=1 --nproc_per_node=2 {SCRIPTS}/rsl_rl/train.py"
    " --task=Isaac-Cartpole-v0 --headless --distributed": (
        "isaac-train --backend rsl_rl --task Isaac-Cartpole --num-gpus 2"
    ),
    f"isaaclab train_multigpu {RSL_RL} --nproc_per_node 4 --master_port 29501 {CARTPOLE}": (
        f"isaac-train --backend rsl_rl {CARTPOLE} --num-gpus 4"
    ),
    f"isaaclab train {RSL_RL} {CARTPOLE} --checkpoint FOLDER/model_99.pt --max_iterations 100": (
        f"isaac-train --backend rsl_rl {CARTPOLE} --checkpoint-uri FOLDER/model_99.pt --checkpoint-mode resume"
        " --max-iterations 199"
    ),
    f"{SHELL} {SCRIPTS}/rsl_rl/train.py --task Isaac-Cartpole-v0 --headless --checkpoint FOLDER/model_99.pt": (
        "isaac-train --backend rsl_rl --task Isaac-Cartpole-v0 --isaac-version 2.3"
    ),
    f"isaaclab train --rl_library sb3 {CARTPOLE} --num_envs 64 --max_iterations 9 --log_interval 500": (
        f"isaac-train --backend sb3 {CARTPOLE} --num-envs 64 --max-iterations 9 -- --log_interval 500"
    ),
    f"isaaclab play {RSL_RL} {CARTPOLE} --checkpoint FOLDER/model_99.pt --num_envs 32 --real-time": (
        f"isaac-validate --backend rsl_rl {CARTPOLE} --checkpoint-uri FOLDER/model_99.pt --num-envs 32"
    ),
    f"isaaclab play {CARTPOLE} --checkpoint FOLDER/model_99.pt --video --video_length 100": (
        f"isaac-validate {CARTPOLE} --checkpoint-uri FOLDER/model_99.pt --record-video --video-length 100"
    ),
    f"{SHELL} {SCRIPTS}/rsl_rl/play.py --task Isaac-Cartpole-v0 --checkpoint FOLDER/model_99.pt": (
        "isaac-validate --backend rsl_rl --task Isaac-Cartpole-v0 --isaac-version 2.3 --checkpoint-uri"
        " FOLDER/model_99.pt"
    ),
    "python scripts/rsl_rl/train.py --task Template-Reach-v0 --headless": (
        "isaac-train --backend rsl_rl --task Template-Reach-v0 --isaac-version 2.3"
    ),
    f"isaaclab train {RSL_RL} --task my_tasks:Template-Reach": (
        "isaac-train --backend rsl_rl --task my_tasks:Template-Reach"
    ),
    f"{SHELL} {SCRIPTS}/rsl_rl/train.py --task Isaac-Cartpole-RGB-Camera-Direct-v0 --headless --enable_cameras": (
        "isaac-train --backend rsl_rl --task Isaac-Cartpole-Camera-Direct -- presets=rgb"
    ),
    f"{SHELL} {SCRIPTS}/skrl/train.py --task Isaac-Cartpole-v0 --headless --rendering_mode quality": (
        "isaac-train --backend skrl --task Isaac-Cartpole-v0 --isaac-version 2.3 -- --rendering_mode quality"
    ),
    f"{SHELL} {SCRIPTS}/skrl/train.py --task Isaac-Quadcopter-Direct-v0 --headless": (
        "isaac-train --backend skrl --task Isaac-Quadcopter-Direct-v0 --isaac-version 2.3"
    ),
    f"ISAACSIM_ASSET_ROOT=FOLDER uv run isaaclab train {CARTPOLE} env.scene.num_envs=64 agent.seed=4 2>&1 | tee log": (
        f"isaac-train --assets FOLDER {CARTPOLE} --num-envs 64 --seed 4"
    ),
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
    f"isaaclab train {CARTPOLE} --rl_library rl_games": "option-not-translated --rl_library",
    f"isaaclab train {RSL_RL} {CARTPOLE} --checkpoint latest": "option-not-translated --checkpoint",
    f"isaaclab train --rl_library skrl {CARTPOLE} --checkpoint FOLDER/model_99.pt --max_iterations 9": (
        "option-not-translated --max_iterations"
    ),
    f"isaaclab train {RSL_RL} {CARTPOLE} --checkpoint FOLDER/model_99.pt --no-resume_optimizer_state": (
        "option-not-translated --no-resume_optimizer_state"
    ),
    f"{SHELL} {SCRIPTS}/rsl_rl/train.py --task Isaac-Cartpole-v0 --resume --load_run .*": (
        "option-not-translated --resume"
    ),
    f"isaaclab train {RSL_RL} {CARTPOLE} agent.load_run=x": "option-not-translated agent.load_run",
    f"isaaclab play {CARTPOLE}": "option-not-translated --checkpoint",
    f"isaaclab play {CARTPOLE} --use_pretrained_checkpoint": "option-not-translated --use_pretrained_checkpoint",
    f"isaaclab train {RSL_RL}": "option-not-translated --task",
    f"isaaclab train {RSL_RL} {CARTPOLE} --num_envs": "option-not-translated --num_envs",
    f"torchrun --nproc_per_node=2 {SCRIPTS}/train.py {CARTPOLE}": "option-not-translated --nproc_per_node",
    f"isaaclab train {RSL_RL} {CARTPOLE} --num_envs=0": "value-invalid --num-envs",
    f"isaaclab train {RSL_RL} --task=Isaac-Cartpol-Direct": "task-unknown --task",
    f"isaaclab train {RSL_RL} {CARTPOLE} --nope 3": "script-option-invalid --",
    f"nohup isaaclab train {CARTPOLE}": "program-unknown nohup",
    "isaaclab list_envs": "command-unknown ",
}


@pytest.mark.parametrize("line", REFUSED)
def test_a_line_that_cannot_mean_the_same_is_refused(translate: Callable[..., Any], folder: Path, line: str) -> None:
    answer = translate("from-isaaclab", line.replace("FOLDER", str(folder)))
    (problem,) = answer.json["problems"]
    assert (answer.exit_code, f"{problem['code']} {problem['where']}") == (2, REFUSED[line])


def test_nodes_of_a_launcher_are_those_of_the_job(robotrain: Callable[..., Any]) -> None:
    launcher = "torchrun --nnodes=2 --nproc_per_node=8 --rdzv_backend=c10d"
    line = f"{launcher} {SCRIPTS}/rsl_rl/train.py --distributed {CARTPOLE}"
    answer = robotrain("from-isaaclab", "--json", "--", *line.split()).json
    words, _ = split_words(answer["command"][5:])
    assert words == split_words(f"--backend rsl_rl {CARTPOLE} --num-nodes 2 --num-gpus 8".split())[0]
    assert set(answer["left_out"]) == {"torchrun --rdzv_backend=c10d"}


def test_a_video_of_3_0_is_said_to_need_isaac_sim(translate: Callable[..., Any], folder: Path) -> None:
    line = f"isaaclab play {CARTPOLE} --checkpoint {folder}/model_99.pt"
    assert "Isaac Sim" in translate("from-isaaclab", f"{line} --video").json["notes"]["--video"]
    assert "--video" not in translate("from-isaaclab", line).json["notes"]


def test_what_differs_or_is_left_out_is_named(translate: Callable[..., Any]) -> None:
    line = f"CUDA_VISIBLE_DEVICES=1 ISAACSIM_ASSET_ROOT=https://host/a {SHELL} {SCRIPTS}/rsl_rl/train.py --distributed"
    answer = translate("from-isaaclab", f"{line} --task Isaac-Cartpole-v0 --headless").json
    left_out = {
        "CUDA_VISIBLE_DEVICES": "variables",
        "ISAACSIM_ASSET_ROOT": "--assets",
        "--distributed": "--num-gpus",
        "--headless": "window",
    }
    notes = {"--task": "--isaac-version 2.3 --task Isaac-Cartpole-v0", "--num_envs": "2048"}
    for texts, facts in ((answer["left_out"], left_out), (answer["notes"], notes)):
        assert set(texts) == set(facts)
        assert all(fact in texts[name] for name, fact in facts.items()), texts
