"""`robotrain from-lerobot`: each line that it prints is rendered and means the same; for others, it says why not."""

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from hub_stand_in import HubStandIn
from robotrain_workloads.lerobot import option_tree

ROOT = Path(__file__).parents[2]
ACT = "--val-split 0 --learning-rate 1e-5 --save-freq 20000"
LINES = {
    "lerobot-train --policy.type=act --dataset.repo_id=lerobot/pusht --steps=1000 --batch_size=4": (
        f"--policy-type act --dataset-repo-id lerobot/pusht --training-steps 1000 --batch-size 4 {ACT}"
    ),
    "lerobot-train --policy.type diffusion --dataset.repo_id lerobot/pusht --policy.horizon=48": (
        "--policy-type diffusion --dataset-repo-id lerobot/pusht --val-split 0 --batch-size 8 --save-freq 20000 --"
        " --policy.horizon=48"
    ),
    "lerobot-train --policy.type=act --dataset.repo_id=me/cups --dataset.root=/data/cups --seed=3 --num_workers=2": (
        "--policy-type act --dataset-id me/cups --dataset-path /data/cups --seed 3 --num-workers 2 --batch-size 8"
        f" {ACT}"
    ),
    "accelerate launch --num_processes=2 --mixed_precision=bf16 --main_process_port 0 /env/bin/lerobot-train"
    " --policy.type=act --dataset.repo_id=me/cups": (
        f"--num-gpus 2 --mixed-precision bf16 --policy-type act --dataset-repo-id me/cups --batch-size 8 {ACT}"
    ),
    "python -m lerobot.scripts.lerobot_train --policy.type=act --dataset.repo_id=me/cups --output_dir='a b'"
    " --job_name=cups": (
        f"--policy-type act --dataset-repo-id me/cups --output-dir 'a b' --job-name cups --batch-size 8 {ACT}"
    ),
    "lerobot-train --policy.type=act --dataset.repo_id=me/cups --dataset.revision=v3.0 --dataset.episodes=[0,1]"
    " --wandb.enable=false --dataset.eval_split=0.2 --save_freq=5000 --save_checkpoint=true": (
        "--policy-type act --dataset-repo-id me/cups@v3.0 --no-wandb --val-split 0.2 --save-freq 5000 --learning-rate"
        " 1e-5 --batch-size 8 --eval-freq 0 -- '--dataset.episodes=[0,1]'"
    ),
    "accelerate launch --multi_gpu --num_processes=2 '$(which lerobot-train)' --policy.type=act"
    " --dataset.repo_id=me/cups": (f"--num-gpus 2 --policy-type act --dataset-repo-id me/cups --batch-size 8 {ACT}"),
    "torchrun --nproc-per-node=4 --nnodes=1 -m lerobot.scripts.lerobot_train --policy.type=act"
    " --dataset.repo_id=me/cups": (f"--num-gpus 4 --policy-type act --dataset-repo-id me/cups --batch-size 8 {ACT}"),
    "uv run --extra train python lerobot/scripts/train.py --policy.type=act --dataset.repo_id=me/cups"
    " --policy.pretrained_backbone_weights=null": (
        f"--policy-type act --dataset-repo-id me/cups --batch-size 8 {ACT} -- --policy.pretrained_backbone_weights=null"
    ),
    "lerobot-train --policy.type=act --dataset.repo_id=me/cups --optimizer.lr=1e-4 --policy.optimizer_lr=1e-6": (
        "--policy-type act --dataset-repo-id me/cups --learning-rate 1e-6 --batch-size 8 --val-split 0"
        " --save-freq 20000"
    ),
    "lerobot-train --policy.type=act --dataset.repo_id=me/cups --optimizer.lr=1e-4": (
        f"--policy-type act --dataset-repo-id me/cups --batch-size 8 {ACT}"
    ),
    "lerobot-eval --policy.path=me/act --policy.pretrained_revision=v2 --env.type=pusht --eval.use_async_envs=false": (
        "lerobot-eval --policy-repo-id me/act@v2 --env pusht --eval-episodes 50"
    ),
    "lerobot-eval --policy.path=me/act --env.type=pusht --env.render_mode=rgb_array --eval.use_async_envs=true": (
        "lerobot-eval --policy-repo-id me/act --env pusht --eval-episodes 50"
    ),
    "lerobot-eval --policy.path=lerobot/diffusion_pusht --env.type=pusht --eval.n_episodes=20 --eval.batch_size=5": (
        "lerobot-eval --policy-repo-id lerobot/diffusion_pusht --env pusht --eval-episodes 20 --eval-batch-size 5"
    ),
}


def read_options(words: list[str]) -> tuple[dict[str, str], list[str]]:
    """Return the options of a line with their values, and what stands after `--`."""
    before, after = (words[: words.index("--")], words[words.index("--") + 1 :]) if "--" in words else (words, [])
    starts = [index for index, word in enumerate(before) if word.startswith("--")]
    ends = [*starts[1:], len(before)]
    return {before[start]: " ".join(before[start + 1 : end]) for start, end in zip(starts, ends, strict=True)}, after


