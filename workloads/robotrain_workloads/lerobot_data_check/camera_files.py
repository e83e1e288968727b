"""Pictures and videos of a dataset: they exist, have the size that info.json says, and are as long as the episodes."""

import importlib
import io
import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from robotrain_workloads.lerobot import dataset
from robotrain_workloads.lerobot_data_check.dataset_files import DatasetFiles, LocalFiles
from robotrain_workloads.lerobot_data_check.episode_tables import VIDEO_COLUMNS, EpisodeTables
from robotrain_workloads.lerobot_data_check.findings import DataFinding, make_data_finding
from robotrain_workloads.lerobot_data_check.table_files import (
    DATA_FILES,
    ProblemList,
    find_damage,
    find_wrong,
    open_table,
)

MOST_PICTURE_BYTES, PICTURE_ROWS = 1 << 28, 64
"""Of the row groups whose pictures are measured; and how many rows of them at a time."""
PNG_HEADER, PNG_SIZE = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", slice(16, 24)
RATE_PART = 0.02
"""How far pictures a second are from the frames a second, as a part."""
LEAST_DENSE = 1.9
"""Of the frames a second: so many pictures are enough for each to have one near it."""
LATE_FRAMES = 3
"""Later than that, the first picture is not late by the codec."""


def find_picture_problems(
    files: DatasetFiles, features: Mapping[str, Mapping[str, Any]], chosen_episodes: Collection[int] | None
) -> Iterator[DataFinding]:
    """Yield how pictures in tables cannot be read, or have another size than their description, each kind once.

    Of many bytes, evenly spread row groups are read; all, where one has such a picture. Of a dataset elsewhere, some.
    """
    cameras = [name for name, feature in features.items() if feature.get("dtype") == "image"]
    if not cameras:
        return
    picture_groups = [*_list_groups(files, cameras)]
    sampling_step = max(1, math.ceil(sum(picture_group.size for picture_group in picture_groups) / MOST_PICTURE_BYTES))
    problems = _compare_pictures(files, features, picture_groups[::sampling_step], chosen_episodes)
    if sampling_step > 1 and isinstance(files, LocalFiles) and problems:
        problems = _compare_pictures(files, features, picture_groups, chosen_episodes)
    yield from problems


class _PictureGroup(NamedTuple):
    """A row group with pictures."""

    path: str
    number: int
    cameras: Sequence[str]
    size: int
    """In bytes."""


def _list_groups(files: DatasetFiles, cameras: Sequence[str]) -> Iterator[_PictureGroup]:
    for path in files.list_files(DATA_FILES):
        file = open_table(files, path)
        stored_cameras = [name for name in cameras if name in file.schema_arrow.names]
        for row_part in (
            files.plan_rows(file, path, (), stored_cameras) if stored_cameras else ()
        ):  # none, of what is too large elsewhere
            for number in range(file.num_row_groups) if row_part.groups is None else row_part.groups:
                row_group = file.metadata.row_group(number)
                columns = map(row_group.column, range(row_group.num_columns))
                sizes = [
                    column.total_compressed_size
                    for column in columns
                    if column.path_in_schema.startswith((*stored_cameras,))
                ]
                yield _PictureGroup(path, number, stored_cameras, sum(sizes))


def _compare_pictures(
    files: DatasetFiles,
    features: Mapping[str, Mapping[str, Any]],
    picture_groups: Sequence[_PictureGroup],
    chosen_episodes: Collection[int] | None,
) -> ProblemList:
    problems = ProblemList()
    for path, number, cameras, _ in picture_groups:
        columns = ["episode_index", "frame_index", *cameras]
        for batch in open_table(files, path).iter_batches(PICTURE_ROWS, row_groups=[number], columns=columns):
            for episode, frame, *pictures in zip(*(batch.column(name).to_pylist() for name in columns), strict=True):
                if chosen_episodes is not None and episode not in chosen_episodes:
                    continue
                for name, picture in zip(cameras, pictures, strict=True):
                    picture_bytes = picture.get("bytes") if isinstance(picture, dict) else None
                    if picture_bytes is None:  # LeRobot also reads pictures that lie beside the tables
                        continue
                    if (size := measure_picture(picture_bytes)) is None:
                        finding_text = f"{path} has no readable picture of {name} in episode {episode}, frame {frame}"
                        problems.add(make_data_finding("picture-unreadable", finding_text, [episode], feature=name))
                        continue
                    subject = f"the picture of {name} in episode {episode}, frame {frame},"
                    for problem in _compare_size(name, features[name], size, subject):
                        problems.add(problem._replace(episodes=(episode,)))
    return problems


