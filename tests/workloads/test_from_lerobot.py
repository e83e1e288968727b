"""`robotrain from-lerobot`, and LeRobot's spellings typed at robotrain: each leads to the right flag and value."""

import json
import shlex
from typing import Any

import pytest

LINES = {
    "lerobot-train --policy.type=act --dataset.repo_id=lerobot/pusht --steps=1000 --batch_size=8": (
        "--policy-type act --dataset-repo-id lerobot/pusht --training-steps 1000 --batch-size 8"
    ),
    "lerobot-train --policy.type diffusion --dataset.repo_id lerobot/pusht --policy.horizon=48": (
        "--policy-type diffusion --dataset-repo-id lerobot/pusht -- --policy.horizon=48"
    ),
    "lerobot-train --dataset.repo_id=me/cups --dataset.root=/data/cups --seed=3 --num_workers=2": (
        "--dataset-id me/cups --dataset-path /data/cups --seed 3 --num-workers 2"
    ),
    "lerobot-train --policy.path=lerobot/act_aloha --dataset.repo_id=me/cups --policy.push_to_hub=false": (
        "--policy-repo-id lerobot/act_aloha --dataset-repo-id me/cups"
    ),
    "lerobot-train --config_path=outputs/checkpoints/000400/pretrained_model/train_config.json --resume=true": (
        "--resume-from outputs/checkpoints/000400"
    ),
    "accelerate launch --num_processes=2 --mixed_precision=bf16 /env/bin/lerobot-train --dataset.repo_id=me/cups": (
        "--num-gpus 2 --mixed-precision bf16 --dataset-repo-id me/cups"
    ),
    "python -m lerobot.scripts.lerobot_train --dataset.repo_id=me/cups --output_dir='a b' --job_name=cups": (
        "--dataset-repo-id me/cups --output-dir 'a b' --job-name cups"
    ),
    "lerobot-train --dataset.repo_id=me/cups --dataset.revision=v3.0 --dataset.episodes=[0,1] --wandb.enable=false": (
        "--dataset-repo-id me/cups@v3.0 --no-wandb -- '--dataset.episodes=[0,1]'"
    ),
    "accelerate launch --multi_gpu --num_processes=2 '$(which lerobot-train)' --dataset.repo_id=me/cups": (
        "--num-gpus 2 --dataset-repo-id me/cups"
    ),
    "torchrun --nproc-per-node=4 --nnodes=1 -m lerobot.scripts.lerobot_train --dataset.repo_id=me/cups": (
        "--num-gpus 4 --dataset-repo-id me/cups"
    ),
    "uv run --extra train python lerobot/scripts/train.py --dataset.repo_id=me/cups": "--dataset-repo-id me/cups",
    "lerobot-eval --policy.path=me/act --policy.pretrained_revision=v2 --env.type=pusht --eval.use_async_envs=false": (
        "lerobot-eval --policy-repo-id me/act@v2 --env pusht"
    ),
    "lerobot-eval --policy.path=lerobot/diffusion_pusht --env.type=pusht --eval.n_episodes=20 --eval.batch_size=5": (
        "lerobot-eval --policy-repo-id lerobot/diffusion_pusht --env pusht --eval-episodes 20 --eval-batch-size 5"
    ),
}


@pytest.mark.parametrize("line", LINES)
def test_a_line_of_lerobot_becomes_a_robotrain_line_that_is_understood(robotrain: Any, line: str) -> None:
    answer = robotrain("from-lerobot", "--", *shlex.split(line))
    expected = shlex.split(LINES[line])
    workload = [expected.pop(0)] if expected[0] == "lerobot-eval" else []
    words = shlex.split(answer.stdout)
    assert words == ["robotrain", "submit", *workload, "--platform", "PLATFORM", *expected]
    rendered = robotrain("explain", "--json", *(word.replace("PLATFORM", "local") for word in words[2:]))
    codes = {problem["code"] for problem in json.loads(rendered.stdout).get("problems", [])}
    assert not {code for code in codes if code.startswith(("option-", "trainer-arg-", "script-", "word-", "usage"))}


def test_what_has_no_equal_is_named_with_what_to_do(robotrain: Any) -> None:
    line = ("lerobot-train", "--dataset.repo_id=me/cups", "--policy.push_to_hub=true", "--env_eval_freq=100")
    answer = robotrain("from-lerobot", "--json", "--", *line)
    assert answer.json["command"][-2:] == ["--dataset-repo-id", "me/cups"]
    assert set(answer.json["left_out"]) == {"--policy.push_to_hub", "--env_eval_freq"}
    assert "--publish-url" in answer.json["left_out"]["--policy.push_to_hub"]


@pytest.mark.parametrize("json", [(), ("--json",)], ids=["text", "json"])
@pytest.mark.parametrize("kind", ["pi0", "--policy.type diffussion"])
def test_a_line_for_a_policy_that_is_not_trained_is_refused(robotrain: Any, kind: str, json: tuple[str, ...]) -> None:
    typed = kind.split() if " " in kind else [f"--policy.type={kind}"]
    line = ("lerobot-train", "--dataset.repo_id=me/cups", *typed, "--policy.repo_id=me/policy")
    answer = robotrain("from-lerobot", *json, "--", *line)
    assert answer.exit_code == 2
    assert "robotrain submit" not in answer.stdout + answer.stderr
    text = answer.stdout if json else answer.stderr
    assert kind.split()[-1] in text
    assert "act and diffusion" in text
    assert ("--policy.type=diffusion" in text) == (" " in kind)