@pytest.mark.parametrize("line", LINES)
def test_a_line_of_lerobot_becomes_a_robotrain_line_that_means_the_same(translate: Any, line: str) -> None:
    expected = shlex.split(LINES[line])
    workload = [expected.pop(0)] if expected[0] == "lerobot-eval" else []
    words = translate("from-lerobot", *shlex.split(line)).json["command"]
    start = ["robotrain", "submit", *workload, "--platform", "PLATFORM"]
    assert words[: len(start)] == start
    assert read_options(words[len(start) :]) == read_options(expected)


def test_the_lines_of_the_documents_are_translated_as_they_say(translate: Any) -> None:
    count = 0
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))):
        for line in re.findall(r"^robotrain from-lerobot -- (.+)$", page.read_text(), re.MULTILINE):
            answer = translate("from-lerobot", *shlex.split(line, comments=True))
            assert answer.exit_code == 0, (page.name, line, answer.stderr)
            count += 1
    assert count >= 2


def test_what_changes_nothing_is_left_out_and_named(translate: Any) -> None:
    line = (
        "HF_USER=me CUDA_VISIBLE_DEVICES=0,1 lerobot-train --policy.type=act --dataset.repo_id=me/cups"
        " --policy.push_to_hub=true --policy.repo_id=me/policy --env.type=aloha --eval.n_episodes=10 --eval_freq=1000"
        " --env_eval_freq=100 --optimizer.lr=1 --policy.optimizer_lr=2"
    )
    left_out = translate("from-lerobot", *line.split()).json["left_out"]
    expected = {
        **dict.fromkeys(("HF_USER", "CUDA_VISIBLE_DEVICES"), "variables of the environment"),
        **dict.fromkeys(("--policy.push_to_hub", "--policy.repo_id"), "--publish-url"),
        **dict.fromkeys(("--env.type", "--eval.n_episodes", "--eval_freq"), "lerobot-eval"),
        "--env_eval_freq": "no simulator",
        "--optimizer.lr": "--policy.optimizer_lr",
    }
    assert set(left_out) == set(expected)
    assert all(text in left_out[option] for option, text in expected.items()), left_out


@pytest.mark.parametrize("program", ["lerobot-train --dataset.repo_id=a/b", "lerobot-eval --env.type=pusht"])
def test_device_of_a_mac_is_left_out(translate, program):
    policy = "--policy.path=a/b --policy.device=mps" if "eval" in program else "--policy.type=act --policy.device=mps"
    answer = translate("from-lerobot", *program.split(), *policy.split()).json
    assert ("Linux" in answer["left_out"]["--policy.device"], "--device" in answer["command"]) == (True, False)


PRESET = "--use_policy_training_preset=false"


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("--optimizer.grad_clip_norm=1", {"--optimizer.grad_clip_norm": "by the preset"}),
        ("--optimizer.weight_decay=1", {"--optimizer.weight_decay": "--policy.optimizer_weight_decay"}),
        ("--optimizer.type=adamw", {"--optimizer.type": "by the preset"}),
        ("--scheduler.num_warmup_steps=1", {"--scheduler.num_warmup_steps": "by the preset"}),
        (f"{PRESET} --optimizer.type=adamw --optimizer.lr=1", {}),
        (f"{PRESET} --scheduler.type=diffuser --scheduler.num_warmup_steps=1", {}),
    ],
)
def test_option_that_a_preset_replaces_is_left_out_and_any_other_is_not(robotrain, options, expected):
    lines = robotrain("from-lerobot", "--", *BASE.split(), *options.split()).stderr.splitlines()
    at = [index for index, line in enumerate(lines) if line.startswith("left out: ")]
    left_out = {lines[index].removeprefix("left out: "): lines[index + 1] for index in at}
    assert set(left_out) == set(expected)
    assert all(text in left_out[option] for option, text in expected.items()), left_out


@pytest.mark.parametrize(
    ("variables", "options", "expected"),
    [
        ("HF_LEROBOT_HOME=/data HF_HOME=/hub", "", {"HF_LEROBOT_HOME": "/data/me/cups ", "HF_HOME": "ROBOTRAIN_CACHE"}),
        ("HF_HOME=/hub", "", {"HF_HOME": "/hub/lerobot/me/cups "}),
        ("HF_HOME=/hub/$OWNER", "", {"HF_HOME": "--dataset-path /hub/OWNER/lerobot/me/cups "}),
        ("XDG_CACHE_HOME=/c", "", {"XDG_CACHE_HOME": "/c/huggingface/lerobot/me/cups "}),
        ("HF_LEROBOT_HOME=/data", "--dataset.root=/cups", {"HF_LEROBOT_HOME": "ROBOTRAIN_CACHE"}),
    ],
)
def test_variable_that_says_where_the_dataset_lies_names_its_folder(translate, variables, options, expected):
    line = f"{variables} lerobot-train --policy.type=act --dataset.repo_id=me/cups {options}"
    left_out = translate("from-lerobot", *line.split()).json["left_out"]
    assert set(left_out) == set(expected)
    assert all(text in left_out[variable] for variable, text in expected.items()), left_out