def measure_picture(picture_bytes: bytes) -> tuple[int, int] | None:
    """Return the width and the height that the header of a picture says; None if that cannot be read."""
    if picture_bytes.startswith(PNG_HEADER) and len(picture_bytes) >= PNG_SIZE.stop:
        width, height = picture_bytes[PNG_SIZE][:4], picture_bytes[PNG_SIZE][4:]
        return int.from_bytes(width, "big"), int.from_bytes(height, "big")
    image: Any = importlib.import_module("PIL.Image")
    try:
        with image.open(io.BytesIO(picture_bytes)) as picture:
            width, height = picture.size
            return width, height
    except Exception:  # of which decoders have many
        return None


def _compare_size(name: str, feature: Mapping[str, Any], size: tuple[int, int], subject: str) -> Iterator[DataFinding]:
    shape = feature.get("shape") or ()
    dimension_names = feature.get("names") or ()
    if len(shape) != 3 or "height" not in dimension_names or "width" not in dimension_names:
        return
    declared_size = (shape[dimension_names.index("width")], shape[dimension_names.index("height")])
    if declared_size != size:
        description_text = f"{dataset.INFO_FILE} says {declared_size[0]} × {declared_size[1]}"
        finding_text = f"{subject} has {size[0]} × {size[1]} pixels, and {description_text}"
        yield make_data_finding("picture-size", finding_text, feature=name)


