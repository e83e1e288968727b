"""`robotrain from-lerobot`: each line that it prints is rendered and means the same; for others, it says why not."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from robotrain_workloads.lerobot.options_list import find_default

ROOT = Path(__file__).parents[2]
ACT = "--val-split 0 --learning-rate 1e-05 --save-freq 20000"
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
    "accelerate launch --num_processes=2 --mixed_precision=bf16 /env/bin/lerobot-train"
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
        " 1e-05 --batch-size 8 --eval-freq 0 -- '--dataset.episodes=[0,1]'"
    ),
    "torchrun --nproc-per-node=4 --nnodes=1 -m lerobot.scripts.lerobot_train --policy.type=act"
    " --dataset.repo_id=me/cups": (f"--num-gpus 4 --policy-type act --dataset-repo-id me/cups --batch-size 8 {ACT}"),
    "uv run python lerobot/scripts/lerobot_train.py --policy.type=act --dataset.repo_id=me/cups"
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
        "lerobot-train --policy.type=act --dataset.repo_id=me/cups"
        " --policy.push_to_hub=true --policy.repo_id=me/policy --env.type=aloha --eval.n_episodes=10"
        " --env_eval_freq=100 --optimizer.lr=1 --policy.optimizer_lr=2"
    )
    left_out = translate("from-lerobot", *line.split()).json["left_out"]
    expected = {
        **dict.fromkeys(("--policy.push_to_hub", "--policy.repo_id"), "--publish-url"),
        **dict.fromkeys(("--env.type", "--eval.n_episodes"), "lerobot-eval"),
        "--env_eval_freq": "no simulator",
        "--optimizer.lr": "the preset",
    }
    assert set(left_out) == set(expected)
    assert all(text in left_out[option] for option, text in expected.items()), left_out


PRESET = "--use_policy_training_preset=false"


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("--optimizer.grad_clip_norm=1", {"--optimizer.grad_clip_norm": "by the preset"}),
        ("--optimizer.weight_decay=1", {"--optimizer.weight_decay": "by the preset"}),
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


@pytest.mark.parametrize(("options", "is_named"), [("", True), ("--tolerance_s=1e-3", False)])
def test_tolerance_of_frames_is_named_where_the_line_has_none(translate, options, is_named):
    notes = translate("from-lerobot", *BASE.split(), *options.split()).json["notes"]
    assert ("0.0001 s" in notes.get("--tolerance_s", "")) is is_named


BASE = "lerobot-train --policy.type=act --dataset.repo_id=me/cups"
CODES = ("source-missing", "value-invalid", "script-option-invalid")
REFUSED = {
    # what is refused of a line: options that cannot be translated, and other problems as CODE WHERE
    "lerobot-train --config_path=lerobot/diffusion_pusht --policy.type=act": ["--config_path"],
    "lerobot-train --resume=true --config_path=lerobot/act --policy.type=act": ["--config_path", "--resume"],
    f"{BASE} --resume --steps --policy.use_vae": ["--resume", "--steps", "--policy.use_vae"],
    "lerobot-train --dataset.repo_id=me/cups": ["--policy.type"],
    "lerobot-train --policy.type=act": ["source-missing"],
    f"{BASE} --policy.dtype=bfloat16": ["script-option-invalid --"],
    f"{BASE} --dataset.root=/data/cups --dataset.revision=v3.0": ["--dataset.revision"],
    f"{BASE} --use_policy_training_preset=false": ["--use_policy_training_preset"],
    f"{BASE} --save_checkpoint=false": ["--save_checkpoint"],
    "lerobot-eval --policy.path=me/act --env.type=pusht --env.render_mode=human": ["--env.render_mode"],
    f"{BASE} --seed=a": ["value-invalid --seed"],
    f"{BASE} --policy.n_action_steps=200": ["script-option-invalid --"],
    f"{BASE} '--job_name=$DB_PASS'": ["--job_name"],
    f"{BASE} more": ["more"],
    f"{BASE} | tee log": ["|", "tee", "log"],
    "lerobot-train --dataset.repo_id=me/cups --policy.type=octo": ["value-invalid --policy-type"],
    "lerobot-eval --policy.path=me/act": ["source-missing"],
    f"{BASE} --peft.method_type=LORA": ["script-option-invalid --"],
    f"{BASE} --policy.use_peft=true": ["--policy.use_peft"],
    f"{BASE} --policy.use_amp=true": ["--policy.use_amp"],
    f"{BASE} --sample_weighting.progress_path=/data/p.parquet": ["--sample_weighting.progress_path"],
    f"{BASE} --policy.discover_packages_path=mine": ["--policy.discover_packages_path"],
    f"{BASE} --dataset.repo_type=bucket --dataset.streaming=true": ["--dataset.repo_type"],
    f"{BASE} --policy.pretrained_path=me/act": ["--policy.pretrained_path"],
    f"{BASE} --rename_map='{{a: b}}'": ["--rename_map"],
    f"{BASE} --wandb.enable=1": ["--wandb.enable"],
    f"{BASE} --wandb.enable=true --wandb.mode=offline": ["--wandb.mode"],
    f"accelerate launch --multi_gpu {BASE}": ["accelerate"],
    f"accelerate launch --num_machines=2 --num_processes=8 {BASE}": ["--num_machines"],
    f"accelerate launch --num_processes=2 --use_fsdp {BASE}": ["--use_fsdp"],
    f"CUDA_VISIBLE_DEVICES=0 {BASE}": ["CUDA_VISIBLE_DEVICES=0"],
    f"srun {BASE}": ["srun"],
    f"{BASE} --batch_size=0": ["value-invalid --batch-size"],
    f"{BASE} --seed --steps=x": ["--seed", "value-invalid --training-steps"],
    "lerobot-train --policy=act --dataset.repo_id=me/cups --batch-size=8 --steps=0": [
        *("--policy.type", "script-option-invalid --", "value-invalid --training-steps"),
    ],
    "lerobot-train --dataset.repo_id=me/cups --policy.type=smolvla --policy.vlm_model_name=./vlm": [
        "--policy.vlm_model_name"
    ],
}


@pytest.mark.parametrize("line", REFUSED)
def test_a_line_that_cannot_mean_the_same_is_refused_with_every_reason(robotrain: Any, line: str) -> None:
    answer = robotrain("from-lerobot", "--", *shlex.split(line))
    problems = [
        problem if problem.split()[0] in CODES else f"option-not-translated {problem}" for problem in REFUSED[line]
    ]
    answer.check_problems(2, *problems)
    assert answer.stdout == ""


@pytest.mark.parametrize(
    ("value", "expected"),
    [("yes", "--wandb"), ("On", "--wandb"), ("TRUE", "--wandb"), ("off", "--no-wandb")],
)
def test_true_and_false_are_read_as_lerobot_reads_them(translate: Any, value: str, expected: str) -> None:
    answer = translate("from-lerobot", *BASE.split(), f"--wandb.enable={value}").json
    if expected:
        assert expected in answer["command"]
    else:
        assert [problem["where"] for problem in answer["problems"]] == ["--wandb.enable"]


def test_numbers_of_tasks_are_those_of_a_suite(robotrain: Any) -> None:
    line = "lerobot-eval --policy.path=me/act --env.type=libero --env.task=libero_10 --env.task_ids=[0,3]"
    answer = robotrain("from-lerobot", "--json", "--", *line.split())
    assert read_options(answer.json["command"][5:])[0]["--env-tasks"] == "libero_10/0,libero_10/3"


def test_the_help_of_a_program_is_that_of_its_workload(translate: Any) -> None:
    answer = translate("from-lerobot", "lerobot-eval", "--help")
    assert answer.json["command"] == ["robotrain", "submit", "lerobot-eval", "--help"]


def test_a_line_may_be_pasted_in_quotes(translate: Any) -> None:
    line = "lerobot-train --policy.type=act \\\n  --dataset.repo_id=me/cups \\\n  --steps=5"
    options, _ = read_options(translate("from-lerobot", line).json["command"][4:])
    assert (options["--dataset-repo-id"], options["--training-steps"]) == ("me/cups", "5")


def test_a_reward_model_is_trained_by_its_type(translate: Any) -> None:
    line = "lerobot-train --reward_model.type=sarm --reward_model.max_state_dim=16 --dataset.repo_id=me/cups"
    options, after = read_options(translate("from-lerobot", *line.split()).json["command"][4:])
    assert (options["--reward-model"], "--policy-type" in options) == ("sarm", False)
    assert after == ["--reward_model.max_state_dim=16"]


def test_the_defaults_of_lerobot_are_those_of_its_classes() -> None:
    assert find_default("policy.optimizer_lr", {"policy": "act"}) == 1e-5
    assert find_default("eval.n_episodes", {}) == 50
    assert find_default("dataset.repo_id", {}) is None