@pytest.mark.parametrize(("options", "is_named"), [("", True), ("--tolerance_s=1e-3", False)])
def test_tolerance_of_frames_is_named_where_the_line_has_none(translate, options, is_named):
    notes = translate("from-lerobot", *BASE.split(), *options.split()).json["notes"]
    assert ("--tolerance_s=0.0001" in notes.get("--tolerance_s", "")) is is_named


DASH = "\N{EN DASH}"
BASE = "lerobot-train --policy.type=act --dataset.repo_id=me/cups"
CODES = ("source-missing", "value-invalid", "script-option-invalid", "source-missing")
REFUSED = {
    # what is refused of a line: options that cannot be translated, and other problems as CODE WHERE
    "lerobot-train --config_path=lerobot/diffusion_pusht --policy.type=act": ["--config_path"],
    "lerobot-train --resume=true --config_path=lerobot/act": ["--config_path"],
    "lerobot-train --config_path=a/checkpoints/last/pretrained_model/train_config.json --policy.type=act": [
        "--config_path"
    ],
    "lerobot-train --resume=true --config_path=a/pretrained_model/train_config.json": ["--config_path"],
    "lerobot-train --resume=true": ["--resume"],
    f"{BASE} --resume --steps --policy.use_vae": ["--resume", "--steps", "--policy.use_vae"],
    "lerobot-train --dataset.repo_id=me/cups": ["--policy.type"],
    "lerobot-train --policy.type=act": ["source-missing"],
    f"{BASE} --policy.dtype=bfloat16 --policy.chunk_sise=3": ["--policy.dtype", "--policy.chunk_sise"],
    f"{BASE} --dataset.root=/data/cups --dataset.revision=v3.0": ["--dataset.revision"],
    f"{BASE} --use_policy_training_preset=false --optimizer.lr=1": ["--use_policy_training_preset"],
    f"{BASE} --save_checkpoint=false": ["--save_checkpoint"],
    "lerobot-eval --policy.path=me/act --env.type=pusht --env.render_mode=human": ["--env.render_mode"],
    f"{BASE} --seed=a": ["value-invalid --seed"],
    f"{BASE} --policy.n_action_steps=200": ["script-option-invalid --"],
    f"{BASE} '--job_name=$DB_PASS'": ["--job_name"],
    f"{BASE} more": ["more"],
    f"accelerate launch --num_machines=2 --config_file a.yaml --mixed_precision=fp8 {BASE}": [
        "--config_file",
        "--mixed_precision",
    ],
    "lerobot-train --dataset.repo_id=me/cups --policy.type=octo": ["--policy.type"],
    "lerobot-train --dataset.repo_id=me/cups --policy.type=diffussion": ["--policy.type"],
    "lerobot-eval --policy.path=me/act --env.type=robocasa --env.task=CloseFridge --rename_map=x": [
        "--env.type",
        "--env.task",
        "--rename_map",
    ],
    "lerobot-eval --policy.path=me/act": ["source-missing"],
    f"uv run --with lerobot==0.5.1 {BASE}": ["lerobot==0.5.1"],
    f"{BASE} --peft.method_type=LORA": ["script-option-invalid --"],
    f"{BASE} --policy.use_peft=true": ["--policy.use_peft"],
    f"{BASE} --sample_weighting.progress_path=/data/p.parquet": ["--sample_weighting.progress_path"],
    f"{BASE} --policy.discover_packages_path=mine": ["--policy.discover_packages_path"],
    f"{BASE} --dataset.repo_type=bucket --dataset.streaming=true": ["--dataset.repo_type"],
    f"{BASE} --policy.pretrained_path=me/act": ["--policy.pretrained_path"],
    f"{BASE} --rename_map='{{a: b}}'": ["--rename_map"],
    f"""{BASE} --rename_map='{{"a": "b"}}'""": ["--rename_map"],
    f"{BASE} --reward_model.type=sarm": ["--policy.type"],
    f"{BASE.replace('act', 'smolvla')} --policy.vlm_model_name=/no/folder": ["--policy.vlm_model_name"],
    f"accelerate launch --multi_gpu {BASE}": ["--multi_gpu"],
    f"{BASE} -- --steps=5": ["--"],
    f"{BASE} --batch_size=0": ["value-invalid --batch_size"],
    f"lerobot-train {DASH}-policy.type=act --dataset.repo_id=me/cups --policy.type=act": [f"{DASH}-policy.type=act"],
    f"lerobot-train {DASH}-policy.type=act --dataset.repo_id=me/cups": [f"{DASH}-policy.type=act"],
    "lerobot-train --policy=act --dataset=me/cups --batch-size 8 --lr 1e-5": [
        "--policy",
        "--dataset",
        "--batch-size",
        "--lr",
    ],
    "lerobot-train --policy-type act --dataset-path=/data/cups": ["--policy-type", "--dataset-path"],
    "lerobot-train --policy.type=sarm --dataset.repo_id=me/cups": ["--policy.type"],
    "lerobot-train --policy.type=gaussian_actor --dataset.repo_id=me/cups": ["--policy.type"],
    "lerobot-train --reward_model.type=topreward --dataset.repo_id=me/cups": ["--reward_model.type"],
}


