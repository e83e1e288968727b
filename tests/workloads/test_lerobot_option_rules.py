"""Rules of LeRobot's classes: the frozen table, its evaluator, and that LeRobot agrees with the table."""

import json
import os
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
from robotrain_workloads.lerobot import versions
from robotrain_workloads.lerobot.trained_model import make_model
from robotrain_workloads.lerobot_options import option_rules

BROKEN = [
    ("act", ["--policy.n_action_steps=200"], ""),
    ("act", ["--policy.vision_backbone=vit"], ""),
    ("act", ["--use_policy_training_preset=false"], ""),
    ("diffusion", ["--policy.prediction_type=sampl"], ""),
    ("smolvla", ["--policy.use_delta_joint_actions_aloha=true"], ""),
    ("multi_task_dit", ["--policy.num_heads=5"], ""),
    ("multi_task_dit", ["--policy.dropout=1.5"], ""),
    ("multi_task_dit", ["--policy.objective=flow"], ""),
    ("diffusion", ["--policy.noise_scheduler_type=ddim"], ""),
    ("diffusion", ["--policy.vision_backbone=resnet20"], ""),
    (
        "vqbet",
        ["--policy.use_group_norm=True", "--policy.pretrained_backbone_weights=ResNet18_Weights.IMAGENET1K_V1"],
        "",
    ),
    (
        "act",
        ["--policy.vision_backbone=resnet50", "--policy.pretrained_backbone_weights=ResNet18_Weights.IMAGENET1K_V1"],
        "--policy.pretrained_backbone_weights=ResNet50_Weights.IMAGENET1K_V1",
    ),
    (
        "act",
        ["--policy.pretrained_backbone_weights=ResNet18_Weights.V2"],
        "--policy.pretrained_backbone_weights=ResNet18_Weights.IMAGENET1K_V1",
    ),
    ("act", ["--policy.pretrained_backbone_weights=None"], "--policy.pretrained_backbone_weights=null"),
    (
        "act",
        ["--policy.pretrained_backbone_weights=mine.pth"],
        "--policy.pretrained_backbone_weights=ResNet18_Weights.IMAGENET1K_V1",
    ),
    ("xvla", ["--policy.chunk_size=0"], ""),
    ("pi0", ["--policy.paligemma_variant=gemma_300"], ""),
    ("pi0", ["--policy.dtype=float16"], ""),
    ("tdmpc", ["--policy.n_action_steps=2"], ""),
    ("wall_x", ["--policy.attn_implementation=sdpa"], ""),
    ("molmoact2", ["--policy.lora_rank=0"], ""),
    ("act", ["--policy.n_heads=7"], ""),
    ("vqbet", ["--policy.gpt_n_head=7"], ""),
    ("groot", ["--policy.n_action_steps=45"], ""),
    ("lingbot_va", ["--policy.attn_mode=sdpa"], ""),
]
"""Options of a type that LeRobot refuses, and the option with which it takes the line, where robotrain says it."""
ASSERTED = (
    *("--policy.n_heads=7", "--policy.gpt_n_head=7", "--policy.vision_backbone=resnet20"),
    "--policy.use_group_norm=True",
    *("--policy.vision_backbone=resnet50", "--policy.pretrained_backbone_weights=ResNet18_Weights.V2"),
    *("--policy.pretrained_backbone_weights=None", "--policy.pretrained_backbone_weights=mine.pth"),
)
"""Those of them that are refused when the network is made, not before."""


def find_problems(kind: str, *words: str, **options: Any) -> list[Any]:
    model = make_model(versions.get_version(), versions.POLICIES, kind)
    arguments = {"settings": {}, "starts": False} | options
    return list(option_rules.find_problems(words, model, arguments.pop("settings"), **arguments))


@pytest.mark.parametrize("section", option_rules.load_rules(versions.get_version()))
def test_rules_are_about_options_and_the_defaults_keep_them(section: str) -> None:
    lerobot = versions.get_version()
    prefix, _, kind = section.partition(".")
    types = versions.POLICIES if prefix != "reward_model" else versions.REWARD_MODELS
    model = make_model(lerobot, types, kind or next(iter(lerobot.get_types(types))))
    values = option_rules.OptionValues(model, {}, {}, {}, starts=False, loads=False)
    for rule in option_rules.load_rules(lerobot)[section]:
        names = {term.name for term in (rule.requirement, rule.condition) if term}
        assert not kind or names <= model.options.keys(), rule
        assert not values.breaks(rule, f"{prefix}." if prefix != "train" else ""), rule
        assert values.explain(rule, f"{prefix}." if prefix != "train" else "").endswith("."), rule


@pytest.mark.parametrize(("kind", "words", "instead"), BROKEN)
def test_broken_rule_of_a_type_is_refused(kind: str, words: list[str], instead: str) -> None:
    (problem,) = find_problems(kind, *words)
    assert problem.given in (*words, " ".join(words))
    assert not instead or problem.suggestions[0].text == instead
    assert not instead or find_problems(kind, *words, *shlex.split(instead)) == []


def test_option_that_robotrain_gives_itself_breaks_no_rule() -> None:
    words = ("--use_policy_training_preset=false", "--optimizer.type=adamw")
    assert len(find_problems("act", *words)) == 1
    assert find_problems("act", *words, list_own=lambda: {"scheduler.type": "constant_with_warmup"}) == []
    assert find_problems("act", "--rename_map={}", '--rename_map={"a":"b"}', owned=("--rename_map",)) == []


def test_configuration_of_the_start_counts_in_place_of_the_defaults() -> None:
    saved = {"type": "act", "chunk_size": 16, "n_action_steps": 4}
    (problem,) = find_problems("act", "--policy.n_action_steps=20", settings=saved, starts=True)
    assert "n_action_steps <= chunk_size, chunk_size is 16" in problem.why
    assert find_problems("act", "--policy.n_action_steps=16", settings=saved, starts=True) == []
    assert find_problems("act", "--policy.n_action_steps=200", settings=None, starts=True) == []


def test_rules_of_types_do_not_count_for_a_start_of_an_unknown_type() -> None:
    assert find_problems("", "--policy.n_obs_steps=2", settings=None, starts=True) == []
    (problem,) = find_problems("", "--dataset.episodes=[-1]", settings=None, starts=True)
    assert problem.given == "--dataset.episodes=[-1]"


@pytest.mark.slow
@pytest.mark.long
def test_lerobot_refuses_what_is_refused(training_python: Path, tmp_path: Path) -> None:
    lines = [line for line in BROKEN if line[1][0] not in ASSERTED]
    always = [
        "--dataset.repo_id=a/b",
        "--policy.push_to_hub=false",
        "--policy.device=cpu",
        f"--output_dir={tmp_path}/o",
    ]
    broken = [[*always, f"--policy.type={kind}", *words] for kind, words, _ in lines]
    program = Path(__file__).with_name("lerobot_configs.py")
    done = subprocess.run(
        [training_python, program],
        input=json.dumps(broken),
        env={**os.environ, "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    answers = json.loads(done.stdout.splitlines()[-1])
    assert [line for line, answer in zip(broken, answers, strict=True) if not isinstance(answer, str)] == []
