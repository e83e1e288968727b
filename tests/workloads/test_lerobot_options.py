"""Options of LeRobot's trainer after `--`: what it would refuse on the machine of the job is refused here."""

import json
import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from robotrain_workloads.lerobot import versions
from robotrain_workloads.lerobot.trained_model import TrainedModel
from robotrain_workloads.lerobot_options import option_tree
from robotrain_workloads.lerobot_options.option_rules import find_problems
from robotrain_workloads.lerobot_options.option_tree import find_option_problems

ERROR = "script-option-invalid"
ACT = TrainedModel(versions.get_version(), versions.POLICIES, "act")

REFUSED = [
    (["--policy.chunk_sise=3"], "no option --policy.chunk_sise", "--policy.chunk_size=3"),
    (["--policy.chunk_size=two"], "--policy.chunk_size does not take 'two'", None),
    (["--policy.num_inference_steps=2"], "'s act has no option", "leave out --policy.num_inference_steps"),
    (["--chunk_size=3"], "no option --chunk_size", "--policy.chunk_size=3"),
    (["--wandb.enabl=true"], "no option --wandb.enabl", "--wandb"),
    (["--dataset.image_transforms.enabel=true"], "no option", "--dataset.image_transforms.enable=true"),
    (["--optimizer.type=adamq"], "--optimizer.type does not take 'adamq'", "--optimizer.type=adam"),
    (["--optimizer.type=adamw", "--optimizer.momentum=0.9"], "no option --optimizer.momentum", None),
    (["hello"], "'hello' is not an option", None),
]
BROKEN = [
    (["--policy.chunk_size=16"], "100 for n_action_steps and 16 for chunk_size", "--policy.n_action_steps=16"),
    (["--policy.chunk_size", "8", "--policy.n_action_steps", "9"], "8 for chunk_size", "--policy.n_action_steps=8"),
    (["--policy.temporal_ensemble_coeff=0.01"], "n_action_steps is 100 by default", "--policy.n_action_steps=1"),
    (["--policy.n_obs_steps=2"], "nobs_steps=2", "--policy.n_obs_steps=1"),
    (["--dataset.episodes=[1,1]"], "Episode indices contain duplicates.", "'--dataset.episodes=[1]'"),
    (["--dataset.repo_type=bucket"], "set streaming=true", "--dataset.repo_type=dataset"),
    (["--eval.recording_repo_id=a/b"], "eval.recording=true", "--eval.recording=true"),
]
"""Options that LeRobot's parser refuses together."""
BROKEN_DIFFUSION = [
    (["--policy.horizon=18", "--policy.n_action_steps=8"], "an integer multiple", "--policy.horizon=16"),
    (["--policy.horizon=6", "--policy.n_action_steps=2", "--policy.down_dims=[32,64]"], "32, 64", "--policy.horizon=8"),
    (
        ["--policy.horizon=16", "--policy.n_action_steps=8", "--policy.crop_ratio=2"],
        "in (0, 1]",
        "--policy.crop_ratio=1.0",
    ),
]
BROKEN_TRAINING = [
    (["--peft.r=16"], "Supply a policy.pretrained_path", None),
    (["--use_policy_training_preset=false"], "must be set", "--use_policy_training_preset=true"),
    (
        ["--use_policy_training_preset=false", "--optimizer.type=adamw"],
        "Optimizer and Scheduler must be set",
        "--scheduler.type=constant_with_warmup",
    ),
    (["--sample_weighting.type=rabb"], "Unknown sample weighting type", "--sample_weighting.type=rabc"),
]
"""Options that LeRobot's parser takes, and its trainer refuses."""
TAKEN = [
    ["--policy.chunk_size=16", "--policy.n_action_steps=16"],
    ["--policy.use_vae=false", "--policy.dropout=0", "--policy.kl_weight=1e-3"],
    ["--policy.temporal_ensemble_coeff=null"],
    ["--policy.temporal_ensemble_coeff=0.01", "--policy.n_action_steps=1"],
    ["--policy.kl_weight=.inf", "--tolerance_s=1_0"],
    ["--dataset.episodes=[0, 1]", "--dataset.video_backend=pyav"],
    ["--dataset.image_transforms.enable=true", "--dataset.image_transforms.max_num_transforms=2"],
    ["--use_policy_training_preset=false", "--optimizer.type=adamw", "--scheduler.type=constant_with_warmup"],
    ["--wandb.notes=first", "--cudnn_deterministic=true", "--tolerance_s", "0.1", "--prefetch_factor=2"],
]