@pytest.mark.parametrize("line", REFUSED)
def test_a_line_that_cannot_mean_the_same_is_refused_with_every_reason(robotrain: Any, line: str) -> None:
    answer = robotrain("from-lerobot", "--", *shlex.split(line))
    problems = [
        problem if problem.split()[0] in CODES else f"option-not-translated {problem}" for problem in REFUSED[line]
    ]
    answer.check_problems(2, *problems)
    assert answer.stdout == ""


TWO_NODES = {"--num-nodes": "2", "--num-gpus": "4"}
ON_CPU = {"--device": "cpu"}
LAUNCHED: dict[str, tuple[dict[str, str], set[str]]] = {
    "accelerate launch --num_machines=2 --machine_rank=0 --num_processes=8": (
        TWO_NODES,
        {"accelerate launch --machine_rank=0"},
    ),
    "torchrun --nnodes=2 --nproc-per-node 4 --rdzv_backend=c10d -m": (TWO_NODES, {"torchrun --rdzv_backend=c10d"}),
    "srun --nodes=2 --ntasks-per-node=4 --gres=gpu:a100:4 -p gpu --time=8:00": (
        TWO_NODES,
        {"srun --gres=gpu:a100:4 -p gpu --time=8:00"},
    ),
    "srun -N2 -n8 --exclusive": (TWO_NODES, {"srun --exclusive"}),
    "srun --ntasks=8 --ntasks-per-node=4": (TWO_NODES, set()),
    "srun --nodes=2 --ntasks-per-node=1 torchrun --nnodes=2 --nproc_per_node=4": (TWO_NODES, set()),
    "CUDA_VISIBLE_DEVICES=0 .venv/bin/python3.12 -u": ({}, {"CUDA_VISIBLE_DEVICES"}),
    "CUDA_VISIBLE_DEVICES=-1": (ON_CPU, set()),
    "accelerate launch --cpu": (ON_CPU, set()),
    "uv run --no-sync": ({}, {"uv run --no-sync"}),
    "uv run --with lerobot==0.6.1 --": ({}, {"uv run --with lerobot==0.6.1"}),
    "accelerate launch --num_processes=2 $(which": ({"--num-gpus": "2"}, set()),
}


@pytest.mark.parametrize("words", LAUNCHED)
def test_what_launchers_say_of_gpus_and_nodes_is_translated_and_the_rest_is_named(robotrain: Any, words: str) -> None:
    expected, left_out = LAUNCHED[words]
    answer = robotrain("from-lerobot", "--json", "--", *shlex.split(words), *BASE.split()).json
    options, _ = read_options(answer["command"][4:])
    assert {name: options[name] for name in ("--num-nodes", "--num-gpus", "--device") if name in options} == expected
    assert set(answer["left_out"]) == left_out


def test_a_launcher_of_all_gpus_of_its_machine_says_that_one_is_trained_on(translate: Any) -> None:
    notes = translate("from-lerobot", "accelerate", "launch", *BASE.split()).json["notes"]
    assert "--num-gpus N" in notes["accelerate"]


REFUSED_LAUNCHERS = {
    "accelerate launch --num_machines=2 --num_processes=3": "option-not-translated --num_processes",
    "accelerate launch --num_processes=2 --use_fsdp": "option-not-translated --use_fsdp",
    "torchrun --nproc-per-node=gpu": "option-not-translated --nproc-per-node",
    "torchrun --nnodes=1:4 --nproc-per-node=2": "option-not-translated --nnodes",
    "srun --nodes=4 torchrun --nnodes=2 --nproc_per_node=4": "option-not-translated --nnodes",
    "ACCELERATE_USE_FSDP=true": "option-not-translated ACCELERATE_USE_FSDP",
    "WORLD_SIZE=8 RANK=0": "option-not-translated WORLD_SIZE",
    "docker run --gpus all image": "program-unknown docker",
    "nohup": "program-unknown nohup",
    "srun -N 2 mpirun -np 8": "program-unknown mpirun",
    "cd lerobot &&": "program-unknown cd",
}


@pytest.mark.parametrize("words", REFUSED_LAUNCHERS)
def test_words_before_the_program_without_an_equal_are_refused_by_name(translate: Any, words: str) -> None:
    (problem,) = translate("from-lerobot", *words.split(), *BASE.split()).json["problems"]
    assert f"{problem['code']} {problem['where']}" == REFUSED_LAUNCHERS[words]
    if problem["code"] == "program-unknown":
        assert problem["instead"][0]["text"] == f"robotrain from-lerobot -- {BASE}"


