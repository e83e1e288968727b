"""Recorded episodes, read many frames at once and ahead of the policy that acts in them.

A video is opened and searched once for a stretch of frames, not once for each; threads decode the next stretch while
the policy acts in this one. It is always PyAV that decodes: LeRobot shares a decoder of torchcodec between threads.
"""

import importlib
import os
from collections.abc import Generator, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from robotrain_workloads.lerobot_eval.loaded import Loaded
from robotrain_workloads.lerobot_eval.replay import stretches
from robotrain_workloads.lerobot_eval.replay.asked import ReplayAsked

ACTION = "action"
MOST_THREADS = 8
LONGEST = 300
"""Characters of what a decoder says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """The same frame of several episodes: what the policy sees, and what was done."""

    seen: Mapping[str, Any]
    done: Any


class Recording:
    """The episodes that a replay is asked for."""

    def __init__(self, loaded: Loaded, asked: ReplayAsked) -> None:
        datasets: Any = importlib.import_module("lerobot.datasets")
        meta = datasets.LeRobotDatasetMetadata(asked.root.name, root=asked.root)
        self._root = asked.root
        self._keys = stretches.wanted(loaded, meta.features)
        self._length = stretches.length(meta.features, self._keys, asked.batch)
        moments = [number / meta.fps for number in range(self._length)]
        self._dataset = datasets.LeRobotDataset(
            asked.root.name,
            root=asked.root,
            episodes=sorted(asked.episodes),
            delta_timestamps=dict.fromkeys((*self._keys, ACTION), moments),
            tolerance_s=asked.tolerance,
            video_backend="pyav",
            return_uint8=True,
        )
        self._extents = _extents(self._dataset)
        self._tasks = [str(task) for task in meta.tasks.index]
        self._task = _column(self._dataset, "task_index")
        self.names = stretches.names(meta.features[ACTION])

    def steps(self, episode: int) -> int:
        """How many frames the episode has."""
        return self._extents[episode][1]

    def moments(self, episodes: Sequence[int], *, ahead: int = 1) -> Iterator[Moment]:
        """Their frames side by side, to the end of the longest; one that is over shows its last frame again.

        ahead: the stretches that are read while the policy acts; with 0 nothing else happens meanwhile.
        """
        longest = max(map(self.steps, episodes))
        starts = range(0, longest, self._length)
        with ThreadPoolExecutor(_threads()) as pool, closing(self._stretches(pool, episodes, starts, ahead)) as found:
            for start, parts in zip(starts, found, strict=True):
                together = {key: _together([part[key] for part in parts]) for key in (*self._keys, ACTION)}
                for number in range(min(self._length, longest - start)):
                    seen = {key: together[key][number] for key in self._keys}
                    seen["task"] = [self._said(episode, start + number) for episode in episodes]
                    yield Moment(seen=seen, done=together[ACTION][number])

    def _stretches(
        self, pool: ThreadPoolExecutor, episodes: Sequence[int], starts: Sequence[int], ahead: int
    ) -> Generator[list[Mapping[str, Any]]]:
        """Of each stretch, the part of each episode; those behind it are being read meanwhile."""
        coming: list[list[Future[Any]]] = []
        try:
            for start in (*starts, None):
                if start is not None:
                    coming.append([pool.submit(self._dataset.__getitem__, self._at(one, start)) for one in episodes])
                if coming and (len(coming) > ahead or start is None):
                    yield [self._read(*one) for one in zip(episodes, coming.pop(0), strict=True)]
        finally:
            for part in (part for parts in coming for part in parts):
                part.cancel()

    def _read(self, episode: int, part: Future[Any]) -> Mapping[str, Any]:
        """Raises SystemExit with a sentence: decoders and LeRobot say in many ways that a file is not whole."""
        try:
            found: Mapping[str, Any] = part.result()
        except MemoryError:
            raise
        except Exception as error:
            why = f"{type(error).__name__}: {' '.join(str(error).split())[:LONGEST]}"
            raise SystemExit(f"error: episode {episode} of {self._root} cannot be read: {why}") from error
        return found

    def _at(self, episode: int, step: int) -> int:
        """The row of a frame, among the rows that were read."""
        first, count = self._extents[episode]
        return first + min(step, count - 1)

    def _said(self, episode: int, step: int) -> str:
        return self._tasks[self._task[self._at(episode, step)]]


def _extents(dataset: Any) -> dict[int, tuple[int, int]]:
    """The row that each episode begins at, among those that were read, and how many it has: as its metadata say."""
    rows = {index: row for row, index in enumerate(_column(dataset, "index"))}
    found = {episode: dataset.meta.episodes[episode] for episode in dataset.episodes}
    ends = {episode: (one["dataset_from_index"], one["dataset_to_index"]) for episode, one in found.items()}
    return {episode: (rows[first], end - first) for episode, (first, end) in ends.items()}


def _column(dataset: Any, name: str) -> list[int]:
    found: list[int] = dataset.hf_dataset.data.column(name).to_pylist()
    return found


def _together(parts: Sequence[Any]) -> Any:
    """By frame first, then by episode."""
    return importlib.import_module("torch").stack(parts, dim=1)


def _threads() -> int:
    return max(1, min(MOST_THREADS, len(os.sched_getaffinity(0)) - 1))
