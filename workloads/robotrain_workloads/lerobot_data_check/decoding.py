"""Which pictures of a dataset on this machine cannot be decoded: those of whole videos, and of all rows of tables."""

import importlib
import math
import time
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from robotrain_workloads.lerobot import dataset
from robotrain_workloads.lerobot.data_errors import UnreadableEpisodes
from robotrain_workloads.lerobot_data_check import table_files
from robotrain_workloads.lerobot_data_check.damage import (
    DamagedPictures,
    is_readable,
    list_damaged_times,
    list_decodable_times,
)
from robotrain_workloads.lerobot_data_check.dataset_files import LocalFiles
from robotrain_workloads.lerobot_data_check.recording import RecordedDataset

ROWS = 64
"""Of a table with pictures, at a time."""
LONGEST_SCAN = 300.0
"""Of a run that failed, in seconds."""


class VideoScan:
    """The search for frames whose picture a video does not have."""

    def __init__(self, recording: RecordedDataset, episodes: Collection[int], damaged: DamagedPictures) -> None:
        """`damaged` takes what is found in these episodes."""
        self._recording, self._episodes, self._damaged = recording, [*episodes], damaged
        self._tolerance = dataset.get_frame_tolerance(recording.info) or 0.0

    def list_videos(self) -> Iterator[tuple[str, str]]:
        """Yield each camera with each of its videos."""
        for camera in self._recording.videos:
            if not dataset.is_depth(self._recording.features[camera]):
                paths = (self._recording.episodes.find_video(camera, episode).path for episode in self._episodes)
                yield from ((camera, path) for path in dict.fromkeys(paths))

    def scan(self, camera: str, path: str, *, is_suspect: bool) -> int:
        """Note which frames have no picture in a video; return how many pictures were decoded.

        A video that is not suspect is decoded only if a header of a picture in it is none of its codec.
        """
        av = importlib.import_module("av")
        try:
            if not is_suspect:
                with self._recording.files.open(path) as file:
                    is_suspect = bool(list_damaged_times(file))
            if not is_suspect:
                return 0
            with self._recording.files.open(path) as file:
                times = list_decodable_times(file)
        except (OSError, av.error.FFmpegError, IndexError):
            return 0  # the comparison of tables says so
        decodable_times = np.array([-math.inf, *times, math.inf])
        count = 0
        for episode in self._episodes:
            video = self._recording.episodes.find_video(camera, episode)
            if video.path != path:
                continue
            length = self._recording.episodes.get_length(episode)
            frame_times = video.start + np.arange(length) / self._recording.fps
            next_indices = np.searchsorted(decodable_times, frame_times)
            distances = np.minimum(
                decodable_times[next_indices] - frame_times, frame_times - decodable_times[next_indices - 1]
            )
            for frame in np.flatnonzero(distances > self._tolerance).tolist():
                self._damaged.add("video-unreadable", camera, episode, frame)
            count += length
        return count


def list_unreadable(
    rows: Sequence[tuple[Any, ...]], cameras: Sequence[str], *, decodes: bool
) -> Iterator[tuple[str, int, int]]:
    """Yield camera, episode and frame of each picture that cannot be decoded.

    :param rows: episode, frame and the picture of each camera.
    :param decodes: whether each is decoded: else checksums or ends of whole ones are believed.
    """
    for episode, frame, *pictures in rows:
        for camera, picture in zip(cameras, pictures, strict=True):
            picture_bytes = (picture or {}).get("bytes")
            path = (picture or {}).get("path")
            is_whole = is_readable(picture_bytes, decodes=decodes) if picture_bytes else bool(path)  # beside the tables
            if not is_whole:
                yield camera, episode, frame


def find_unreadable_episodes(root: Path, chosen_episodes: Collection[int] | None) -> UnreadableEpisodes:
    """Return the episodes of a dataset, of those that are read, with a picture that cannot be decoded."""
    recording = RecordedDataset(LocalFiles(root))
    damaged_pictures = DamagedPictures()
    episode_numbers = recording.episodes.numbers.tolist()
    episodes = [number for number in episode_numbers if chosen_episodes is None or number in chosen_episodes]
    deadline = time.monotonic() + LONGEST_SCAN
    videos = VideoScan(recording, episodes, damaged_pictures)
    for camera, path in videos.list_videos():
        if time.monotonic() > deadline:
            return UnreadableEpisodes(sorted(damaged_pictures.episodes), len(episodes), are_all=False)
        videos.scan(camera, path, is_suspect=True)
    images = [name for name in dataset.list_cameras(recording.info) if name not in recording.videos]
    read_episodes, columns = {*episodes}, ["episode_index", "frame_index", *images]
    for path in recording.episodes.list_data_files() if images else ():
        for batch in table_files.read_batches(table_files.open_table(recording.files, path), path, ROWS, columns):
            if time.monotonic() > deadline:
                return UnreadableEpisodes(sorted(damaged_pictures.episodes), len(episodes), are_all=False)
            frame_rows = zip(*(batch.column(name).to_pylist() for name in columns), strict=True)
            for camera, episode, frame in list_unreadable(
                [row for row in frame_rows if row[0] in read_episodes], images, decodes=True
            ):
                damaged_pictures.add("picture-unreadable", camera, episode, frame)
    return UnreadableEpisodes(sorted(damaged_pictures.episodes), len(episodes), are_all=True)
