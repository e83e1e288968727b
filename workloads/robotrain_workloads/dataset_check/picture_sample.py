"""Pictures of a dataset's cameras, decoded at a stride and made small: a few of each episode."""

import io
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice, pairwise
from typing import Any, NamedTuple

import av
import numpy as np
from PIL import Image

from robotrain_workloads.dataset_check import table_files, videos
from robotrain_workloads.dataset_check.load import Recorded
from robotrain_workloads.dataset_check.table_files import Array

SIZE, COLOR_SIZE = 32, 8
"""Width and height of a small picture in pixels: of gray, and of one in red, green and blue."""
PER_SECOND, FEWEST, MOST = 2.0, 8, 40
"""Pictures of an episode and camera."""
MOST_PICTURES = 12_000
EPISODES_AT_ONCE, THREADS = 8, 2
MEASURED_KEYS, MOST_MEASURED = 4, 300


class Sample(NamedTuple):
    """The small pictures of a camera in an episode."""

    camera: str
    episode: int
    frames: Array
    """The number of the frame of each picture."""
    pictures: Array
    """Pictures by height by width, from 0 to 255."""
    colors: Array
    """Their mean in colors: height by width by red, green and blue, from 0 to 255."""


class SampledPictures:
    """The samples of all cameras, and what cannot be decoded; `decodes_all` has each picture decoded."""

    def __init__(self, recorded: Recorded, *, decodes_all: bool = False) -> None:
        self._recorded, self._decodes_all = recorded, decodes_all
        self.cameras = (
            recorded.cameras if recorded.has_videos else [c for c in recorded.cameras if c not in recorded.videos]
        )
        possible = recorded.kept
        most = MOST_PICTURES // (FEWEST * len(self.cameras)) if self.cameras else len(possible)
        self.episodes = possible[choose_evenly(len(possible), max(1, most))].tolist()
        self._per_episode = MOST_PICTURES // max(1, len(self.episodes) * len(self.cameras))
        self.samples, self.damaged = list[Sample](), videos.DamagedPictures()
        self._suspects, self._decoded = set[tuple[str, str]](), Counter[tuple[str, str]]()

    @property
    def decoded(self) -> int:
        """How many pictures were decoded."""
        return self._decoded.total()

    def read(self, progress: Callable[[int, int], object]) -> None:
        """Read all samples; a video that cannot be read has none."""
        total = len(self.episodes) * len(self.cameras)
        images = [name for name in self.cameras if name not in self._recorded.videos]
        parts = [part for name in self.cameras if name not in images for part in self._list_parts(name)]
        with ThreadPoolExecutor(THREADS) as pool:
            decoded: dict[tuple[str, int], dict[int, tuple[Array, Array]]] = defaultdict(dict)
            tables = table_files.list_files(self._recorded.root, table_files.DATA_FILES) if images else []
            for shrunk in pool.map(lambda path: self._read_images(path, images), tables):
                for place, pictures in shrunk.items():
                    decoded[place] |= pictures
                progress(len(decoded), total)
            self.samples += [_make_sample(*place, decoded[place]) for place in sorted(decoded)]
            for samples in pool.map(lambda part: self._decode(*part), parts):
                self.samples += samples
                progress(len(self.samples), total)
            scanned = [*videos.list_videos(self._recorded)] if self._recorded.has_videos else []
            for video, count in zip(scanned, pool.map(self._scan, scanned), strict=True):
                self._decoded[video] = max(count, self._decoded[video])

    def _scan(self, video: tuple[str, str]) -> int:
        is_suspect = self._decodes_all or video in self._suspects
        return self.damaged.scan_video(self._recorded, *video, is_suspect=is_suspect)

    def _choose_frames(self, episode: int) -> Sequence[int]:
        """Return the frames of an episode that are looked at."""
        length = int(self._recorded.lengths[episode])
        wanted = round(min(MOST, self._per_episode, max(FEWEST, PER_SECOND * length / self._recorded.fps)))
        return choose_evenly(length, max(2, wanted))

    def _list_parts(self, camera: str) -> Iterator[tuple[str, str, list[int]]]:
        """Yield the path of a video and the next episodes in it."""
        for path, rows in self._recorded.episodes.iloc[self.episodes].groupby(f"{camera}/path", sort=False):
            for start in range(0, len(rows), EPISODES_AT_ONCE):
                yield camera, str(path), rows.index[start : start + EPISODES_AT_ONCE].tolist()

    def _decode(self, camera: str, path: str, episodes: Sequence[int]) -> list[Sample]:
        samples = list[Sample]()
        try:
            with av.open(str(self._recorded.root / path)) as container:
                decoder = VideoDecoder(container, self._recorded.fps)
                for episode in episodes:
                    times = videos.get_frame_times(self._recorded, camera, episode)
                    decoded = dict[int, tuple[Array, Array]]()
                    for frame in (frames := self._choose_frames(episode)):
                        try:
                            picture = decoder.find_frame(float(times[frame]))
                        except av.error.FFmpegError:
                            picture = None
                        if picture is None:
                            self._suspects.add((camera, path))
                            self.damaged.add("video-unreadable", camera, episode, frame)
                        else:
                            decoded[frame] = _shrink_frame(picture)
                    self._decoded[camera, path] += len(frames)
                    if decoded:
                        samples.append(_make_sample(camera, episode, decoded))
        except (OSError, av.error.FFmpegError, IndexError):
            pass  # the comparison of tables says so
        return samples

    def _read_images(
        self, path: str, cameras: Sequence[str]
    ) -> Mapping[tuple[str, int], dict[int, tuple[Array, Array]]]:
        """Return the small pictures of a table by camera, episode and frame."""
        decoded: dict[tuple[str, int], dict[int, tuple[Array, Array]]] = defaultdict(dict)
        kept = {*self._recorded.kept.tolist()}
        wanted = {episode: {*self._choose_frames(episode)} for episode in self.episodes}
        file = table_files.open_table(self._recorded.root, path)
        groups = [group for group in range(file.num_row_groups) if table_files.may_hold(file, group, kept)]
        for episode, frame, *pictures in videos.read_pictures(self._recorded, path, groups, cameras):
            for camera, picture in zip(cameras, pictures, strict=True) if episode in kept else ():
                is_chosen = frame in wanted.get(episode, ())
                self._decoded[camera, path] += is_chosen or self._decodes_all
                if not videos.is_whole(picture, decodes=self._decodes_all):
                    self.damaged.add("picture-unreadable", camera, episode, frame)
                elif is_chosen and (shrunk := _shrink_image(picture)):
                    decoded[camera, episode][frame] = shrunk
        return decoded


