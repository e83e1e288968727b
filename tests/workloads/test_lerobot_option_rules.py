"""Rules of LeRobot's classes: the evaluator, the exported rules, and that LeRobot agrees with both."""

import json
import os
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from robotrain_workloads.lerobot import versions
from robotrain_workloads.lerobot.trained_model import make_model
from robotrain_workloads.lerobot_options import option_rules
from robotrain_workloads.lerobot_options.option_tree import load_option_tree
from robotrain_workloads.lerobot_options.rule_expressions import (
    Unknown,
    evaluate,
    fill_in,
    is_true,
    list_names,
    parse,
)

VALUES = {"steps": 8, "size": 50, "ratio": 0.5, "kind": "resnet18", "absent": None, "on": True, "dims": [3, 0, -1]}
NUMBERS = st.sampled_from(
    ["steps", "size", "ratio", "len(dims)", "dims[0]", "min(steps, size)", "2 ** len(dims)", "0", "1.5", "-3"]
)
OPERATORS = st.sampled_from(["+", "-", "*", "/", "//", "%"])
COMPARISONS = st.sampled_from(["==", "!=", "<", "<=", ">", ">="])
TESTS = st.sampled_from(
    [
        *("on", "not on", "absent is None", "kind is not None", "kind in ('resnet18', 'vit')", "2 not in dims"),
        *("kind.startswith('res')", "'RES' in kind.upper()", "any(one < 0 for one in dims)", "all(d for d in dims)"),
        *("len(dims) != len(set(dims))", "bool(absent)", "0 < ratio <= 1.0", "(1 if on else 0) < steps"),
    ]
)
SUMS = st.recursive(NUMBERS, lambda inner: st.builds("({} {} {})".format, inner, OPERATORS, inner), max_leaves=4)
CONDITIONS = st.recursive(
    TESTS | st.builds("{} {} {}".format, SUMS, COMPARISONS, SUMS),
    lambda inner: (
        st.builds("({} {} {})".format, inner, st.sampled_from(["and", "or"]), inner)
        | st.builds("(not {})".format, inner)
        | st.builds("({} if {} else {})".format, inner, inner, inner)
    ),
    max_leaves=6,
)
RULES = {one.name: (load_option_tree(one.name), option_rules.load_rules(one.name)) for one in versions.list_versions()}
BROKEN = [
    ("act", ["--policy.n_action_steps=200"], "--policy.n_action_steps=100"),
    ("act", ["--policy.vision_backbone=vit"], "--policy.vision_backbone=resnet18"),
    ("act", ["--use_policy_training_preset=false"], "--use_policy_training_preset=true"),
    ("diffusion", ["--policy.prediction_type=sampl"], "--policy.prediction_type=sample"),
    ("diffusion", ["--policy.horizon=30", "--policy.n_action_steps=8"], "--policy.horizon=32"),
    ("smolvla", ["--policy.use_delta_joint_actions_aloha=true"], "--policy.use_delta_joint_actions_aloha=false"),
    ("multi_task_dit", ["--policy.num_heads=5"], "--policy.num_heads=4"),
    ("multi_task_dit", ["--policy.dropout=1.5"], "--policy.dropout=0.1"),
    ("multi_task_dit", ["--policy.objective=flow"], "--policy.objective=flow_matching"),
    ("diffusion", ["--policy.noise_scheduler_type=ddim"], "--policy.noise_scheduler_type=DDIM"),
    ("diffusion", ["--policy.vision_backbone=resnet20"], "--policy.vision_backbone=resnet18"),
    (
        "vqbet",
        ["--policy.use_group_norm=True", "--policy.pretrained_backbone_weights=ResNet18_Weights.IMAGENET1K_V1"],
        "--policy.use_group_norm=false",
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
    ("xvla", ["--policy.chunk_size=0"], "--policy.chunk_size=32"),
    ("pi0", ["--policy.paligemma_variant=gemma_300"], "--policy.paligemma_variant=gemma_300m"),
    ("pi0", ["--policy.dtype=float16"], ""),
    ("tdmpc", ["--policy.n_action_steps=2"], "--policy.n_action_repeats=1"),
    ("wall_x", ["--policy.attn_implementation=sdpa"], "--policy.attn_implementation=eager"),
    ("molmoact2", ["--policy.lora_rank=0"], "--policy.lora_rank=1"),
    ("act", ["--policy.n_heads=7"], "--policy.n_heads=8"),
    ("vqbet", ["--policy.gpt_n_head=7"], "--policy.gpt_n_head=8"),
    ("groot", ["--policy.n_action_steps=45"], "--policy.n_action_steps=40"),
    ("lingbot_va", ["--policy.attn_mode=sdpa"], "--policy.attn_mode=torch"),
]
"""Options of a type that LeRobot refuses, and the option with which it takes the line."""
ASSERTED = (
    *("--policy.n_heads=7", "--policy.gpt_n_head=7", "--policy.vision_backbone=resnet20"),
    "--policy.use_group_norm=True",
    *("--policy.vision_backbone=resnet50", "--policy.pretrained_backbone_weights=ResNet18_Weights.V2"),
    *("--policy.pretrained_backbone_weights=None", "--policy.pretrained_backbone_weights=mine.pth"),
)
"""Those of them that are refused when the network is made, not before."""


def find_problems(kind: str, *words: str, **options: Any) -> list[Any]:
    model = make_model(versions.get_version(), versions.POLICIES, kind)
    given = {"settings": {}, "starts": False} | options
    return list(option_rules.find_problems(words, model, given.pop("settings"), **given))


@pytest.mark.slow
@settings(max_examples=400, deadline=None)
@given(CONDITIONS)
def test_evaluator_agrees_with_python(text: str) -> None:
    try:
        expected = eval(text, {}, dict(VALUES))
    except Exception:
        return
    found = evaluate(parse(text), VALUES)
    assert (type(found), found) == (type(expected), expected)


@pytest.mark.parametrize("text", ["missing > 1", "on and missing", "2 ** size ** size", "dims.clear()", "open('x')"])
def test_what_is_unknown_or_not_allowed_is_not_judged(text: str) -> None:
    with pytest.raises(Unknown):
        evaluate(parse(text), VALUES)
    assert not is_true(parse(text), VALUES)


def test_one_operand_that_decides_is_enough() -> None:
    assert is_true(parse("missing or on"), VALUES)
    assert is_true(parse("not (missing and absent)"), VALUES)
    assert list_names("missing > 1 and any(d < 0 for d in dims)") == ("missing", "dims")
    assert fill_in("{steps} of {{all}}, {missing}", VALUES) == "8 of {all}, …"


@pytest.mark.parametrize("version", RULES)
def test_exported_rules_are_about_options_and_take_the_defaults(version: str) -> None:
    tree, classes = RULES[version]
    assert sum(len(one["rules"]) for one in classes.values()) > 100
    for name, exported in classes.items():
        fields = tree.classes[name]
        defaults = {key: one[1] for key, one in fields.items() if len(one) > 1}
        defaults |= exported.get("defaults", {}) | {"policy": "set", "policy.push_to_hub": False}
        for rule in exported["rules"]:
            names = list_names(rule["when"])
            assert {one.partition(".")[0] for one in names} <= fields.keys(), rule
            assert not is_true(parse(rule["when"]), defaults), rule
            assert fill_in(rule["why"], defaults), rule


@pytest.mark.parametrize(("kind", "words", "instead"), BROKEN)
def test_broken_rule_of_a_type_is_mended_by_its_suggestion(kind: str, words: list[str], instead: str) -> None:
    (problem,) = find_problems(kind, *words)
    assert problem.given == " ".join(words[:1]) or problem.given in words
    assert problem.suggestion == instead
    assert not instead or find_problems(kind, *words, *shlex.split(instead)) == []


@pytest.mark.parametrize(
    ("words", "instead"),
    [
        (["--policy.dim_model=128", "--policy.n_heads=3"], "--policy.n_heads=4"),
        (["--policy.n_heads=4", "--policy.dim_model=129"], "--policy.dim_model=128"),
    ],
)
def test_last_option_of_a_line_is_mended(words: list[str], instead: str) -> None:
    """The options of a job file stand before those that are typed."""
    (problem,) = find_problems("act", *words)
    assert problem.suggestion == instead


def test_option_that_robotrain_gives_itself_breaks_no_rule() -> None:
    words = ("--use_policy_training_preset=false", "--optimizer.type=adamw")
    assert len(find_problems("act", *words)) == 1
    assert find_problems("act", *words, own=lambda: {"scheduler.type": "constant_with_warmup"}) == []
    assert find_problems("act", "--rename_map={}", '--rename_map={"a":"b"}', owned=("--rename_map",)) == []


def test_configuration_of_the_start_counts_in_place_of_the_defaults() -> None:
    saved = {"type": "act", "chunk_size": 16, "n_action_steps": 4}
    (problem,) = find_problems("act", "--policy.n_action_steps=20", settings=saved, starts=True)
    assert (problem.suggestion, "16 for chunk_size" in problem.why) == ("--policy.n_action_steps=16", True)
    assert find_problems("act", "--policy.n_action_steps=16", settings=saved, starts=True) == []
    assert find_problems("act", "--policy.n_action_steps=200", settings=None, starts=True) == []


def test_truth_value_beside_a_configuration_is_json() -> None:
    saved = {"type": "act", "use_vae": True}
    (problem,) = find_problems("act", "--policy.use_vae=True", settings=saved, starts=True, loads=True)
    assert problem.suggestion == "--policy.use_vae=true"
    assert find_problems("act", "--policy.use_vae=false", settings=saved, starts=True, loads=True) == []
    assert find_problems("act", "--policy.use_vae=yes") == []


def test_rule_of_one_type_does_not_count_for_a_start_of_an_unknown_type() -> None:
    lerobot = versions.get_version()
    assert option_rules.find_common_problems(["--policy.n_obs_steps=2"], lerobot) == []
    words = ["--policy.chunk_size=10", "--policy.n_action_steps=20"]
    (problem,) = option_rules.find_common_problems(words, lerobot)
    assert problem.suggestion == "--policy.n_action_steps=10"
    (problem,) = option_rules.find_common_problems(["--dataset.episodes=[3,3]"], lerobot)
    assert problem.suggestion == "'--dataset.episodes=[3]'"


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize("version", [one.name for one in versions.list_versions()])
def test_lerobot_refuses_what_is_refused_and_takes_what_is_suggested(
    environment_of: Any, tmp_path: Path, version: str
) -> None:
    kinds = versions.get_version(version).policies
    lines = [one for one in BROKEN if one[0] in kinds and one[1][0] not in ASSERTED]
    if version != versions.get_version().name:
        lines = lines[::8]  # it reads its options in seconds
    always = [
        "--dataset.repo_id=a/b",
        "--policy.push_to_hub=false",
        "--policy.device=cpu",
        f"--output_dir={tmp_path}/o",
    ]
    broken = [[*always, f"--policy.type={kind}", *words] for kind, words, _ in lines]
    mended = [[*line, instead] for line, (*_, instead) in zip(broken, lines, strict=True) if instead]
    python, program = Path(environment_of(version)) / "bin/python", Path(__file__).with_name("lerobot_configs.py")
    done = subprocess.run(
        [python, program],
        input=json.dumps([*broken, *mended]),
        env={**os.environ, "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert [line for line, answer in zip(broken, found, strict=False) if not isinstance(answer, str)] == []
    answers = zip(mended, found[len(broken) :], strict=True)
    assert {str(line): answer for line, answer in answers if isinstance(answer, str)} == {}
