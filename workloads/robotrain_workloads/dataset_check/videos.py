"""Videos and pictures of a dataset as files: they exist, have the size of their description, and a picture a frame."""

import io
import math
import zlib
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import av
import numpy as np
import pandas as pd
from av.bitstream import BitStreamFilterContext, bitstream_filters_available
from PIL import Image

from robotrain_workloads.dataset_check import load, table_files
from robotrain_workloads.dataset_check.findings import Finding, Findings, Span, make_finding, make_span_finding
from robotrain_workloads.dataset_check.load import Recorded
from robotrain_workloads.dataset_check.table_files import Array
from robotrain_workloads.lerobot import dataset
from robotrain_workloads.lerobot.data_errors import UnreadableEpisodes

MOST_OPENED = 200
"""Videos of a camera whose headers are read, to stay fast; of the others it is known whether they exist."""
MOST_PICTURE_BYTES, PICTURE_ROWS = 1 << 28, 64
"""Of the row groups whose pictures are measured; and how many rows of them at a time."""
PNG, PNG_END, CHUNK = b"\x89PNG\r\n\x1a\n", b"IEND", 12
"""The beginning of a PNG file, its last chunk, and the bytes of a chunk beside its content."""
PNG_SIZE = slice(16, 24)
JPEG, JPEG_END, JPEG_REST = b"\xff\xd8", b"\xff\xd9", 64
CODECS = {"libdav1d": "av1", "libaom-av1": "av1"}
"""What FFmpeg calls decoders whose codec has another name."""
RATE_PART = 0.02
"""How far pictures a second are from the frames a second, as a part."""
LEAST_DENSE = 1.9
"""Of the frames a second: so many pictures are enough for each to have one near it."""
LATE_FRAMES = 3
"""Later than that, the first picture is not late by the codec."""
NEAR = 1e-6
"""Seconds that two times may be apart and still be the same."""


class Video(NamedTuple):
    """What the header of a video says; a length of 0 if that is unknown."""

    finding: Finding | None = None
    seconds: float = 0.0
    start: float = 0.0
    """When its first picture is shown."""
    rate: float = 0.0
    """Pictures a second."""


def find_video_problems(recorded: Recorded) -> Findings:
    """Yield how episodes are not where the metadata says in their videos, each kind once."""
    for camera in recorded.videos if recorded.has_videos else ():
        episodes = recorded.episodes.iloc[recorded.kept[recorded.kept < len(recorded.episodes)]]
        yield from _find_range_problems(recorded, camera, episodes)
        findings = dict[str, tuple[Finding, list[int]]]()
        margin = dataset.get_frame_tolerance(recorded.info) or 0.0
        for opened, (path, parts) in enumerate(episodes.groupby(f"{camera}/path", sort=False)):
            video = _open_video(recorded, camera, str(path), parts.index[0], is_opened=opened < MOST_OPENED)
            whole = recorded.episodes[recorded.episodes[f"{camera}/path"] == path]
            finding = video.finding or _find_other_times(recorded, camera, whole, video, margin)
            ends = parts[f"{camera}/to"] - 1 / recorded.fps
            is_late = ends > video.seconds + margin if video.seconds and not finding else ends.isna()
            if finding:
                findings.setdefault(finding.code, (finding, []))[1].extend(parts.index)
            elif is_late.any():
                late = parts[is_late]
                text = f"episode {late.index[0]} ends at {late[f'{camera}/to'].iloc[0]:.4g} s of {path}, which has"
                finding = make_finding("video-short", f"{text} {video.seconds:.4g} s", feature=camera)
                findings.setdefault(finding.code, (finding, []))[1].extend(late.index)
        for finding, numbers in findings.values():
            yield finding._replace(episodes=tuple(sorted(map(int, numbers))))


def _find_range_problems(recorded: Recorded, camera: str, episodes: pd.DataFrame) -> Findings:
    """Yield the episodes that have less of their video than frames, or a part of another one's."""
    begins, ends, paths = (episodes[f"{camera}/{name}"] for name in ("from", "to", "path"))
    short = episodes[ends - begins < (episodes["length"] - 2) / recorded.fps]
    if len(short):
        first = short.index[0]
        text = (
            f"episode {first} has {short['length'].iloc[0]} frames, and from {begins[first]:.4g} to {ends[first]:.4g} s"
            f" of {paths[first]} there are fewer"
        )
        yield make_finding("episodes-disagree", text, short.index, feature=camera)
    ordered = episodes.sort_values([f"{camera}/path", f"{camera}/from"], kind="stable")
    before = ordered.shift()
    is_shared = (ordered[f"{camera}/path"] == before[f"{camera}/path"]) & (
        ordered[f"{camera}/from"] < before[f"{camera}/to"] - 2 / recorded.fps
    )
    if is_shared.any():
        places = pd.Series(ordered.index, ordered.index)
        pairs = np.sort(np.stack([places[is_shared], places.shift()[is_shared]], axis=1).astype(int), axis=1)
        first, second = pairs[0]
        text = f"episode {second} has {begins[second]:.4g} to {ends[second]:.4g} s of {paths[second]}, of which episode"
        yield make_finding("episodes-disagree", f"{text} {first} has a part", pairs[:, 1], feature=camera)


