"""Rules between options that no class of LeRobot has: it documents them, or they are robotrain's.

What LeRobot's classes refuse, `option_rules` has.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from robotrain_runtime.contract.problem import Problem

from robotrain_workloads.lerobot import image_weights, precision
from robotrain_workloads.lerobot.trained_model import TrainedModel
from robotrain_workloads.lerobot_options.rule_values import read_given
from robotrain_workloads.option_kinds import make_option_problem


def find_rule_problems(
    arguments: Sequence[str], model: TrainedModel, settings: Mapping[str, Any] | None, *, loads: bool = False
) -> Iterator[Problem]:
    """Yield the options that do not fit together.

    :param settings: the configuration of what it starts from; None if that is unknown.
    :param loads: whether LeRobot reads the options of the policy beside the configuration that it starts from.
    """
    option_values = read_given(tuple(arguments))
    read_values = model.read_options(arguments, as_json=loads)
    yield from _check_number_format(read_values, model)
    yield from _check_adapter(option_values, model)
    yield from _check_group_norm(option_values, read_values, model)
    if settings == {}:
        yield from _check_weights(option_values, read_values, model)
    if model.kind == "diffusion" and settings is not None:
        yield from _check_action_steps(option_values, read_values, model, settings)


def _check_number_format(read_values: Mapping[str, Any], model: TrainedModel) -> Iterator[Problem]:
    """Require a number format that the type takes, if it has an option for that."""
    option, formats = f"--{model.prefix}.{precision.DTYPE}", model.facts.dtypes
    dtype = read_values.get(precision.DTYPE)
    if dtype is None or not formats or dtype in (*formats, model.defaults.get(precision.DTYPE)):
        return
    meant_dtype = precision.DTYPES.get(str(dtype), "")
    title = f"LeRobot {model.lerobot.name}'s {model.kind} does not take {option}={dtype}"
    suggestion = f"{option}={meant_dtype}" if meant_dtype in formats else ""
    yield make_option_problem(f"{option}={dtype}", title, f"It takes {' or '.join(formats)}.", suggestion)


def _check_group_norm(
    option_values: Mapping[str, str | None], read_values: Mapping[str, Any], model: TrainedModel
) -> Iterator[Problem]:
    """Refuse another normalization in a network with trained weights: LeRobot says so once it has downloaded them."""
    option_names = [f"{model.prefix}.{name}" for name in (image_weights.GROUP_NORM, image_weights.WEIGHTS_OPTION)]
    weights = read_values.get(image_weights.WEIGHTS_OPTION)  # without pictures, those by default are not read
    if weights and read_values.get(image_weights.GROUP_NORM) is True:
        options = [f"--{name}={option_values[name]}" for name in option_names]
        title = f"LeRobot {model.lerobot.name}'s {model.kind} does not take {' with '.join(options)}"
        reason = "It says: You can't replace BatchNorm in a pretrained model without ruining the weights."
        yield make_option_problem(options[0], title, reason, f"--{option_names[0]}=false")


def _check_weights(
    option_values: Mapping[str, str | None], read_values: Mapping[str, Any], model: TrainedModel
) -> Iterator[Problem]:
    """Require that named weights are torchvision's and fit the network: LeRobot fails once it makes the network."""
    option = model.format_flag(image_weights.WEIGHTS_OPTION)
    title, meant_weights = image_weights.find_mistake({**model.defaults, **read_values})
    if title and (weights_name := option_values.get(option[2:])) is not None:  # those by default may not be read
        yield make_option_problem(f"{option}={weights_name}", title, "", f"{option}={meant_weights}")


def _check_adapter(option_values: Mapping[str, str | None], model: TrainedModel) -> Iterator[Problem]:
    """Refuse an adapter of a reward model."""
    options = [f"--{name}" if value is None else f"--{name}={value}" for name, value in option_values.items()]
    adapter = [option for option in options if option.startswith("--peft.")]
    if adapter and model.prefix == "reward_model":
        title = f"LeRobot {model.lerobot.name} trains adapters of policies only"
        reason = "A reward model trains all its weights."
        option_names = {option.partition("=")[0] for option in adapter}
        suggestion = f"leave out {' '.join(sorted(option_names))}"
        yield make_option_problem(" ".join(adapter), title, reason, suggestion)


def _check_action_steps(
    option_values: Mapping[str, str | None],
    read_values: Mapping[str, Any],
    model: TrainedModel,
    settings: Mapping[str, Any],
) -> Iterator[Problem]:
    """Warn only: LeRobot documents this rule without checking it, and runs fewer actions."""
    option_names = ("n_action_steps", "horizon", "n_obs_steps")
    texts_by_name = {name: option_values.get(f"{model.prefix}.{name}") for name in option_names}
    steps, horizon, observation_steps = (
        {**model.defaults, **settings, **read_values}.get(name) for name in option_names
    )
    if not (isinstance(steps, int) and isinstance(horizon, int) and isinstance(observation_steps, int)):
        return
    typed_options = [
        f"--{model.prefix}.{name}={option_text}"
        for name, option_text in texts_by_name.items()
        if option_text is not None
    ]
    if typed_options and steps > (most_steps := horizon - observation_steps + 1):
        title = f"--{model.prefix}.n_action_steps should be at most horizon - n_obs_steps + 1, which is {most_steps}"
        reason = f"The policy runs {most_steps} actions at most: n_action_steps is {steps}, horizon {horizon}."
        way = f"--{model.prefix}.n_action_steps={most_steps}" if most_steps > 0 else ""
        yield make_option_problem(" ".join(typed_options), title, reason, way, "warning")
