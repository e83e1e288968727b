"""The policy's side of a rollout: what several environments show goes in as one batch, an action for each comes out."""

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from robotrain_workloads.lerobot_eval.loaded import Loaded
from robotrain_workloads.lerobot_eval.rollout.environment import Environment
from robotrain_workloads.lerobot_eval.rollout.fitting import KEY_POINTS

HALF_THE_WORLD = 256.0


@dataclass(frozen=True, slots=True)
class Seen:
    """What one environment shows, in its own words, and the task that it sets."""

    observation: Any
    task: str


class Actor:
    """A policy with all that LeRobot puts before and behind it, for one environment."""

    def __init__(self, loaded: Loaded, environment: Environment) -> None:
        self._loaded, self._environment = loaded, environment
        envs = importlib.import_module("lerobot.envs")
        self._preprocess = envs.preprocess_observation
        self._before, self._behind = envs.make_env_pre_post_processors(
            env_cfg=environment.config, policy_cfg=loaded.policy.config
        )

    def begin(self, seed: int) -> None:
        """A new wave of episodes. A policy that draws at random draws the same for the same seed."""
        importlib.import_module("lerobot.utils.random_utils").set_seed(seed)
        self._loaded.policy.reset()

    def act(self, seen: Sequence[Seen]) -> Any:
        """The next action of each, as rows of an array."""
        action = self._loaded.act(self._before(self.batch(seen)))
        return self._behind({"action": action})["action"].numpy()

    def batch(self, seen: Sequence[Seen]) -> dict[str, Any]:
        """What they show, in the policy's words."""
        given = self._preprocess(_stacked([one.observation for one in seen]))
        if self._environment.scaled:
            given[KEY_POINTS] = given[KEY_POINTS] / HALF_THE_WORLD - 1
        batch = {self._environment.renamed.get(name, name): value for name, value in given.items()}
        return {**batch, "task": [one.task for one in seen]}


def _stacked(observations: Sequence[Any]) -> Any:
    """A batch, in the shape of one: some environments nest their pictures."""
    if isinstance(observations[0], Mapping):
        return {name: _stacked([one[name] for one in observations]) for name in observations[0]}
    return importlib.import_module("numpy").stack(observations)