def explain_options(robotrain: Any, *words: str, workload: str = "lerobot-train", platform: str = "local") -> Any:
    given = ("--dataset-repo-id", "lerobot/pusht") if workload == "lerobot-train" else ("--env", "pusht")
    return robotrain("render", workload, "--platform", platform, "--json", *given, *words)


def test_options_that_decide_over_checkpoints_are_robotrains(robotrain: Any) -> None:
    others = ("--policy.push_to_hub", "--policy.repo_id", "--output_dir")
    for option in ("--save_checkpoint", "--save_checkpoint_to_hub", *others):
        (problem,) = explain_options(robotrain, "--", f"{option}=x").json["problems"]
        assert (problem["code"], option in problem["title"]) == ("trainer-arg-owned", True), option


def test_renames_after_the_dashes_are_left_out_of_a_new_policy_and_moved_for_a_start(robotrain: Any) -> None:
    option = '--rename_map={"observation.image": "observation.images.top"}'
    (new,) = explain_options(robotrain, "--", option).json["problems"]
    assert (new["code"], new["instead"][0]["text"]) == ("trainer-arg-owned", "leave out --rename_map")
    start = explain_options(robotrain, "--policy-repo-id", "me/act", "--", option)
    texts = [one["instead"][0]["text"] for one in start.json["problems"] if one["code"] == "trainer-arg-owned"]
    assert texts == ["--rename observation.image=observation.images.top"]


def test_an_option_of_robotrain_after_the_dashes_is_one_problem(robotrain: Any) -> None:
    for words in (["--json"], ["--profile", "lab"], ["--set=batch_size=8"]):
        (problem,) = explain_options(robotrain, "--", "--policy.n_action_steps=8", *words).json["problems"]
        assert problem["code"] == "trainer-arg-misplaced"
        moved = " ".join(words).replace("--set=", "--set ")
        assert problem["instead"][0] == {"text": moved, "remark": "before --", "replaces": moved.split()[0]}


@pytest.mark.parametrize(("words", "title", "instead"), REFUSED)
def test_what_lerobot_would_refuse_later_is_refused_at_once(
    robotrain: Any, words: list[str], title: str, instead: str | None
) -> None:
    given = explain_options(robotrain, "--", *words)
    (problem,) = given.json["problems"]
    assert (given.exit_code, problem["code"]) == (2, ERROR)
    assert title in problem["title"]
    assert [way["text"] for way in problem["instead"]] == ([instead] if instead else [])
    if words == ["--policy.chunk_size=two"]:
        assert problem["why"] == "It takes a whole number. The default is 100."


@pytest.mark.parametrize(
    ("policy_type", "option", "title", "instead"),
    [
        ("pi0", "--policy.dtype=bf16", "pi0 does not take --policy.dtype=bf16", ["--policy.dtype=bfloat16"]),
        ("pi0", "--policy.dtype=float16", "pi0 does not take --policy.dtype=float16", []),
        ("smolvla", "--policy.dtype=bfloat16", "smolvla has no option --policy.dtype", ["--mixed-precision bf16"]),
        ("smolvla", "--policy.chunk_size=10", "smolvla does not take", ["--policy.n_action_steps=10"]),
        ("pi05", "--policy.n_action_steps=51", "pi05 does not take", ["--policy.n_action_steps=50"]),
        ("smolvla", "--peft.method_type=LORA", "does not take", ["--policy-repo-id OWNER/NAME"]),
        ("multi_task_dit", "--policy.num_heads=7", "does not take", ["--policy.num_heads=8"]),
        ("molmoact2", "--policy.train_action_expert_only=true", "does not take", ["--policy.action_mode=continuous"]),
        ("lingbot_va", "--policy.attn_mode=flashattn", "does not take", ["--policy.attn_mode=torch"]),
        ("diffusion", "--policy.crop_shape=(48, 48)", "does not take '(48, 48)'", ["--policy.crop_shape=[48,48]"]),
        ("smolvla", "--policy.resize_imgs_with_padding=512", "", ["--policy.resize_imgs_with_padding=[512,512]"]),
        ("act", "--dataset.episodes=3", "does not take '3'", ["--dataset.episodes=[3]"]),
        ("act", "--dataset.video_backend=torchcodec", "does not take", ["--dataset.video_backend=pyav"]),
    ],
)
def test_option_that_the_type_does_not_take_is_refused_with_the_one_that_it_takes(
    robotrain: Any, policy_type: str, option: str, title: str, instead: list[str]
) -> None:
    given = explain_options(robotrain, "--policy-type", policy_type, "--", option)
    (problem,) = (one for one in given.json["problems"] if one["severity"] == "error")
    assert (given.exit_code, problem["code"]) == (2, ERROR)
    assert title in problem["title"]
    assert [way["text"] for way in problem["instead"]] == instead


