"""Lines of `lerobot-train` drawn at random: types, datasets, robotrain's flags, and options of the trees."""

import json
import random
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lines import HERE, Line, make_line
from robotrain_workloads.lerobot import versions
from robotrain_workloads.lerobot_options.option_tree import OptionTree, list_choices, load_option_tree
from robotrain_workloads.lerobot_train.parameters import OWNED_OPTIONS

sys.path.append(str(HERE.parents[1] / "tests/workloads"))
from policy_trials import TRIALS, PolicyTrial

COMMIT = "0" * 40
OLDER = "0.6.0"
NEEDED = {
    "vqbet": ("crop_shape",),
    "xvla": ("florence_config", "action_mode", "max_action_dim"),
    "fastwam": (
        *("base_model_id", "action_dim", "proprio_dim", "action_horizon", "n_action_steps", "num_video_frames"),
        *("action_video_freq_ratio", "image_size", "video_dit_config", "action_dit_config"),
    ),
    "lingbot_va": ("obs_cam_keys", "used_action_channel_ids"),
    "sarm": ("image_key",),
}
"""The options of a trial without which its type cannot learn from its dataset; without the others, sizes are usual."""
OTHER_DATA = {
    "act": ("pusht-camera", "two-cameras", "reward"),
    "diffusion": ("pusht-mini", "two-cameras"),
    **dict.fromkeys(("smolvla", "pi0", "pi05", "evo1", "eo1", "groot", "multi_task_dit"), ("two-cameras", "reward")),
}
WORDS = {
    "vision_backbone": ("resnet18", "resnet34", "resnet50"),
    "pretrained_backbone_weights": ("null", "ResNet18_Weights.IMAGENET1K_V1"),
    "feedforward_activation": ("relu", "gelu"),
    "noise_scheduler_type": ("DDPM", "DDIM"),
    "prediction_type": ("epsilon", "sample"),
    "beta_schedule": ("squaredcos_cap_v2", "linear"),
    "scheduler_name": ("cosine", "linear", "constant_with_warmup"),
    "dtype": ("bfloat16", "float32"),
    "compile_mode": ("default", "reduce-overhead"),
    "license": ("apache-2.0", "mit"),
    "tags": ("[pusht]", '["a", "b"]'),
    "integration_method": ("euler", "rk4"),
    "timestep_sampling_strategy": ("beta", "uniform"),
    "objective": ("diffusion", "flow_matching"),
    "paligemma_variant": ("gemma_2b", "gemma_300m"),
    "action_expert_variant": ("gemma_300m",),
    "down_dims": ("[256,512]", "(256, 512, 1024)", "[128, 256]"),
    "optimizer_betas": ("[0.9,0.95]", "(0.9, 0.999)", "[0.95, 0.999]"),
    "crop_shape": ("[56,56]", "(48, 48)", "null"),
    "resize_shape": ("[48,48]", "null"),
    "resize_imgs_with_padding": ("[512,512]", "(224, 224)", "[256, 256]"),
    "image_resolution": ("[224,224]",),
    "temporal_ensemble_coeff": ("null",),
    "tokenizer_padding_side": ("right",),
    "normalization_mapping": ('{"VISUAL": "MEAN_STD", "STATE": "MIN_MAX", "ACTION": "MIN_MAX"}',),
}
"""Values of options that are texts or lists, by name; others have their default."""
GENERAL = (
    *("--dataset.episodes=[0,1,2]", "--dataset.episodes=[0, 3, 1]", "--dataset.image_transforms.enable=true"),
    *("--dataset.image_transforms.max_num_transforms=2", "--dataset.image_transforms.random_order=True"),
    *("--dataset.video_backend=pyav", "--dataset.return_uint8=false", "--dataset.streaming=false"),
    *("--tolerance_s=1e-3", "--tolerance_s=0.02", "--cudnn_deterministic=true", "--prefetch_factor=2"),
    *("--persistent_workers=false", "--dataloader_multiprocessing_context=fork", "--wandb.notes=first try"),
    *("--dataloader_multiprocessing_context=null", "--max_eval_samples=100", "--wandb.disable_artifact=true"),
    *("--wandb.entity=lab", "--wandb.add_tags=false", "--eval.n_episodes=10", "--eval.batch_size=2"),
    *("--eval.use_async_envs=false", "--dataset.repo_type=dataset", "--dataset.episodes=null"),
)
PRESET_OFF = (
    ("--use_policy_training_preset=false", "--optimizer.type=adamw", "--scheduler.type=constant_with_warmup"),
    ("--use_policy_training_preset=false", "--optimizer.type=sgd", "--scheduler.type=diffuser"),
    ("--use_policy_training_preset=False", "--optimizer.type=adam", "--scheduler.type=diffuser"),
)
PEFT = (
    ("--peft.method_type=LORA", "--peft.r=8"),
    ("--peft.r=16", "--peft.lora_alpha=32"),
    ("--peft.method_type=LORA", "--peft.r=4", "--peft.target_modules=all-linear"),
)
FLAGS = (
    *(("--batch-size", "8"), ("--batch-size", "64"), ("--steps", "200"), ("--training-steps", "20000")),
    *(("--save-freq", "500"), ("--lr", "3e-5"), ("--learning-rate", "0.0001"), ("--val-split", "0.25")),
    *(("--no-val-split",), ("--eval-freq", "0"), ("--eval-freq", "250"), ("--seed", "7"), ("--num-workers", "0")),
    *(("--log-freq", "10"), ("--device", "cpu"), ("--device", "cuda"), ("--mixed-precision", "bf16")),
    *(("--mixed-precision", "no"), ("--image-normalization", "dataset"), ("--job-name", "first-try")),
    *(("--experiment-name", "cups"), ("--lr-warmup-steps", "100"), ("--num-gpus", "2"), ("--allow-non-finite",)),
)


