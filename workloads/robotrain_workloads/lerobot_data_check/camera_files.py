"""Pictures and videos of a dataset: they exist, have the size that info.json says, and are as long as the episodes."""

import importlib
import io
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from robotrain_workloads.lerobot import dataset
from robotrain_workloads.lerobot_data_check.dataset_files import DatasetFiles
from robotrain_workloads.lerobot_data_check.episode_tables import VIDEO_COLUMNS, EpisodeTables
from robotrain_workloads.lerobot_data_check.table_files import (
    DATA_FILES,
    ProblemList,
    TableProblem,
    find_damage,
    find_wrong,
    open_table,
)


def find_picture_problems(files: DatasetFiles, features: Mapping[str, Mapping[str, Any]]) -> Iterator[TableProblem]:
    """Yield each camera of pictures whose first one cannot be read, or has another size than its description."""
    cameras = [name for name, one in features.items() if one.get("dtype") == "image"]
    for path in files.list_files(DATA_FILES)[:1] if cameras else ():
        file, image = open_table(files, path), importlib.import_module("PIL.Image")
        stored = [name for name in cameras if name in file.schema_arrow.names]
        if not files.plan_rows(file, path, (), stored):  # too large to be read from here
            return
        batch = next(file.iter_batches(batch_size=1, columns=stored), None)
        for name, values in (batch.to_pydict() if batch is not None else {}).items():
            content = values[0].get("bytes") if values and isinstance(values[0], dict) else None
            if content is None:  # LeRobot also reads pictures that lie beside the tables
                continue
            try:
                size = image.open(io.BytesIO(content)).size
            except Exception:  # of which decoders have many
                text = f"{path} has no readable picture of {name} in episode 0"
                yield TableProblem("picture-unreadable", text, [0], name)
                continue
            yield from _compare_size(name, features[name], size, "pictures")


def _compare_size(name: str, feature: Mapping[str, Any], size: tuple[int, int], what: str) -> Iterator[TableProblem]:
    shape, names = feature.get("shape") or (), feature.get("names") or ()
    if len(shape) != 3 or "height" not in names or "width" not in names:
        return
    declared = (shape[names.index("width")], shape[names.index("height")])
    if declared != size:
        said = f"{dataset.INFO_FILE} says {declared[0]} × {declared[1]}"
        text = f"the {what} of {name} have {size[0]} × {size[1]} pixels, and {said}"
        yield TableProblem("picture-size", text, (), name)


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
        columns = [episodes.columns["length"], *(episodes.columns[f"videos/{name}/{one}"] for one in VIDEO_COLUMNS)]
        self._numbers = np.arange(len(columns[0])) if chosen is None else np.array(sorted(chosen), int)
        self._numbers = self._numbers[self._numbers < len(columns[0])]
        self._lengths, self._chunks, self._places, self._from, self._to = (one[self._numbers] for one in columns)
        self._interval = 1 / float(info["fps"])

    def find_problems(self, margin: float) -> Iterator[TableProblem]:
        """Yield how episodes are not where the metadata says, each kind once.

        :param margin: how much shorter a video may be, in seconds.
        """
        yield from self._find_range_problems()
        found, opened = ProblemList(), dict[str, tuple[float, TableProblem | None]]()
        for row, number in enumerate(self._numbers.tolist()):
            path, stop = self._format_path(row), float(self._to[row])
            if path not in opened:
                opened[path] = self._open(path, number, is_opened=len(opened) < self._files.most_pictures)
            seconds, problem = opened[path]
            if seconds and stop - self._interval > seconds + margin:
                text = f"episode {number} ends at {stop:.4g} s of {path}, which has {seconds:.4g} s"
                problem = TableProblem("video-short", text, (), self._name)
            if problem:
                found.add(problem if problem.kind == "picture-size" else problem._replace(episodes=[number]))
        yield from found

    def _find_range_problems(self) -> Iterator[TableProblem]:
        """Yield the episodes that have less of their video than frames, or a part of another one's."""
        np, numbers = importlib.import_module("numpy"), self._numbers
        short = self._to - self._from < (self._lengths - 2) * self._interval
        if rows := find_wrong(short):
            row = rows[0]
            seconds = f"{self._from[row]:.4g} to {self._to[row]:.4g} s of {self._format_path(row)}"
            text = f"episode {numbers[row]} has {self._lengths[row]} frames, and from {seconds} there are fewer"
            yield TableProblem("episodes-disagree", text, numbers[rows].tolist(), self._name)
        order = np.lexsort((self._from, self._places, self._chunks))
        before, after = order[:-1], order[1:]
        is_same = (self._places[before] == self._places[after]) & (self._chunks[before] == self._chunks[after])
        if rows := find_wrong(is_same & (self._from[after] < self._to[before] - 2 * self._interval)):
            first, second = sorted((before[rows[0]], after[rows[0]]))
            later = np.maximum(before[rows], after[rows])
            place = f"{self._from[second]:.4g} to {self._to[second]:.4g} s of {self._format_path(second)}"
            text = f"episode {numbers[second]} has {place}, of which episode {numbers[first]} has a part"
            yield TableProblem("episodes-disagree", text, sorted(numbers[later].tolist()), self._name)

    def _format_path(self, row: int) -> str:
        return self._template.format(
            video_key=self._name, chunk_index=int(self._chunks[row]), file_index=int(self._places[row])
        )

    def _open(self, path: str, number: int, *, is_opened: bool) -> tuple[float, TableProblem | None]:
        """Return how long a video is, 0 if that is unknown, and what is wrong with it."""
        av: Any = importlib.import_module("av")
        subject = f", the video of episode {number},"
        if damage := find_damage(self._files, path, subject, is_opened=is_opened):
            kind = "video-unreadable" if damage.kind == "file-unreadable" else damage.kind
            return 0.0, damage._replace(kind=kind, feature=self._name)
        if not is_opened:
            return 0.0, None
        try:
            with self._files.open(path) as video, av.open(video) as container:
                stream = container.streams.video[0]
                size, seconds = (stream.width, stream.height), float(container.duration or 0) / av.time_base
        except (av.error.FFmpegError, IndexError, OSError) as error:
            text = f"{path}{subject} cannot be read: {error}"
            return 0.0, TableProblem("video-unreadable", text, (), self._name)
        return seconds, next(
            _compare_size(self._name, dataset.get_features(self._info)[self._name], size, "videos"), None
        )