@pytest.mark.parametrize("option", ["--policy.dtype=auto", "--policy.dtype=bfloat16"])
def test_number_format_that_a_type_takes_is_taken(option: str) -> None:
    model = TrainedModel(versions.get_version(), versions.POLICIES, "eo1")
    assert list(find_problems([option], model, {}, starts=False)) == []


def test_adapter_of_a_policy_to_start_from_is_taken() -> None:
    model = TrainedModel(versions.get_version(), versions.POLICIES, "smolvla")
    assert list(find_problems(["--peft.method_type=LORA"], model, None, starts=True)) == []


@pytest.mark.parametrize(
    ("words", "instead"),
    [
        (("--policy-type", "SmolVLA"), "--policy-type smolvla"),
        (("--policy-type", "GR00T"), "--policy-type groot"),
        (("--policy-type", "sarm"), "--reward-model sarm"),
        (("--reward-model", "smolvla"), "--policy-type smolvla"),
    ],
)
def test_wrong_type_is_answered_with_the_one_that_is_meant(
    robotrain: Any, words: tuple[str, ...], instead: str
) -> None:
    (problem,) = explain_options(robotrain, *words).json["problems"]
    assert problem["instead"][0]["text"] == instead


@pytest.mark.parametrize(
    ("option", "instead"),
    [
        ("--dataset.image_transforms=true", ["--dataset.image_transforms.enable=true"]),
        ("--optimizer=adam", ["--optimizer.type=adam"]),
        ("--eval=1", []),
        ("--eval=false", []),
    ],
)
def test_group_of_options_has_no_value(robotrain: Any, option: str, instead: list[str]) -> None:
    (problem,) = explain_options(robotrain, "--", option).json["problems"]
    assert "It is a group of options" in problem["why"]
    assert [way["text"] for way in problem["instead"]] == instead
    for words in (["--dataset.image_transforms={enable: true}"], ["--peft=null"], ["--rename_map={}"]):
        assert list(find_option_problems(words, {"policy": "act"}, {})) == []


@pytest.mark.parametrize(("option", "instead"), [("--wandb=true", "--wandb"), ("--wandb=false", "--no-wandb")])
def test_switch_of_robotrain_after_the_dashes_is_one_before_them(robotrain: Any, option: str, instead: str) -> None:
    (problem,) = explain_options(robotrain, "--", option).json["problems"]
    assert [way["text"] for way in problem["instead"]] == [instead]


@pytest.mark.parametrize(
    ("option", "instead"),
    [
        ('--policy={"device": "cpu"}', "--policy TYPE"),
        ('--wandb={"enable": true}', "--wandb"),
        ("--lr=x", "--lr FLOAT"),
    ],
)
def test_value_that_an_option_before_the_dashes_refuses_is_not_repeated(
    robotrain: Any, option: str, instead: str
) -> None:
    (problem,) = explain_options(robotrain, "--", option).json["problems"]
    assert [way["text"] for way in problem["instead"]] == [instead]


IDLE = [
    # options that LeRobot takes and does not use, and what is suggested; empty if they count
    (("--", "--eval.n_episodes=3", "--env.type=pusht"), "leave out --eval.n_episodes and --env.type"),
    (("--", "--optimizer.type=sgd"), "-- --use_policy_training_preset=false --scheduler.type=TYPE"),
    (("--", "--scheduler.type=diffuser"), "-- --use_policy_training_preset=false --optimizer.type=TYPE"),
    (("--lr-warmup-steps", "5", "--", "--scheduler.type=diffuser"), ""),  # without a warm-up of its own act has none
    (("-p", "diffusion", "--lr-warmup-steps", "5", "--", "--scheduler.type=diffuser"), "optimizer.type=TYPE"),
    (("--", "--use_policy_training_preset=false", "--optimizer.type=sgd", "--scheduler.type=diffuser"), ""),
]