@dataclass(frozen=True)
class Base:
    """A training that works, to which options are added."""

    trial: PolicyTrial
    dataset: str
    words: tuple[str, ...]
    options: tuple[str, ...]
    version: str = ""
    is_start: bool = False

    @property
    def prefix(self) -> str:
        """What the names of the type's options begin with."""
        return "reward_model" if self.trial.reward_model else "policy"

    def make_line(self, flags: Sequence[str] = (), options: Sequence[str] = (), kind: str = "lerobot-train") -> Line:
        """Return a line with further flags and options; an option replaces the one of its name."""
        names = {option.partition("=")[0].partition(" ")[0] for option in options}
        kept = [option for option in self.options if option.partition("=")[0] not in names]
        return make_line(kind, (*self.words, *flags), (*kept, *options))


def list_bases(version: str = "") -> Iterator[Base]:
    """Yield new trainings of each type on each dataset that fits, and fine-tunings of it."""
    for trial in TRIALS:
        if not trial.stages:
            continue
        first = {"reward-small": "reward"}.get(trial.dataset, trial.dataset)
        needed = NEEDED.get(trial.type, ())
        options = tuple(one for one in trial.options if one.partition("=")[0].rpartition(".")[2] in needed)
        if trial.type == "xvla":
            options = tuple(one for one in options if "action_steps" not in one)
        for dataset in (first, *OTHER_DATA.get(trial.type, ())):
            flag = "--reward-model" if trial.reward_model else "--policy-type"
            words: tuple[str, ...] = (flag, trial.type, "--dataset-path", dataset)
            for name in trial.trusted:
                words += ("--trust-remote-code", f"{name}@{COMMIT}")
            if version:
                words += ("--lerobot-version", version)
            yield Base(trial, dataset, words, options, version)
            if dataset == first and trial.type != "molmoact2":
                yield Base(trial, dataset, (*words, "--policy-path", f"starts/{trial.type}"), (), version, True)


