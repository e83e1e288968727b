"""Groups of environments, each in one episode after the other: in this process, or in worker processes."""

import math
import time
from collections.abc import Mapping, Sequence
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

import numpy

from robotrain_workloads.evaluation.rollout_scores import RolloutEpisode
from robotrain_workloads.lerobot_eval.inputs import simulation
from robotrain_workloads.lerobot_eval.inputs.request import EvaluationRequest
from robotrain_workloads.lerobot_eval.inputs.simulation import GOAL, GOAL_ANGLE, Starts, StartStates
from robotrain_workloads.lerobot_eval.rollout import environment, video
from robotrain_workloads.lerobot_eval.rollout.environment import RolloutEnvironment
from robotrain_workloads.lerobot_eval.rollout.worker_pool import WorkerPool, WorkerTask

RESET_REQUEST, STEP_REQUEST = "reset", "step"
WORDS, STEPS = "task_description", "_max_episode_steps"
"""Attributes of LeRobot's environments: the task in words, and the most steps of an episode."""


class EnvironmentObservation(NamedTuple):
    """Observation of one environment, under its own names, and its task."""

    observation: Any
    task: str


class StepResult(NamedTuple):
    """Observation after an action, and the episode if it ended."""

    observation: EnvironmentObservation
    ended: RolloutEpisode | None


class LocalEnvironments:
    """Environments in this process, counted from 0 and stepped one after the other."""

    def __init__(self, environment: RolloutEnvironment, request: EvaluationRequest) -> None:
        self._environment, self._request = environment, request
        self._running: list[RunningEnvironment] = []

    def reset(self, episodes: Sequence[int]) -> list[EnvironmentObservation]:
        """Start these episodes, one in each environment."""
        while len(self._running) < len(episodes):
            self._running.append(RunningEnvironment(self._environment, self._request))
        return [running.reset(episode) for running, episode in zip(self._running, episodes, strict=False)]

    def step(self, actions: Mapping[int, Any]) -> dict[int, StepResult]:
        """Take a step in the environments that are given an action."""
        return {index: self._running[index].step(action) for index, action in actions.items()}


class RunningEnvironment:
    """An environment and its current episode."""

    def __init__(self, environment: RolloutEnvironment, request: EvaluationRequest) -> None:
        self._env, self._config, self._request = (
            environment.make_gym_environment(request.task),
            environment.config,
            request,
        )
        self._starts = simulation.parse_starts(request.starts, request.env)
        self._rewards: list[float] = []
        self._success = False
        self._video: video.EpisodeVideo | None = None

    def reset(self, episode: int) -> EnvironmentObservation:
        """Start an episode. The environment's random numbers depend only on its seed."""
        self._episode, self._number, self._began = episode, self._request.skip + episode, time.monotonic()
        self._seed = self._request.seed + self._number
        self._rewards, self._success = [], False
        with environment.explain_render_errors(self._request.env, self._request.scenes):
            if hasattr(self._env.unwrapped, "init_state_id"):  # LIBERO takes its recorded starts in turn
                self._env.unwrapped.init_state_id = self._number
            observation, _ = self._env.reset(seed=self._seed)
        if self._starts:
            place_start(self._env.unwrapped, self._starts, self._number, self._seed)
            observation = self._env.unwrapped.get_obs()
        folder, self._video = self._request.video_folder, None
        if folder and episode < video.MOST_FILMED:
            number = self._request.first + episode
            file = folder / video.name_folder(self._request.task) / f"episode_{number:03d}.mp4"
            self._video = video.EpisodeVideo(file, self._config.fps)
        self._record_frame()
        return EnvironmentObservation(observation, self._get_task())

    def step(self, action: Any) -> StepResult:
        """Take a step, and end the episode if it is over."""
        observation, reward, terminated, truncated, step_info = self._env.step(action)
        self._rewards.append(float(reward))
        self._success |= bool(step_info.get("is_success", False))
        self._record_frame()
        ended_episode = None
        if terminated or truncated or len(self._rewards) >= self._limit:
            best_reward = max(self._rewards)
            required_reward = self._request.success_reward
            ended_episode = RolloutEpisode(
                index=self._request.first + self._episode,
                seed=self._seed,
                steps=len(self._rewards),
                sum_reward=sum(self._rewards),
                max_reward=best_reward,
                final_reward=self._rewards[-1],
                success=self._success if required_reward is None else best_reward >= required_reward,
                seconds=time.monotonic() - self._began,
                task=self._request.task,
                start=self._find_start(),
                description=self._get_task(),
                video=self._finish_video(),
            )
        return StepResult(EnvironmentObservation(observation, self._get_task()), ended_episode)

    def _find_start(self) -> int | None:
        """Return the number of the start: of equal given states the first; None if the seed draws it."""
        if isinstance(self._starts, StartStates):
            states = self._starts.states
            return states.index(states[self._number % len(states)])
        recorded_states = getattr(
            self._env.unwrapped, "_init_states", None
        )  # of LIBERO, unless its option says otherwise
        has_states = recorded_states is not None and getattr(self._env.unwrapped, "init_states", False)
        return self._number % len(recorded_states) if recorded_states is not None and has_states else None

    @property
    def _limit(self) -> float:
        """The most steps of an episode: not every environment ends it by itself."""
        step_limit = self._env.get_wrapper_attr(STEPS) if self._env.has_wrapper_attr(STEPS) else None
        return min(self._request.env_steps or math.inf, step_limit or math.inf)

    def _get_task(self) -> str:
        """Return what the policy is told; empty if the environment has no words and nobody gave any."""
        if self._request.task_description is not None:
            return self._request.task_description
        words = self._env.get_wrapper_attr(WORDS) if self._env.has_wrapper_attr(WORDS) else ""
        return str(words() if callable(words) else words)

    def _finish_video(self) -> str | None:
        """Return the path of the complete video below the results; None for none."""
        folder = self._request.video_folder
        return self._video.finish().relative_to(folder.parent).as_posix() if self._video and folder else None

    def _record_frame(self) -> None:
        if self._video:
            self._video.add(self._env.render())


