"""Lets a policy act in a simulated environment, on all cores.

Where the policy runs on the CPU, a process for each core has its own copy of it and plays its share of each batch from
beginning to end, with one thread: nothing travels between processes but results. What a policy that draws at random
draws depends on who is beside whom: such a one plays whole batches, or the numbers would depend on the cores. Where the
policy runs on a GPU, it stays in this process, decides for a whole batch at once, and the processes only step
environments.
"""

import contextlib
import importlib
import os
import sys
from collections.abc import Callable, Generator, Iterator
from dataclasses import replace
from multiprocessing.connection import Connection

from robotrain_runtime.emit import emit
from robotrain_runtime.event import Note

from robotrain_workloads.lerobot_eval.loaded import Loaded
from robotrain_workloads.lerobot_eval.rollout import environment, filming, grid, memory, trial, wave
from robotrain_workloads.lerobot_eval.rollout.acting import Actor
from robotrain_workloads.lerobot_eval.rollout.apart import Apart, serving
from robotrain_workloads.lerobot_eval.rollout.asked import EpisodeRolled, RolloutAsked
from robotrain_workloads.lerobot_eval.rollout.crew import Crew
from robotrain_workloads.lerobot_eval.rollout.stage import Here, Stage
from robotrain_workloads.lerobot_eval.rollout.trial import Tried

Told = Callable[[EpisodeRolled], None]


def roll(loaded: Loaded, asked: RolloutAsked, told: Told) -> list[EpisodeRolled]:
    """All episodes, each told in its turn. Raises SystemExit with a sentence."""
    memory.keep()
    asked = replace(asked, workers=_workers(asked))
    tried = trial.hold(loaded, environment.choose(loaded, asked), asked)
    chosen = tried.environment
    if asked.video_folder and (sentence := filming.limit(asked.episodes)):
        emit(Note(level="info", text=sentence))
    with contextlib.closing(_episodes(loaded, tried, asked)) as episodes:
        rolled = list(_in_turn(episodes, told))
    films = [episode.video for episode in rolled if episode.video]
    if asked.video_folder and films:
        grid.write(asked.video_folder, films, chosen.config.fps)
    return rolled


def _episodes(loaded: Loaded, tried: Tried, asked: RolloutAsked) -> Generator[EpisodeRolled]:
    """As they end."""
    chosen = tried.environment
    actor = Actor(loaded, chosen)
    if not asked.workers:
        yield from _play(wave.waves(asked), actor, Here(chosen, asked), asked)
    elif loaded.device == "cpu":
        yield from _shared_out(actor, tried, asked, asked.workers)
    else:
        with Crew(serving(Here(chosen, asked)), min(asked.workers, asked.batch, asked.episodes)) as crew:
            yield from _play(wave.waves(asked), actor, Apart(crew), asked)


def _play(waves: list[wave.Wave], actor: Actor, stage: Stage, asked: RolloutAsked) -> Iterator[EpisodeRolled]:
    for each in waves:
        yield from wave.play(each, actor, stage, asked.seed)


def _shared_out(actor: Actor, tried: Tried, asked: RolloutAsked, workers: int) -> Iterator[EpisodeRolled]:
    most = min(workers, asked.batch, asked.episodes)
    waves = wave.waves(asked, shares=1 if tried.draws else most)
    count = min(workers, len(waves)) if tried.draws else most
    if count < most:
        emit(Note(level="info", text=_fewer(count, workers, asked.batch)))

    def work(number: int, pipe: Connection) -> None:
        importlib.import_module("torch").set_num_threads(1)
        for episode in _play(waves[number::count], actor, Here(tried.environment, asked), asked):
            pipe.send(episode)

    with Crew(work, count) as crew:
        yield from crew.all_said()


def _fewer(count: int, workers: int, batch: int) -> str:
    return (
        f"the policy draws at random: it plays whole batches of {batch} episodes, each in one process, so that its"
        f" numbers do not depend on the cores: {count} of {workers} processes have one; a smaller --eval-batch-size"
        " makes more batches, and other draws"
    )


def _in_turn(episodes: Iterator[EpisodeRolled], told: Told) -> Iterator[EpisodeRolled]:
    """Those that end before an earlier one wait for it."""
    waiting: dict[int, EpisodeRolled] = {}
    following = 0
    for episode in episodes:
        waiting[episode.index] = episode
        while following in waiting:
            told(waiting[following])
            yield waiting.pop(following)
            following += 1


def _workers(asked: RolloutAsked) -> int:
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0)) if asked.workers is None else asked.workers
    if asked.workers:
        emit(Note(level="warning", text=f"--env-workers {asked.workers}: only on Linux; here one process does it all"))
    return 0
