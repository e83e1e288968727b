"""Options of LeRobot's trainer after `--`: what it would refuse on the machine of the job is refused here."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from job_documents import check_job
from problem_assertions import check_problems
from robotrain_runtime.contract.document import JobSource
from robotrain_workloads.lerobot import versions
from robotrain_workloads.lerobot_eval.workload import LEROBOT_EVAL
from robotrain_workloads.lerobot_train.workload import LEROBOT_TRAIN

ERROR = "script-option-invalid"

REFUSED = [
    ["--policy.chunk_sise=3"],
    ["--policy.chunk_size=two"],
    ["--policy.num_inference_steps=2"],
    ["--chunk_size=3"],
    ["--wandb.enabl=true"],
    ["--dataset.image_transforms.enabel=true"],
    ["--optimizer.type=adamq"],
    ["--optimizer.type=adamw", "--optimizer.momentum=0.9"],
    ["hello"],
]
BROKEN = [
    ["--policy.chunk_size=16"],
    ["--policy.chunk_size", "8", "--policy.n_action_steps", "9"],
    ["--policy.temporal_ensemble_coeff=0.01"],
    ["--policy.n_obs_steps=2"],
    ["--dataset.repo_type=bucket"],
    ["--eval.recording_repo_id=a/b"],
]
"""Options that LeRobot's parser refuses together."""
BROKEN_DIFFUSION = [
    ["--policy.horizon=16", "--policy.n_action_steps=8", "--policy.crop_ratio=2"],
]
SCHEDULE = "--scheduler.type=constant_with_warmup"
BROKEN_TRAINING = [
    ["--peft.r=16"],
    ["--use_policy_training_preset=false"],
    ["--use_policy_training_preset=false", "--optimizer.type=adamw"],
    ["--sample_weighting.type=rabb"],
]
"""Options that LeRobot's parser takes, and its trainer refuses."""
TAKEN = [
    ["--policy.chunk_size=16", "--policy.n_action_steps=16"],
    ["--policy.use_vae=false", "--policy.dropout=0", "--policy.kl_weight=1e-3"],
    ["--policy.temporal_ensemble_coeff=null"],
    ["--policy.temporal_ensemble_coeff=0.01", "--policy.n_action_steps=1"],
    ["--policy.kl_weight=.inf", "--tolerance_s=1_0"],
    ["--dataset.episodes=[0, 1]", "--dataset.video_backend=torchcodec"],
    ["--dataset.image_transforms.enable=true", "--dataset.image_transforms.max_num_transforms=2"],
    ["--use_policy_training_preset=false", "--optimizer.type=adamw", "--scheduler.type=constant_with_warmup"],
    ["--wandb.notes=first", "--cudnn_deterministic=true", "--tolerance_s", "0.1", "--prefetch_factor=2"],
    ["--dataset.image_transforms={enable: true}"],
    ["--peft=null"],
]
START = JobSource(role="policy", kind="huggingface", uri="me/policy")


def find_problems(*words: str, kind: str | None = "act", start: JobSource | None = None, **parameters: Any) -> Any:
    """What the check of a training says of words after `--`."""
    return check_job(LEROBOT_TRAIN, *filter(None, [start]), args=words, policy_type=kind, **parameters)


def explain_options(robotrain: Any, *words: str, workload: str = "lerobot-train", platform: str = "local") -> Any:
    required = ("--dataset-repo-id", "lerobot/pusht") if workload == "lerobot-train" else ("--env", "pusht")
    return robotrain("render", workload, "--platform", platform, *required, *words)


OWNED = {
    "checkpoints": (
        *("--save_checkpoint=x", "--save_checkpoint_to_hub=x", "--policy.push_to_hub=x", "--policy.repo_id=x"),
        "--output_dir=x",
    ),
    "renames of a new policy": ('--rename_map={"observation.image": "observation.images.top"}',),
    "numbers": ("--batch_size=0", "--num_workers=-1", "--policy.optimizer_lr=1e-5,", "--steps=10"),
    "another device": ("--policy.device=gpu",),
}
"""What robotrain decides itself, or has an option of another name for."""
MISPLACED = ("--wandb=true", "--wandb=false", '--policy={"device": "cpu"}', '--wandb={"enable": true}', "--lr=x")
"""Options before the dashes."""


@pytest.mark.parametrize(
    ("words", "code"),
    [
        *((words, "option-owned") for words in OWNED.values()),
        *(((option,), "option-elsewhere") for option in MISPLACED),
    ],
    ids=[*OWNED, *MISPLACED],
)
def test_options_of_robotrain_are_named_in_place_of_lerobots(robotrain: Any, words: tuple[str, ...], code: str) -> None:
    answer = explain_options(robotrain, "--", *words)
    answer.check_problems(2, *(f"{code} after -- {word.partition('=')[0]}" for word in words))


def test_an_option_of_robotrain_after_the_dashes_is_one_problem(robotrain: Any) -> None:
    for words in (["--json"], ["--profile", "lab"], ["--set=batch_size=8"]):
        answer = explain_options(robotrain, "--json", "--", "--policy.n_action_steps=8", *words)
        (problem,) = answer.json["problems"]
        assert problem["code"] == "option-elsewhere"
        assert problem["instead"][0]["text"] == words[0].partition("=")[0]


