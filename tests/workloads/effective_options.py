"""Options that LeRobot trains with, given or by default: of a line of LeRobot's, and of a job of robotrain's."""

import re
from collections.abc import Mapping
from typing import Any

from robotrain_workloads.lerobot.options_list import OptionList

MODELS = ("policy", "reward_model")
"""What LeRobot trains; also what the names of its options begin with."""
PRECISION = "mixed_precision"
"""The name here of the number format, which several options of LeRobot and of its launcher decide."""
PRECISION_OF_TYPE = {"bfloat16": "bf16", "float16": "fp16", "float32": "no"}
"""The number format that LeRobot trains in, by `--policy.dtype`."""
AMP_FORMATS = {"cpu": "bf16"}
"""The number format of `--policy.use_amp=true`, by device; else `GPU_AMP_FORMAT`."""
GPU_AMP_FORMAT = "fp16"
AMP_SINCE = (0, 6, 1)
"""The first LeRobot whose trainer reads `--policy.use_amp`."""
PLACES = re.compile(
    r"dataset\.(?:repo_id|root|revision|video_backend)|output_dir|job_name|resume|config_path|tolerance_s"
    r"|(?:policy|reward_model)\.(?:device|use_amp|path|pretrained_path|pretrained_revision|push_to_hub|repo_id|private"
    r"|tags|license)"
    r"|save_checkpoint_to_hub|env_eval_freq|(?:env|eval|job|wandb)(?:\..*)?|num_workers|log_freq"
)
"""Options that say where a training runs, what it reports and where its results go, not what it learns."""
WORKERS, WORKER_DRAWS = "num_workers", ("dataset.streaming", "dataset.image_transforms.enable")
"""The processes that load data, and what draws random numbers in them: then their number decides what is learned."""
STEPS, EVAL_STEPS, SPLIT = "steps", "eval_steps", "dataset.eval_split"
WEIGHTS_OPTION = "policy.pretrained_backbone_weights"
"""A policy that a training starts from brings its own."""
PRESET, PRESET_OPTIONS = "use_policy_training_preset", ("optimizer.", "scheduler.")
Effective = Mapping[str, object]
"""Values by the names of options without `--`. A value may be a text, or what it stands for."""


def compute_effective_options(
    option_values: Mapping[str, object],
    tree: OptionList,
    settings: Mapping[str, Any] | None = None,
    environment_precision: str = "",
) -> dict[str, object]:
    """Return the options that LeRobot trains with, without those of `PLACES`.

    An option that is missing has a default that is no plain value.

    :param option_values: the options of a line of lerobot-train.
    :param settings: the configuration of the policy or reward model that it starts from.
    :param environment_precision: the number format that its launcher asks for.
    """
    settings = settings or {}
    model, kind = _find_model(option_values, tree, settings)
    effective: dict[str, object] = {name: field[1] for name, field in tree.options.items() if len(field) > 1}
    own_fields = tree.choices[model].get(kind, {})
    effective |= {f"{model}.{name}": field[1] for name, field in own_fields.items() if len(field) > 1}
    effective |= {f"{model}.{name}": value for name, value in settings.items()}
    effective |= {name: value for name, value in option_values.items() if name != f"{model}.path"}
    effective[f"{model}.type"] = kind
    types = {model: kind}
    if read_value(tree, PRESET, effective.get(PRESET), types) is True:  # LeRobot takes both from the type
        effective = {name: value for name, value in effective.items() if not name.startswith(PRESET_OPTIONS)}
    effective[PRECISION] = _find_precision(effective, model, tree, environment_precision)
    if settings:
        effective.pop(WEIGHTS_OPTION, None)
    steps = read_value(tree, STEPS, effective.get(STEPS), types)
    interval = read_value(tree, EVAL_STEPS, effective.get(EVAL_STEPS), types)
    if isinstance(steps, int) and isinstance(interval, int):
        effective[EVAL_STEPS] = min(interval, steps)  # a loss after the last step changes nothing
    draws_numbers = any(read_value(tree, name, effective.get(name), types) is True for name in WORKER_DRAWS)
    return {
        name: value
        for name, value in effective.items()
        if not PLACES.fullmatch(name) or (draws_numbers and name == WORKERS)
    }


def _find_model(option_values: Mapping[str, object], tree: OptionList, settings: Mapping[str, Any]) -> tuple[str, str]:
    """Return `policy` or `reward_model`, and the type."""
    for model in MODELS:
        kind = str(settings.get("type") or option_values.get(f"{model}.type") or "")
        if kind in tree.choices[model]:
            return model, kind
    return MODELS[0], str(settings.get("type") or option_values.get(f"{MODELS[0]}.type") or "")


def _find_precision(effective: Mapping[str, object], model: str, tree: OptionList, requested: str) -> str:
    """Return the number format that LeRobot's trainer computes in: `no` for its usual one."""
    if f"{model}.dtype" in effective:
        return PRECISION_OF_TYPE.get(str(effective[f"{model}.dtype"]), requested or "no")
    reads_amp = [int(part) for part in tree.version.split(".")] >= [*AMP_SINCE]
    if reads_amp and read_value(tree, f"{model}.use_amp", effective.get(f"{model}.use_amp"), {}) is True:
        return AMP_FORMATS.get(str(effective.get(f"{model}.device")), GPU_AMP_FORMAT)
    return requested or "no"


def read_value(tree: OptionList, name: str, value: object, types: Mapping[str, str]) -> object:
    """Return what LeRobot makes of an option's value, be it a text or read already; a text that it refuses as it is.

    :param types: what is trained, as `policy: act`.
    """
    if isinstance(value, tuple):
        return [*value]
    return tree.read_option(name, value, types) if isinstance(value, str) else value


def find_differences(tree: OptionList, wanted: Effective, actual: Effective) -> dict[str, tuple[object, object]]:
    """Return the options with different values, each with both: None for a default that is no plain value."""
    types = {model: str(wanted[f"{model}.type"]) for model in MODELS if f"{model}.type" in wanted}
    option_names = dict.fromkeys([*wanted, *actual])
    differences = {
        option_name: (wanted.get(option_name), actual.get(option_name))
        for option_name in option_names
        if read_value(tree, option_name, wanted.get(option_name), types)
        != read_value(tree, option_name, actual.get(option_name), types)
    }
    if SPLIT in differences:  # first: without held-out episodes no loss is computed
        differences.pop(EVAL_STEPS, None)
    return differences
