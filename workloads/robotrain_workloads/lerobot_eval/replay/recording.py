"""Recorded episodes, decoded many frames at once and ahead of the policy that acts in them.

A video is opened and searched once for a stretch of frames, not once for each; threads decode the next stretch while
the policy acts in this one. It is always PyAV that decodes: LeRobot shares a decoder of torchcodec between threads.
"""

import importlib
import math
import os
from collections.abc import Generator, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from robotrain_workloads.lerobot_eval.inputs.loaded_policy import LoadedPolicy
from robotrain_workloads.lerobot_eval.results.evaluation import ReplayRequest

ACTION = "action"
MOST_THREADS = 8
LONGEST_ERROR = 300
"""Characters of what a decoder says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedFrame:
    """The same frame of several episodes: what the policy sees, and what was done."""

    observation: Mapping[str, Any]
    action: Any


class Recording:
    """The episodes that a replay is asked for."""

    def __init__(self, loaded: LoadedPolicy, request: ReplayRequest) -> None:
        datasets: Any = importlib.import_module("lerobot.datasets")
        meta = datasets.LeRobotDatasetMetadata(request.root.name, root=request.root)
        self._root = request.root
        self._keys = list_policy_features(loaded, meta.features)
        self._length = compute_stretch_length(meta.features, self._keys, request.batch)
        moments = [number / meta.fps for number in range(self._length)]
        self._dataset = datasets.LeRobotDataset(
            request.root.name,
            root=request.root,
            episodes=sorted(request.episodes),
            delta_timestamps=dict.fromkeys((*self._keys, ACTION), moments),
            tolerance_s=request.tolerance,
            video_backend="pyav",
            return_uint8=True,
        )
        self._extents = _load_extents(self._dataset)
        self._tasks = [str(task) for task in meta.tasks.index]
        self._task = _read_column(self._dataset, "task_index")
        self.names = get_action_names(meta.features[ACTION])

    def count_frames(self, episode: int) -> int:
        """How many frames the episode has."""
        return self._extents[episode][1]

    def read_frames(self, episodes: Sequence[int], *, ahead: int = 1) -> Iterator[RecordedFrame]:
        """Their frames side by side, to the end of the longest; one that is over shows its last frame again.

        ahead: the stretches that are read while the policy acts; with 0 nothing else happens meanwhile.
        """
        longest = max(map(self.count_frames, episodes))
        starts = range(0, longest, self._length)
        with (
            ThreadPoolExecutor(_count_threads()) as pool,
            closing(self._read_stretches(pool, episodes, starts, ahead)) as found,
        ):
            for start, parts in zip(starts, found, strict=True):
                together = {key: _stack_by_frame([part[key] for part in parts]) for key in (*self._keys, ACTION)}
                for number in range(min(self._length, longest - start)):
                    seen = {key: together[key][number] for key in self._keys}
                    seen["task"] = [self._get_task(episode, start + number) for episode in episodes]
                    yield RecordedFrame(observation=seen, action=together[ACTION][number])

    def _read_stretches(
        self, pool: ThreadPoolExecutor, episodes: Sequence[int], starts: Sequence[int], ahead: int
    ) -> Generator[list[Mapping[str, Any]]]:
        """Of each stretch, the part of each episode; those behind it are being read meanwhile."""
        coming: list[list[Future[Any]]] = []
        try:
            for start in (*starts, None):
                if start is not None:
                    coming.append(
                        [pool.submit(self._dataset.__getitem__, self._find_row(one, start)) for one in episodes]
                    )
                if coming and (len(coming) > ahead or start is None):
                    yield [self._await_part(*one) for one in zip(episodes, coming.pop(0), strict=True)]
        finally:
            for part in (part for parts in coming for part in parts):
                part.cancel()

    def _await_part(self, episode: int, part: Future[Any]) -> Mapping[str, Any]:
        """Raises SystemExit with a sentence: decoders and LeRobot say in many ways that a file is not whole."""
        try:
            found: Mapping[str, Any] = part.result()
        except MemoryError:
            raise
        except Exception as error:
            why = f"{type(error).__name__}: {' '.join(str(error).split())[:LONGEST_ERROR]}"
            raise SystemExit(f"error: episode {episode} of {self._root} cannot be read: {why}") from error
        return found

    def _find_row(self, episode: int, step: int) -> int:
        """The row of a frame, among the rows that were read."""
        first, count = self._extents[episode]
        return first + min(step, count - 1)

    def _get_task(self, episode: int, step: int) -> str:
        return self._tasks[self._task[self._find_row(episode, step)]]


def _load_extents(dataset: Any) -> dict[int, tuple[int, int]]:
    """The row that each episode begins at, among those that were read, and how many it has: as its metadata say."""
    rows = {index: row for row, index in enumerate(_read_column(dataset, "index"))}
    found = {episode: dataset.meta.episodes[episode] for episode in dataset.episodes}
    ends = {episode: (one["dataset_from_index"], one["dataset_to_index"]) for episode, one in found.items()}
    return {episode: (rows[first], end - first) for episode, (first, end) in ends.items()}


def _read_column(dataset: Any, name: str) -> list[int]:
    found: list[int] = dataset.hf_dataset.data.column(name).to_pylist()
    return found


def _stack_by_frame(parts: Sequence[Any]) -> Any:
    """By frame first, then by episode."""
    return importlib.import_module("torch").stack(parts, dim=1)


def _count_threads() -> int:
    return max(1, min(MOST_THREADS, len(os.sched_getaffinity(0)) - 1))


OBSERVATION_PREFIX = "observation."
IMAGE_MEMORY = 256 << 20
"""Bytes of images that a stretch of frames may take."""
LONGEST_STRETCH = 64
PIXEL_BYTES = {"video": 1, "image": 4}


def list_policy_features(loaded: LoadedPolicy, features: Mapping[str, Any]) -> list[str]:
    """The features that the policy looks at, under the names that the dataset has for them."""
    looked_at = set(loaded.policy.config.input_features or ())
    for step in loaded.preprocessor.steps:
        renamed = getattr(step, "rename_map", None) or {}
        looked_at |= {name for name, other in renamed.items() if other in looked_at}
    return [name for name in features if name.startswith(OBSERVATION_PREFIX) and name in looked_at]


def compute_stretch_length(features: Mapping[str, Any], keys: Sequence[str], batch: int) -> int:
    """Frames of a stretch, so that those of a whole batch of episodes fit into the memory."""
    images = [features[key] for key in keys if features[key]["dtype"] in PIXEL_BYTES]
    frame: int = sum(PIXEL_BYTES[image["dtype"]] * math.prod(image["shape"]) for image in images)
    return max(1, min(LONGEST_STRETCH, IMAGE_MEMORY // max(1, frame * batch)))


def get_action_names(feature: Mapping[str, Any]) -> list[str]:
    """What the numbers of an action are called; those without a name are numbered."""
    count, said = math.prod(feature["shape"]), feature.get("names")
    if isinstance(said, Mapping):
        said = next(iter(said.values()), None)
    told = [str(name) for name in said] if isinstance(said, Sequence) and not isinstance(said, str) else []
    if len(told) == count == len(set(told)):
        return told
    return [f"action_{number}" for number in range(count)]