def draw_line(base: Base, chance: random.Random) -> Line:
    """Return a line with some flags of robotrain and options of LeRobot, of values of their kind."""
    flags = {one[0]: one for one in chance.sample(FLAGS, chance.randint(0, 3))}
    if base.trial.type in ("lingbot_va", "fastwam", "vla_jepa", "molmoact2") or base.trial.reward_model:
        flags = {name: one for name, one in flags.items() if name not in ("--mixed-precision", "--lr-warmup-steps")}
    options = {}
    fields = list_fields(base.trial.type, base.prefix, base.version)
    lerobot = versions.get_version(base.version or None)
    fixed = lerobot.get_network_options(base.trial.type).shapes if base.is_start else ()  # no weights would fit
    fields = {name: one for name, one in fields.items() if name not in (*NEEDED.get(base.trial.type, ()), *fixed)}
    for name in chance.sample(sorted(fields), min(len(fields), chance.randint(1, 4))):
        if (value := draw_value(name, fields[name], chance)) is not None:
            options[f"--{base.prefix}.{name}"] = value
    for one in chance.sample(GENERAL, chance.randint(0, 2)):
        name, _, value = one.partition("=")
        options[name] = value
    extra: tuple[str, ...] = ()
    if chance.random() < 0.06:
        extra = chance.choice(PRESET_OFF)
    elif base.is_start and not base.trial.reward_model and chance.random() < 0.25:
        extra = chance.choice(PEFT)
    written = []
    for name, value in options.items():
        written += [name, value] if chance.random() < 0.15 and not value.startswith("-") else [f"{name}={value}"]
    return base.make_line([word for one in flags.values() for word in one], (*written, *extra))


def list_fields(kind: str, prefix: str, version: str = "") -> dict[str, Sequence[Any]]:
    """Return the options of a type that a user may set, each with kind and default."""
    tree: OptionTree = load_option_tree(version or None)
    classes = list_choices(tree.classes[tree.root][prefix][0])
    repositories = (
        versions.get_version(version or None)
        .get_types(versions.REWARD_MODELS if prefix == "reward_model" else versions.POLICIES)[kind]
        .repositories
    )
    naming = {option for one in repositories.values() for option in (*one.options, one.revision_option)}
    skipped = {"device", "input_features", "output_features", "repo_id", "private", "use_peft", *naming}
    return {
        name: field
        for name, field in tree.classes[classes[kind]].items()
        if name not in skipped and f"--{prefix}.{name}" not in OWNED_OPTIONS
    }


def draw_value(name: str, field: Sequence[Any], chance: random.Random) -> str | None:
    """Return a value of an option's kind near its default, in one of the ways that people write it."""
    kind, *default = field
    if name in WORDS:
        return chance.choice(WORDS[name])
    kinds = [one for one in (kind["any of"] if isinstance(kind, dict) and "any of" in kind else [kind])]
    if any(isinstance(one, dict) and "one of" in one for one in kinds):
        return chance.choice(next(one["one of"] for one in kinds if isinstance(one, dict) and "one of" in one))
    if not default:
        return None
    (usual,) = default
    if isinstance(usual, bool):
        return chance.choice(("true", "false", "True", "False"))
    if isinstance(usual, int):
        return str(chance.choice((usual, usual, 2 * usual, max(1, usual // 2)) if usual > 0 else (usual,)))
    if isinstance(usual, float):
        return draw_number(usual, chance)
    if isinstance(usual, list):
        return json.dumps(usual) if chance.random() < 0.5 else f"({', '.join(map(str, usual))})"
    return usual if isinstance(usual, str) and usual and len(usual) < 30 else None


def draw_number(usual: float, chance: random.Random) -> str:
    """Return a number near the usual one."""
    number = usual * chance.choice((1, 1, 0.5, 2 if abs(usual) < 0.5 else 1))
    return chance.choice((f"{number:g}", repr(number), f"{number:.2e}"))


def group_by_type(bases: Sequence[Base]) -> Mapping[str, list[Base]]:
    """Return the trainings of each type."""
    found: dict[str, list[Base]] = {}
    for base in bases:
        found.setdefault(base.trial.type, []).append(base)
    return found