class Videos:
    """The videos of one camera."""

    def __init__(
        self,
        files: DatasetFiles,
        info: Mapping[str, Any],
        episodes: EpisodeTables,
        name: str,
        chosen: Collection[int] | None,
    ) -> None:
        np: Any = importlib.import_module("numpy")
        self._files, self._info, self._name, self._template = files, info, name, episodes.video_path
        self._stored = [episodes.columns[f"videos/{name}/{column}"] for column in VIDEO_COLUMNS]
        columns = [episodes.columns["length"], *self._stored]
        self._numbers = np.arange(len(columns[0])) if chosen is None else np.array(sorted(chosen), int)
        self._numbers = self._numbers[self._numbers < len(columns[0])]
        self._lengths, self._chunks, self._places, self._from, self._to = (column[self._numbers] for column in columns)
        self._interval = 1 / float(info["fps"])

    def find_problems(self, margin: float) -> Iterator[DataFinding]:
        """Yield how episodes are not where the metadata says, each kind once.

        :param margin: how much shorter a video may be, in seconds.
        """
        yield from self._find_range_problems()
        problems = ProblemList()
        videos_by_path = dict[str, _Video]()
        for row, number in enumerate(self._numbers.tolist()):
            path = self._format_path(row)
            stop = float(self._to[row])
            if path not in videos_by_path:
                video = self._open(path, number, is_opened=len(videos_by_path) < self._files.most_pictures)
                videos_by_path[path] = video._replace(
                    problem=video.problem or self._find_other_times(path, row, video, margin)
                )
            video, problem = videos_by_path[path], videos_by_path[path].problem
            if not problem and video.seconds and stop - self._interval > video.seconds + margin:
                finding_text = f"episode {number} ends at {stop:.4g} s of {path}, which has {video.seconds:.4g} s"
                problem = make_data_finding("video-short", finding_text, feature=self._name)
            if problem:
                problems.add(problem._replace(episodes=(int(number),)))
        yield from problems

    def _find_other_times(self, path: str, row: int, video: "_Video", margin: float) -> DataFinding | None:
        """Return the problem of a video whose pictures are all at other times than the metadata says."""
        if not video.seconds:
            return None
        chunks, file_numbers, starts, ends = self._stored
        is_same_video = (chunks == self._chunks[row]) & (file_numbers == self._places[row])
        fps = 1 / self._interval
        first_start = float(starts[is_same_video].min())
        excess_seconds = float(ends[is_same_video].max()) - self._interval - video.seconds
        has_rate = not video.rate or abs(video.rate / fps - 1) <= RATE_PART
        if not has_rate and (
            video.rate < LEAST_DENSE * fps or excess_seconds > margin
        ):  # else each frame has one near it
            rate_text = f"{dataset.INFO_FILE} says fps {fps:g}: frames have no picture, or that of another time"
            return make_data_finding(
                "video-rate", f"{path} has {video.rate:.4g} pictures a second, and {rate_text}", feature=self._name
            )
        if video.start > LATE_FRAMES * self._interval:
            finding_text = (
                f"{path} has its first picture at {video.start:.4g} s: each episode in it has those of another time"
            )
        elif first_start < -margin or (first_start > margin and excess_seconds > margin):
            end_text = (
                f", and the last one ends {excess_seconds + self._interval:.3g} s after its end"
                if excess_seconds > margin
                else ""
            )
            finding_text = f"the episodes of {path} are shifted: the first one begins at {first_start:.3g} s{end_text}"
        else:
            return None
        return make_data_finding("video-shifted", finding_text, feature=self._name)

    def _find_range_problems(self) -> Iterator[DataFinding]:
        """Yield the episodes that have less of their video than frames, or a part of another one's."""
        np, episode_numbers = importlib.import_module("numpy"), self._numbers
        is_short = self._to - self._from < (self._lengths - 2) * self._interval
        if rows := find_wrong(is_short):
            row = rows[0]
            seconds = f"{self._from[row]:.4g} to {self._to[row]:.4g} s of {self._format_path(row)}"
            finding_text = (
                f"episode {episode_numbers[row]} has {self._lengths[row]} frames, and from {seconds} there are fewer"
            )
            yield make_data_finding(
                "episodes-disagree", finding_text, episode_numbers[rows].tolist(), feature=self._name
            )
        sorted_rows = np.lexsort((self._from, self._places, self._chunks))
        previous_rows, next_rows = sorted_rows[:-1], sorted_rows[1:]
        is_same = (self._places[previous_rows] == self._places[next_rows]) & (
            self._chunks[previous_rows] == self._chunks[next_rows]
        )
        if rows := find_wrong(is_same & (self._from[next_rows] < self._to[previous_rows] - 2 * self._interval)):
            first_row, second_row = sorted((previous_rows[rows[0]], next_rows[rows[0]]))
            later_rows = np.maximum(previous_rows[rows], next_rows[rows])
            span = f"{self._from[second_row]:.4g} to {self._to[second_row]:.4g} s of {self._format_path(second_row)}"
            finding_text = (
                f"episode {episode_numbers[second_row]} has {span}, of which episode "
                f"{episode_numbers[first_row]} has a part"
            )
            yield make_data_finding(
                "episodes-disagree", finding_text, sorted(episode_numbers[later_rows].tolist()), feature=self._name
            )

    def _format_path(self, row: int) -> str:
        return self._template.format(
            video_key=self._name, chunk_index=int(self._chunks[row]), file_index=int(self._places[row])
        )

    def _open(self, path: str, number: int, *, is_opened: bool) -> "_Video":
        """Return what the header of a video says, and what is wrong with it."""
        av: Any = importlib.import_module("av")
        subject = f", the video of episode {number},"
        if damage := find_damage(self._files, path, subject, is_opened=is_opened):
            code = "video-unreadable" if damage.code == "file-unreadable" else damage.code
            return _Video(damage._replace(code=code, feature=self._name))
        if not is_opened:
            return _Video()
        try:
            with self._files.open(path) as file, av.open(file) as container:
                stream = container.streams.video[0]
                size, rate = (stream.width, stream.height), float(stream.average_rate or 0)
                seconds = float(container.duration or 0) / av.time_base
                start = float((stream.start_time or 0) * (stream.time_base or 0))
        except (av.error.FFmpegError, IndexError, OSError) as error:
            finding_text = f"{path}{subject} cannot be read: {error}"
            return _Video(make_data_finding("video-unreadable", finding_text, feature=self._name))
        feature = dataset.get_features(self._info)[self._name]
        problem = next(_compare_size(self._name, feature, size, path), None)
        return _Video(problem, seconds, start, rate)


class _Video(NamedTuple):
    """A video file."""

    problem: DataFinding | None = None
    seconds: float = 0.0
    """Its length; 0 if that is unknown."""
    start: float = 0.0
    """When its first picture is shown."""
    rate: float = 0.0
    """Pictures a second."""