def _open_video(recorded: Recorded, camera: str, path: str, episode: int, *, is_opened: bool) -> Video:
    """Return what the header of a video says, and what is wrong with it."""
    subject = f", the video of episode {episode},"
    if not is_opened and (recorded.root / path).is_file():
        return Video()
    if damage := table_files.find_damage(recorded.root, path, subject):
        code = "video-unreadable" if damage.code == "file-unreadable" else damage.code
        return Video(damage._replace(code=code, feature=camera))
    try:
        with av.open(str(recorded.root / path)) as container:
            stream = container.streams.video[0]
            size, rate = (stream.width, stream.height), float(stream.average_rate or 0)
            seconds = float(container.duration or 0) / av.time_base
            start = float((stream.start_time or 0) * (stream.time_base or 0))
    except (av.error.FFmpegError, IndexError, OSError) as error:
        return Video(make_finding("video-unreadable", f"{path}{subject} cannot be read: {error}", feature=camera))
    return Video(_compare_size(recorded, camera, size, path), seconds, start, rate)


def _compare_size(recorded: Recorded, camera: str, size: tuple[int, int], subject: str) -> Finding | None:
    feature = recorded.features[camera]
    shape, names = feature.get("shape") or (), feature.get("names") or ()
    if len(shape) != 3 or "height" not in names or "width" not in names:
        return None
    declared = (shape[names.index("width")], shape[names.index("height")])
    text = f"{subject} has {size[0]} × {size[1]} pixels, and {dataset.INFO_FILE} says {declared[0]} × {declared[1]}"
    return None if declared == size else make_finding("picture-size", text, feature=camera)


def _find_other_times(
    recorded: Recorded, camera: str, episodes: pd.DataFrame, video: Video, margin: float
) -> Finding | None:
    """Return the problem of a video whose pictures are all at other times than its episodes, if there is one."""
    if not video.seconds:
        return None
    path, begin = episodes[f"{camera}/path"].iloc[0], float(episodes[f"{camera}/from"].min())
    excess = float(episodes[f"{camera}/to"].max()) - 1 / recorded.fps - video.seconds
    has_rate = not video.rate or abs(video.rate / recorded.fps - 1) <= RATE_PART
    if not has_rate and (video.rate < LEAST_DENSE * recorded.fps or excess > margin):  # else each frame has one near it
        text = f"{path} has {video.rate:.4g} pictures a second, and {dataset.INFO_FILE} says fps {recorded.fps:g}"
        return make_finding("video-rate", f"{text}: frames have no picture, or that of another time", feature=camera)
    if video.start > LATE_FRAMES / recorded.fps:
        text = f"{path} has its first picture at {video.start:.4g} s: each episode in it has those of another time"
    elif begin < -margin or (begin > margin and excess > margin):
        end_text = f", and the last one ends {excess + 1 / recorded.fps:.3g} s after its end" if excess > margin else ""
        text = f"the episodes of {path} are shifted: the first one begins at {begin:.3g} s{end_text}"
    else:
        return None
    return make_finding("video-shifted", text, feature=camera)


def find_picture_problems(recorded: Recorded) -> Findings:
    """Yield how pictures in tables cannot be read, or have another size than their description, each kind once.

    Of many bytes, evenly spread row groups are read; all, where one has such a picture.
    """
    cameras = [name for name in recorded.cameras if name not in recorded.videos]
    if not cameras or not recorded.is_read:
        return
    groups = list[tuple[str, int, int]]()
    for path in table_files.list_files(recorded.root, table_files.DATA_FILES):
        meta = table_files.open_table(recorded.root, path).metadata
        for number in range(meta.num_row_groups):
            columns = map(meta.row_group(number).column, range(meta.num_columns))
            sizes = [
                column.total_compressed_size for column in columns if column.path_in_schema.startswith((*cameras,))
            ]
            groups.append((path, number, sum(sizes)))
    step = max(1, math.ceil(sum(size for *_, size in groups) / MOST_PICTURE_BYTES))
    findings = [*_compare_pictures(recorded, groups[::step], cameras)]
    yield from _compare_pictures(recorded, groups, cameras) if step > 1 and findings else findings


