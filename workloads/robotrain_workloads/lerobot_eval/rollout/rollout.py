"""Lets a policy act in a simulated environment, on all cores: a trial, then waves of episodes.

Policies of LeRobot keep what they decided for the next steps, of all episodes together, until they decide again. So an
episode cannot take the place of one that ended before the others: it would act on what was decided for that one. What
ended is not stepped any more; the policy goes on to see its end.

The environment is made where those of the episodes are: a process that has once drawn with OpenGL cannot hand it on.

Where the policy runs on the CPU, a process for each core has its own copy of it and plays its share of each batch from
beginning to end, with one thread: nothing travels between processes but results. What a policy that draws at random
draws depends on who is beside whom: such a one plays whole batches, or the numbers would depend on the cores. Where the
policy runs on a GPU, it stays in this process, decides for a whole batch at once, and the processes only step
environments.
"""

import contextlib
import importlib
import os
import random
import sys
import traceback
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from typing import Any

from robotrain_runtime.contract.event import Note, emit_event

from robotrain_workloads.lerobot_eval.inputs import loaded_policy
from robotrain_workloads.lerobot_eval.inputs.loaded_policy import LoadedPolicy
from robotrain_workloads.lerobot_eval.results.evaluation import RolloutEpisode, RolloutRequest
from robotrain_workloads.lerobot_eval.rollout import environment, video, worker_pool
from robotrain_workloads.lerobot_eval.rollout import environment as rollout_environment
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


class PolicyActor:
    """A policy with all that LeRobot puts before and behind it, for one environment."""

    def __init__(self, loaded: LoadedPolicy, environment: RolloutEnvironment) -> None:
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

    def act(self, observations: Sequence[EnvironmentObservation]) -> Any:
        """The next action of each, as rows of an array."""
        action = self._loaded.act(self._before(self.batch(observations)))
        return self._behind({"action": action})["action"].numpy()

    def batch(self, observations: Sequence[EnvironmentObservation]) -> dict[str, Any]:
        """What they show, in the policy's words."""
        given = self._preprocess(_stack_observations([one.observation for one in observations]))
        if self._environment.scaled:
            given[KEY_POINTS] = given[KEY_POINTS] / WORLD_CENTER - 1
        batch = {self._environment.renamed.get(name, name): value for name, value in given.items()}
        return {**batch, "task": [one.task for one in observations]}


def _stack_observations(observations: Sequence[Any]) -> Any:
    """A batch, in the shape of one: some environments nest their pictures."""
    if isinstance(observations[0], Mapping):
        return {name: _stack_observations([one[name] for one in observations]) for name in observations[0]}
    return importlib.import_module("numpy").stack(observations)


Wave = Sequence[int]
"""Its episodes."""


def play_wave(wave: Wave, actor: PolicyActor, stage: EnvironmentGroup, seed: int) -> Iterator[RolloutEpisode]:
    """Each episode when it ends. seed: that of episode 0."""
    actor.begin(seed + wave[0])
    seen, running, step = stage.begin(wave), set(range(len(wave))), 0
    while running:
        actions = actor.act(seen)
        for place in sorted(running):
            loaded_policy.require_finite_action(
                actions[place], "the policy's action", f"episode {wave[place]}, step {step}"
            )
        for place, moved in stage.step({place: actions[place] for place in sorted(running)}).items():
            seen[place] = moved.seen
            if moved.ended:
                running.remove(place)
                yield moved.ended
        step += 1


def deal_waves(request: RolloutRequest, shares: int = 1) -> list[Wave]:
    """All episodes, so many at once as were asked for; each such batch dealt out in so many shares.

    The share of a number is the largest in the first batch: who goes on to the next while others are in the last one
    never makes it more at once than a batch.
    """
    batches = [
        range(first, min(first + request.batch, request.episodes))
        for first in range(0, request.episodes, request.batch)
    ]
    return [batch[number::shares] for batch in batches for number in range(min(shares, len(batch)))]


@dataclass(frozen=True, slots=True)
class TrialResult:
    """The environment that the policy can act in. draws: whether its actions take random numbers."""

    environment: RolloutEnvironment
    draws: bool


def try_policy(loaded: LoadedPolicy, environment: RolloutEnvironment, request: RolloutRequest) -> TrialResult:
    """Try the policy on what LeRobot draws, then on the size that it reads. Raises SystemExit with a sentence."""
    actor, seen = PolicyActor(loaded, environment), _observe_start(environment, request)
    shown, read = (
        rollout_environment.get_batch_image_size(actor.batch(seen)),
        rollout_environment.get_policy_image_size(loaded),
    )
    another = shown and read and shown != read and not environment.drawn
    try:
        draws = _draws_random_numbers(actor, seen, loaded.device, request.seed)
    except Exception as error:
        if not another:
            traceback.print_exc()
            why = " ".join(str(error).split())
            raise SystemExit(f"error: the policy cannot act on what --env {request.env} shows: {why}") from error
        emit_event(Note(level="info", text=rollout_environment.explain_policy_size(shown, read)))
        return try_policy(loaded, replace(environment, drawn=rollout_environment.make_size_keywords(read)), request)
    if another:
        emit_event(Note(level="info", text=rollout_environment.explain_lerobot_size(shown, read)))
    return TrialResult(environment, draws)