@pytest.mark.parametrize("words", REFUSED, ids=" ".join)
def test_what_lerobot_would_refuse_later_is_refused_at_once(words: list[str]) -> None:
    check_problems(find_problems(*words), f"{ERROR} -- {words[-1].partition('=')[0]}")


@pytest.mark.parametrize(
    ("kind", "option"),
    [
        ("pi0", "--policy.dtype=bf16"),
        ("pi0", "--policy.dtype=float16"),
        ("smolvla", "--policy.dtype=bfloat16"),
        ("smolvla", "--policy.chunk_size=10"),
        ("pi05", "--policy.n_action_steps=51"),
        ("smolvla", "--peft.method_type=LORA"),
        ("multi_task_dit", "--policy.num_heads=7"),
        ("molmoact2", "--policy.train_action_expert_only=true"),
        ("lingbot_va", "--policy.attn_mode=flashattn"),
        ("diffusion", "--policy.crop_shape=(48, 48)"),
        ("smolvla", "--policy.resize_imgs_with_padding=512"),
        ("act", "--dataset.episodes=3"),
        ("act", "--dataset.image_transforms=true"),
        ("act", "--optimizer=adam"),
        ("act", "--eval=1"),
        ("act", "--eval=false"),
    ],
)
def test_option_that_the_type_does_not_take_is_refused_with_the_one_that_it_takes(kind: str, option: str) -> None:
    check_problems(find_problems(option, kind=kind), f"{ERROR} -- {option.partition('=')[0]}")


@pytest.mark.parametrize("option", ["--policy.dtype=auto", "--policy.dtype=bfloat16"])
def test_number_format_that_a_type_takes_is_taken(option: str) -> None:
    assert find_problems(option, kind="eo1", training_steps=1000) == []


def test_adapter_of_a_policy_to_start_from_is_taken() -> None:
    assert find_problems("--peft.method_type=LORA", kind="smolvla", start=START, training_steps=1000) == []


@pytest.mark.parametrize(
    ("kind", "steps", "options", "is_noted"),
    [
        ("smolvla", 30_001, (), True),
        ("smolvla", 30_000, (), False),
        ("pi05", 100_000, (), True),
        ("pi05", 100_000, ("--policy.scheduler_decay_steps=100000",), False),
        ("pi05", 100_000, ("--use_policy_training_preset=false", "--optimizer.type=adam"), False),
        ("act", 100_000, (), False),
        ("molmoact2", 100_000, (), False),
    ],
)
def test_a_rate_that_decays_to_its_end_long_before_the_training_ends_is_noted(kind, steps, options, is_noted) -> None:
    notes = [
        problem for problem in find_problems(*options, kind=kind, training_steps=steps) if problem.severity == "note"
    ]
    assert [note.suggestions[0].text for note in notes] == (
        [f"-- --policy.scheduler_decay_steps={steps}"] if is_noted else []
    )


@pytest.mark.parametrize(
    "words",
    [
        ("--policy-type", "SmolVLA"),
        ("--policy-type", "GR00T"),
        ("--policy-type", "sarm"),
        ("--reward-model", "smolvla"),
    ],
    ids=" ".join,
)
def test_wrong_type_is_answered_with_the_one_that_is_meant(robotrain: Any, words: tuple[str, ...]) -> None:
    explain_options(robotrain, *words).check_problems(2, f"value-invalid {words[0]}")


WARM_UP = {"lr_warmup_steps": 5}
IDLE: list[tuple[list[str], dict[str, Any], bool]] = [
    # options that LeRobot takes, and whether it does not use them
    (["--eval.n_episodes=3", "--env.type=pusht"], {}, True),
    (["--optimizer.type=sgd"], {}, True),
    (["--scheduler.type=diffuser"], {}, True),
    (["--scheduler.type=diffuser"], WARM_UP, False),  # without a warm-up of its own act has none
    (["--scheduler.type=diffuser"], {"kind": "diffusion", **WARM_UP}, True),
    (["--use_policy_training_preset=false", "--optimizer.type=sgd", "--scheduler.type=diffuser"], {}, False),
]


@pytest.mark.parametrize(("words", "parameters", "is_idle"), IDLE)
def test_options_that_change_nothing_are_named(words: list[str], parameters: dict[str, Any], is_idle: bool) -> None:
    problems = find_problems(*words, **parameters)
    check_problems(problems, *["script-option-doubtful"] * is_idle)
    assert len(problems) == is_idle


def test_schedule_without_a_number_that_it_needs_is_refused() -> None:
    own = ["--use_policy_training_preset=false", "--optimizer.type=adam"]
    words = [*own, "--scheduler.type=cosine_annealing_with_warmup"]
    check_problems(find_problems(*words), f"{ERROR} --")
    assert find_problems(*words, **WARM_UP) == []


def test_schedule_may_do_without_a_warm_up() -> None:
    assert find_problems(kind="diffusion", lr_warmup_steps=0) == []