def _compare_pictures(recorded: Recorded, groups: Sequence[tuple[str, int, int]], cameras: Sequence[str]) -> Findings:
    findings, kept = dict[tuple[str, str], tuple[Finding, set[int]]](), {*recorded.kept.tolist()}
    for path, group, _ in groups:
        for episode, frame, *pictures in read_pictures(recorded, path, [group], cameras):
            for camera, picture in zip(cameras, pictures, strict=True) if episode in kept else ():
                content = picture.get("bytes") if isinstance(picture, dict) else None
                if content is None:  # LeRobot also reads pictures that lie beside the tables
                    continue
                if (size := measure_picture(content)) is None:
                    finding: Finding | None = make_finding(
                        "picture-unreadable",
                        f"{path} has no readable picture of {camera} in episode {episode}, frame {frame}",
                        feature=camera,
                    )
                else:
                    finding = _compare_size(
                        recorded, camera, size, f"the picture of {camera} in episode {episode}, frame {frame},"
                    )
                if finding:
                    findings.setdefault((finding.code, camera), (finding, set()))[1].add(episode)
    yield from (finding._replace(episodes=tuple(sorted(episodes))) for finding, episodes in findings.values())


def read_pictures(
    recorded: Recorded, path: str, groups: Sequence[int], cameras: Sequence[str]
) -> Iterator[tuple[Any, ...]]:
    """Yield episode, frame and the picture of each camera of the rows of some row groups."""
    columns = ["episode_index", "frame_index", *cameras]
    file = table_files.open_table(recorded.root, path)
    for batch in file.iter_batches(PICTURE_ROWS, groups, columns) if len(groups) else ():
        yield from zip(*(batch.column(name).to_pylist() for name in columns), strict=True)


def measure_picture(content: bytes) -> tuple[int, int] | None:
    """Return the width and the height that the header of a picture says; None if that cannot be read."""
    if content.startswith(PNG + b"\0\0\0\rIHDR") and len(content) >= PNG_SIZE.stop:
        width, height = content[PNG_SIZE][:4], content[PNG_SIZE][4:]
        return int.from_bytes(width, "big"), int.from_bytes(height, "big")
    try:
        with Image.open(io.BytesIO(content)) as picture:
            return picture.size
    except Exception:  # of which decoders have many
        return None


def is_readable(content: bytes, *, decodes: bool = False) -> bool:
    """Return whether a picture is whole: by the checksums of PNG, the ends of JPEG, else (`decodes`) by decoding it."""
    if not decodes and content.startswith(PNG) and _has_all_chunks(content):
        return True
    if not decodes and content.startswith(JPEG) and JPEG_END in content[-JPEG_REST:]:
        return True
    try:
        with Image.open(io.BytesIO(content)) as picture:
            picture.load()
    except Exception:  # of which decoders have many
        return False
    return True


def _has_all_chunks(content: bytes) -> bool:
    offset, view = len(PNG), memoryview(content)
    while offset + CHUNK <= len(content):
        end = offset + CHUNK + int.from_bytes(view[offset : offset + 4], "big")
        checksum = int.from_bytes(view[end - 4 : end], "big")
        if end > len(content) or zlib.crc32(view[offset + 4 : end - 4]) != checksum:
            return False
        if view[offset + 4 : offset + 8] == PNG_END:
            return True
        offset = end
    return False


