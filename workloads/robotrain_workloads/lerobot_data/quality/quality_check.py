"""The question `quality`: what makes a policy worse. The numbers of each episode are read once, then the pictures."""

import importlib
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from robotrain_workloads.lerobot import episode_numbers
from robotrain_workloads.lerobot_data.quality import dimensions, episode_lengths
from robotrain_workloads.lerobot_data.quality.calibration import Calibration
from robotrain_workloads.lerobot_data.quality.cameras import CameraCheck
from robotrain_workloads.lerobot_data.quality.following import Following
from robotrain_workloads.lerobot_data.quality.frame_gaps import RATE_PART, FrameGaps
from robotrain_workloads.lerobot_data.quality.idle_ends import IdleEnds
from robotrain_workloads.lerobot_data.quality.joint_units import find_odd_joints
from robotrain_workloads.lerobot_data.quality.motion import make_motion
from robotrain_workloads.lerobot_data.quality.pictures import PictureReader
from robotrain_workloads.lerobot_data.quality.repeats import Repeats
from robotrain_workloads.lerobot_data.quality.units import UnitCheck
from robotrain_workloads.lerobot_data_check.counted_pictures import MiscountedFrames, find_miscounted
from robotrain_workloads.lerobot_data_check.dataset_files import DatasetFiles, LocalFiles
from robotrain_workloads.lerobot_data_check.findings import (
    BRIGHTNESS_UNIT,
    DataFinding,
    make_data_finding,
    make_span_finding,
)
from robotrain_workloads.lerobot_data_check.recording import ACTION, STATE, Array, RecordedDataset, Spread
from robotrain_workloads.lerobot_data_check.table_files import UnreadableTable

BRIGHTNESS, FEWEST_EPISODES = 0.2, 20
"""How far the brightness that statistics say is from that of pictures, of 1, and of how many episodes that counts."""

ALL_PICTURES = "all"

Progress = Callable[[int, int], object]
"""Takes how much is done, and of how much."""


def answer_question(
    files: DatasetFiles, options: Mapping[str, Any], progress: Progress
) -> Iterator[DataFinding | Mapping[str, Any]]:
    """Yield what makes a policy worse that is trained on a dataset, whose tables agree, and what was looked at.

    Options: `val_split`, the part of each task's episodes that is held out; `excluded`, as text, and `left_out`: the
    episodes that are not looked at; `decode`: `all` for all pictures.
    """
    recording = RecordedDataset(files)
    count = len(recording.episodes.lengths)
    chosen_episodes = episode_numbers.leave_out(options.get("excluded"), count)
    kept_episodes = np.setdiff1d(np.array(chosen_episodes, int), options.get("left_out", ()))
    try:
        reader = PictureReader(recording, kept_episodes, decodes_all=options.get("decode") == ALL_PICTURES)
        yield from _find_problems(recording, reader, kept_episodes, float(options["val_split"]), progress)
    except (OSError, importlib.import_module("pyarrow").ArrowException, UnreadableTable) as error:
        if isinstance(files, LocalFiles):  # whose tables were read completely
            raise
        yield make_data_finding("file-unreadable", f"a file of {files.name} cannot be read: {error}")
        return
    yield {"numbered_episodes": len(recording.numbered)}
    if reader.cameras:
        yield {"pictured_episodes": len(reader.episodes) + count - len(kept_episodes)}
    pictures = int(recording.episodes.lengths[kept_episodes].sum()) * len(reader.cameras)
    yield {"pictures": pictures, "decoded_pictures": min(reader.decoded, pictures)}


