"""Pictures of a dataset's cameras, decoded at a stride and made small: a few of each episode."""

import importlib
import io
import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice, pairwise
from typing import Any, NamedTuple

import numpy as np

from robotrain_workloads.lerobot import dataset
from robotrain_workloads.lerobot_data_check import table_files
from robotrain_workloads.lerobot_data_check.damage import DamagedPictures
from robotrain_workloads.lerobot_data_check.dataset_files import LocalFiles
from robotrain_workloads.lerobot_data_check.decoding import VideoScan, list_unreadable
from robotrain_workloads.lerobot_data_check.episode_files import list_groups
from robotrain_workloads.lerobot_data_check.ranged_files import RangedFiles
from robotrain_workloads.lerobot_data_check.recording import Array, RecordedDataset
from robotrain_workloads.lerobot_data_check.remote_sample import order_evenly

SIZE = 32
"""Width and height of a small picture in pixels: of gray."""
COLOR_SIZE = 8
"""The same of a small picture in red, green and blue."""
PER_SECOND, FEWEST, MOST = 2.0, 8, 40
"""Pictures of an episode and camera."""
MOST_PICTURES = 12_000
MOST_REMOTE_BYTES = 40_000_000
"""Of the pictures of a dataset that is elsewhere."""
EPISODES_AT_ONCE = 8
THREADS = 2
"""Of a dataset on this machine; files elsewhere are asked for by one."""
MEASURED_KEYS, MOST_MEASURED = 4, 300


class SampledPictures(NamedTuple):
    """The small pictures of a camera in an episode."""

    camera: str
    episode: int
    frames: Array
    """The number of the frame of each picture."""
    pictures: Array
    """Pictures by height by width, from 0 to 255."""
    colors: Array
    """Their mean in colors: height by width by red, green and blue, from 0 to 255."""


class SmallPicture(NamedTuple):
    """A picture that was made small."""

    gray: Array
    color: Array


class VideoPart(NamedTuple):
    """Where an episode is in a video, and which frames are wanted."""

    episode: int
    begin: float
    """In seconds."""
    frames: Sequence[int]