class DamagedPictures:
    """The pictures of a dataset that cannot be decoded."""

    def __init__(self) -> None:
        self.spans: dict[tuple[str, str], set[Span]] = defaultdict(set)
        """By the code of the kind of file and the camera."""

    def add(self, code: str, camera: str, episode: int, frame: int) -> None:
        """Add one."""
        self.spans[code, camera].add((episode, frame, frame + 1))

    def list_findings(self) -> Findings:
        """Yield what was found."""
        for (code, camera), spans in sorted(self.spans.items()):
            (episode, frame, _), *others = sorted(spans)
            more = f", and {len(others)} more" if others else ""
            yield make_span_finding(
                code,
                f"{camera} has a picture that cannot be decoded: episode {episode}, frame {frame}{more}",
                sorted(spans),
                len(spans),
                "frames",
                camera,
            )

    def scan_tables(self, recorded: Recorded, path: str, cameras: Sequence[str], episodes: Collection[int]) -> None:
        """Add the pictures of a table that cannot be decoded, by decoding each."""
        groups = range(table_files.open_table(recorded.root, path).num_row_groups)
        for episode, frame, *pictures in read_pictures(recorded, path, groups, cameras):
            for camera, picture in zip(cameras, pictures, strict=True) if episode in episodes else ():
                if not is_whole(picture, decodes=True):
                    self.add("picture-unreadable", camera, episode, frame)

    def scan_video(self, recorded: Recorded, camera: str, path: str, *, is_suspect: bool) -> int:
        """Add which frames have no picture in a video; return how many were decoded.

        A video that is not suspect is decoded only if a header of a picture in it is none of its codec.
        """
        file = str(recorded.root / path)
        try:
            if not is_suspect and not has_damaged_headers(file):
                return 0
            times = np.array([-math.inf, *list_decodable_times(file), math.inf])
        except (OSError, av.error.FFmpegError, IndexError):
            return 0  # the comparison of tables says so
        tolerance, count = dataset.get_frame_tolerance(recorded.info) or 0.0, 0
        for episode in list_episodes(recorded, camera, path):
            wanted = get_frame_times(recorded, camera, episode)
            after = np.searchsorted(times, wanted)
            distances = np.minimum(times[after] - wanted, wanted - times[after - 1])
            for frame in np.flatnonzero(distances > tolerance).tolist():
                self.add("video-unreadable", camera, episode, frame)
            count += len(wanted)
        return count


def is_whole(picture: Any, *, decodes: bool) -> bool:
    """Return whether the picture of a row can be decoded; one beside the tables is believed."""
    content, path = (picture or {}).get("bytes"), (picture or {}).get("path")
    return is_readable(content, decodes=decodes) if content else bool(path)


def list_episodes(recorded: Recorded, camera: str, path: str) -> list[int]:
    """Return the episodes in a video, of those that are kept."""
    is_there = recorded.episodes[f"{camera}/path"].iloc[recorded.kept] == path
    return [*map(int, recorded.kept[is_there.to_numpy()])]


def get_frame_times(recorded: Recorded, camera: str, episode: int) -> Array:
    """Return when the frames of an episode are in its video, in seconds."""
    start = recorded.episodes[f"{camera}/from"].iloc[episode]
    return start + np.arange(recorded.lengths[episode]) / recorded.fps


def list_videos(recorded: Recorded) -> Iterator[tuple[str, str]]:
    """Yield each camera with each of its videos, without those of distances."""
    for camera in recorded.videos:
        if camera in recorded.cameras:
            for path in recorded.episodes[f"{camera}/path"].iloc[recorded.kept].unique():
                yield camera, path


def has_damaged_headers(file: str) -> bool:
    """Return whether the header of a picture in a video is none of its codec. Raise as PyAV does."""
    with av.open(file) as container:
        stream = container.streams.video[0]
        name = stream.codec_context.name
        filter_name = f"{CODECS.get(name, name)}_metadata"
        if filter_name not in bitstream_filters_available:
            return False
        reader = BitStreamFilterContext(filter_name, stream)
        for packet in container.demux(stream):
            if packet.size and packet.pts is not None:
                try:
                    reader.filter(packet)
                except av.error.FFmpegError:
                    return True
    return False


def list_decodable_times(file: str) -> list[float]:
    """Return the times of a video's pictures, in seconds, that can be decoded wherever decoding begins.

    From a picture that cannot be decoded to the next key frame but one, none counts: LeRobot begins at the key frame
    before, and where decoding does not begin there, it may find other pictures in its place. Raise as PyAV does.
    """
    group_by_time, decoded, damaged, group = dict[int, int](), set[int](), set[int](), 0
    with av.open(file) as container:
        stream = container.streams.video[0]
        stream.thread_count = 1
        for packet in container.demux(stream):
            if packet.size and packet.pts is not None:
                group += bool(packet.is_keyframe)
                group_by_time[packet.pts] = group
            try:
                decoded |= {frame.pts for frame in packet.decode()}
            except av.error.FFmpegError:
                damaged.add(group)
        start, time_base = stream.start_time or 0, stream.time_base
    damaged |= {group for time, group in group_by_time.items() if time not in decoded}
    damaged |= {group + 1 for group in damaged}
    return sorted(float((time - start) * time_base) for time, group in group_by_time.items() if group not in damaged)


