"""Rules between several options of a policy, as the locked LeRobot has them. Standard library only.

LeRobot itself checks those that are errors, on the machine of the job, when it makes the policy's configuration.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence

from robotrain_workloads.lerobot import precision
from robotrain_workloads.lerobot.options import NULLS, split_options
from robotrain_workloads.lerobot.trained_model import TrainedModel
from robotrain_workloads.option_kinds import OptionProblem

PREFIX = "policy."
CHUNK_OPTIONS = {"chunk_size", "n_action_steps"}
DEFAULT_STAGES = 3
"""How many numbers LeRobot's default for `down_dims` has: it is no plain value."""


def find_rule_problems(arguments: Sequence[str], model: TrainedModel, has_defaults: bool) -> Iterator[OptionProblem]:
    """Yield the options that do not fit together.

    :param model: what is trained; a type without rules has no problems.
    :param has_defaults: whether options that are not given have their defaults: a policy to start from has others.
    """
    rules = _RULES.get(model.kind, ())
    if model.options.keys() >= CHUNK_OPTIONS:  # LeRobot has this rule for every type with both
        rules = (_check_chunk, *rules)
    given = {
        name.removeprefix(PREFIX): value or "" for name, value in split_options(arguments) if name.startswith(PREFIX)
    }
    yield from _check_number_format(given, model)
    if has_defaults:
        yield from _check_adapter(arguments, model)
    if rules and given:
        defaults = {name: model.get_default(name) for name in model.options} if has_defaults else {}
        for rule in rules:
            yield from rule(_PolicyOptions(given, defaults, has_defaults))


def _check_number_format(given: Mapping[str, str], model: TrainedModel) -> Iterator[OptionProblem]:
    """Require a number format that the type takes, if it has an option for that."""
    value, formats = given.get(precision.DTYPE), model.facts.dtypes
    if value is None or not formats or value in (*formats, model.get_default(precision.DTYPE)):
        return
    option, meant = f"--{PREFIX}{precision.DTYPE}", precision.DTYPES.get(value, "")
    title = f"LeRobot {model.lerobot.name}'s {model.kind} does not take {option}={value}"
    suggestion = f"{option}={meant}" if meant in formats else ""
    yield OptionProblem(f"{option}={value}", title, f"It takes {' or '.join(formats)}.", suggestion)


def _check_adapter(arguments: Sequence[str], model: TrainedModel) -> Iterator[OptionProblem]:
    """Require a policy to start from for an adapter."""
    given = next((f"--{name}={value}" for name, value in split_options(arguments) if name.startswith("peft.")), "")
    if given:
        title = f"LeRobot {model.lerobot.name} trains an adapter only for a policy to start from"
        yield OptionProblem(given, title, "It refuses one for new weights.", "--policy-repo-id OWNER/NAME")


class _PolicyOptions:
    """Options of a policy: the given ones, and below them the defaults."""

    def __init__(self, given: Mapping[str, str], defaults: Mapping[str, object], has_defaults: bool) -> None:
        self.given, self.defaults, self.has_defaults = given, defaults, has_defaults

    def get_int(self, name: str) -> int | None:
        """Return a whole number; None if it is unknown or something else."""
        try:
            return int(str(self.given.get(name, self.defaults.get(name))))
        except ValueError:
            return None

    def count_stages(self) -> int | None:
        """Return how many numbers `down_dims` has; None if that is unknown."""
        if "down_dims" not in self.given:
            return DEFAULT_STAGES if self.has_defaults else None
        try:
            return len(json.loads(self.given["down_dims"].translate(str.maketrans("()", "[]"))))
        except (ValueError, TypeError):
            return None

    def describe(self, *names: str) -> str:
        """Return the values of options, and which of them are defaults."""
        return " and ".join(
            f"{one} is {self.get_int(one)}{'' if one in self.given else ' by default'}" for one in names
        )

    def format_given(self, *names: str) -> str:
        """Return those of some options that are given, as arguments."""
        return " ".join(f"--{PREFIX}{name}={self.given[name]}" for name in names if name in self.given)


def _check_chunk(options: _PolicyOptions) -> Iterator[OptionProblem]:
    steps, size = options.get_int("n_action_steps"), options.get_int("chunk_size")
    if steps is not None and size is not None and steps > size:
        names = ("n_action_steps", "chunk_size")
        title = f"--{PREFIX}n_action_steps must be at most --{PREFIX}chunk_size"
        way = f"--{PREFIX}n_action_steps={size}"
        why = f"A policy runs no more actions than it predicts at once: {options.describe(*names)}."
        yield OptionProblem(options.format_given(*names), title, why, way)


def _check_ensembling(options: _PolicyOptions) -> Iterator[OptionProblem]:
    steps, name = options.get_int("n_action_steps"), "temporal_ensemble_coeff"
    if options.given.get(name, "").lower() not in NULLS and steps is not None and steps > 1:
        title = f"--{PREFIX}{name} needs --{PREFIX}n_action_steps=1"
        why = f"Each step averages the predictions of earlier ones: {options.describe('n_action_steps')}."
        given = options.format_given(name, "n_action_steps")
        yield OptionProblem(given, title, why, f"--{PREFIX}n_action_steps=1")


def _check_observations(options: _PolicyOptions) -> Iterator[OptionProblem]:
    if (steps := options.get_int("n_obs_steps")) is not None and steps != 1:
        title = f"--{PREFIX}n_obs_steps must be 1"
        why, given = "ACT reads the newest observation only.", options.format_given("n_obs_steps")
        yield OptionProblem(given, title, why, f"--{PREFIX}n_obs_steps=1")


def _check_horizon(options: _PolicyOptions) -> Iterator[OptionProblem]:
    horizon, stages = options.get_int("horizon"), options.count_stages()
    if horizon is not None and stages is not None and horizon % 2**stages:
        factor = 2**stages
        title = f"--{PREFIX}horizon must be a multiple of {factor}"
        why = f"The network halves it in each of its {stages} stages (down_dims): {options.describe('horizon')}."
        way = f"--{PREFIX}horizon={max(1, round(horizon / factor)) * factor}"
        yield OptionProblem(options.format_given("horizon", "down_dims"), title, why, way)


def _check_action_steps(options: _PolicyOptions) -> Iterator[OptionProblem]:
    """Warn only: LeRobot documents this rule without checking it, and runs fewer actions."""
    names = ("n_action_steps", "horizon", "n_obs_steps")
    steps, horizon, observed = map(options.get_int, names)
    if steps is None or horizon is None or observed is None or steps <= (most := horizon - observed + 1):
        return
    title = f"--{PREFIX}n_action_steps should be at most horizon - n_obs_steps + 1, which is {most}"
    why = f"The policy runs {most} actions at most: {options.describe(*names)}."
    way = f"--{PREFIX}n_action_steps={most}" if most > 0 else ""
    yield OptionProblem(options.format_given(*names), title, why, way, "warning")


_RULES: Mapping[str, Sequence[Callable[[_PolicyOptions], Iterator[OptionProblem]]]] = {
    "act": (_check_ensembling, _check_observations),
    "diffusion": (_check_horizon, _check_action_steps),
}
"""The further rules of a type of policy."""
