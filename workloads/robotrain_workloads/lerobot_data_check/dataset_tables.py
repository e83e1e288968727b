"""Tables of a LeRobot dataset that must agree: description, episodes, frames, tasks, pictures and videos.

LeRobot compares none of them: it fails in the middle of a training, or trains on other frames than are meant.
Needs numpy and pyarrow, and for pictures and videos Pillow and PyAV: the environment of LeRobot has them.
"""

import importlib
import io
import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from robotrain_workloads.lerobot import dataset, file_formats
from robotrain_workloads.lerobot_data_check.dataset_files import DatasetFiles

DATA_FILES, EPISODE_FILES, TASK_FILE = "data/*/*.parquet", "meta/episodes/*/*.parquet", "meta/tasks.parquet"
RANGE_COLUMNS = ("episode_index", "length", "dataset_from_index", "dataset_to_index")
FRAME_COLUMNS = ("index", "episode_index", "frame_index", "timestamp", "task_index")
VIDEO_COLUMNS = ("chunk_index", "file_index", "from_timestamp", "to_timestamp")
TRAINED = ("action", "observation.state", "observation.environment_state")
"""Features whose numbers every policy that has them reads."""
TOLERANCE_OPTION = "--tolerance_s"
BATCH_ROWS = 100_000
LARGEST_TOLERANCE = 0.5
"""Of the time between two frames: from there on, the nearest frame is another one."""

Columns = Mapping[str, Any]


class TableProblem(NamedTuple):
    """A kind of disagreement, with the first episode and value that show it."""

    kind: str
    """A code of `lerobot_data.findings`."""
    text: str
    """A sentence without a full stop."""
    episode: int | None = None
    feature: str = ""
    way: str = ""
    """What to type, if that helps."""

    def __str__(self) -> str:
        return f"{self.text} ({self.way})" if self.way else self.text


@dataclass
class _Episodes:
    """What meta/episodes says: the columns of all its files, and where the frames of each episode begin and end."""

    columns: Columns
    starts: Any
    ends: Any


def find_table_problems(
    files: DatasetFiles,
    tolerance: float | None = None,
    chosen: Collection[int] | None = None,
    *,
    allow_non_finite: bool = False,
) -> Iterator[TableProblem]:
    """Yield each kind of disagreement once.

    :param files: a valid dataset of LeRobot v3.0.
    :param tolerance: how far a timestamp may be from its place in a dataset with videos, in seconds; None: by default.
    :param chosen: the episodes that are read; None for all.
    :param allow_non_finite: whether values may be NaN or infinite.
    """
    info = file_formats.parse_json_object(files.read(str(dataset.INFO_FILE)), str(dataset.INFO_FILE))
    videos = [name for name, one in dataset.get_features(info).items() if one.get("dtype") == "video"]
    wanted = [*RANGE_COLUMNS, *(f"videos/{name}/{column}" for name in videos for column in VIDEO_COLUMNS)]
    columns, missing = _read_columns(files, EPISODE_FILES, wanted)
    if missing:
        yield TableProblem("column-missing", f"meta/episodes lacks the column {missing[0]}")
        return
    lengths, np = columns["length"], importlib.import_module("numpy")
    ends = np.cumsum(lengths)
    episodes = _Episodes(columns, ends - lengths, ends)
    problem = _explain_ranges(info, episodes)
    if problem:  # else each frame would seem to be wrong
        yield problem
        return
    frames = _FrameTables(files, info, episodes, chosen)
    yield from frames.find_problems(allow_non_finite=allow_non_finite)
    margin = dataset.get_frame_tolerance(info) or 0.0
    if videos:  # LeRobot looks up only their frames by time
        yield from frames.find_timestamp_problems(tolerance or margin)
    yield from _find_picture_problems(files, frames.features)
    for name in videos:
        yield from _find_video_problems(files, info, episodes, name, chosen, margin)