def find_unreadable(root: Path, chosen: Collection[int] | None) -> UnreadableEpisodes:
    """Return the episodes of a dataset, of those that are read, with a picture that cannot be decoded."""
    recorded = load.load_episodes(root, load.Training(chosen))
    damaged, kept = DamagedPictures(), {*recorded.kept.tolist()}
    for camera, path in list_videos(recorded):
        damaged.scan_video(recorded, camera, path, is_suspect=True)
    images = [name for name in recorded.cameras if name not in recorded.videos]
    for path in table_files.list_files(recorded.root, table_files.DATA_FILES) if images else ():
        damaged.scan_tables(recorded, path, images, kept)
    episodes = {episode for spans in damaged.spans.values() for episode, *_ in spans}
    return UnreadableEpisodes(sorted(episodes), len(kept))


def find_rate_problems(recorded: Recorded) -> Findings:
    """Yield each camera whose first video has other frames per second than the dataset."""
    for camera in recorded.videos:
        path = recorded.episodes[f"{camera}/path"].iloc[0]
        try:
            with av.open(str(recorded.root / path)) as container:
                rate = float(container.streams.video[0].average_rate or 0)
        except (OSError, av.error.FFmpegError, IndexError):
            continue
        if rate and abs(rate / recorded.fps - 1) > RATE_PART:
            yield make_finding(
                "fps-differs",
                f"{path} has {rate:.4g} frames per second, and meta/info.json says fps {recorded.fps:g}",
                feature=camera,
                number=rate,
                unit="fps",
            )


def find_uneven_videos(recorded: Recorded) -> Findings:
    """Yield each camera of which torchcodec, with which LeRobot decodes, would read other pictures."""
    spans_by_camera, counts = defaultdict[str, list[Span]](list), defaultdict[str, int](int)
    for camera, episode, frames in find_misread(recorded, trusts_headers=False):
        spans_by_camera[camera].append((episode, int(frames[0]), int(frames[-1]) + 1))
        counts[camera] += len(frames)
    for camera, spans in spans_by_camera.items():
        more = f", and of {counts[camera] - 1} more" if counts[camera] > 1 else ""
        text = f"{camera} has uneven times: torchcodec would read another picture of episode {spans[0][0]}, frame"
        yield make_span_finding("video-uneven", f"{text} {spans[0][1]}{more}", spans, counts[camera], "frames", camera)


def find_misread(recorded: Recorded, *, trusts_headers: bool) -> Iterator[tuple[str, int, Array]]:
    """Yield camera, episode and frames of which torchcodec reads another picture than the nearest one.

    It counts pictures by the rate of the video, where PyAV compares their times: both read the same of a video whose
    pictures follow one another evenly from time 0 on, as those of LeRobot's videos do.

    :param trusts_headers: whether a video whose header says nothing of uneven times is not read to its end.
    """
    for camera, path in list_videos(recorded):
        try:
            with av.open(str(recorded.root / path)) as container:
                stream = container.streams.video[0]
                rate, tick = float(stream.base_rate or 0), float(stream.time_base)
                if not rate or (trusts_headers and _is_said_to_be_even(stream, rate, recorded.fps)):
                    continue
                packets = (packet.pts for packet in container.demux(stream) if packet.size)
                times = np.sort([time for time in packets if time is not None])
        except (OSError, av.error.FFmpegError, IndexError):
            continue
        for episode in list_episodes(recorded, camera, path) if len(times) > 1 else ():
            if len(frames := list_misread(times, tick, rate, get_frame_times(recorded, camera, episode))):
                yield camera, episode, frames


def _is_said_to_be_even(stream: Any, rate: float, fps: float) -> bool:
    """Return whether the header of a video says that a picture follows another in the same number of ticks."""
    has_one_rate = stream.base_rate == stream.average_rate and abs(rate - fps) < NEAR
    is_whole_tick = has_one_rate and (1 / (stream.base_rate * stream.time_base)).denominator == 1
    return is_whole_tick and not stream.start_time


def list_misread(times: Array, tick: float, rate: float, wanted: Array) -> Array:
    """Return the places of those wanted times, in seconds, for which torchcodec reads another picture."""
    numbers = np.rint(wanted * rate)
    read = np.searchsorted(times, np.rint(numbers / rate / tick))
    is_there = (read < len(times)) & (numbers < len(times))
    distances = np.abs(times[np.minimum(read, len(times) - 1)] * tick - wanted)
    after = np.searchsorted(times, wanted / tick).clip(1, len(times) - 1)
    nearest = np.abs(np.stack([times[after - 1], times[after]]) * tick - wanted).min(axis=0)
    return np.flatnonzero(~is_there | (distances > nearest + NEAR))