def _observe_start(environment: RolloutEnvironment, request: RolloutRequest) -> list[EnvironmentObservation]:
    with _open_environments(environment, replace(request, video_folder=None)) as stage:
        return stage.begin([0])


@contextlib.contextmanager
def _open_environments(environment: RolloutEnvironment, request: RolloutRequest) -> Iterator[EnvironmentGroup]:
    if not request.workers:
        yield LocalEnvironments(environment, request)
        return
    with WorkerPool(serve_environments(LocalEnvironments(environment, request)), 1) as crew:
        yield WorkerEnvironments(crew)


def _draws_random_numbers(
    actor: PolicyActor, observations: list[EnvironmentObservation], device: str, seed: int
) -> bool:
    """Whether the random numbers that follow an action are others than those that follow the seed."""
    importlib.import_module("lerobot.utils.random_utils").set_seed(seed)
    expected = _draw_numbers(device)
    actor.begin(seed)
    actor.act(observations)
    return _draw_numbers(device) != expected


def _draw_numbers(device: str) -> tuple[float, ...]:
    torch: Any = importlib.import_module("torch")
    numpy: Any = importlib.import_module("numpy")
    drawn = (torch.rand(1, device=on).item() for on in ("cpu", device))
    return (random.random(), float(numpy.random.random()), *drawn)


OnEpisode = Callable[[RolloutEpisode], None]


def run_rollout(loaded: LoadedPolicy, request: RolloutRequest, on_episode: OnEpisode) -> list[RolloutEpisode]:
    """All episodes, each told in its turn. Raises SystemExit with a sentence."""
    worker_pool.retain_freed_memory()
    request = replace(request, workers=_count_workers(request))
    tried = try_policy(loaded, environment.configure_environment(loaded, request), request)
    chosen = tried.environment
    if request.video_folder and (sentence := video.explain_video_limit(request.episodes)):
        emit_event(Note(level="info", text=sentence))
    with contextlib.closing(_play_episodes(loaded, tried, request)) as episodes:
        rolled = list(_order_episodes(episodes, on_episode))
    films = [episode.video for episode in rolled if episode.video]
    if request.video_folder and films:
        video.write_video_grid(request.video_folder, films, chosen.config.fps)
    return rolled


def _play_episodes(
    loaded: LoadedPolicy, trial_result: TrialResult, request: RolloutRequest
) -> Generator[RolloutEpisode]:
    """As they end."""
    chosen = trial_result.environment
    actor = PolicyActor(loaded, chosen)
    if not request.workers:
        yield from _play_waves(deal_waves(request), actor, LocalEnvironments(chosen, request), request)
    elif loaded.device == "cpu":
        yield from _play_in_workers(actor, trial_result, request, request.workers)
    else:
        with WorkerPool(
            serve_environments(LocalEnvironments(chosen, request)),
            min(request.workers, request.batch, request.episodes),
        ) as crew:
            yield from _play_waves(deal_waves(request), actor, WorkerEnvironments(crew), request)


def _play_waves(
    waves: list[Wave], actor: PolicyActor, stage: EnvironmentGroup, request: RolloutRequest
) -> Iterator[RolloutEpisode]:
    for each in waves:
        yield from play_wave(each, actor, stage, request.seed)


def _play_in_workers(
    actor: PolicyActor, trial_result: TrialResult, request: RolloutRequest, workers: int
) -> Iterator[RolloutEpisode]:
    most = min(workers, request.batch, request.episodes)
    waves = deal_waves(request, shares=1 if trial_result.draws else most)
    count = min(workers, len(waves)) if trial_result.draws else most
    if count < most:
        emit_event(Note(level="info", text=_explain_fewer_workers(count, workers, request.batch)))

    def work(number: int, pipe: Connection) -> None:
        importlib.import_module("torch").set_num_threads(1)
        for episode in _play_waves(
            waves[number::count], actor, LocalEnvironments(trial_result.environment, request), request
        ):
            pipe.send(episode)

    with WorkerPool(work, count) as crew:
        yield from crew.receive_all()


def _explain_fewer_workers(count: int, workers: int, batch: int) -> str:
    return (
        f"the policy draws at random: it plays whole batches of {batch} episodes, each in one process, so that its"
        f" numbers do not depend on the cores: {count} of {workers} processes have one; a smaller --eval-batch-size"
        " makes more batches, and other draws"
    )


def _order_episodes(episodes: Iterator[RolloutEpisode], on_episode: OnEpisode) -> Iterator[RolloutEpisode]:
    """Those that end before an earlier one wait for it."""
    waiting: dict[int, RolloutEpisode] = {}
    following = 0
    for episode in episodes:
        waiting[episode.index] = episode
        while following in waiting:
            on_episode(waiting[following])
            yield waiting.pop(following)
            following += 1


def _count_workers(request: RolloutRequest) -> int:
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0)) if request.workers is None else request.workers
    if request.workers:
        emit_event(
            Note(level="warning", text=f"--env-workers {request.workers}: only on Linux; here one process does it all")
        )
    return 0
