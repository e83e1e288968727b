"""The gym environment of a rollout, as LeRobot configures it, set so that it shows what the policy reads.

LeRobot, Gymnasium and the environment's package are imported only when they are asked for.
"""

import importlib
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from robotrain_runtime.emit import emit
from robotrain_runtime.event import Note

from robotrain_workloads.lerobot_eval import parsing
from robotrain_workloads.lerobot_eval.loaded import Loaded
from robotrain_workloads.lerobot_eval.rollout import fitting, graphics, sizes
from robotrain_workloads.lerobot_eval.rollout.asked import RolloutAsked

OPTION = "--env."
STATES, PICTURES = "environment_state_agent_pos", "pixels_agent_pos"
"""What LeRobot calls the two ways in which an environment shows itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """config: LeRobot's own. drawn: the size of what the policy sees, for Gymnasium; empty for LeRobot's.

    renamed: the policy's names of observations, by the environment's, where they differ. scaled: whether the policy
    knows key points as -1 to 1.
    """

    config: Any
    drawn: Mapping[str, int]
    renamed: Mapping[str, str]
    scaled: bool

    def make(self) -> Any:
        """A gym environment. Raises SystemExit with a sentence."""
        keywords = {**self.config.gym_kwargs, **self.drawn}
        gym = importlib.import_module("gymnasium")
        with graphics.told(self.config.type):
            return gym.make(self.config.gym_id, disable_env_checker=self.config.disable_env_checker, **keywords)


def choose(loaded: Loaded, asked: RolloutAsked) -> Environment:
    """The environment that was asked for, for this policy. Raises SystemExit with a sentence when they do not fit."""
    _register(asked.env)
    inputs = fitting.shapes(loaded.policy.config.input_features)
    pictures = [name for name in inputs if fitting.is_picture(name)]
    config = _config(asked, PICTURES if pictures or asked.env != "pusht" else STATES)
    _import(config)
    given = fitting.given(config)
    renamed = fitting.renamed(pictures, [name for name in given if fitting.is_picture(name)])
    fitting.check(asked.env, loaded, {renamed.get(name, name): shape for name, shape in given.items()})
    chosen = Environment(
        config=config,
        drawn=sizes.asked(asked.env_options, config),
        renamed=renamed,
        scaled=fitting.scaled(loaded),
    )
    _tell(chosen)
    return chosen


def _tell(chosen: Environment) -> None:
    """What was done so that the two fit."""
    for theirs, ours in chosen.renamed.items():
        emit(Note(level="info", text=f"what the environment calls {theirs} is {ours} to the policy"))
    if chosen.scaled:
        text = "the policy was trained on key points from -1 to 1: those of the environment are scaled so (k/256 - 1)"
        emit(Note(level="info", text=text))


def _config(asked: RolloutAsked, shown: str) -> Any:
    """LeRobot's, with the options that were given. Raises SystemExit with a sentence for an option it does not take."""
    draccus: Any = importlib.import_module("draccus")
    made = importlib.import_module("lerobot.envs.configs").EnvConfig.get_choice_class(asked.env)
    options = [f"--obs_type={shown}", *(f"--{option.removeprefix(OPTION)}" for option in asked.env_options)]
    if asked.steps is not None:
        options.append(f"--episode_length={asked.steps}")
    try:
        with parsing.told(asked.env_options, f"the configuration of {asked.env}"):
            return draccus.parse(made, args=options)
    except Exception as error:
        raise SystemExit(f"error: {error}") from error


def _import(config: Any) -> None:
    """Once, before there are processes that would each do it."""
    registration = importlib.import_module("gymnasium.envs.registration")
    with graphics.told(config.type), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pygame imports the deprecated pkg_resources
        registration.load_env_creator(registration.spec(config.gym_id).entry_point)


def _register(env: str) -> None:
    """Let Gymnasium know the environment."""
    graphics.prepare(env)
    package = f"gym_{env}"
    with graphics.told(env):
        try:
            importlib.import_module(package)
        except ModuleNotFoundError as error:
            if error.name != package:
                raise
            raise SystemExit(f"error: --env {env}: this run's environment holds no {package}") from error
