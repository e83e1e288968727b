"""Rollout of a policy in a simulated environment, on all cores: a trial, then waves of episodes.

LeRobot's policies keep planned actions of all episodes together until they plan again. So an episode cannot replace
one that ended earlier: it would act on the plan of the other. Ended episodes are not stepped any more.

Environments are made in the process that steps them: OpenGL contexts cannot be inherited.

If the policy runs on the CPU, a process for each core has its own copy and plays its share of each batch with one
thread: only results travel between processes. A policy that draws random numbers plays whole batches, because its draws
depend on the episodes beside it and would otherwise depend on the number of cores. If the policy runs on a GPU, it
stays in this process and decides for a whole batch, and the processes only step environments.
"""

import contextlib
import math
import random
import sys
import time
import traceback
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import replace
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

import numpy
import torch
from lerobot.envs import make_env_pre_post_processors, preprocess_observation
from lerobot.utils.random_utils import set_seed
from robotrain_runtime.contract.event import emit_note
from robotrain_runtime.machine.hardware import count_cores

from robotrain_workloads.evaluation.rollout_scores import RolloutEpisode, RolloutResult
from robotrain_workloads.exit_status import WorkFailed
from robotrain_workloads.lerobot import loaded_policy
from robotrain_workloads.lerobot.loaded_policy import LoadedPolicy
from robotrain_workloads.lerobot_eval.inputs.request import EvaluationRequest
from robotrain_workloads.lerobot_eval.rollout import environment as rollout_environment
from robotrain_workloads.lerobot_eval.rollout import video, worker_pool
from robotrain_workloads.lerobot_eval.rollout.environment import KEY_POINTS, RolloutEnvironment
from robotrain_workloads.lerobot_eval.rollout.environment_group import (
    EnvironmentGroup,
    EnvironmentObservation,
    LocalEnvironments,
    WorkerEnvironments,
    serve_environments,
)
from robotrain_workloads.lerobot_eval.rollout.worker_pool import WorkerPool

WORLD_CENTER = 256.0
MOST_TIMED, MOST_SECONDS = 20, 0.5
"""How many actions are timed, and how long at most."""
Wave = Sequence[int]
"""Its episodes."""
OnEpisode = Callable[[RolloutEpisode], None]


class PolicyActor:
    """A policy with LeRobot's processors for one environment."""

    def __init__(self, loaded: LoadedPolicy, environment: RolloutEnvironment) -> None:
        self._loaded, self._environment = loaded, environment
        self._preprocessor, self._postprocessor = _make_environment_processors(loaded, environment)

    def reset(self, seed: int) -> None:
        """Start a wave of episodes. The same seed draws the same."""
        set_seed(seed)
        self._loaded.policy.reset()

    def act(self, observations: Sequence[EnvironmentObservation]) -> Any:
        """Return the next action of each, as rows of an array."""
        return self._postprocessor({"action": self._loaded.act(self.batch(observations))})["action"].numpy()

    def batch(self, observations: Sequence[EnvironmentObservation]) -> dict[str, Any]:
        """Return the observations under the policy's names."""
        observation_batch = preprocess_observation(
            _stack_observations([observation.observation for observation in observations])
        )
        if self._environment.scaled:
            observation_batch[KEY_POINTS] = observation_batch[KEY_POINTS] / WORLD_CENTER - 1
        observation_batch = self._preprocessor(
            {**observation_batch, "task": [observation.task for observation in observations]}
        )
        return {
            self._environment.renamed.get(name, name): observation_value
            for name, observation_value in observation_batch.items()
        }


def _make_environment_processors(loaded: LoadedPolicy, environment: RolloutEnvironment) -> tuple[Any, Any]:
    """Return LeRobot's processors of the environment. For X-VLA it takes those of LIBERO, whatever the environment."""
    if loaded.kind == "xvla" and environment.name != "libero":
        processors: tuple[Any, Any] = environment.config.get_env_processors()
        return processors
    processors = make_env_pre_post_processors(env_cfg=environment.config, policy_cfg=loaded.policy.config)
    return processors


def _stack_observations(observations: Sequence[Any]) -> Any:
    if isinstance(observations[0], Mapping):
        return {name: _stack_observations([nested[name] for nested in observations]) for name in observations[0]}
    return numpy.stack(observations)


