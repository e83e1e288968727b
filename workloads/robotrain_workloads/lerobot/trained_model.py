"""What a job trains: a type of policy or of reward model, with the options that its LeRobot has for it."""

import functools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from robotrain_workloads.lerobot import versions
from robotrain_workloads.lerobot.option_values import read_known
from robotrain_workloads.lerobot.options import split_options
from robotrain_workloads.lerobot.parameters import DEFAULT_POLICY_TYPE
from robotrain_workloads.lerobot.versions import LeRobotVersion, ModelType

RATE_OPTIONS = ("optimizer_lr", "learning_rate")
"""What types call their learning rate."""
WARM_UP_OPTION = "scheduler_warmup_steps"
LEARNING_RATES = {"act": 1e-4}
"""Where robotrain's default for a new policy is not LeRobot's: the scripts that it replaces had this one."""


class TrainedModel(NamedTuple):
    """A type of policy or of reward model."""

    lerobot: LeRobotVersion
    section: str
    """POLICIES or REWARD_MODELS."""
    kind: str
    facts: ModelType
    """What the index says of it; nothing of an unknown type."""
    options: Mapping[str, Sequence[Any]]
    """Its options by name, each with its kind and, if it is a plain value, its default."""
    is_known: bool
    """Whether LeRobot itself has the type: else it is one of a package (`--with`), of which nothing is known."""
    prefix: str
    """What the names of its options begin with: `policy` or `reward_model`."""
    defaults: Mapping[str, Any]
    """LeRobot's defaults of its options; None where it has no plain value."""

    @property
    def parameter(self) -> str:
        """The parameter of a job that names it."""
        return "policy_type" if self.section == versions.POLICIES else "reward_model"

    @property
    def flag(self) -> str:
        """The option for that parameter."""
        return f"--{self.parameter.replace('_', '-')}"

    @property
    def noun(self) -> str:
        """What it is, for messages."""
        return self.prefix.replace("_", " ")

    @property
    def rate_option(self) -> str:
        """The option with its learning rate; empty if it has none."""
        rate_options = RATE_OPTIONS if self.is_known else ()
        return next((name for name in rate_options if name in self.options), "" if self.is_known else RATE_OPTIONS[0])

    def format_flag(self, name: str) -> str:
        """Return the name of an option of it as people type it."""
        return f"--{self.prefix}.{name}"

    def format_option(self, name: str, value: object) -> str:
        """Return an option of it as an argument."""
        return f"--{self.prefix}.{name}={value}"

    def read_options(self, arguments: Sequence[str], *, as_json: bool) -> dict[str, Any]:
        """Return the user's values of its options by name, as LeRobot reads them.

        :param arguments: those after `--`.
        :param as_json: whether LeRobot reads them beside the configuration of a policy to start from.
        """
        values: dict[str, Any] = {}
        for option, text in split_options(arguments):
            if text is not None and option.startswith(f"{self.prefix}."):
                name = option.removeprefix(f"{self.prefix}.")
                kind = self.options[name][0] if name in self.options else "any"
                values[name] = read_known(text, kind, as_json=as_json)
        return values


@functools.cache
def make_model(lerobot: LeRobotVersion, section: str, kind: str) -> TrainedModel:
    """Return a type of policy or of reward model."""
    types = lerobot.get_types(section)
    facts = types.get(kind, ModelType())
    options = lerobot.get_model_options(section, kind)
    prefix = "policy" if section == versions.POLICIES else "reward_model"
    defaults = {name: field[1] if len(field) > 1 else None for name, field in options.items()}
    return TrainedModel(lerobot, section, kind, facts, options, kind in types, prefix, defaults)


def choose_model(parameters: Mapping[str, Any], settings: Mapping[str, Any]) -> TrainedModel:
    """Return what a job trains. `settings`: the configuration of what it starts from, as far as it is known."""
    requested_types = (parameters.get("reward_model"), parameters.get("policy_type"))
    return _choose_model(parameters["lerobot_version"], settings.get("type"), *requested_types)


@functools.cache
def _choose_model(version: Any, saved: Any, reward: Any, policy: Any) -> TrainedModel:
    lerobot = versions.get_version(version)
    if saved not in lerobot.policies and (reward or saved in lerobot.reward_models):
        return make_model(lerobot, versions.REWARD_MODELS, str(saved or reward))
    return make_model(lerobot, versions.POLICIES, str(saved or policy or DEFAULT_POLICY_TYPE))


def can_warm_up(model: TrainedModel) -> bool:
    """Return whether the number of warm-up steps can be chosen: by an option, or since LeRobot has no schedule."""
    return not model.is_known or WARM_UP_OPTION in model.options or bool(model.facts.optimizer)


def choose_learning_rate(model: TrainedModel, settings: Mapping[str, Any]) -> float | None:
    """Return the default of the learning rate; None if LeRobot's code has it alone."""
    rate = settings.get(model.rate_option, model.defaults.get(model.rate_option))
    if not settings:
        rate = LEARNING_RATES.get(model.kind, rate)
    return rate if isinstance(rate, int | float) else None
