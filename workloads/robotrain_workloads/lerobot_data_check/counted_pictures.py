"""Whether torchcodec reads the right pictures: LeRobot has it count them, where PyAV compares their times.

It counts by the rate of the video. Both read the same of a video whose pictures follow one another evenly from time 0
on, as those of LeRobot's videos do.
"""

import importlib
from collections.abc import Collection, Iterator
from typing import Any, NamedTuple

import numpy as np

from robotrain_workloads.lerobot import dataset
from robotrain_workloads.lerobot_data_check.dataset_files import DatasetFiles
from robotrain_workloads.lerobot_data_check.recording import Array, RecordedDataset

NEAR = 1e-6
"""Seconds that two times may be apart and still be the same."""


class MiscountedFrames(NamedTuple):
    """Frames of an episode of which torchcodec reads another picture."""

    camera: str
    episode: int
    frames: Array

    def describe(self) -> str:
        """Return the episode and its first such frame."""
        return f"episode {self.episode}, frame {self.frames[0]}"


def find_miscounted(
    recording: RecordedDataset, episodes: Collection[int], *, trusts_headers: bool
) -> Iterator[MiscountedFrames]:
    """Yield where torchcodec reads another picture than the nearest one, in some episodes; without depth.

    One that cannot be read has none. Raise as the comparison of tables.

    :param trusts_headers: whether a video whose header says nothing of uneven times is not read to its end: they may
        be uneven nevertheless, if they are so on both sides of the even ones.
    """
    for camera in recording.videos:
        if dataset.is_depth(recording.features[camera]):
            continue
        episodes_by_path: dict[str, list[int]] = {}
        for episode in episodes:
            episodes_by_path.setdefault(recording.episodes.find_video(camera, episode).path, []).append(episode)
        for path, members in episodes_by_path.items():
            counted_video = read_counted_video(recording.files, path, recording.fps, trusts_header=trusts_headers)
            if counted_video is None:
                continue
            for episode in members:
                start = recording.episodes.find_video(camera, episode).start
                frame_times = start + np.arange(recording.episodes.get_length(episode)) / recording.fps
                if len(frames := counted_video.list_misread(frame_times)):
                    yield MiscountedFrames(camera, episode, frames)


class CountedVideo(NamedTuple):
    """The times of a video's pictures."""

    times: Array
    """In ticks of a clock, the first one first."""
    tick: float
    """Its seconds."""
    rate: float
    """Pictures a second, by which they are counted."""

    def list_misread(self, frame_times: Array) -> Array:
        """Return the indices of those wanted times, in seconds, for which torchcodec reads another picture."""
        picture_numbers = np.rint(frame_times * self.rate)
        read_indices = np.searchsorted(self.times, np.rint(picture_numbers / self.rate / self.tick))
        is_there = (read_indices < len(self.times)) & (picture_numbers < len(self.times))
        distance = np.abs(self.times[np.minimum(read_indices, len(self.times) - 1)] * self.tick - frame_times)
        next_indices = np.searchsorted(self.times, frame_times / self.tick).clip(1, len(self.times) - 1)
        neighbor_times = np.stack([self.times[next_indices - 1], self.times[next_indices]]) * self.tick
        least_distances = np.abs(neighbor_times - frame_times).min(axis=0)
        return np.flatnonzero(~is_there | (distance > least_distances + NEAR))


def read_counted_video(files: DatasetFiles, path: str, fps: float, *, trusts_header: bool) -> CountedVideo | None:
    """Return a video of a dataset; None if its header says that its pictures follow evenly, or it cannot be read."""
    av: Any = importlib.import_module("av")
    try:
        with files.open(path) as opened_video, av.open(opened_video) as container:
            stream = container.streams.video[0]
            rate = float(stream.base_rate or 0)  # the one that torchcodec counts with
            if not rate or (trusts_header and _is_said_to_be_even(stream, rate, fps)):
                return None
            packets = (packet.pts for packet in container.demux(stream) if packet.size)
            times = np.sort([time for time in packets if time is not None])
            return CountedVideo(times, float(stream.time_base), rate) if len(times) > 1 else None
    except (OSError, av.error.FFmpegError, IndexError):
        return None


def _is_said_to_be_even(stream: Any, rate: float, fps: float) -> bool:
    """Return whether the header of a video says that a picture follows another in the same number of ticks."""
    has_one_rate = stream.base_rate == stream.average_rate and abs(rate - fps) < NEAR
    is_whole = has_one_rate and (1 / (stream.base_rate * stream.time_base)).denominator == 1
    return is_whole and not stream.start_time