@pytest.mark.parametrize(("words", "way"), IDLE)
def test_options_that_change_nothing_are_named(robotrain: Any, words: tuple[str, ...], way: str) -> None:
    answer = explain_options(robotrain, *words)
    assert ("[script-option-doubtful]" in answer.stderr, way in answer.stderr) == (bool(way), True), answer.stderr


def test_schedule_without_a_number_that_it_needs_is_refused(robotrain: Any) -> None:
    own = ["--use_policy_training_preset=false", "--optimizer.type=adam"]
    line = ["--", *own, "--scheduler.type=cosine_annealing_with_warmup"]
    (problem,) = explain_options(robotrain, *line).json["problems"]
    assert problem["title"].endswith("needs --lr-warmup-steps")
    assert [way["text"] for way in problem["instead"]] == ["--lr-warmup-steps N"]
    assert explain_options(robotrain, "--lr-warmup-steps", "5", *line).exit_code == 0


@pytest.mark.parametrize(
    ("option", "instead"),
    [
        ("--batch_size=0", "--batch-size INT"),
        ("--num_workers=-1", "--num-workers INT"),
        ("--policy.optimizer_lr=1e-5,", "--learning-rate FLOAT"),
        ("--steps=10", "--training-steps 10"),
    ],
)
def test_number_that_robotrain_would_refuse_is_not_repeated(robotrain: Any, option: str, instead: str) -> None:
    (problem,) = explain_options(robotrain, "--", option).json["problems"]
    assert [way["text"] for way in problem["instead"]] == [instead]


def test_another_first_letter_is_another_device(robotrain: Any) -> None:
    (problem,) = explain_options(robotrain, "--", "--policy.device=gpu").json["problems"]
    assert problem["instead"][0]["text"] == "--device auto"


def test_schedule_may_do_without_a_warm_up(robotrain: Any) -> None:
    assert explain_options(robotrain, "--policy-type", "diffusion", "--lr-warmup-steps", "0").exit_code == 0


def test_what_lerobot_takes_is_taken(robotrain: Any) -> None:
    assert explain_options(robotrain, "--", *TAKEN[0], *TAKEN[-1]).exit_code == 0
    for words in TAKEN:
        assert list(find_option_problems(words, {"policy": "act"}, {})) == []
        assert list(find_problems(words, ACT, {}, starts=False)) == []


@pytest.mark.parametrize(("words", "why", "instead"), [*BROKEN, *BROKEN_DIFFUSION, *BROKEN_TRAINING])
def test_options_that_do_not_fit_together_are_refused_before_submission(
    robotrain: Any, words: list[str], why: str, instead: str | None
) -> None:
    policy = ("--policy-type", "diffusion") if "horizon" in words[0] else ()
    given = explain_options(robotrain, *policy, "--", *words)
    (problem,) = given.json["problems"]
    assert (given.exit_code, problem["code"]) == (2, ERROR)
    assert why in problem["why"]
    assert [way["text"] for way in problem["instead"]] == [instead or "--policy-repo-id OWNER/NAME"]
    if instead:
        assert explain_options(robotrain, *policy, "--", *words, *shlex.split(instead)).exit_code == 0


def test_more_action_steps_than_diffusion_predicts_are_doubtful(robotrain: Any) -> None:
    given = explain_options(robotrain, "--policy-type", "diffusion", "--", "--policy.horizon=16")
    assert given.exit_code == 0
    assert "which is 15" in given.stderr
    assert "--policy.n_action_steps=15" in given.stderr
    words = ("--policy-type", "diffusion", "--", "--policy.horizon=16", "--policy.n_action_steps=15")
    fitting = explain_options(robotrain, *words)
    assert (fitting.exit_code, "n_action_steps" in fitting.stderr) == (0, False)


def test_a_policy_to_start_from_has_defaults_of_its_own(robotrain: Any) -> None:
    start = ("--policy-repo-id", "me/act", "--")
    assert explain_options(robotrain, *start, "--policy.n_action_steps=200").exit_code == 0
    both = explain_options(robotrain, *start, "--policy.n_action_steps=20", "--policy.chunk_size=10")
    assert [problem["code"] for problem in both.json["problems"]] == [ERROR]