def list_table_problems(
    files: DatasetFiles,
    tolerance: float | None = None,
    chosen: Collection[int] | None = None,
    *,
    allow_non_finite: bool = False,
) -> list[TableProblem]:
    """Return what find_table_problems finds, and a file that cannot be read.

    Raise what numpy and pyarrow raise for a table of a form that is not known here.
    """
    problems: list[TableProblem] = []
    try:
        problems += find_table_problems(files, tolerance, chosen, allow_non_finite=allow_non_finite)
    except (OSError, importlib.import_module("pyarrow").ArrowInvalid) as error:
        problems.append(TableProblem("file-unreadable", f"the tables of {files.name} cannot be read: {error}"))
    return problems


def _explain_ranges(info: Mapping[str, Any], episodes: _Episodes) -> TableProblem | None:
    """Return how the episodes are not all there, once and in order; None if they are."""
    np, columns = importlib.import_module("numpy"), episodes.columns
    numbers, count, frames = columns["episode_index"], len(columns["length"]), int(columns["length"].sum())
    if (wrong := _find_first(numbers != np.arange(count))) is not None:
        text = f"meta/episodes has episode {numbers[wrong]} where episode {wrong} belongs"
        return TableProblem("episodes-disagree", text, wrong)
    if (wrong := _find_first(columns["length"] <= 0)) is not None:
        return TableProblem("episodes-disagree", f"episode {wrong} has no frames by meta/episodes", wrong)
    for key, found in (("total_episodes", count), ("total_frames", frames)):
        if info[key] != found:
            text = f"{dataset.INFO_FILE} says {key} {info[key]}, and meta/episodes has {found}"
            return TableProblem("counts-disagree", text)
    begins, stops = columns["dataset_from_index"], columns["dataset_to_index"]
    if (wrong := _find_first((begins != episodes.starts) | (stops != episodes.ends))) is not None:
        said = f"episode {wrong} has the frames {begins[wrong]} to {stops[wrong]} by meta/episodes"
        right = f"{episodes.starts[wrong]} to {episodes.ends[wrong]}"
        return TableProblem("episodes-disagree", f"{said}, and the lengths before it put it at {right}", wrong)
    return None