def _find_problems(
    recording: RecordedDataset, reader: PictureReader, kept_episodes: Array, val_split: float, progress: Progress
) -> Iterator[DataFinding | Mapping[str, Any]]:
    lengths = recording.episodes.lengths
    numbered_count = len(recording.numbered)
    picture_steps = len(reader.episodes) * len(reader.cameras)
    total = 2 * numbered_count + picture_steps
    first_tasks = {number: recording.episodes.first_tasks[number] for number in kept_episodes.tolist()}
    yield from episode_lengths.find_short_episodes(lengths, recording.fps, kept_episodes)
    yield from episode_lengths.find_empty_tasks(first_tasks, recording.episodes.task_texts)
    for fetched_part in recording.fetch_numbers():
        progress(round(fetched_part * numbered_count), total)
    spreads = recording.spreads
    yield {"statistics": _describe_spreads(spreads)}
    dimension_names = {name: _name_dimensions(recording, name) for name in recording.number_features}
    progress(numbered_count, total)
    for feature, episodes in recording.non_finite.items():
        if affected_episodes := sorted(episodes.intersection(kept_episodes.tolist())):
            finding_text = f"{feature} has a value that is not a finite number: episode {affected_episodes[0]}"
            yield make_data_finding("number-not-finite", finding_text, affected_episodes, feature=feature)
    yield from dimensions.find_dimension_problems(spreads, dimension_names)
    if numbered_count == len(lengths):
        yield from dimensions.find_statistics_problems(spreads, recording.statistics, dimension_names)
    checks = _NumberChecks(recording, dimension_names, reader.episodes, kept_episodes)
    for done_episodes in checks.read():
        progress(numbered_count + done_episodes, total)
    yield from checks.list_findings(first_tasks, val_split)
    if (lag := checks.state_lag) is not None:
        yield {"state_lag": round(lag, 1)}
    yield from episode_lengths.find_empty_split(first_tasks, val_split)
    yield from _find_rate_problems(recording)
    if isinstance(recording.files, LocalFiles):  # of a video elsewhere, the times are all over it
        yield from _find_uneven_videos(recording, kept_episodes.tolist())
    pictures = CameraCheck(recording.fps, checks.paths)
    for done_episodes, sampled in enumerate(reader.read(), 1):
        pictures.add(sampled, int(lengths[sampled.episode]))
        progress(2 * numbered_count + max(done_episodes, round(reader.part_read * picture_steps)), total)
    yield from reader.damaged.list_findings()
    yield from pictures.list_findings(checks.copies)
    if len(reader.episodes) >= min(len(kept_episodes), FEWEST_EPISODES):
        yield from _find_brightness_problems(recording, reader.cameras, pictures)


def _describe_spreads(spreads: Mapping[str, Spread]) -> dict[str, dict[str, list[float]]]:
    """Return what is compared with other datasets: mean and deviation of action and state."""
    compared_spreads = {name: spreads[name] for name in (ACTION, STATE) if name in spreads}
    return {
        name: {"mean": spread.mean.tolist(), "std": spread.std.tolist()} for name, spread in compared_spreads.items()
    }


class _NumberChecks:
    """The checks that look at the numbers of each episode."""

    def __init__(
        self, recording: RecordedDataset, names: dict[str, list[str]], watched: Sequence[int], kept_episodes: Array
    ) -> None:
        self._recording, self._spreads, self._watched = recording, recording.spreads, frozenset(watched)
        self._names, self._kept = names, frozenset(kept_episodes.tolist())
        lengths = recording.episodes.lengths
        joints = names.get(STATE, names.get(ACTION, []))
        self._repeats = Repeats(len(lengths), int(lengths.sum()))
        action = self._spreads.get(ACTION)
        state = self._spreads.get(STATE)
        is_comparable = action and state and len(action.mean) == len(state.mean)
        is_smooth = action.is_smooth & state.is_smooth if action and state and is_comparable else np.zeros(0, bool)
        self._idle, self._gaps = IdleEnds(recording.fps, joints, is_smooth), FrameGaps(recording.fps)
        self._calibration = Calibration(action, joints) if action and state and is_comparable else None
        self._following = Following(joints, recording.fps) if is_comparable else None
        self._units = UnitCheck(names)
        self.paths: dict[int, Array] = {}
        """How far the robot moved until each frame of an episode whose pictures are looked at."""
        self.copies: frozenset[int] = frozenset()

    def read(self) -> Iterator[int]:
        """Look at each episode; yield how many were."""
        for done_episodes, numbers_of_episode in enumerate(self._recording.read_numbers(), 1):
            if numbers_of_episode.episode in self._kept and all(
                np.isfinite(array).all() for array in numbers_of_episode.values.values()
            ):
                motion = make_motion(numbers_of_episode, self._spreads)
                self._idle.add(motion)
                self._gaps.add(motion, numbers_of_episode)
                self._repeats.add(motion)
                for feature in (ACTION, STATE):
                    if feature in numbers_of_episode.values:
                        self._units.add(motion.episode, feature, numbers_of_episode.values[feature])
                if self._calibration:
                    self._calibration.add(
                        motion.episode, numbers_of_episode.values[ACTION], numbers_of_episode.values[STATE]
                    )
                if self._following:
                    self._following.add(
                        motion.episode, numbers_of_episode.values[ACTION], numbers_of_episode.values[STATE]
                    )
                if motion.episode in self._watched and motion.both.shape[1]:
                    steps = np.abs(np.diff(motion.both, axis=0)).max(axis=1)
                    self.paths[motion.episode] = np.concatenate([[0], np.cumsum(steps)]).astype(np.float32)
            yield done_episodes

    @property
    def state_lag(self) -> float | None:
        """How many frames after its action the state follows, in most episodes; None where that is not sure."""
        return self._following.lag if self._following else None

    def list_findings(self, first_tasks: Mapping[int, str], val_split: float) -> Iterator[DataFinding]:
        """Yield what was found."""
        self.copies = frozenset(self._repeats.find_copies())
        yield from self._repeats.list_findings(first_tasks, val_split)
        yield from self._idle.list_findings()
        yield from self._gaps.list_findings()
        yield from self._units.list_findings()
        yield from find_odd_joints(self._spreads, self._names)
        if self._following:
            yield from self._following.list_findings()
        if self._calibration:
            yield from self._calibration.list_findings()


