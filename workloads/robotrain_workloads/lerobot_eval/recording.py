"""Recorded episodes, decoded in stretches of frames ahead of the policy.

A video is opened and searched once for a stretch of frames instead of for each; threads decode the next stretch while
the policy acts in this one. PyAV decodes: LeRobot shares a decoder of torchcodec between threads.
"""

import importlib
import math
import os
from collections.abc import Generator, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from typing import Any, NamedTuple

from robotrain_workloads.lerobot_eval.inputs.loaded_policy import LoadedPolicy
from robotrain_workloads.lerobot_eval.results.evaluation import ReplayRequest

ACTION = "action"
MOST_THREADS = 8
LONGEST_ERROR = 300
"""Characters of a decoder's message."""
OBSERVATION_PREFIX = "observation."
IMAGE_MEMORY = 256 << 20
"""Bytes for the images of a stretch of frames."""
LONGEST_STRETCH = 64
PIXEL_BYTES = {"video": 1, "image": 4}


class RecordedFrame(NamedTuple):
    """The same frame of several episodes: observation and recorded action."""

    observation: Mapping[str, Any]
    action: Any


class Recording:
    """The episodes of a replay request."""

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
        self._task_indices = _read_column(self._dataset, "task_index")
        self.names = get_action_names(meta.features[ACTION])

    def count_frames(self, episode: int) -> int:
        """Return the number of frames of the episode."""
        return self._extents[episode][1]

    def read_frames(self, episodes: Sequence[int], *, ahead: int = 1) -> Iterator[RecordedFrame]:
        """Yield frames of the episodes side by side, to the end of the longest; a finished one repeats its last frame.

        `ahead`: stretches that are read while the policy acts; with 0 nothing runs meanwhile.
        """
        torch: Any = importlib.import_module("torch")
        longest, threads = max(map(self.count_frames, episodes)), len(os.sched_getaffinity(0)) - 1
        starts = range(0, longest, self._length)
        with (
            ThreadPoolExecutor(max(1, min(MOST_THREADS, threads))) as pool,
            closing(self._read_stretches(pool, episodes, starts, ahead)) as stretches,
        ):
            for start, parts in zip(starts, stretches, strict=True):
                keys = (*self._keys, ACTION)
                stacked = {key: torch.stack([part[key] for part in parts], dim=1) for key in keys}  # by frame first
                for number in range(min(self._length, longest - start)):
                    observation = {key: stacked[key][number] for key in self._keys}
                    tasks = [self._task_indices[self._find_row(episode, start + number)] for episode in episodes]
                    observation["task"] = [self._tasks[task] for task in tasks]
                    yield RecordedFrame(observation=observation, action=stacked[ACTION][number])

    def _read_stretches(
        self, pool: ThreadPoolExecutor, episodes: Sequence[int], starts: Sequence[int], ahead: int
    ) -> Generator[list[Mapping[str, Any]]]:
        """Yield each stretch as a part of each episode, while later stretches are read."""
        pending: list[list[Future[Any]]] = []
        try:
            for start in (*starts, None):
                if start is not None:
                    pending.append(
                        [pool.submit(self._dataset.__getitem__, self._find_row(one, start)) for one in episodes]
                    )
                if pending and (len(pending) > ahead or start is None):
                    yield [self._await_part(*one) for one in zip(episodes, pending.pop(0), strict=True)]
        finally:
            for part in (part for parts in pending for part in parts):
                part.cancel()

    def _await_part(self, episode: int, part: Future[Any]) -> Mapping[str, Any]:
        """Raise SystemExit with a sentence: decoders and LeRobot report damaged files in many ways."""
        try:
            frames: Mapping[str, Any] = part.result()
        except MemoryError:
            raise
        except Exception as error:
            reason = f"{type(error).__name__}: {' '.join(str(error).split())[:LONGEST_ERROR]}"
            raise SystemExit(f"error: episode {episode} of {self._root} cannot be read: {reason}") from error
        return frames

    def _find_row(self, episode: int, step: int) -> int:
        """Return the row of a frame among the rows that were read."""
        first, count = self._extents[episode]
        return first + min(step, count - 1)


def _load_extents(dataset: Any) -> dict[int, tuple[int, int]]:
    """Return the first row of each episode, among those that were read, and its number of frames."""
    rows = {index: row for row, index in enumerate(_read_column(dataset, "index"))}
    extents = {}
    for episode in dataset.episodes:
        metadata = dataset.meta.episodes[episode]
        first = metadata["dataset_from_index"]
        extents[episode] = (rows[first], metadata["dataset_to_index"] - first)
    return extents


def _read_column(dataset: Any, name: str) -> list[int]:
    values: list[int] = dataset.hf_dataset.data.column(name).to_pylist()
    return values


def list_policy_features(loaded: LoadedPolicy, features: Mapping[str, Any]) -> list[str]:
    """Return the features that the policy reads, under the dataset's names."""
    inputs = set(loaded.policy.config.input_features or ())
    for step in loaded.preprocessor.steps:
        renames = getattr(step, "rename_map", None) or {}
        inputs |= {name for name, other in renames.items() if other in inputs}
    return [name for name in features if name.startswith(OBSERVATION_PREFIX) and name in inputs]


def compute_stretch_length(features: Mapping[str, Any], keys: Sequence[str], batch: int) -> int:
    """Return the frames of a stretch, so that a batch of episodes fits into IMAGE_MEMORY."""
    images = [features[key] for key in keys if features[key]["dtype"] in PIXEL_BYTES]
    frame: int = sum(PIXEL_BYTES[image["dtype"]] * math.prod(image["shape"]) for image in images)
    return max(1, min(LONGEST_STRETCH, IMAGE_MEMORY // max(1, frame * batch)))


def get_action_names(feature: Mapping[str, Any]) -> list[str]:
    """Return the names of an action's dimensions, or numbered names."""
    count, names = math.prod(feature["shape"]), feature.get("names")
    if isinstance(names, Mapping):
        names = next(iter(names.values()), None)
    unique_names = [str(name) for name in names] if isinstance(names, Sequence) and not isinstance(names, str) else []
    if len(unique_names) == count == len(set(unique_names)):
        return unique_names
    return [f"action_{number}" for number in range(count)]