@pytest.mark.parametrize(
    ("value", "expected"),
    [("yes", "--wandb"), ("On", "--wandb"), ("TRUE", "--wandb"), ("off", "--no-wandb"), ("1", "")],
)
def test_true_and_false_are_read_as_lerobot_reads_them(translate: Any, value: str, expected: str) -> None:
    answer = translate("from-lerobot", *BASE.split(), f"--wandb.enable={value}").json
    if expected:
        assert expected in answer["command"]
    else:
        assert [problem["where"] for problem in answer["problems"]] == ["--wandb.enable"]


def test_a_line_as_it_stands_in_a_script_or_a_notebook_is_read(translate: Any) -> None:
    for line in (
        f"!{BASE} 2>&1 | tee train.log",
        f"{BASE} > train.log 2>&1 &",
        f"{BASE} \\  --steps=5",
    ):
        answer = translate("from-lerobot", line)
        assert read_options(answer.json["command"][4:])[0]["--dataset-repo-id"] == "me/cups"
    (problem,) = translate("from-lerobot", f"{BASE}; {BASE}").json["problems"]
    assert "by itself" in problem["why"]


EDITED = [
    # options of lerobot-edit-dataset, options of robotrain or what of the line is refused
    (
        "--repo_id a/b --operation.type delete_episodes --operation.episode_indices [0,2]",
        "-d a/b --exclude-episodes 0,2",
    ),
    (
        "--repo_id=a/b --root=/data/cups --operation.type=delete_episodes --operation.episode_indices=[4]",
        "--dataset-path /data/cups --exclude-episodes 4",
    ),
    ("--repo_id a/b --operation.type recompute_stats --push_to_hub true", "-d a/b --statistics computed"),
    ("--repo_id a/b --operation.type split", "!--operation.type"),
    ("--repo_id a/b", "!--operation.type"),
    ("--repo_id a/b --operation.type delete_episodes", "!--operation.episode_indices"),
    ("--repo_id a/b --operation.type delete_episodes --operation.episode_indices 3", "!--operation.episode_indices"),
    ("--repo_id a/b --operation.type recompute_stats --operation.other 3", "!--operation.other"),
    (
        "--operation.type merge --operation.repo_ids ['a/b','c/d'] --operation.roots ['/data/b','/data/d']",
        "--dataset-path /data/b --dataset-path /data/d",
    ),
    ("--operation.type merge --operation.repo_ids ['a/b','c/d'] --operation.roots ['/data/b']", "!--operation.roots"),
    ("--repo_id a/both --operation.type merge --operation.repo_ids ['a/b','c/d']", "-d a/b -d c/d"),
]


@pytest.mark.parametrize(("options", "expected"), EDITED)
def test_a_line_that_edits_a_dataset_is_answered_with_what_a_training_takes(
    robotrain: Any, options: str, expected: str
) -> None:
    answer = robotrain("from-lerobot", "--json", "--", "lerobot-edit-dataset", *options.split())
    if expected.startswith("!"):
        assert [problem["where"] for problem in answer.json["problems"]] == [expected[1:]]
    else:
        words = expected.replace("-d ", "--dataset-repo-id ").split()
        assert answer.json["command"] == ["robotrain", "submit", "--platform", "PLATFORM", *words]


SCRIPT = """#!/bin/bash
#SBATCH --gres=gpu:1
module load cuda
DATA=me/cups
export STEPS=5 KIND="act"
srun lerobot-train --dataset.repo_id=$DATA --policy.type=${KIND} \\
    --steps=$STEPS  # all of it
"""


def test_the_line_of_a_batch_script_is_translated(robotrain: Any, tmp_path: Path) -> None:
    path = tmp_path / "train.sbatch"
    path.write_text(SCRIPT)
    answer = robotrain("from-lerobot", "--json", str(path)).json
    options = read_options(answer["command"][4:])[0]
    assert answer["command"][2:4] == ["--platform", "slurm"]
    expected = {"--dataset-repo-id": "me/cups", "--policy-type": "act", "--training-steps": "5"}
    assert options.items() >= expected.items()
    assert "module load cuda" in answer["left_out"]
    for text, code in ((SCRIPT + "lerobot-train --steps=1\n", "several"), ("#!/bin/sh\necho lerobot\n", "without")):
        path.write_text(text)
        (problem,) = robotrain("from-lerobot", "--json", str(path)).json["problems"]
        assert code in problem["code"]


BATCH = """#!/bin/bash
#SBATCH --job-name=cups --partition gpu -A robots
#SBATCH --time=12:00:00
#SBATCH --mem=64G --cpus-per-task=8 --gres=gpu:a100:2
#SBATCH --output=%j.out --mail-type=END
#SBATCH --reservation=robots
export WANDB_API_KEY=abc HF_HOME=/data/hf
OUT=/scratch/$USER/out
srun lerobot-train --dataset.repo_id=me/cups --policy.type=act --steps=${STEPS:-7} --output_dir=$OUT/${RUN_NAME}
"""


