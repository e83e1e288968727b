"""What the command line asks about LeRobot's options: which a type has, and what a flag that nobody knows may mean."""

import importlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from robotrain_workloads.lerobot import precision, versions
from robotrain_workloads.lerobot.option_tree import list_nested, list_scalars, load_option_tree
from robotrain_workloads.lerobot.trained_model import choose_model
from robotrain_workloads.lerobot_options import other_versions
from robotrain_workloads.lerobot_options.rejected_options import find_option

__all__ = ["complete_options", "explain_option", "find_option", "find_refused_options", "list_options"]

KIND_NAMES = {"int": "INT", "number": "FLOAT", "bool": "true|false", "text": "TEXT", "any": "VALUE"}
MEANINGS: Mapping[str, Sequence[str]] = {
    "gradient-checkpointing": ("policy.gradient_checkpointing",),
    "grad-checkpointing": ("policy.gradient_checkpointing",),
    "checkpoint-activations": ("policy.gradient_checkpointing",),
    "freeze-vision": ("policy.freeze_vision_encoder",),
    "freeze-vision-encoder": ("policy.freeze_vision_encoder",),
    "freeze-backbone": ("policy.freeze_vision_encoder",),
    "train-expert-only": ("policy.train_expert_only",),
    "lora": ("policy.enable_lora_vlm", "--lora-rank"),
    "use-lora": ("policy.enable_lora_vlm", "--lora-rank"),
    "peft": ("--lora-rank",),
    "lora-r": ("--lora-rank",),
    "lora-alpha": ("peft.lora_alpha",),
    "lora-target-modules": ("peft.target_modules",),
}
"""What trainers call an option, with the names that LeRobot may have for it, the best first."""
ADAPTERS = "LeRobot trains adapters of a policy to start from."
DTYPE_FLAGS = ("--dtype", "--torch-dtype")


def find_refused_options(job: Any, reason: str) -> Iterator[Any]:
    """Yield a problem for each option of a job after `--` that a sentence of LeRobot rejects."""
    refusals = importlib.import_module("robotrain_workloads.lerobot_options.refusals")  # needs robotrain itself
    yield from refusals.find_refused_options(job, reason)


class ListedOption(NamedTuple):
    """An option of LeRobot's trainer."""

    name: str
    kind: str
    """What stands for its value: `INT`, `a|b`."""
    default: Any = None
    """None where LeRobot has none, or no plain value."""


def list_options(parameters: Mapping[str, Any], owned: Mapping[str, str]) -> Iterator[ListedOption]:
    """Yield the options of the type that a job trains, without those that robotrain sets itself (`owned`).

    `parameters`: what the job gives by name. An unknown version or type has none.
    """
    try:
        model = choose_model({"lerobot_version": None, "policy_type": None, **parameters}, {})
    except KeyError:
        return
    tree = load_option_tree(model.lerobot.name)
    for option in _list_fields(tree.classes, model.options, f"--{model.prefix}."):
        if option.name not in owned:
            yield option


def complete_options(parameters: Mapping[str, Any], owned: Mapping[str, str]) -> Iterator[str]:
    """Yield the names of all options after `--`: of the type, if one is chosen, else of every type."""
    if any(parameters.get(name) for name in ("policy_type", "reward_model")):
        choices = [parameters]
    else:
        kinds = versions.list_type_names(versions.POLICIES)
        choices = [{**parameters, "policy_type": kind} for kind in kinds]
    try:
        tree = load_option_tree(parameters.get("lerobot_version"))
    except KeyError:
        return
    option_names = {option.name: None for choice in choices for option in list_options(choice, owned)}
    option_names |= {option.name: None for option in _list_fields(tree.classes, tree.classes[tree.root], "--")}
    yield from (name for name in sorted(option_names) if name not in owned)


def explain_option(flag: str, value: str, parameters: Mapping[str, Any]) -> tuple[str, Sequence[str]] | None:
    """Return a sentence about a flag that nobody has and lines to type; None if nothing is known of it."""
    try:
        model = choose_model({"lerobot_version": None, "policy_type": None, **parameters}, {})
    except KeyError:
        return None
    name = flag.removeprefix("--").replace("_", "-")
    if f"--{name}" in DTYPE_FLAGS:
        formats = [format_name for format_name, dtype in precision.DTYPES.items() if value in (format_name, dtype)] or [
            "TYPE"
        ]
        return "", [f"--mixed-precision {formats[0]}"]
    if replacement := other_versions.replace_newer(flag, value, bool(parameters.get("publish_url"))):
        return replacement
    if newer_text := other_versions.explain_newer(name):
        return newer_text, ()
    meanings = MEANINGS.get(name, ())
    for meaning in meanings:
        if meaning.startswith("--"):
            return ADAPTERS, [f"{meaning} {value if value.isdecimal() else 'RANK'}"]
        parent, _, option = meaning.partition(".")
        if parent != "policy":
            return ADAPTERS, [f"-- --{meaning}={value or name.rpartition('-')[2].upper()}"]
        if option in model.options:
            return "", [f"-- --{model.prefix}.{option}={value or 'true'}"]
    if not meanings:
        return None
    option = meanings[0].partition(".")[2]
    kinds = model.lerobot.policies
    having_types = [kind for kind in kinds if option in model.lerobot.get_model_options(versions.POLICIES, kind)]
    lerobot = f"LeRobot {model.lerobot.name}'s {model.kind} has no option --policy.{option}"
    return f"{lerobot}. These policies have it: {', '.join(having_types)}.", ()


def _list_fields(
    classes: Mapping[str, Any], fields: Mapping[str, Sequence[Any]], prefix: str
) -> Iterator[ListedOption]:
    """Yield the options of a class's fields, and below those that are classes themselves."""
    for name, (kind, *default) in fields.items():
        nested_classes = [*list_nested(kind)]
        for class_name in nested_classes:
            yield from _list_fields(classes, classes[class_name], f"{prefix}{name}.")
        scalars = [KIND_NAMES.get(scalar, scalar) for scalar in list_scalars(kind)] if not nested_classes else []
        if scalars:
            kinds_text = "|".join(dict.fromkeys(scalar for scalar in scalars if scalar != "null"))
            yield ListedOption(f"{prefix}{name}", kinds_text or "VALUE", default[0] if default else None)