def test_what_lerobot_takes_is_taken(robotrain: Any) -> None:
    assert explain_options(robotrain, "--", *TAKEN[0], *TAKEN[8]).exit_code == 0
    assert [words for words in TAKEN if find_problems(*words)] == []


@pytest.mark.parametrize("words", [*BROKEN, *BROKEN_DIFFUSION, *BROKEN_TRAINING])
def test_options_that_do_not_fit_together_are_refused_before_submission(words: list[str]) -> None:
    kind = "diffusion" if "horizon" in words[0] else "act"
    check_problems(find_problems(*words, kind=kind), f"{ERROR} --")


def test_what_is_missing_is_offered_where_one_thing_can_be_meant() -> None:
    (problem,) = find_problems("--peft.r=16")
    assert problem.suggestions[0].text == "--policy-repo-id OWNER/NAME"
    own = ("--use_policy_training_preset=false", "--optimizer.type=adamw")
    (problem,) = find_problems(*own)
    assert problem.suggestions[0].text == SCHEDULE
    assert find_problems(*own, SCHEDULE) == []


def test_a_policy_to_start_from_has_defaults_of_its_own() -> None:
    assert find_problems("--policy.n_action_steps=200", kind=None, start=START) == []


@pytest.mark.parametrize("words", [["--policy.chunk_sise=3"], *BROKEN_TRAINING])
@pytest.mark.parametrize("platform", ["osmo", "azureml"])
def test_options_are_checked_for_clusters_too(robotrain: Any, platform: str, words: list[str]) -> None:
    answer = explain_options(robotrain, "--json", "--", *words, platform=platform)
    assert ERROR in [problem["code"] for problem in answer.json["problems"]]


def test_a_policy_of_an_unknown_type_may_have_the_options_of_any() -> None:
    assert find_problems("--policy.num_steps=5", kind=None, start=START) == []
    check_problems(find_problems("--policy.num_stepz=5", kind=None, start=START), f"{ERROR} -- --policy.num_stepz")


def test_choices_of_a_package_that_lerobot_is_to_import_are_not_known() -> None:
    problems = find_problems("--env.discover_packages_path=my_envs", "--env.type=mine", "--env.size=3")
    assert {problem.code for problem in problems} == {"script-option-doubtful"}, "no effect on a training"


def test_an_evaluation_checks_its_policys_options() -> None:
    def check(word: str) -> Any:
        return check_job(LEROBOT_EVAL, START, args=[word], env="pusht")

    assert check("--policy.n_action_steps=4") == []
    check_problems(check("--policy.n_action_stepz=4"), f"{ERROR} -- --policy.n_action_stepz")


def test_a_secret_is_not_repeated(robotrain: Any) -> None:
    secret = "hf_" + "a" * 34
    answer = explain_options(robotrain, "--", f"--policy.chunk_sise={secret}")
    assert answer.exit_code == 2
    assert secret not in answer.stderr + answer.stdout


@pytest.mark.parametrize(
    ("kind", "flags"),
    [
        ("pi0", ["--gradient-checkpointing"]),
        ("act", ["--gradient-checkpointing"]),
        ("smolvla", ["--train-expert-only", "false"]),
        ("act", ["--freeze-vision-encoder"]),
        ("molmoact2", ["--lora"]),
        ("act", ["--dtype", "bfloat16"]),
        ("act", ["--ema"]),
        ("act", ["--fsdp", "2"]),
    ],
)
def test_a_flag_that_nobody_has_is_answered_with_the_options_of_the_type(
    robotrain: Any, kind: str, flags: list[str]
) -> None:
    explain_options(robotrain, "--policy-type", kind, *flags).check_problems(2, f"option-unknown {flags[0]}")


@pytest.mark.slow
@pytest.mark.long
def test_lerobots_own_parser_agrees_and_the_data_kept_here_are_its_own(training_python: Path, tmp_path: Path) -> None:
    """`.ci/export_lerobot.py` says how to make them again."""
    lerobot = versions.get_version()
    for name in ("notes.json", "train.txt"):
        shutil.copy(lerobot.folder / name, tmp_path)
    act = ["--policy.type=act"]
    refused = [[*act, *words] for words in [*REFUSED, *BROKEN]]
    refused += [["--policy.type=diffusion", *words] for words in BROKEN_DIFFUSION]
    lists = refused + [[*act, *words] for words in TAKEN]
    program = Path(__file__).with_name("lerobot_parser.py")
    request = json.dumps({"folder": str(tmp_path), "lists": lists})
    environ = {**os.environ, "HF_HUB_OFFLINE": "1"}
    done = subprocess.run([training_python, program], input=request, env=environ, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for name in ("options.json", "index.json"):
        assert (tmp_path / name).read_text() == (lerobot.folder / name).read_text()
    answers = json.loads(done.stdout.splitlines()[-1])
    refusals, rest = answers[: len(refused)], answers[len(refused) :]
    assert [words for words, verdict in zip(refused, refusals, strict=True) if not verdict] == []
    assert {str(words): verdict for words, verdict in zip(TAKEN, rest, strict=True) if verdict} == {}
