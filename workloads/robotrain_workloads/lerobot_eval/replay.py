"""Replay of recorded episodes: comparison of actions with the recorded ones, and latency.

A video is opened and searched once for a stretch of frames instead of for each; threads decode the next stretch while
the policy acts in this one. PyAV decodes: LeRobot shares a decoder of torchcodec between threads.
"""

import importlib
import math
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from itertools import islice
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

from robotrain_runtime.machine.hardware import count_cores

from robotrain_workloads.exit_status import WorkFailed
from robotrain_workloads.lerobot import data_errors, dataset, loaded_policy
from robotrain_workloads.lerobot.loaded_policy import LoadedPolicy
from robotrain_workloads.lerobot_eval.inputs.request import EvaluationRequest
from robotrain_workloads.lerobot_eval.results.evaluation import LatencySummary, ReplayEpisode

WARM_UP = 5
MOST_FRAMES = 1000
MOST_SECONDS = 20.0
ACTION = "action"
MOST_THREADS = 8
TOLERANCE = 1e-4
"""Seconds that a frame may be off, as LeRobot has it; of a dataset without videos none is."""
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
    """The episodes that are replayed of a dataset."""

    def __init__(self, loaded: LoadedPolicy, root: Path, request: EvaluationRequest, episodes: Sequence[int]) -> None:
        from lerobot import datasets

        data_errors.guard_frames()
        meta = datasets.LeRobotDatasetMetadata(root.name, root=root)
        self._root, self.episodes = root, episodes
        self._keys = list_policy_features(loaded, meta.features)
        self._length = compute_stretch_length(meta.features, self._keys, request.eval_batch_size)
        moments = [number / meta.fps for number in range(self._length)]
        self._dataset = datasets.LeRobotDataset(
            root.name,
            root=root,
            episodes=sorted(episodes),
            delta_timestamps=dict.fromkeys((*self._keys, ACTION), moments),
            tolerance_s=dataset.compute_frame_tolerance(root) or TOLERANCE,
            video_backend="pyav",
            return_uint8=True,
        )
        rows = {index: row for row, index in enumerate(_read_column(self._dataset, "index"))}
        self._extents: dict[int, tuple[int, int]] = {}
        """The first row of each episode, among those that were read, and its number of frames."""
        for episode in self._dataset.episodes:
            metadata = self._dataset.meta.episodes[episode]
            first_frame = metadata["dataset_from_index"]
            self._extents[episode] = (rows[first_frame], metadata["dataset_to_index"] - first_frame)
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
        import torch

        longest_episode = max(map(self.count_frames, episodes))
        threads = count_cores() - 1
        starts = range(0, longest_episode, self._length)
        with (
            ThreadPoolExecutor(max(1, min(MOST_THREADS, threads))) as pool,
            closing(self._read_stretches(pool, episodes, starts, ahead)) as stretches,
        ):
            for start, frame_parts in zip(starts, stretches, strict=True):
                keys = (*self._keys, ACTION)
                stacked_frames = {
                    key: torch.stack([frame_part[key] for frame_part in frame_parts], dim=1) for key in keys
                }  # by frame first
                for number in range(min(self._length, longest_episode - start)):
                    observation = {key: stacked_frames[key][number] for key in self._keys}
                    tasks = [self._task_indices[self._find_row(episode, start + number)] for episode in episodes]
                    observation["task"] = [self._tasks[task] for task in tasks]
                    yield RecordedFrame(observation=observation, action=stacked_frames[ACTION][number])

    def _read_stretches(
        self, pool: ThreadPoolExecutor, episodes: Sequence[int], starts: Sequence[int], ahead: int
    ) -> Generator[list[Mapping[str, Any]]]:
        """Yield each stretch as a part of each episode, while later stretches are read."""
        pending_stretches: list[list[Future[Any]]] = []
        try:
            for start in (*starts, None):
                if start is not None:
                    pending_stretches.append(
                        [pool.submit(self._dataset.__getitem__, self._find_row(episode, start)) for episode in episodes]
                    )
                if pending_stretches and (len(pending_stretches) > ahead or start is None):
                    with _explain_damage(self._root):
                        parts = [future.result() for future in pending_stretches.pop(0)]
                    yield parts
        finally:
            for future in (future for futures in pending_stretches for future in futures):
                future.cancel()

    def _find_row(self, episode: int, step: int) -> int:
        """Return the row of a frame among the rows that were read."""
        first_row, count = self._extents[episode]
        return first_row + min(step, count - 1)


