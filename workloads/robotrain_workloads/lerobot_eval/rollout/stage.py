"""Where episodes run: environments side by side. Each goes through one episode after the other."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from robotrain_workloads.lerobot_eval.rollout import filming, graphics, pusht, starts
from robotrain_workloads.lerobot_eval.rollout.acting import Seen
from robotrain_workloads.lerobot_eval.rollout.asked import EpisodeRolled, RolloutAsked
from robotrain_workloads.lerobot_eval.rollout.environment import Environment


@dataclass(frozen=True, slots=True)
class Moved:
    """What an environment shows after an action; the episode, when that was its last."""

    seen: Seen
    ended: EpisodeRolled | None


class Stage(Protocol):
    """Environments, counted from 0."""

    def begin(self, episodes: Sequence[int]) -> list[Seen]:
        """Start these episodes, one in each environment."""

    def step(self, actions: Mapping[int, Any]) -> dict[int, Moved]:
        """Take a step in the environments that are given an action."""


class Here:
    """In this process, one after the other."""

    def __init__(self, environment: Environment, asked: RolloutAsked) -> None:
        self._environment, self._asked = environment, asked
        self._all: list[Running] = []

    def begin(self, episodes: Sequence[int]) -> list[Seen]:
        """See `Stage`."""
        while len(self._all) < len(episodes):
            self._all.append(Running(self._environment, self._asked))
        return [running.begin(episode) for running, episode in zip(self._all, episodes, strict=False)]

    def step(self, actions: Mapping[int, Any]) -> dict[int, Moved]:
        """See `Stage`."""
        return {place: self._all[place].step(action) for place, action in actions.items()}


class Running:
    """One environment, and the episode that it is in."""

    def __init__(self, environment: Environment, asked: RolloutAsked) -> None:
        self._env, self._config, self._asked = environment.make(), environment.config, asked
        self._starts = starts.read(asked.starts, asked.env)
        self._rewards: list[float] = []
        self._success = False
        self._film: filming.Film | None = None

    def begin(self, episode: int) -> Seen:
        """Start an episode. The environment's own random numbers depend on its seed alone."""
        self._episode, self._seed, self._began = episode, self._asked.seed + episode, time.monotonic()
        self._rewards, self._success = [], False
        with graphics.told(self._asked.env):
            observation, _ = self._env.reset(seed=self._seed)
        if self._starts:
            pusht.place(self._env.unwrapped, self._starts, episode, self._seed)
            observation = self._env.unwrapped.get_obs()
        self._film = filming.of_episode(self._asked.video_folder, episode, self._config.fps)
        self._shoot()
        return self._seen(observation)

    def step(self, action: Any) -> Moved:
        """Take a step. Nothing is done in an episode that ended: it would be for nothing."""
        observation, reward, terminated, truncated, more = self._env.step(action)
        self._rewards.append(float(reward))
        self._success |= bool(more.get("is_success", False))
        self._shoot()
        return Moved(self._seen(observation), self._rolled() if terminated or truncated else None)

    def _seen(self, observation: Any) -> Seen:
        return Seen(observation, self._task())

    def _task(self) -> str:
        """As LeRobot asks for it."""
        for name in ("task_description", "task"):
            if self._env.has_wrapper_attr(name):
                said = self._env.get_wrapper_attr(name)
                return str(said() if callable(said) else said)
        return ""

    def _shoot(self) -> None:
        if self._film:
            self._film.add(self._env.render())

    def _rolled(self) -> EpisodeRolled:
        best, demanded = max(self._rewards), self._asked.success_reward
        return EpisodeRolled(
            index=self._episode,
            seed=self._seed,
            steps=len(self._rewards),
            sum_reward=sum(self._rewards),
            max_reward=best,
            final_reward=self._rewards[-1],
            success=self._success if demanded is None else best >= demanded,
            seconds=time.monotonic() - self._began,
            video=self._film.close() if self._film else None,
        )