@pytest.mark.parametrize("words", [["--policy.chunk_sise=3"], *(words for words, *_ in BROKEN_TRAINING)])
@pytest.mark.parametrize("platform", ["osmo", "azureml"])
def test_options_are_checked_for_clusters_too(robotrain: Any, platform: str, words: list[str]) -> None:
    given = explain_options(robotrain, "--", *words, platform=platform)
    assert ERROR in [problem["code"] for problem in given.json["problems"]]


def test_a_policy_of_an_unknown_type_may_have_the_options_of_any(robotrain: Any) -> None:
    start = ("--policy-repo-id", "lerobot/smolvla_base", "--")
    assert explain_options(robotrain, *start, "--policy.num_steps=5").exit_code == 0
    (problem,) = explain_options(robotrain, *start, "--policy.num_stepz=5").json["problems"]
    assert "no option --policy.num_stepz" in problem["title"]


def test_choices_of_a_package_that_lerobot_is_to_import_are_not_known() -> None:
    words = ["--env.discover_packages_path=my_envs", "--env.type=mine", "--env.size=3"]
    assert list(find_option_problems(words, {}, {})) == []


def test_an_evaluation_checks_its_policys_options(robotrain: Any) -> None:
    start = ("--policy-repo-id", "lerobot/diffusion_pusht", "--")
    assert explain_options(robotrain, *start, "--policy.n_action_steps=4", workload="lerobot-eval").exit_code == 0
    wrong = explain_options(robotrain, *start, "--policy.n_action_stepz=4", workload="lerobot-eval")
    (problem,) = wrong.json["problems"]
    assert problem["instead"][0]["text"] == "--policy.n_action_steps=4"


def test_a_secret_is_not_repeated(robotrain: Any) -> None:
    secret = "hf_" + "a" * 34
    given = explain_options(robotrain, "--", f"--policy.chunk_sise={secret}")
    assert given.exit_code == 2
    assert secret not in given.stderr + given.stdout


OTHER_VERSIONS = [
    ("diffusion", "0.6.0", "--policy.gradient_checkpointing=true", "LeRobot 0.6.1 has it.", "--lerobot-version 0.6.1"),
    ("act", "0.6.0", "--dataloader_multiprocessing_context=fork", "LeRobot 0.6.1 has it.", "--lerobot-version 0.6.1"),
    ("act", "0.6.1", "--ema.enable=true", "--ema.enable from the version after 0.6.1 on", None),
    ("act", "0.6.1", "--parallelism.dp_shard=2", "--parallelism.dp_shard from the version after", None),
    ("act", "0.6.1", "--gradient-accumulation-steps=4", "--accelerator.gradient_accumulation.steps from", None),
]


@pytest.mark.parametrize(("kind", "version", "option", "why", "instead"), OTHER_VERSIONS)
def test_an_option_of_another_version_names_it(
    robotrain: Any, kind: str, version: str, option: str, why: str, instead: str | None
) -> None:
    given = explain_options(robotrain, "--policy-type", kind, "--lerobot-version", version, "--", option)
    (problem,) = given.json["problems"]
    assert problem["title"].startswith(f"LeRobot {version} has no option {option.partition('=')[0]}")
    assert why in problem["why"]
    assert [way["text"] for way in problem["instead"]] == ([instead] if instead else [])
    if instead:
        fitting = explain_options(robotrain, "--policy-type", kind, *instead.split(), "--", option)
        assert fitting.exit_code == 0


def test_no_version_here_has_what_only_newer_ones_have() -> None:
    newer = json.loads((versions.FOLDER / "newer.json").read_text())
    for version in versions.list_versions():
        assert [name for name in newer["options"] if option_tree.has_option(name, {}, version.name)] == []
    assert {*newer["words"].values()} <= {*newer["options"]}
    assert newer["after"] == versions.get_version().name


