"""What the command line asks about LeRobot's options: which a type has."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from robotrain_workloads.lerobot import versions
from robotrain_workloads.lerobot.options_list import list_scalars, load_options
from robotrain_workloads.lerobot.trained_model import TrainedModel, choose_model

__all__ = ["complete_options", "list_options"]

KIND_NAMES = {"int": "INT", "number": "FLOAT", "bool": "true|false", "text": "TEXT", "any": "VALUE", "list": "VALUE"}


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
    if model := _choose_model(parameters):
        yield from _list_fields({f"{model.prefix}.{name}": field for name, field in model.options.items()}, owned)


def complete_options(parameters: Mapping[str, Any], owned: Mapping[str, str]) -> Iterator[str]:
    """Yield the names of all options after `--`: of the type, if one is chosen, else of every type."""
    if (model := _choose_model(parameters)) is None:
        return
    options = load_options(model.lerobot.name)
    is_chosen = any(parameters.get(name) for name in ("policy_type", "reward_model"))
    prefixes = versions.PREFIXES.values()
    unused = tuple(f"{prefix}." for prefix in prefixes if is_chosen and prefix != model.prefix)
    types = {f"{group}.type" for group in options.choices if group not in prefixes}
    names = {*options.list_names({model.prefix: model.kind} if is_chosen else {}), *types}
    yield from sorted({f"--{name}" for name in names if not name.startswith(unused)} - owned.keys())


def _choose_model(parameters: Mapping[str, Any]) -> TrainedModel | None:
    """Return what a job trains; None for an unknown version."""
    try:
        return choose_model({"lerobot_version": None, "policy_type": None, **parameters}, {})
    except KeyError:
        return None


def _list_fields(fields: Mapping[str, Sequence[Any]], owned: Mapping[str, str]) -> Iterator[ListedOption]:
    for name, (kind, *default) in fields.items():
        kinds = [KIND_NAMES.get(scalar, scalar) for scalar in list_scalars(kind) if scalar != "null"]
        if f"--{name}" not in owned:
            yield ListedOption(f"--{name}", "|".join(dict.fromkeys(kinds)) or "VALUE", default[0] if default else None)