def test_the_options_of_a_batch_job_are_those_of_its_platform(robotrain: Any, tmp_path: Path, monkeypatch: Any) -> None:
    """What has no equal is named, and a variable that nobody knows is a word in capitals."""
    monkeypatch.delenv("USER", raising=False)
    path = tmp_path / "train.sbatch"
    path.write_text(BATCH)
    answer = robotrain("from-lerobot", "--json", str(path)).json
    words = answer["command"]
    expected = "--platform slurm --name cups --partition gpu --account robots --time 12:00:00 --memory 64G --cpus 8"
    expected += " --gpu-type a100 --gpus 2 --sbatch reservation=robots"
    assert words[2 : 2 + len(expected.split())] == expected.split()
    options = read_options(words[2:])[0]
    assert options["--output-dir"] == "/scratch/USER/out/RUN_NAME"
    assert options["--training-steps"] == "7"
    assert {"--output=%j.out", "--mail-type=END", "WANDB_API_KEY", "HF_HOME"} <= answer["left_out"].keys()
    assert "USER" in answer["notes"]["--output_dir"]
    for changed, where in (
        (BATCH.replace("#SBATCH --time", "#SBATCH --array=0-3 --time"), "--array"),
        (BATCH.replace("${STEPS:-7}", "$STEPS"), "--steps"),
        (BATCH.replace("$OUT/", "$(pwd)/"), "--output_dir"),
    ):
        path.write_text(changed)
        (problem,) = robotrain("from-lerobot", "--json", str(path)).json["problems"]
        assert problem["where"] == where


SCRIPTS: dict[str, tuple[str, str, set[str]]] = {
    "export WANDB_MODE=offline\n{base} --wandb.enable=true": ("--wandb", "WANDB_MODE=offline", set()),
    "WANDB_MODE=offline {base} --wandb.enable=true --wandb.mode=online": ("--wandb", "", set()),
    "{base} --output_dir=/scratch/$SLURM_JOB_ID": ("--policy-type act", "", {"--output_dir"}),
    "for s in 1 2; do {base} --seed=$s --output_dir=out/$s; done": ("--over seed=1,2", "", {"--output_dir"}),
    "for s in {{1..3}}\ndo\n  {base} --seed=$s\ndone": ("--over seed=1,2,3", "", set()),
    "for s in 1 2; do echo $s; done\n{base} --seed=4": ("--seed 4", "", {"echo $s"}),
}


@pytest.mark.parametrize("script", SCRIPTS)
def test_what_a_script_says_beside_its_line_is_in_robotrains_line(robotrain: Any, tmp_path: Path, script: str) -> None:
    path = tmp_path / "train.sh"
    path.write_text(script.format(base=BASE))
    words, variables, left_out = SCRIPTS[script]
    answer = robotrain("from-lerobot", "--json", str(path)).json
    assert f" {words}" in shlex.join(answer["command"])
    assert " ".join(map("=".join, answer["variables"].items())) == variables
    assert set(answer["left_out"]) == left_out
    assert ("sweep" in answer["command"]) == ("--over" in words)


LOOPS = {
    "for d in me/a me/b; do lerobot-train --policy.type=act --dataset.repo_id=$d; done": "--dataset.repo_id",
    "for s in $(cat seeds); do {base} --seed=$s; done": "--seed",
    "for s in 1 2; do {base} --seed=$s --batch_size=$s; done": "--seed --batch_size",
    "{base} --seed=$SLURM_JOB_ID": "--seed",
}


@pytest.mark.parametrize("script", LOOPS)
def test_what_only_the_script_knows_is_refused(robotrain: Any, tmp_path: Path, script: str) -> None:
    path = tmp_path / "train.sh"
    path.write_text(script.format(base=BASE))
    problems = robotrain("from-lerobot", "--json", str(path)).json["problems"]
    assert " ".join(problem["where"] for problem in problems) == LOOPS[script]