@pytest.mark.parametrize(
    ("kind", "flags", "instead", "why"),
    [
        ("pi0", ["--gradient-checkpointing"], "-- --policy.gradient_checkpointing=true", ""),
        (
            "act",
            ["--gradient-checkpointing"],
            None,
            "act has no option --policy.gradient_checkpointing.",
        ),
        ("smolvla", ["--train-expert-only", "false"], "-- --policy.train_expert_only=false", ""),
        ("act", ["--freeze-vision-encoder"], None, "gaussian_actor, pi0, pi05, smolvla, xvla."),
        ("molmoact2", ["--lora"], "-- --policy.enable_lora_vlm=true", ""),
        ("act", ["--dtype", "bfloat16"], "--mixed-precision bf16", ""),
        ("act", ["--ema"], None, "LeRobot has --ema.enable from the version after 0.6.1 on"),
        ("act", ["--fsdp", "2"], None, "LeRobot has --parallelism.dp_shard from the version after 0.6.1 on"),
    ],
)
def test_a_flag_that_nobody_has_is_answered_with_the_options_of_the_type(
    robotrain: Any, kind: str, flags: list[str], instead: str | None, why: str
) -> None:
    (problem,) = explain_options(robotrain, "--policy-type", kind, *flags).json["problems"]
    assert [way["text"] for way in problem["instead"]] == ([instead] if instead else [])
    assert why in problem["why"]


def test_help_and_explain_list_the_options_of_a_type_once_it_is_chosen(robotrain: Any) -> None:
    plain = robotrain("submit", "--help").stdout
    assert "--policy.num_vlm_layers" not in plain
    chosen = robotrain("submit", "--policy-type", "smolvla", "--help").stdout
    assert re.search(r"--policy\.num_vlm_layers=INT +default: 16", chosen)
    assert "--policy.device" not in chosen
    older = ("--policy-type", "diffusion", "--lerobot-version", "0.6.0")
    assert "gradient_checkpointing" not in robotrain("submit", *older, "--help").stdout
    assert "gradient_checkpointing" in robotrain("submit", *older[:2], "--help").stdout
    words = ("explain", "--platform", "local", "--dataset-repo-id", "a/b")
    assert robotrain(*words, "--json").json["program_options"] == []
    listed = {one["name"]: one for one in robotrain(*words, *older[:2], "--json").json["program_options"]}
    assert listed["--policy.horizon"] == {"name": "--policy.horizon", "kind": "INT", "default": 64}
    assert "--policy.horizon=INT" in robotrain(*words, *older[:2]).stdout


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize("version", [one.name for one in versions.list_versions()])
def test_lerobots_own_parser_agrees_and_the_data_kept_here_are_its_own(
    environment_of: Any, tmp_path: Path, version: str
) -> None:
    """`.ci/export_lerobot.py` says how to make them again."""
    lerobot = versions.get_version(version)
    for name in ("notes.json", "train.txt"):
        shutil.copy(lerobot.folder / name, tmp_path)
    act = ["--policy.type=act"]
    refused = [[*act, *words] for words, _, _ in [*REFUSED, *BROKEN]]
    refused += [["--policy.type=diffusion", *words] for words, _, _ in BROKEN_DIFFUSION]
    refused += [[f"--policy.type={kind}", option] for kind, one, option, *_ in OTHER_VERSIONS if one == version]
    taken = TAKEN
    if version != versions.get_version().name:  # its parser takes seconds, and it takes abbreviated names
        refused = [words for words in refused[::8] if "--wandb.enabl=true" not in words]
        taken = TAKEN[::8]
    lists = refused + [[*act, *words] for words in taken]
    python = Path(environment_of(version)) / "bin/python"
    program = Path(__file__).with_name("lerobot_parser.py")
    given = json.dumps({"folder": str(tmp_path), "lists": lists})
    environ = {**os.environ, "HF_HUB_OFFLINE": "1"}
    done = subprocess.run([python, program], input=given, env=environ, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for name in ("options.json", "index.json"):
        assert (tmp_path / name).read_text() == (lerobot.folder / name).read_text()
    rules = versions.FOLDER / "rules" / f"{lerobot.folder.name}.json"
    assert (tmp_path.parent / "rules" / f"{tmp_path.name}.json").read_text() == rules.read_text()
    found = json.loads(done.stdout.splitlines()[-1])
    refusals, rest = found[: len(refused)], found[len(refused) :]
    assert [words for words, verdict in zip(refused, refusals, strict=True) if not verdict] == []
    assert {str(words): verdict for words, verdict in zip(taken, rest, strict=True) if verdict} == {}