class _FrameTables:
    """The comparison of the files of data/ with the episodes, row group by row group; each kind is told once."""

    def __init__(
        self, files: DatasetFiles, info: Mapping[str, Any], episodes: _Episodes, chosen: Collection[int] | None
    ) -> None:
        self._np = importlib.import_module("numpy")
        self._files, self._episodes = files, episodes
        self.features, self.interval = dataset.get_features(info), 1 / float(info["fps"])
        self._tasks = _read_columns(files, TASK_FILE, ["task_index"])[0]["task_index"]
        count = len(episodes.ends)
        self._is_read = self._np.isin(self._np.arange(count), [*chosen] if chosen is not None else range(count))
        self._told: set[tuple[str, str]] = set()
        self._is_disordered = False
        self._worst = _Timestamp()

    def find_problems(self, *, allow_non_finite: bool) -> Iterator[TableProblem]:
        """Yield what is wrong with columns, numbers of frames, tasks and values."""
        parquet = importlib.import_module("pyarrow.parquet")
        stored = [name for name, one in self.features.items() if one.get("dtype") != "video"]
        trained = [name for name in TRAINED if name in stored and not allow_non_finite]
        total, row = int(self._episodes.ends[-1]), 0
        for name in self._files.list_files(DATA_FILES):
            file = parquet.ParquetFile(self._files.open(name))
            if missing := [one for one in stored if one not in file.schema_arrow.names]:
                text = f"{name} has no column {missing[0]}, which {dataset.INFO_FILE} names"
                yield TableProblem("column-missing", text, None, missing[0])
                return
            yield from self._tell_once(_find_shape_problems(file.schema_arrow, self.features, name))
            for table in file.iter_batches(batch_size=BATCH_ROWS, columns=[*FRAME_COLUMNS, *trained]):
                rows = self._np.arange(row, row + table.num_rows)
                row += table.num_rows
                if row > total:
                    break
                yield from self._compare_rows(table, rows, trained, name)
        if row != total:
            count = row if row < total else "more"
            text = f"meta/episodes has {total} frames, and the files of data/ have {count}"
            yield TableProblem("frames-disagree", text)

    def find_timestamp_problems(self, tolerance: float) -> Iterator[TableProblem]:
        """Yield the timestamp that is farthest from its place, if it is too far; after all rows were compared."""
        if not self._is_disordered and self._worst.off > tolerance:
            yield self._worst.describe(self.interval)

    def _compare_rows(self, table: Any, rows: Any, trained: Sequence[str], name: str) -> Iterator[TableProblem]:
        np, episodes = self._np, self._episodes
        owners = np.searchsorted(episodes.ends, rows, "right")
        places, is_read = rows - episodes.starts[owners], self._is_read[owners]
        frames = {one: table.column(one).to_numpy(zero_copy_only=False) for one in FRAME_COLUMNS}
        for column, right in {"index": rows, "episode_index": owners, "frame_index": places}.items():
            if (at := _find_first((frames[column] != right) & is_read)) is not None:
                wrong = f"{name} has the {column} {frames[column][at]} for frame {places[at]} of episode {owners[at]}"
                text, self._is_disordered = f"{wrong}, where {right[at]} belongs", True
                yield from self._tell_once([TableProblem("frames-disagree", text, int(owners[at]), column)])
        off = np.where(is_read, np.abs(frames["timestamp"] - places * self.interval), 0)
        if len(off) and off.max() > self._worst.off:
            at = int(off.argmax())
            self._worst = _Timestamp(*(float(one[at]) for one in (off, owners, places, frames["timestamp"])))
        if (at := _find_first(~np.isin(frames["task_index"], self._tasks) & is_read)) is not None:
            task = f"the task {frames['task_index'][at]}, which {TASK_FILE} does not have"
            text = f"episode {owners[at]} has {task}"
            yield from self._tell_once([TableProblem("task-missing", text, int(owners[at]))])
        for feature in trained if len(rows) else ():
            values = np.asarray(table.column(feature).flatten()).reshape(len(rows), -1)
            is_finite = np.isfinite(values).all(axis=1)
            if (at := _find_first(~is_finite & is_read)) is not None:
                value = f"{feature} of frame {places[at]} has a value that is not a finite number"
                text = f"episode {owners[at]}: {value}"
                yield from self._tell_once([TableProblem("value-not-finite", text, int(owners[at]), feature)])

    def _tell_once(self, problems: Iterable[TableProblem]) -> Iterator[TableProblem]:
        """Yield the problems of kinds that were not told yet."""
        for one in problems:
            if (one.kind, one.feature) not in self._told:
                self._told.add((one.kind, one.feature))
                yield one


@dataclass(frozen=True)
class _Timestamp:
    """A timestamp, and how far it is from its place, in seconds."""

    off: float = 0.0
    episode: float = 0
    frame: float = 0
    said: float = 0.0

    def describe(self, interval: float) -> TableProblem:
        """Return the problem; within half the time between two frames, a larger tolerance helps."""
        right = f"at {1 / interval:g} fps it is at {self.frame * interval:.4g} s"
        text = f"episode {self.episode:g}: frame {self.frame:g} has the timestamp {self.said:.4g} s, and {right}"
        if self.off < LARGEST_TOLERANCE * interval:
            enough = math.ceil(self.off * 1000 + 1) / 1000
            way, why = f"-- {TOLERANCE_OPTION}={enough:g}", "LeRobot finds no frame of the video there"
        else:
            way, why = "", f"the timestamps, or fps of {dataset.INFO_FILE}, are wrong"
        return TableProblem("timestamp-off", f"{text}: {why}", int(self.episode), way=way)


def _find_shape_problems(schema: Any, features: Mapping[str, Mapping[str, Any]], name: str) -> Iterator[TableProblem]:
    """Yield each feature whose column has another number of values than its description."""
    for feature, one in features.items():
        if one.get("dtype") in (*dataset.CAMERA_TYPES, "string") or feature not in schema.names:
            continue
        size, shape = getattr(schema.field(feature).type, "list_size", 0), one.get("shape") or [1]
        if size and len(shape) == 1 and size != shape[0]:
            text = f"{name} has {size} values of {feature} a frame, and {dataset.INFO_FILE} says {shape[0]}"
            yield TableProblem("shape-differs", text, None, feature)