class PictureReader:
    """The reading of pictures of all cameras.

    `episodes` are those that are looked at: all that are kept and whose numbers are read, if they are not too many.
    With `decodes_all` each of their pictures is decoded, if they are on this machine.
    """

    def __init__(self, recording: RecordedDataset, kept_episodes: Array, *, decodes_all: bool = False) -> None:
        self._recording, self._fps = recording, recording.fps
        self.cameras = [
            name for name in dataset.list_cameras(recording.info) if not dataset.is_depth(recording.features[name])
        ]
        self._files = recording.files
        self._threads = THREADS if isinstance(self._files, LocalFiles) else 1
        self._lengths = recording.episodes.lengths
        possible_episodes = np.intersect1d(np.array(recording.numbered, int), kept_episodes)
        most_episodes = (
            len(possible_episodes) if not self.cameras else max(1, MOST_PICTURES // (FEWEST * len(self.cameras)))
        )
        self.episodes = possible_episodes[_choose_evenly(len(possible_episodes), most_episodes)].tolist()
        self.per_episode = MOST_PICTURES // max(1, len(self.episodes) * len(self.cameras))
        self._kept, self._known, self.damaged = kept_episodes, frozenset(kept_episodes.tolist()), DamagedPictures()
        self._decodes_all, self._suspects = decodes_all, set[tuple[str, str]]()
        self._decoded = Counter[tuple[str, str]]()
        self.part_read = 0.0
        """How much of the bytes that may be read of a dataset elsewhere were read, from 0 to 1."""

    @property
    def decoded(self) -> int:
        """How many pictures were decoded."""
        return self._decoded.total()

    def read(self) -> Iterator[SampledPictures]:
        """Yield the pictures of each camera and episode; a video that cannot be read has none.

        Of a dataset elsewhere, those of as many episodes as so many bytes hold: `episodes` are these then.
        """
        if not isinstance(self._files, RangedFiles):
            yield from self._read(self.episodes)
            return
        self._files.limit_reads(MOST_REMOTE_BYTES)
        ordered_episodes, self.episodes = order_evenly(self.episodes), []
        for episode in ordered_episodes if self.cameras else ():
            try:
                pictures = [*self._read([episode])]
            except (OSError, table_files.UnreadableTable):
                if not self._files.is_spent:
                    raise
            self.part_read = self._files.part_spent
            if self._files.is_spent:  # it has not all of its pictures
                break
            self.episodes.append(episode)
            yield from pictures
        self._files.limit_reads(math.inf)

    def _read(self, episodes: Sequence[int]) -> Iterator[SampledPictures]:
        images = [name for name in self.cameras if name not in self._recording.videos]
        if images:
            yield from self._read_images(images, episodes)
        videos = [name for name in self.cameras if name in self._recording.videos]
        tasks = [task for name in videos for task in self._list_tasks(name, episodes)]
        with ThreadPoolExecutor(self._threads) as pool:
            waiting_tasks: list[Future[list[SampledPictures]]] = [pool.submit(self._decode, *task) for task in tasks]
            try:
                for future in waiting_tasks:
                    yield from future.result()
            finally:
                for future in waiting_tasks:
                    future.cancel()
            if isinstance(self._files, LocalFiles):
                self._scan_videos(pool)

    def _scan_videos(self, pool: ThreadPoolExecutor) -> None:
        """Decode videos with damage to their end, or all: a finding names all its episodes."""
        scan = VideoScan(self._recording, self._kept.tolist(), self.damaged)

        def scan_video(video: tuple[str, str]) -> int:
            return scan.scan(*video, is_suspect=self._decodes_all or video in self._suspects)

        videos = [*scan.list_videos()]
        for video, count in zip(videos, pool.map(scan_video, videos), strict=True):
            self._decoded[video] = max(count, self._decoded[video])

    def choose_frames(self, length: int) -> Sequence[int]:
        """Return the frames of an episode that are looked at."""
        wanted_count = round(min(MOST, self.per_episode, max(FEWEST, PER_SECOND * length / self._fps)))
        return _choose_evenly(length, max(2, wanted_count))

    def _list_tasks(self, camera: str, episodes: Sequence[int]) -> Iterator[tuple[str, str, list[VideoPart]]]:
        """Yield the path of a video and the next episodes in it."""
        parts_by_path: dict[str, list[VideoPart]] = defaultdict(list)
        for episode in episodes:
            video = self._recording.episodes.find_video(camera, episode)
            frames = self.choose_frames(int(self._lengths[episode]))
            parts_by_path[video.path].append(VideoPart(episode, video.start, frames))
        for path, videos in parts_by_path.items():
            for start in range(0, len(videos), EPISODES_AT_ONCE):
                yield camera, path, videos[start : start + EPISODES_AT_ONCE]

    def _decode(self, camera: str, path: str, videos: Sequence[VideoPart]) -> list[SampledPictures]:
        av, pictures = importlib.import_module("av"), []
        try:
            with self._files.open(path) as file, av.open(file) as container:
                decoder = VideoDecoder(container, self._fps)
                for video in videos:
                    decoded_pictures = {}
                    for frame in video.frames:
                        try:
                            picture = decoder.find(video.begin + frame / self._fps)
                        except av.error.FFmpegError:
                            picture = None
                        if picture is None:
                            self._suspects.add((camera, path))
                            self.damaged.add("video-unreadable", camera, video.episode, frame)
                        else:
                            decoded_pictures[frame] = _shrink_frame(picture)
                    self._decoded[camera, path] += len(video.frames)
                    if decoded_pictures:
                        pictures.append(_make_samples(camera, video.episode, [*decoded_pictures.items()]))
        except (OSError, av.error.FFmpegError, IndexError):
            return pictures  # the comparison of tables says so
        return pictures

    def _read_images(self, cameras: Sequence[str], episodes: Sequence[int]) -> Iterator[SampledPictures]:
        wanted_frames = {episode: set(self.choose_frames(int(self._lengths[episode]))) for episode in episodes}
        pictures_by_frame: dict[tuple[int, str], list[tuple[int, SmallPicture]]] = defaultdict(list)
        current_episode = -1
        with ThreadPoolExecutor(self._threads) as pool:
            for rows in self._read_rows(cameras, wanted_frames):
                self._note_damage(rows, cameras, pool)
                chosen_rows = [row for row in rows if row[1] in wanted_frames.get(row[0], ())]
                small_pictures = pool.map(
                    lambda row: [_shrink_image(encoded_picture) for encoded_picture in row[2:]], chosen_rows
                )
                for (episode, frame, *_), pictures in zip(chosen_rows, small_pictures, strict=True):
                    if episode != current_episode:
                        yield from _collect(pictures_by_frame, current_episode, cameras)
                        current_episode = episode
                    for camera, picture in zip(cameras, pictures, strict=True):
                        self._decoded[camera, ""] += not self._decodes_all
                        if picture is not None:
                            pictures_by_frame[episode, camera].append((frame, picture))
        yield from _collect(pictures_by_frame, current_episode, cameras)

    def _note_damage(self, rows: Sequence[tuple[Any, ...]], cameras: Sequence[str], pool: ThreadPoolExecutor) -> None:
        """Note what pictures, of all frames, cannot be decoded."""
        kept_rows = [row for row in rows if row[0] in self._known]
        if self._decodes_all:
            self._decoded.update({(camera, ""): len(kept_rows) for camera in cameras})
        row_parts = [kept_rows[offset :: self._threads] for offset in range(self._threads)]
        for damaged_pictures in pool.map(
            lambda rows: [*list_unreadable(rows, cameras, decodes=self._decodes_all)], row_parts
        ):
            for camera, episode, frame in damaged_pictures:
                self.damaged.add("picture-unreadable", camera, episode, frame)

    def _read_rows(self, cameras: Sequence[str], wanted: Any) -> Iterator[list[tuple[Any, ...]]]:
        """Yield frames as episode, frame and the content of each camera, of the row groups with a wanted episode."""
        columns = ["episode_index", "frame_index", *cameras]
        is_local = isinstance(self._files, LocalFiles)
        for path in self._recording.episodes.list_data_files(None if is_local else wanted):
            file = table_files.open_table(self._files, path)
            for row_groups in list_groups(file, wanted):
                for batch in table_files.read_batches(file, path, 64, columns, row_groups):
                    columns_read = [batch.column(name) for name in columns]
                    yield list(zip(*(column.to_pylist() for column in columns_read), strict=True))


class VideoDecoder:
    """The decoding of single frames, from the nearest key frame before each."""

    def __init__(self, container: Any, fps: float) -> None:
        self._container, self._stream = container, container.streams.video[0]
        self._stream.thread_count, self._interval = 1, 1 / fps
        self._base, self._start = float(self._stream.time_base), self._stream.start_time or 0
        self._frames: Iterator[Any] = iter(())
        self._last: float | None = None
        self._key_interval = self._measure_key_interval()

    def _measure_key_interval(self) -> float:
        """Return the longest time between the first key frames, in seconds."""
        keys: list[int] = []
        for packet in islice(self._container.demux(self._stream), MOST_MEASURED):
            if packet.is_keyframe and packet.pts is not None:
                keys.append(packet.pts)
            if len(keys) == MEASURED_KEYS:
                break
        return max(
            ((next_key_time - key_time) * self._base for key_time, next_key_time in pairwise(keys)), default=math.inf
        )

    def find(self, seconds: float) -> Any:
        """Return the frame at a time of the video; None if it has none there. Raise as PyAV does."""
        last_time, self._last = self._last, None
        if last_time is None or not 0 < seconds - last_time <= self._key_interval:
            self._container.seek(int(seconds / self._base) + self._start, stream=self._stream, backward=True)
            self._frames = self._container.decode(self._stream)
        for frame in self._frames:
            time = (frame.pts - self._start) * self._base
            if time > seconds + self._interval / 2:
                return None
            if time >= seconds - self._interval / 2:
                self._last = time
                return frame
        return None


def _shrink_frame(frame: Any) -> SmallPicture:
    gray = frame.reformat(SIZE, SIZE, format="gray", interpolation="AREA")
    color = frame.reformat(COLOR_SIZE, COLOR_SIZE, format="rgb24", interpolation="AREA")
    return SmallPicture(gray.to_ndarray(), color.to_ndarray())


def _shrink_image(encoded_picture: Any) -> SmallPicture | None:
    image = importlib.import_module("PIL.Image")
    if not (picture_bytes := (encoded_picture or {}).get("bytes")):
        return None
    try:
        with image.open(io.BytesIO(picture_bytes)) as opened_image:
            opened_image.draft("RGB", (SIZE * 4, SIZE * 4))
            small_image = opened_image.convert("RGB").resize((SIZE, SIZE), image.Resampling.BOX)
            color = small_image.resize((COLOR_SIZE, COLOR_SIZE), image.Resampling.BOX)
            return SmallPicture(np.asarray(small_image.convert("L")), np.asarray(color))
    except Exception:  # of which decoders have many; it is noted as damaged
        return None


def _collect(taken: Any, episode: int, cameras: Sequence[str]) -> Iterator[SampledPictures]:
    """Yield what was read of an episode, and forget it."""
    for camera in cameras:
        if samples := taken.pop((episode, camera), None):
            yield _make_samples(camera, episode, samples)


def _make_samples(camera: str, episode: int, samples: Sequence[tuple[int, SmallPicture]]) -> SampledPictures:
    frames = np.array([frame for frame, _ in samples])
    pictures = np.stack([picture.gray for _, picture in samples])
    colors = np.mean([picture.color for _, picture in samples], axis=0)
    return SampledPictures(camera, episode, frames, pictures, colors)


def _choose_evenly(count: int, most_numbers: int) -> list[int]:
    """Return at most so many numbers below a count, evenly spread, with the first and the last one."""
    return (
        list(range(count))
        if count <= most_numbers
        else np.unique(np.linspace(0, count - 1, most_numbers).round()).astype(int).tolist()
    )