def _read_column(dataset: Any, name: str) -> list[int]:
    column_values: list[int] = dataset.hf_dataset.data.column(name).to_pylist()
    return column_values


def list_policy_features(loaded: LoadedPolicy, features: Mapping[str, Any]) -> list[str]:
    """Return the features that the policy reads, under the dataset's names."""
    inputs = set(loaded.policy.config.input_features or ())
    for step in loaded.preprocessor.steps:
        renames = getattr(step, "rename_map", None) or {}
        inputs |= {name for name, renamed in renames.items() if renamed in inputs}
    return [name for name in features if name.startswith(OBSERVATION_PREFIX) and name in inputs]


def compute_stretch_length(features: Mapping[str, Any], keys: Sequence[str], batch: int) -> int:
    """Return the frames of a stretch, so that a batch of episodes fits into IMAGE_MEMORY."""
    images = [features[key] for key in keys if features[key]["dtype"] in PIXEL_BYTES]
    frame: int = sum(PIXEL_BYTES[image["dtype"]] * math.prod(image["shape"]) for image in images)
    return max(1, min(LONGEST_STRETCH, IMAGE_MEMORY // max(1, frame * batch)))


def get_action_names(feature: Mapping[str, Any]) -> list[str]:
    """Return the names of an action's dimensions, or numbered names."""
    count = math.prod(feature["shape"])
    dimension_names = feature.get("names")
    if isinstance(dimension_names, Mapping):
        dimension_names = next(iter(dimension_names.values()), None)
    unique_names = (
        [str(name) for name in dimension_names]
        if isinstance(dimension_names, Sequence) and not isinstance(dimension_names, str)
        else []
    )
    if len(unique_names) == count == len(set(unique_names)):
        return unique_names
    return [f"action_{number}" for number in range(count)]


def replay_episodes(
    loaded: LoadedPolicy,
    recording: Recording,
    request: EvaluationRequest,
    on_episode: Callable[[ReplayEpisode], None],
    measured_seconds: Mapping[int, Sequence[float]],
) -> list[ReplayEpisode]:
    """Replay every episode and call `on_episode` for each; return them by number. Raise SystemExit with a sentence.

    Observations are the recorded ones, whatever the policy does, so errors of one frame do not add up over the next.

    :param measured_seconds: those of `measure_latency`, by episode.
    """
    replayed: list[ReplayEpisode] = []
    ordered_episodes = sorted(recording.episodes, key=recording.count_frames)  # a wave lasts as long as its longest one
    for start in range(0, len(ordered_episodes), request.eval_batch_size):
        episodes = ordered_episodes[start : start + request.eval_batch_size]
        for episode in replay_wave(loaded, recording, episodes, request.seed, measured_seconds):
            on_episode(episode)
            replayed.append(episode)
    return sorted(replayed, key=lambda episode: episode.episode)


def open_recording(loaded: LoadedPolicy, root: Path, request: EvaluationRequest, episodes: Sequence[int]) -> Recording:
    """Return episodes of the dataset at `root`. Raise SystemExit with a sentence when it is incomplete."""
    with _explain_damage(root):
        return Recording(loaded, root, request, episodes)


@contextmanager
def _explain_damage(root: Path) -> Iterator[None]:
    """Raise SystemExit with a sentence: decoders and LeRobot report damaged files in many ways."""
    try:
        yield
    except Exception as error:
        if sentence := data_errors.explain_reading_error(error, root):
            raise WorkFailed(sentence) from error
        raise


def replay_wave(
    loaded: LoadedPolicy,
    recording: Recording,
    episodes: Sequence[int],
    seed: int,
    measured_seconds: Mapping[int, Sequence[float]],
) -> Iterator[ReplayEpisode]:
    """Yield each episode when it ends. The same seed draws the same."""
    importlib.import_module("lerobot.utils.random_utils").set_seed(seed)
    loaded.policy.reset()
    steps = [recording.count_frames(episode) for episode in episodes]
    predicted_actions, recorded_actions = [], []
    for frame_number, frame in enumerate(recording.read_frames(episodes), start=1):
        action = loaded.act(frame.observation)
        if action.shape[-1] != frame.action.shape[-1]:
            sizes = f"{action.shape[-1]} values, those of the dataset {frame.action.shape[-1]}"
            raise WorkFailed(f"the policy's actions have {sizes}")
        predicted_actions.append(action)
        recorded_actions.append(frame.action)
        for index, (episode, count) in enumerate(zip(episodes, steps, strict=True)):
            if frame_number <= count:
                location = f"episode {episode}, frame {frame_number - 1}"
                damage = "the dataset may be damaged"
                loaded_policy.require_finite_action(
                    recorded_actions[-1][index], "the recorded action", location, damage
                )
                loaded_policy.require_finite_action(predicted_actions[-1][index], "the policy's action", location)
            if count == frame_number:
                rows = ([row[index] for row in predicted_actions], [row[index] for row in recorded_actions])
                seconds = (*measured_seconds.get(episode, ()), *[math.nan] * count)[:count]
                yield measure_errors(episode, recording.names, *rows, seconds)


def measure_errors(
    episode: int,
    action_names: Sequence[str],
    predicted_frames: Sequence[Any],
    recorded_frames: Sequence[Any],
    seconds: Sequence[float],
) -> ReplayEpisode:
    """Return the errors of an episode; `predicted_frames` and `recorded_frames` hold an action for each frame."""
    import torch

    predicted_actions = torch.stack(list(predicted_frames)).numpy()
    recorded_actions = torch.stack(list(recorded_frames)).float().numpy()
    errors = predicted_actions.astype("float64") - recorded_actions
    squared_errors = errors**2
    absolute_errors = abs(errors)
    return ReplayEpisode(
        episode=episode,
        steps=len(predicted_actions),
        mse=float(squared_errors.mean()),
        mae=float(absolute_errors.mean()),
        max_error=float(absolute_errors.max()),
        each_mse=_map_by_name(action_names, squared_errors.mean(axis=0)),
        each_mae=_map_by_name(action_names, absolute_errors.mean(axis=0)),
        each_max=_map_by_name(action_names, absolute_errors.max(axis=0)),
        predicted=predicted_actions,
        recorded=recorded_actions,
        seconds=seconds,
    )


def _map_by_name(names: Sequence[str], numbers: Any) -> dict[str, float]:
    return dict(zip(names, map(float, numbers), strict=True))


def measure_latency(loaded: LoadedPolicy, recording: Recording, episodes: Sequence[int]) -> dict[int, list[float]]:
    """Return the seconds of single actions by episode: of the first ones while there is time, at least of one frame."""
    print("measuring the latency of the policy", flush=True)
    start_time = time.perf_counter()
    with closing(_time_actions(loaded, recording, episodes[0])) as warm_up:
        for _ in islice(warm_up, WARM_UP):
            if time.perf_counter() > start_time + MOST_SECONDS / 2:
                break
    seconds_by_episode = dict[int, list[float]]()
    remaining, deadline = MOST_FRAMES, start_time + MOST_SECONDS
    for episode in episodes:
        with closing(_time_actions(loaded, recording, episode)) as timed_actions:
            for seconds in islice(timed_actions, remaining):
                seconds_by_episode.setdefault(episode, []).append(seconds)
                if time.perf_counter() > deadline:
                    return seconds_by_episode
        remaining -= len(seconds_by_episode.get(episode, ()))
    return seconds_by_episode


def _time_actions(loaded: LoadedPolicy, recording: Recording, episode: int) -> Generator[float]:
    """Yield the seconds of each action. Nothing is decoded meanwhile."""
    loaded.policy.reset()
    for frame in recording.read_frames([episode], ahead=0):
        start_time = time.perf_counter()
        loaded.act(frame.observation)
        yield time.perf_counter() - start_time


def summarize_latency(seconds_by_episode: Mapping[int, Sequence[float]]) -> LatencySummary:
    """Return the latency over all measured frames."""
    latencies = sorted(1000 * action for seconds in seconds_by_episode.values() for action in seconds)
    p50, p95, p99 = (latencies[-(-len(latencies) * percent // 100) - 1] for percent in (50, 95, 99))
    return LatencySummary(frames=len(latencies), mean=fmean(latencies), p50=p50, p95=p95, p99=p99, max=latencies[-1])
