"""Environments side by side, each in one episode after the other: in this process, or in worker processes."""

import importlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, Protocol

from robotrain_workloads.lerobot_eval.inputs import simulation
from robotrain_workloads.lerobot_eval.inputs.simulation import GOAL, GOAL_ANGLE, StartRanges, Starts, StartStates
from robotrain_workloads.lerobot_eval.results.evaluation import RolloutEpisode, RolloutRequest
from robotrain_workloads.lerobot_eval.rollout import environment, video
from robotrain_workloads.lerobot_eval.rollout.environment import RolloutEnvironment
from robotrain_workloads.lerobot_eval.rollout.worker_pool import WorkerPool, WorkerTask


@dataclass(frozen=True, slots=True)
class EnvironmentObservation:
    """What one environment shows, in its own words, and the task that it sets."""

    observation: Any
    task: str


@dataclass(frozen=True, slots=True)
class StepResult:
    """What an environment shows after an action; the episode, when that was its last."""

    seen: EnvironmentObservation
    ended: RolloutEpisode | None


class EnvironmentGroup(Protocol):
    """Environments, counted from 0."""

    def begin(self, episodes: Sequence[int]) -> list[EnvironmentObservation]:
        """Start these episodes, one in each environment."""

    def step(self, actions: Mapping[int, Any]) -> dict[int, StepResult]:
        """Take a step in the environments that are given an action."""


class LocalEnvironments:
    """In this process, one after the other."""

    def __init__(self, environment: RolloutEnvironment, request: RolloutRequest) -> None:
        self._environment, self._asked = environment, request
        self._all: list[RunningEnvironment] = []

    def begin(self, episodes: Sequence[int]) -> list[EnvironmentObservation]:
        """See `Stage`."""
        while len(self._all) < len(episodes):
            self._all.append(RunningEnvironment(self._environment, self._asked))
        return [running.begin(episode) for running, episode in zip(self._all, episodes, strict=False)]

    def step(self, actions: Mapping[int, Any]) -> dict[int, StepResult]:
        """See `Stage`."""
        return {place: self._all[place].step(action) for place, action in actions.items()}


class RunningEnvironment:
    """One environment, and the episode that it is in."""

    def __init__(self, environment: RolloutEnvironment, request: RolloutRequest) -> None:
        self._env, self._config, self._asked = environment.make_gym_environment(), environment.config, request
        self._starts = simulation.parse_starts(request.starts, request.env)
        self._rewards: list[float] = []
        self._success = False
        self._film: video.EpisodeVideo | None = None

    def begin(self, episode: int) -> EnvironmentObservation:
        """Start an episode. The environment's own random numbers depend on its seed alone."""
        self._episode, self._seed, self._began = episode, self._asked.seed + episode, time.monotonic()
        self._rewards, self._success = [], False
        with environment.explain_render_errors(self._asked.env):
            observation, _ = self._env.reset(seed=self._seed)
        if self._starts:
            place_start(self._env.unwrapped, self._starts, episode, self._seed)
            observation = self._env.unwrapped.get_obs()
        self._film = video.open_episode_video(self._asked.video_folder, episode, self._config.fps)
        self._film_frame()
        return self._observe(observation)

    def step(self, action: Any) -> StepResult:
        """Take a step. Nothing is done in an episode that ended: it would be for nothing."""
        observation, reward, terminated, truncated, more = self._env.step(action)
        self._rewards.append(float(reward))
        self._success |= bool(more.get("is_success", False))
        self._film_frame()
        return StepResult(self._observe(observation), self._finish_episode() if terminated or truncated else None)

    def _observe(self, observation: Any) -> EnvironmentObservation:
        return EnvironmentObservation(observation, self._get_task())

    def _get_task(self) -> str:
        """As LeRobot asks for it."""
        for name in ("task_description", "task"):
            if self._env.has_wrapper_attr(name):
                said = self._env.get_wrapper_attr(name)
                return str(said() if callable(said) else said)
        return ""

    def _film_frame(self) -> None:
        if self._film:
            self._film.add(self._env.render())

    def _finish_episode(self) -> RolloutEpisode:
        best, demanded = max(self._rewards), self._asked.success_reward
        return RolloutEpisode(
            index=self._episode,
            seed=self._seed,
            steps=len(self._rewards),
            sum_reward=sum(self._rewards),
            max_reward=best,
            final_reward=self._rewards[-1],
            success=self._success if demanded is None else best >= demanded,
            seconds=time.monotonic() - self._began,
            video=self._film.finish() if self._film else None,
        )