def _find_picture_problems(files: DatasetFiles, features: Mapping[str, Mapping[str, Any]]) -> Iterator[TableProblem]:
    """Yield each camera of pictures whose first one has another size than its description."""
    cameras = [name for name, one in features.items() if one.get("dtype") == "image"]
    names = files.list_files(DATA_FILES)[:1] if cameras else ()
    if not names:
        return
    parquet, image = importlib.import_module("pyarrow.parquet"), importlib.import_module("PIL.Image")
    batch = next(parquet.ParquetFile(files.open(names[0])).iter_batches(batch_size=1, columns=cameras), None)
    for name, values in (batch.to_pydict() if batch is not None else {}).items():
        content = (values[0] or {}).get("bytes") if values else None
        if content:
            yield from _compare_size(name, features[name], image.open(io.BytesIO(content)).size, "pictures")


def _compare_size(name: str, feature: Mapping[str, Any], size: tuple[int, int], what: str) -> Iterator[TableProblem]:
    shape, names = feature.get("shape") or (), feature.get("names") or ()
    if len(shape) != 3 or "height" not in names or "width" not in names:
        return
    declared = (shape[names.index("width")], shape[names.index("height")])
    if declared != size:
        said = f"{dataset.INFO_FILE} says {declared[0]} × {declared[1]}"
        text = f"the {what} of {name} have {size[0]} × {size[1]} pixels, and {said}"
        yield TableProblem("picture-size", text, None, name)


def _find_video_problems(
    files: DatasetFiles,
    info: Mapping[str, Any],
    episodes: _Episodes,
    name: str,
    chosen: Collection[int] | None,
    margin: float,
) -> Iterator[TableProblem]:
    """Yield whether a file of a camera is missing, has another size, or is shorter than its episodes.

    :param margin: how much shorter it may be, in seconds.
    """
    av, interval = importlib.import_module("av"), 1 / float(info["fps"])
    values = [episodes.columns[f"videos/{name}/{column}"] for column in VIDEO_COLUMNS]
    template, ends = info.get("video_path") or dataset.VIDEO_FILES, dict[str, float]()
    for number, (chunk, file, _, stop) in enumerate(zip(*values, strict=True)):
        if chosen is not None and number not in chosen:
            continue
        inner = str(template).format(video_key=name, chunk_index=int(chunk), file_index=int(file))
        if inner not in ends:
            try:
                files.get_size(inner)
            except FileNotFoundError:
                yield TableProblem(
                    "file-missing", f"{inner}, the video of episode {number}, does not exist", number, name
                )
                return
            try:
                with files.open(inner) as video, av.open(video) as container:
                    stream = container.streams.video[0]
                    size, ends[inner] = (stream.width, stream.height), float(container.duration or 0) / av.time_base
            except (av.error.FFmpegError, IndexError) as error:
                text = f"{inner}, the video of episode {number}, cannot be read: {error}"
                yield TableProblem("video-unreadable", text, number, name)
                return
            if problem := next(_compare_size(name, dataset.get_features(info)[name], size, "videos"), None):
                yield problem
                return
        if ends[inner] and float(stop) - interval > ends[inner] + margin:
            text = f"episode {number} ends at {float(stop):.4g} s of {inner}, which has {ends[inner]:.4g} s"
            yield TableProblem("video-short", text, number, name)
            return


def _read_columns(files: DatasetFiles, pattern: str, names: Sequence[str]) -> tuple[Columns, list[str]]:
    """Return columns of all files, and the names of those that a file lacks."""
    np, parquet = importlib.import_module("numpy"), importlib.import_module("pyarrow.parquet")
    parts: dict[str, list[Any]] = {name: [] for name in names}
    for path in files.list_files(pattern):
        file = parquet.ParquetFile(files.open(path))
        if missing := [name for name in names if name not in file.schema_arrow.names]:
            return {}, missing
        table = file.read(columns=[*names])
        for name in names:
            parts[name].append(table.column(name).to_numpy())
    return {name: np.concatenate(found) if found else np.array([], int) for name, found in parts.items()}, []


def _find_first(is_wrong: Any) -> int | None:
    """Return the first place that is wrong; None if none is."""
    return int(is_wrong.argmax()) if len(is_wrong) and is_wrong.any() else None