def _name_dimensions(recording: RecordedDataset, feature: str) -> list[str]:
    """Return the names of a feature's dimensions: its own, or numbers in brackets."""
    description = recording.features[feature]
    spread = recording.spreads.get(feature)
    count = len(spread.mean) if spread else 0
    listed_names: Any = description.get("names")
    if isinstance(listed_names, dict):  # such as {"motors": [...]}
        listed_names = next(
            (dimension_names for dimension_names in listed_names.values() if isinstance(dimension_names, list)), None
        )
    dimension_names = [str(name) for name in listed_names] if isinstance(listed_names, list) else []
    return dimension_names if len(dimension_names) == count else [f"{feature}[{index}]" for index in range(count)]


def _find_rate_problems(recording: RecordedDataset) -> Iterator[DataFinding]:
    """Yield each camera whose video has other frames per second than the dataset."""
    av = importlib.import_module("av")
    for camera in recording.videos:
        path = recording.episodes.find_video(camera, 0).path
        try:
            with recording.files.open(path) as file, av.open(file) as container:
                rate = float(container.streams.video[0].average_rate or 0)
        except (OSError, av.error.FFmpegError, IndexError):
            continue
        if rate and abs(rate / recording.fps - 1) > RATE_PART:
            finding_text = f"{path} has {rate:.4g} frames per second, and meta/info.json says fps {recording.fps:g}"
            yield make_data_finding("fps-differs", finding_text, feature=camera, number=rate, unit="fps")


def _find_uneven_videos(recording: RecordedDataset, episodes: Sequence[int]) -> Iterator[DataFinding]:
    """Yield each camera of which torchcodec, with which LeRobot decodes, would read other pictures."""
    frames_by_camera: dict[str, list[MiscountedFrames]] = defaultdict(list)
    for miscounted in find_miscounted(recording, episodes, trusts_headers=False):
        frames_by_camera[miscounted.camera].append(miscounted)
    for camera, miscounted_parts in frames_by_camera.items():
        count = sum(len(miscounted_frames.frames) for miscounted_frames in miscounted_parts)
        more_text = f", and of {count - 1} more" if count > 1 else ""
        finding_text = (
            f"{camera} has uneven times: torchcodec would read another picture of "
            f"{miscounted_parts[0].describe()}{more_text}"
        )
        spans = [
            (miscounted_frames.episode, int(miscounted_frames.frames[0]), int(miscounted_frames.frames[-1]) + 1)
            for miscounted_frames in miscounted_parts
        ]
        yield make_span_finding("video-uneven", finding_text, spans, count, "frames", camera)


def _find_brightness_problems(
    recording: RecordedDataset, cameras: Sequence[str], pictures: CameraCheck
) -> Iterator[DataFinding]:
    """Yield each camera whose statistics are not of its pictures."""
    for camera in cameras:
        stored_statistics = recording.statistics.get(camera)
        picture_mean = pictures.compute_mean(camera)
        if not isinstance(stored_statistics, dict) or "mean" not in stored_statistics or picture_mean is None:
            continue
        mean = float(np.mean(np.asarray(stored_statistics["mean"], float)))
        if abs(mean - picture_mean) > BRIGHTNESS:
            finding_text = (
                f"meta/stats.json says mean {mean:.3g} of {camera}, and its pictures have {picture_mean:.3g}, of 1"
            )
            yield make_data_finding(
                "statistics-differ", finding_text, feature=camera, number=mean, unit=BRIGHTNESS_UNIT
            )
