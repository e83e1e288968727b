"""What the command line asks about LeRobot's options: which a type has."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from robotrain_workloads.lerobot import versions
from robotrain_workloads.lerobot.option_tree import list_nested, list_scalars, load_option_tree
from robotrain_workloads.lerobot.trained_model import choose_model
from robotrain_workloads.lerobot_options.rejected_options import find_option

__all__ = ["complete_options", "find_option", "list_options"]

KIND_NAMES = {"int": "INT", "number": "FLOAT", "bool": "true|false", "text": "TEXT", "any": "VALUE"}


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