def play_wave(wave: Wave, actor: PolicyActor, environments: EnvironmentGroup, seed: int) -> Iterator[RolloutEpisode]:
    """Yield each episode when it ends. `seed` is that of episode 0."""
    actor.reset(seed + wave[0])
    observations = environments.reset(wave)
    running_indices = set(range(len(wave)))
    step = 0
    while running_indices:
        actions = actor.act(observations)
        for index in sorted(running_indices):
            location = f"episode {wave[index]}, step {step}"
            loaded_policy.require_finite_action(actions[index], "the policy's action", location)
        for index, step_result in environments.step(
            {index: actions[index] for index in sorted(running_indices)}
        ).items():
            observations[index] = step_result.observation
            if step_result.ended:
                running_indices.remove(index)
                yield step_result.ended
        step += 1


def deal_waves(request: EvaluationRequest, shares: int = 1) -> list[Wave]:
    """Return the episodes in batches, each dealt out in `shares`.

    Each share gets its largest part in the first batch, so that no process that runs ahead exceeds the batch size.
    """
    batches = [
        range(first_episode, min(first_episode + request.eval_batch_size, request.eval_episodes))
        for first_episode in range(0, request.eval_episodes, request.eval_batch_size)
    ]
    return [batch[number::shares] for batch in batches for number in range(min(shares, len(batch)))]


class TrialResult(NamedTuple):
    """The environment that the policy can act in."""

    environment: RolloutEnvironment
    draws: bool
    """Whether its actions draw random numbers."""
    latency_ms: Mapping[str, float]


def try_policy(loaded: LoadedPolicy, environment: RolloutEnvironment, request: EvaluationRequest) -> TrialResult:
    """Compare the policy with what the environment shows, and try it. Raise SystemExit with a sentence."""
    environments = LocalEnvironments(environment, replace(request, video_folder=None))
    if request.env_workers:
        with WorkerPool(serve_environments(environments), 1) as pool:
            observations = WorkerEnvironments(pool).reset([0])
    else:
        observations = environments.reset([0])
    batch = PolicyActor(loaded, environment).batch(observations)
    shown_features = {name: tuple(feature.shape[1:]) for name, feature in batch.items() if hasattr(feature, "shape")}
    environment = rollout_environment.adapt_to_policy(environment, loaded, shown_features)
    try:
        actor = PolicyActor(loaded, environment)
        draws_numbers = _draws_random_numbers(actor, observations, loaded.device, request.seed)
    except Exception as error:
        traceback.print_exc()
        reason = f"the policy cannot act on the observations of --env {request.env}"
        raise WorkFailed(f"{reason}: {' '.join(str(error).split())}") from error
    return TrialResult(environment, draws_numbers, _measure_latency(actor, observations, request.seed))


def _measure_latency(actor: PolicyActor, observations: list[EnvironmentObservation], seed: int) -> dict[str, float]:
    """Return how long the policy computes for one observation when it plans anew; it was tried before."""
    latencies: list[float] = []
    while len(latencies) < MOST_TIMED and sum(latencies) < MOST_SECONDS:
        actor.reset(seed)
        start_time = time.perf_counter()
        actor.act(observations)
        latencies.append(time.perf_counter() - start_time)
    latencies.sort()
    return {
        name: 1000 * latencies[math.ceil(share * len(latencies)) - 1] for name, share in (("p50", 0.5), ("p95", 0.95))
    }


def _draws_random_numbers(
    actor: PolicyActor, observations: list[EnvironmentObservation], device: str, seed: int
) -> bool:
    """Return whether an action advances the random number generators."""
    set_seed(seed)
    expected_draws = _draw_numbers(device)
    actor.reset(seed)
    actor.act(observations)
    return _draw_numbers(device) != expected_draws


def _draw_numbers(device: str) -> tuple[float, ...]:
    return (
        random.random(),
        float(numpy.random.random()),
        *(torch.rand(1, device=device_name).item() for device_name in ("cpu", device)),
    )