def test_a_script_that_is_not_there_is_named(robotrain: Any, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    Path("train.sh").write_text(BASE)
    answer = robotrain("from-lerobot", "trian.sh")
    assert "no such script" in answer.stderr
    assert "use   robotrain from-lerobot train.sh\n" in answer.stderr


def test_a_script_takes_no_further_words_and_a_misspelt_ending_is_seen(
    robotrain: Any, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "job.sbatch").write_text("#!/bin/bash\nlerobot-train --policy.type=act\n")
    for words in (("job.sbatch", "--", "--batch_size=16"), ("job.sbtch",)):
        answer = robotrain("from-lerobot", *words)
        assert answer.exit_code == 2
        assert "use   robotrain from-lerobot job.sbatch\n" in answer.stderr


def test_notes_are_of_a_line_that_is_printed_and_of_its_dataset(robotrain: Any) -> None:
    mini = ROOT / "examples" / "pusht-mini" / "dataset"  # without videos
    answer = robotrain("from-lerobot", "--", *BASE.split(), f"--dataset.root={mini}", "--output_dir=out/a")
    assert answer.exit_code == 0
    assert re.findall(r"^note: (.*)", answer.stderr, re.MULTILINE) == ["--output_dir"]
    assert "note: " not in robotrain("from-lerobot", "--", *BASE.split(), "--policy.no_such=1").stderr


def test_episodes_that_a_newer_lerobot_leaves_out_are_left_out(robotrain: Any) -> None:
    def translate(*options: str) -> Any:
        return robotrain("from-lerobot", "--json", "--", *BASE.split(), *options).json

    options = read_options(translate("--dataset.exclude_episodes=[3, 7]")["command"][4:])[0]
    assert options["--exclude-episodes"] == "3,7"
    assert "--exclude-episodes" not in translate("--dataset.exclude_episodes=null")["command"]
    assert translate("--dataset.exclude_episodes=3")["problems"][0]["where"] == "--dataset.exclude_episodes"
    assert "--keep N" in translate("--keep_last_n_checkpoints=3")["left_out"]["--keep_last_n_checkpoints"]


def test_numbers_of_tasks_are_those_of_a_suite(robotrain: Any) -> None:
    line = "lerobot-eval --policy.path=me/act --env.type=libero --env.task=libero_10 --env.task_ids=[0,3]"
    answer = robotrain("from-lerobot", "--json", "--", *line.split())
    assert read_options(answer.json["command"][5:])[0]["--env-tasks"] == "libero_10/0,libero_10/3"


def test_a_value_that_robotrain_refuses_is_named_as_it_was_typed(translate: Any) -> None:
    line = ("lerobot-train", "--policy.type=act", "--dataset.repo_id=~/cups")
    (problem,) = translate("from-lerobot", *line).json["problems"]
    assert (problem["where"], problem["given"]) == ("--dataset.repo_id", "~/cups")


def test_options_of_a_type_that_is_refused_are_not_answered_with_those_of_others(translate: Any) -> None:
    line = ("lerobot-train", "--dataset.repo_id=me/cups", "--policy.type=sarm", "--policy.image_key=top")
    problems = {problem["where"]: problem["why"] for problem in translate("from-lerobot", *line).json["problems"]}
    assert "use --reward_model.type=sarm" in problems["--policy.type"]
    assert ": use" not in problems["--policy.image_key"]


def test_the_help_of_a_program_is_that_of_its_workload(translate: Any) -> None:
    answer = translate("from-lerobot", "lerobot-eval", "--help")
    assert answer.json["command"] == ["robotrain", "submit", "lerobot-eval", "--help"]


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"type": "diffusion", "optimizer_lr": 2e-4}, {"--policy-type": "diffusion"}),
        ({"type": "act"}, {"--policy-type": "act"}),
        ({"type": "smolvla", "optimizer_lr": 5e-5}, {"--policy-type": "smolvla"}),
        ({"type": "octo"}, None),
    ],
)
def test_a_policy_is_trained_on_as_its_configuration_says(
    translate: Any,
    policy: Any,
    monkeypatch: pytest.MonkeyPatch,
    config: dict[str, Any],
    expected: dict[str, str] | None,
) -> None:
    folder = policy(**config)
    with HubStandIn() as hub:
        hub.repository("lab/policy", {"config.json": (folder / "config.json").read_bytes()})
        monkeypatch.setenv("HF_ENDPOINT", hub.address)
        monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
        for path in (str(folder), "lab/policy"):
            answer = translate("from-lerobot", "lerobot-train", f"--policy.path={path}", "--dataset.repo_id=me/cups")
            if expected is None:
                (problem,) = answer.json["problems"]
                assert (answer.exit_code, problem["where"], "octo" in problem["why"]) == (2, "--policy.path", True)
            else:
                options, after = read_options(answer.json["command"][4:])
                assert expected.items() <= options.items()
                assert after == []
                other = "diffusion" if config["type"] == "act" else "act"
                line = ("lerobot-train", f"--policy.path={path}", f"--policy.type={other}", "--dataset.repo_id=me/cups")
                (problem,) = translate("from-lerobot", *line).json["problems"]
                assert (problem["where"], config["type"] in problem["why"]) == ("--policy.type", True)


def test_a_policy_that_cannot_be_read_is_trained_on_only_if_its_type_is_given(
    translate: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    line = ("lerobot-train", "--policy.path=lerobot/smolvla_base", "--dataset.repo_id=me/cups")
    (problem,) = translate("from-lerobot", *line).json["problems"]
    assert "--policy.type=smolvla" in problem["why"]
    for start in ("lerobot/smolvla_base", "/scratch/models/smolvla_base"):
        line = ("lerobot-train", f"--policy.path={start}", "--dataset.repo_id=me/cups", "--policy.type=smolvla")
        answer = translate("from-lerobot", *line).json
        options, after = read_options(answer["command"][4:])
        defaults = {"--batch-size": "8", "--val-split": "0", "--save-freq": "20000"}
        assert {"--policy-type": "smolvla", **defaults}.items() <= options.items()
        assert ("--learning-rate" in options, after) == (False, [])  # the start's own
        assert "cannot be read" in answer["notes"]["--policy.path"]


def test_a_training_that_is_resumed_keeps_the_options_of_its_checkpoint(translate: Any, tmp_path: Path) -> None:
    saved = {
        "dataset": {"repo_id": "me/cups", "root": "/data/cups", "revision": "v3.0", "eval_split": 0.0},
        "policy": {"type": "diffusion", "optimizer_lr": 3e-4, "push_to_hub": True, "device": "cuda", "use_amp": False},
        "wandb": {"enable": False, "project": "lerobot"},
        "optimizer": {"lr": 3e-4},
        "output_dir": "/old",
        **{"steps": 400, "batch_size": 8, "seed": 7, "job_name": "cups"},
    }
    file = tmp_path / "checkpoints/000400/pretrained_model/train_config.json"
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps(saved))
    answer = translate("from-lerobot", "lerobot-train", f"--config_path={file}", "--resume=true", "--steps=800")
    options, after = read_options(answer.json["command"][4:])
    assert options == {
        **{"--dataset-id": "me/cups", "--dataset-path": "/data/cups", "--val-split": "0.0"},
        "--policy-type": "diffusion",
        **{"--device": "cuda", "--job-name": "cups", "--training-steps": "800"},
        **{"--batch-size": "8", "--seed": "7", "--no-wandb": "", "--resume-from": str(file.parents[1])},
    }
    assert after == []