BEGIN_REQUEST, STEP_REQUEST = "begin", "step"


class WorkerEnvironments:
    """The environments, dealt out among the processes of a crew that `serving` made."""

    def __init__(self, crew: WorkerPool) -> None:
        self._crew = crew

    def begin(self, episodes: Sequence[int]) -> list[EnvironmentObservation]:
        """See `Stage`."""
        dealt = [episodes[number :: self._crew.count] for number in range(self._crew.count)]
        answers = self._exchange(BEGIN_REQUEST, {number: hand for number, hand in enumerate(dealt) if hand})
        return [answers[place % self._crew.count][place // self._crew.count] for place in range(len(episodes))]

    def step(self, actions: Mapping[int, Any]) -> dict[int, StepResult]:
        """See `Stage`."""
        count, dealt = self._crew.count, dict[int, dict[int, Any]]()
        for place, action in actions.items():
            dealt.setdefault(place % count, {})[place // count] = action
        answers = self._exchange(STEP_REQUEST, dealt)
        return {place: answers[place % count][place // count] for place in actions}

    def _exchange(self, request: str, dealt: Mapping[int, Any]) -> dict[int, Any]:
        """All at once, then hear all."""
        for number, hand in dealt.items():
            self._crew.send(number, (request, hand))
        return {number: self._crew.receive(number) for number in dealt}


def serve_environments(stage: LocalEnvironments) -> WorkerTask:
    """What a process of the crew does."""

    def serve(_number: int, pipe: Connection) -> None:
        while True:
            try:
                what, hand = pipe.recv()
            except EOFError:
                return
            pipe.send(stage.begin(hand) if what == BEGIN_REQUEST else stage.step(hand))

    return serve


def place_start(world: Any, starts: Starts, index: int, seed: int) -> None:
    """Put the block and the agent of a world that was just reset where episode `index` starts."""
    if isinstance(starts, StartStates):
        across, up, *block, angle = starts.states[index % len(starts.states)]
        _place_bodies(world, (across, up), block, angle)
    else:
        _place_bodies(world, *_draw_start(starts, seed))


def _draw_start(ranges: StartRanges, seed: int) -> tuple[Any, Any, float]:
    """The same seed gives the same start as in examples/pusht-mini: the same numbers are drawn in the same order."""
    numpy: Any = importlib.import_module("numpy")
    random = numpy.random.default_rng(seed)
    side, axis = _make_rotation(numpy, GOAL_ANGLE).T
    angle = GOAL_ANGLE + random.uniform(*ranges.turn)
    block = numpy.array(GOAL) - axis * random.uniform(*ranges.distance) + side * random.uniform(*ranges.lateral)
    nearest, farthest = ranges.agent_behind
    seen_from_block = numpy.array([random.uniform(*ranges.agent_across), random.uniform(-farthest, -nearest)])
    return block + _make_rotation(numpy, angle) @ seen_from_block, block, angle


def _make_rotation(numpy: Any, angle: float) -> Any:
    """The matrix that turns the block's own axes into the world's."""
    return numpy.array([[numpy.cos(angle), -numpy.sin(angle)], [numpy.sin(angle), numpy.cos(angle)]])


def _place_bodies(world: Any, agent: Any, block: Any, angle: float) -> None:
    # The angle first: turning after moving would move the block again, about its centre of gravity.
    world.block.angle = angle
    world.block.position = tuple(block)
    world.agent.position = tuple(agent)
    world.agent.velocity = (0, 0)
    world.space.step(world.dt)  # contacts take effect