def run_rollout(loaded: LoadedPolicy, request: EvaluationRequest, on_episode: OnEpisode) -> RolloutResult:
    """Roll out all episodes of all tasks; call `on_episode` for each in order. Raise SystemExit with a sentence."""
    worker_pool.retain_freed_memory()
    if sys.platform != "linux":
        if request.env_workers:
            note_text = f"--env-workers {request.env_workers}: works only on Linux; one process is used here"
            emit_note(note_text, "warning")
        request = replace(request, env_workers=0)
    elif request.env_workers is None:
        request = replace(request, env_workers=count_cores())
    requests = [
        replace(request, task=task, first=number * request.eval_episodes)
        for number, task in enumerate(request.tasks or ("",))
    ]
    trial = try_policy(loaded, rollout_environment.configure_environment(loaded, request), requests[0])
    if request.video_folder and request.eval_episodes > video.MOST_FILMED:
        each_task_text = " of each task" if request.tasks else ""
        note_text = (
            f"videos are recorded of the first {video.MOST_FILMED} of {request.eval_episodes} episodes{each_task_text}"
        )
        emit_note(note_text)
    rolled: list[RolloutEpisode] = []
    for task_request in requests:
        rolled += _roll_out_task(loaded, trial, task_request, on_episode)
    rollout_result = RolloutResult(
        episodes=rolled, latency_ms=trial.latency_ms, scaled_key_points=trial.environment.scaled
    )
    counted_trials = rollout_result.trials
    if counted_trials < len(rolled):
        note_text = (
            f"{len(rolled)} episodes have {counted_trials} different start{'s' * (counted_trials != 1)}, and the "
            "policy draws no"
            " random numbers: the others repeat them, and do not count"
        )
        emit_note(note_text, "warning")
    return rollout_result


def _roll_out_task(
    loaded: LoadedPolicy, trial: TrialResult, request: EvaluationRequest, on_episode: OnEpisode
) -> list[RolloutEpisode]:
    rolled: list[RolloutEpisode] = []
    waiting_episodes: dict[int, RolloutEpisode] = {}  # those that end before an earlier one
    trials: dict[int, int] = {}  # by start; a policy that draws numbers does not repeat itself
    with contextlib.closing(_play_episodes(loaded, trial, request)) as episodes:
        for episode in episodes:
            waiting_episodes[episode.index] = episode
            while (number := request.first + len(rolled)) in waiting_episodes:
                ended_episode = waiting_episodes.pop(number)
                start = ended_episode.seed if ended_episode.start is None or trial.draws else ended_episode.start
                rolled.append(replace(ended_episode, trial=trials.setdefault(start, ended_episode.seed)))
                on_episode(rolled[-1])
    folder = request.video_folder
    if folder and (videos := [folder.parent / episode.video for episode in rolled if episode.video]):
        video.write_video_grid(folder / video.name_folder(request.task), videos, trial.environment.config.fps)
    if request.task:
        words = f", told {rolled[0].description!r}" if rolled[0].description else ""
        rollout_result = RolloutResult(episodes=rolled)
        count = f"{rollout_result.successes} of {rollout_result.trials}"
        print(f"rollout: {request.task}{words}: success {count}", flush=True)
    return rolled


def _play_episodes(loaded: LoadedPolicy, trial: TrialResult, request: EvaluationRequest) -> Generator[RolloutEpisode]:
    actor = PolicyActor(loaded, trial.environment)
    environments = LocalEnvironments(trial.environment, request)
    if not request.env_workers:
        yield from _play_waves(deal_waves(request), actor, environments, request)
    elif loaded.device == "cpu":
        yield from _play_in_workers(actor, trial, request, request.env_workers)
    else:
        count = min(request.env_workers, request.eval_batch_size, request.eval_episodes)
        with WorkerPool(serve_environments(environments), count) as pool:
            yield from _play_waves(deal_waves(request), actor, WorkerEnvironments(pool), request)


def _play_waves(
    waves: list[Wave], actor: PolicyActor, environments: EnvironmentGroup, request: EvaluationRequest
) -> Iterator[RolloutEpisode]:
    for wave in waves:
        yield from play_wave(wave, actor, environments, request.seed + request.skip)


def _play_in_workers(
    actor: PolicyActor, trial: TrialResult, request: EvaluationRequest, workers: int
) -> Iterator[RolloutEpisode]:
    max_workers = min(workers, request.eval_batch_size, request.eval_episodes)
    waves = deal_waves(request, shares=1 if trial.draws else max_workers)
    count = min(workers, len(waves)) if trial.draws else max_workers
    if count < max_workers and not request.first:  # once for all tasks
        note_text = (
            f"the policy draws random numbers: each batch of {request.eval_batch_size} episodes runs in one process,"
            f" so that results do not depend on the number of cores: {count} of {workers} processes are used; a smaller"
            " --eval-batch-size makes more batches, with other random numbers"
        )
        emit_note(note_text)

    def work(number: int, pipe: Connection) -> None:
        torch.set_num_threads(1)
        environments = LocalEnvironments(trial.environment, request)
        for episode in _play_waves(waves[number::count], actor, environments, request):
            pipe.send(episode)

    with WorkerPool(work, count) as pool:
        yield from pool.receive_all()