class VideoDecoder:
    """The decoding of single frames, from the nearest key frame before each."""

    def __init__(self, container: Any, fps: float) -> None:
        self._container, self._stream = container, container.streams.video[0]
        self._stream.thread_count, self._interval = 1, 1 / fps
        self._base, self._start = float(self._stream.time_base), self._stream.start_time or 0
        self._frames: Iterator[Any] = iter(())
        self._last: float | None = None
        packets = islice(container.demux(self._stream), MOST_MEASURED)
        keys = [packet.pts * self._base for packet in packets if packet.is_keyframe and packet.pts is not None]
        self._key_interval = max((after - key for key, after in pairwise(keys[:MEASURED_KEYS])), default=math.inf)

    def find_frame(self, seconds: float) -> Any:
        """Return the frame at a time of the video; None if it has none there. Raise as PyAV does."""
        last, self._last = self._last, None
        if last is None or not 0 < seconds - last <= self._key_interval:
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


def _shrink_frame(frame: Any) -> tuple[Array, Array]:
    gray = frame.reformat(SIZE, SIZE, format="gray", interpolation="AREA")
    color = frame.reformat(COLOR_SIZE, COLOR_SIZE, format="rgb24", interpolation="AREA")
    return gray.to_ndarray(), color.to_ndarray()


def _shrink_image(picture: Any) -> tuple[Array, Array] | None:
    """Return the small pictures of one; None if it cannot be decoded, or lies beside the tables."""
    try:
        with Image.open(io.BytesIO((picture or {}).get("bytes") or b"")) as opened:
            opened.draft("RGB", (SIZE * 4, SIZE * 4))
            small = opened.convert("RGB").resize((SIZE, SIZE), Image.Resampling.BOX)
        color = small.resize((COLOR_SIZE, COLOR_SIZE), Image.Resampling.BOX)
        return np.asarray(small.convert("L")), np.asarray(color)
    except Exception:  # of which decoders have many
        return None


def _make_sample(camera: str, episode: int, pictures: dict[int, tuple[Array, Array]]) -> Sample:
    frames = sorted(pictures)
    colors = np.mean([pictures[frame][1] for frame in frames], axis=0)
    return Sample(camera, episode, np.array(frames), np.stack([pictures[frame][0] for frame in frames]), colors)


def choose_evenly(count: int, most: int) -> list[int]:
    """Return at most so many numbers below a count, evenly spread, with the first and the last one."""
    return [*range(count)] if count <= most else np.unique(np.linspace(0, count - 1, most).round()).astype(int).tolist()