LEFT_OUT = {
    "lerobot-train --config_path=lerobot/diffusion_pusht": {"--config_path": "no configuration file"},
    "lerobot-train --config_path=a/checkpoints/last/pretrained_model/train_config.json": {"--config_path": "no config"},
    "lerobot-train --resume=true": {"--resume": "--resume-from"},
    "lerobot-train --env.type=aloha --eval.n_episodes=10 --eval_freq=1000": dict.fromkeys(
        ("--env.type", "--eval.n_episodes", "--eval_freq"), "lerobot-eval"
    ),
    "lerobot-train --policy.type=act --policy.dtype=bfloat16 --policy.chunk_sise=3": {
        "--policy.dtype": "has no option",
        "--policy.chunk_sise": "use --policy.chunk_size=3",
    },
    "lerobot-train --policy.type=act --policy.repo_id=me/policy": {"--policy.repo_id": "--publish-url"},
    "accelerate launch --num_machines=2 --config_file a.yaml --mixed_precision=fp8 lerobot-train": {
        "--num_machines": "one machine",
        "--config_file": "starts the processes",
        "--mixed_precision": "bf16",
    },
    "HF_USER=me CUDA_VISIBLE_DEVICES=0,1 lerobot-train": dict.fromkeys(
        ("HF_USER", "CUDA_VISIBLE_DEVICES"), "variables of the environment"
    ),
    "lerobot-eval --policy.path=me/act --env.type=libero --env.task=libero_object --rename_map=x": {
        "--env.type": "pusht or aloha",
        "--env.task": "pusht or aloha",
        "--rename_map": "--policy. and --env.",
    },
}


@pytest.mark.parametrize("line", LEFT_OUT)
def test_what_would_be_refused_is_left_out_with_the_reason(robotrain: Any, line: str) -> None:
    answer = robotrain("from-lerobot", "--json", "--", *shlex.split(line))
    left_out = answer.json["left_out"]
    assert set(left_out) == set(LEFT_OUT[line])
    assert all(text in left_out[option] for option, text in LEFT_OUT[line].items()), left_out
    assert "--" not in answer.json["command"]


def test_what_a_line_leaves_to_be_added_is_noted(robotrain: Any) -> None:
    line = "lerobot-train --config_path=a/pretrained_model/train_config.json --resume=true"
    assert "dataset" in robotrain("from-lerobot", "--json", "--", *line.split()).json["notes"]["--config_path"]
    line = "lerobot-train --policy.path=lerobot/diffusion_pusht --dataset.repo_id=me/cups"
    notes = robotrain("from-lerobot", "--json", "--", *line.split()).json["notes"]
    assert "--policy-type diffusion" in notes["--policy.path"]
    assert "ACT or a Diffusion policy" in notes["--policy.path"]


def test_a_line_may_be_pasted_in_quotes(robotrain: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_USER", "me")
    answer = robotrain("from-lerobot", "lerobot-train \\\n  --dataset.repo_id=${HF_USER}/cups \\\n  --steps=5")
    assert answer.stdout.split()[4:] == ["--dataset-repo-id", "me/cups", "--training-steps", "5"]


def test_variables_in_quotes_stay_as_they_are_unless_they_name_the_account(robotrain: Any, monkeypatch: Any) -> None:
    monkeypatch.setenv("DB_PASS", "mine")
    answer = robotrain("from-lerobot", "--json", "lerobot-train --dataset.repo_id=me/a '--job_name=$DB_PASS'")
    assert answer.json["command"][-1] == "$DB_PASS"
    assert "$DB_PASS" in answer.json["notes"]["--job_name"]
    assert "mine" not in answer.stdout


@pytest.mark.parametrize(
    ("command", "line"), [("from-lerobot", "lerobot-train --job_name='a"), ("from-script", "lerobot-train \\")]
)
def test_a_line_with_an_open_quotation_is_refused(robotrain: Any, command: str, line: str) -> None:
    answer = robotrain(command, "--", line)
    assert (answer.exit_code, answer.stdout) == (2, "")
    assert "cannot be read as shell words" in answer.stderr


def test_a_line_of_another_program_is_refused(robotrain: Any) -> None:
    answer = robotrain("from-lerobot", "--", "python", "train.py", "--steps=3")
    assert answer.exit_code == 2
    assert "lerobot-train" in answer.stderr


def test_a_secret_does_not_travel(robotrain: Any) -> None:
    secret = "hf_" + "a" * 34
    answer = robotrain("from-lerobot", "--", "lerobot-train", "--dataset.repo_id=me/cups", f"--hub.token={secret}")
    assert secret not in answer.stdout + answer.stderr


SPELLINGS = {
    "--dataset.repo_id=lerobot/pusht": "--dataset-repo-id lerobot/pusht",
    "--dataset.root=/data/pusht": "--dataset-path /data/pusht",
    "--policy.path=lerobot/act_aloha": "--policy-repo-id lerobot/act_aloha",
    "--policy.path=./mine": "--policy-path ./mine",
    "--optimizer.lr=1e-5": "--learning-rate 1e-5",
    "--dataset.eval_split=0.2": "--val-split 0.2",
    "--wandb.enable=true": "--wandb, or --no-wandb",
    "--policy.use_amp=true": "--mixed-precision bf16",
}


@pytest.mark.parametrize("typed", SPELLINGS)
def test_lerobots_own_spelling_is_answered_with_the_flag_and_the_value(robotrain: Any, typed: str) -> None:
    for words in ([typed], ["--", typed], typed.split("=", 1)):
        answer = robotrain("explain", "--platform", "local", "--json", "--dataset-path", "x", *words)
        assert answer.exit_code == 2
        found = [way["text"] for problem in answer.json["problems"] for way in problem["instead"]]
        assert any(SPELLINGS[typed] in text for text in found), found