def test_a_line_may_be_pasted_in_quotes(translate: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_USER", "me")
    line = "lerobot-train --policy.type=act \\\n  --dataset.repo_id=${HF_USER}/cups \\\n  --steps=5"
    options, _ = read_options(translate("from-lerobot", line).json["command"][4:])
    assert (options["--dataset-repo-id"], options["--training-steps"]) == ("me/cups", "5")


def test_a_type_that_runs_code_of_the_hub_leaves_its_commit_to_the_user(translate: Any) -> None:
    answer = translate("from-lerobot", "lerobot-train", "--policy.type=pi0_fast", "--dataset.repo_id=me/cups")
    options, _ = read_options(answer.json["command"][4:])
    assert options["--trust-remote-code"] == "lerobot/fast-action-tokenizer@COMMIT"
    assert "COMMIT" in answer.json["notes"]["--trust-remote-code"]


def test_a_reward_model_is_trained_by_its_type(translate: Any) -> None:
    line = "lerobot-train --reward_model.type=sarm --reward_model.max_state_dim=16 --dataset.repo_id=me/cups"
    options, after = read_options(translate("from-lerobot", *line.split()).json["command"][4:])
    assert (options["--reward-model"], "--policy-type" in options) == ("sarm", False)
    assert after == ["--reward_model.max_state_dim=16"]


def test_names_of_features_and_folders_of_backbones_become_flags(translate: Any, policy: Any, tmp_path: Path) -> None:
    backbone = tmp_path / "lab/smol"
    backbone.mkdir(parents=True)
    start = policy(type="smolvla", optimizer_lr=1e-4, vlm_model_name="lab/other")
    line = ("lerobot-train", f"--policy.path={start}", "--dataset.repo_id=me/cups")
    names = {"observation.image": "observation.images.camera1", "observation.side": "observation.images.b"}
    answer = translate(
        "from-lerobot", *line, f"--rename_map={json.dumps(names)}", f"--policy.vlm_model_name={backbone}"
    )
    options, after = read_options(answer.json["command"][4:])
    pairs = "observation.image=observation.images.camera1,observation.side=observation.images.b"
    assert (options["--rename"], options["--backbone-path"]) == (pairs, str(backbone))
    assert after == ["--policy.vlm_model_name=lab/smol"]
    assert "normalizes" in answer.json["notes"]["--rename_map"]


def test_two_options_may_name_one_backbone(translate: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "lab/clip"
    folder.mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    names = [f"--policy.vision_encoder_name={folder}", "--policy.text_encoder_name=lab/clip/"]
    line = ("lerobot-train", "--policy.type=multi_task_dit", "--dataset.repo_id=me/cups", *names)
    options, after = read_options(translate("from-lerobot", *line).json["command"][4:])
    assert options["--backbone-path"] == str(folder)
    assert after == ["--policy.vision_encoder_name=lab/clip", "--policy.text_encoder_name=lab/clip"]


def test_a_line_that_saves_at_the_end_alone_saves_after_its_last_step(translate: Any) -> None:
    for steps, last in (("--steps=700", "700"), ("", "100000")):
        answer = translate("from-lerobot", *f"{BASE} --save_freq=0 {steps}".split())
        assert read_options(answer.json["command"][4:])[0]["--save-freq"] == last


def test_the_version_of_lerobot_is_the_one_that_the_line_installs(translate: Any) -> None:
    for words, version in (("--with lerobot[smolvla]==0.6.1", None), ("--with=lerobot>=0.6", None)):
        answer = translate("from-lerobot", "uv", "run", *words.split(), *BASE.split())
        assert read_options(answer.json["command"][4:])[0].get("--lerobot-version") == version


def test_the_defaults_of_lerobot_are_those_of_its_classes() -> None:
    assert option_tree.find_default("policy.optimizer_lr", "act") == 1e-5
    assert option_tree.find_default("eval.n_episodes", "act") == 50
    assert option_tree.find_default("dataset.repo_id", "act") is None