class WorkerEnvironments:
    """Environments that are distributed over worker processes of `serve_environments`."""

    def __init__(self, pool: WorkerPool) -> None:
        self._pool = pool

    def reset(self, episodes: Sequence[int]) -> list[EnvironmentObservation]:
        """Start these episodes, one in each environment."""
        episodes_by_worker = [episodes[number :: self._pool.count] for number in range(self._pool.count)]
        answers = self._exchange(
            RESET_REQUEST, {number: share for number, share in enumerate(episodes_by_worker) if share}
        )
        return [answers[index % self._pool.count][index // self._pool.count] for index in range(len(episodes))]

    def step(self, actions: Mapping[int, Any]) -> dict[int, StepResult]:
        """Take a step in the environments that are given an action."""
        count, actions_by_worker = self._pool.count, dict[int, dict[int, Any]]()
        for index, action in actions.items():
            actions_by_worker.setdefault(index % count, {})[index // count] = action
        answers = self._exchange(STEP_REQUEST, actions_by_worker)
        return {index: answers[index % count][index // count] for index in actions}

    def _exchange(self, request: str, requests_by_worker: Mapping[int, Any]) -> dict[int, Any]:
        """Send all requests, then receive all answers."""
        for number, share in requests_by_worker.items():
            self._pool.send(number, (request, share))
        return {number: self._pool.receive(number) for number in requests_by_worker}


EnvironmentGroup = LocalEnvironments | WorkerEnvironments


def serve_environments(environments: LocalEnvironments) -> WorkerTask:
    """Return the task of a worker process."""

    def serve(_number: int, pipe: Connection) -> None:
        while True:
            try:
                request, share = pipe.recv()
            except EOFError:
                return
            pipe.send(environments.reset(share) if request == RESET_REQUEST else environments.step(share))

    return serve


def place_start(world: Any, starts: Starts, index: int, seed: int) -> None:
    """Place block and agent of an environment that was just reset at the start of episode `index`.

    The same seed draws the same start as examples/pusht-mini: numbers are drawn in the same order.
    """
    if isinstance(starts, StartStates):
        agent_x, agent_y, *block, angle = starts.states[index % len(starts.states)]
        agent = (agent_x, agent_y)
    else:
        random = numpy.random.default_rng(seed)
        side, axis = _make_rotation(GOAL_ANGLE).T
        angle = GOAL_ANGLE + random.uniform(*starts.turn)
        block = numpy.array(GOAL) - axis * random.uniform(*starts.distance) + side * random.uniform(*starts.lateral)
        nearest, farthest = starts.agent_behind
        seen_from_block = numpy.array([random.uniform(*starts.agent_across), random.uniform(-farthest, -nearest)])
        agent = block + _make_rotation(angle) @ seen_from_block
    # The angle first: turning rotates about the center of gravity, and would move the block again.
    world.block.angle = angle
    world.block.position = tuple(block)
    world.agent.position = tuple(agent)
    world.agent.velocity = (0, 0)
    world.space.step(world.dt)  # contacts take effect


def _make_rotation(angle: float) -> Any:
    """Return the matrix from the block's axes to the world's."""
    return numpy.array([[numpy.cos(angle), -numpy.sin(angle)], [numpy.sin(angle), numpy.cos(angle)]])
