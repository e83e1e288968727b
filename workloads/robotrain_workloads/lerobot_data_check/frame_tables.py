"""The frames of a dataset: the files of data/ are compared with the episodes and with the description of features."""

import importlib
import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from robotrain_workloads.lerobot import dataset
from robotrain_workloads.lerobot_data_check.dataset_files import DatasetFiles
from robotrain_workloads.lerobot_data_check.episode_tables import EpisodeTables
from robotrain_workloads.lerobot_data_check.table_files import (
    BATCH_ROWS,
    DATA_FILES,
    TASK_FILE,
    TableProblem,
    find_first,
    open_table,
    read_batches,
    require_sizes,
)

FRAME_COLUMNS = ("index", "episode_index", "frame_index", "timestamp", "task_index")
TRAINED = ("action", "observation.state", "observation.environment_state")
"""Features whose numbers every policy that has them reads."""
TOLERANCE_OPTION = "--tolerance_s"
LARGEST_TOLERANCE = 0.5
"""Of the time between two frames: from there on, the nearest frame is another one."""


class FrameTables:
    """The comparison of the files of data/ with the episodes, row group by row group; each kind is told once."""

    def __init__(
        self,
        files: DatasetFiles,
        info: Mapping[str, Any],
        episodes: EpisodeTables,
        chosen: Collection[int] | None,
        *,
        in_order: bool = True,
    ) -> None:
        """`in_order`: whether the metadata says where the frames of each episode are."""
        self._np = importlib.import_module("numpy")
        self._files, self._episodes, self._chosen = files, episodes, chosen
        self.features, self.interval = dataset.get_features(info), 1 / float(info["fps"])
        self._told: set[tuple[str, str]] = set()
        self._in_order = in_order
        self._worst = _Timestamp()

    def find_problems(self, *, allow_non_finite: bool) -> Iterator[TableProblem]:
        """Yield what is wrong with columns, numbers of frames, tasks and values."""
        stored = [name for name, one in self.features.items() if one.get("dtype") != "video"]
        trained = [name for name in TRAINED if name in stored]
        total, row = int(self._episodes.columns["length"].sum()), 0
        for name in self._files.list_files(DATA_FILES):
            file = open_table(self._files, name)
            yield from self._tell_once(_find_column_problems(file.schema_arrow, self.features, name))
            present = [one for one in (*FRAME_COLUMNS, *trained) if one in file.schema_arrow.names]
            require_sizes(file, name, present)
            if any(feature in (*FRAME_COLUMNS, *trained) for _, feature in self._told):
                return  # what follows would be wrong in each row
            if row + file.metadata.num_rows > total:
                row += file.metadata.num_rows
                break
            for part in self._files.plan_rows(file, name, FRAME_COLUMNS, present[len(FRAME_COLUMNS) :]):
                read, at = [one for one in trained if one in part.columns], row + part.first
                for table in read_batches(file, name, BATCH_ROWS, part.columns, part.groups):
                    rows = self._np.arange(at, at + table.num_rows)
                    at += table.num_rows
                    yield from self._compare_rows(table, rows, name, read, allow_non_finite=allow_non_finite)
            row += file.metadata.num_rows
        if row != total:
            count = row if row < total else f"{row} or more"
            text = f"{self._episodes.where} has {total} frames, and the files of data/ have {count}"
            yield TableProblem("frames-disagree", text)

    def find_timestamp_problems(self, tolerance: float) -> Iterator[TableProblem]:
        """Yield the timestamp that is farthest from its place, if it is too far; after all rows were compared."""
        if not any(kind == "frames-disagree" for kind, _ in self._told) and self._worst.off > tolerance:
            yield self._worst.describe(self.interval)

    def _compare_rows(
        self, table: Any, rows: Any, name: str, trained: Sequence[str], *, allow_non_finite: bool
    ) -> Iterator[TableProblem]:
        np, episodes = self._np, self._episodes
        frames = {one: table.column(one).to_numpy(zero_copy_only=False) for one in FRAME_COLUMNS}
        owners, places = frames["episode_index"], frames["frame_index"]
        if self._in_order:
            owners = np.searchsorted(episodes.ends, rows, "right")
            places = rows - episodes.starts[owners]
        is_read = np.ones(len(rows), bool) if self._chosen is None else np.isin(owners, [*self._chosen])
        if self._in_order:
            yield from self._compare_order(frames, rows, owners, places, is_read, name)
        if (at := find_first(~np.isin(frames["task_index"], episodes.tasks) & is_read)) is not None:
            text = f"episode {owners[at]} has the task {frames['task_index'][at]}, which {TASK_FILE} does not have"
            yield from self._tell_once([TableProblem("task-missing", text, int(owners[at]))])
        for feature in trained:
            at, why = self._find_wrong_value(table.column(feature), feature, is_read, allow_non_finite=allow_non_finite)
            if at is not None:
                text = f"episode {owners[at]}: {feature} of frame {places[at]} {why}"
                yield from self._tell_once([TableProblem("value-not-finite", text, int(owners[at]), feature)])

    def _compare_order(
        self, frames: Mapping[str, Any], rows: Any, owners: Any, places: Any, is_read: Any, name: str
    ) -> Iterator[TableProblem]:
        for column, right in {"index": rows, "episode_index": owners, "frame_index": places}.items():
            if (at := find_first((frames[column] != right) & is_read)) is not None:
                wrong = f"{name} has the {column} {frames[column][at]} for frame {places[at]} of episode {owners[at]}"
                text = f"{wrong}, where {right[at]} belongs"
                yield from self._tell_once([TableProblem("frames-disagree", text, int(owners[at]), column)])
        off = self._np.where(is_read, self._np.abs(frames["timestamp"] - places * self.interval), 0)
        if len(off) and off.max() > self._worst.off:
            at = int(off.argmax())
            self._worst = _Timestamp(*(float(one[at]) for one in (off, owners, places, frames["timestamp"])))

    def _find_wrong_value(
        self, column: Any, feature: str, is_read: Any, *, allow_non_finite: bool
    ) -> tuple[int | None, str]:
        """Return the first row whose value is missing, has another length, or is not finite; and what it is."""
        if (at := find_first(column.is_null().to_numpy(zero_copy_only=False) & is_read)) is not None:
            return at, "has no value"
        types, shape = importlib.import_module("pyarrow.types"), self.features[feature].get("shape") or [1]
        if types.is_list(column.type) and len(shape) == 1:
            lengths = column.value_lengths().to_numpy(zero_copy_only=False)
            if (at := find_first(lengths != shape[0])) is not None:
                return at, f"has {lengths[at]} values, and {dataset.INFO_FILE} says {shape[0]}"
        while types.is_list(column.type) or types.is_fixed_size_list(column.type):
            column = column.flatten()
        values = column.to_numpy(zero_copy_only=False)
        if allow_non_finite or not len(values) or len(values) % len(is_read):
            return None, ""
        is_finite = self._np.isfinite(values).reshape(len(is_read), -1).all(axis=1)
        return find_first(~is_finite & is_read), "has a value that is not a finite number"

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


def _find_column_problems(schema: Any, features: Mapping[str, Mapping[str, Any]], name: str) -> Iterator[TableProblem]:
    """Yield each feature that has no column, or one of another type or number of values, and columns of none."""
    for feature, one in features.items():
        if one.get("dtype") == "video":
            continue
        if feature not in schema.names:
            text = f"{name} has no column {feature}, which {dataset.INFO_FILE} names"
            yield TableProblem("column-missing", text, None, feature)
        elif one.get("dtype") not in dataset.OTHER_TYPES and (why := _compare_type(schema.field(feature).type, one)):
            text = f"{name} has {feature} as {why[0]}, and {dataset.INFO_FILE} says {why[1]}"
            yield TableProblem("shape-differs", text, None, feature)
    for column in (column for column in schema.names if column not in features):
        text = f"{name} has the column {column}, which {dataset.INFO_FILE} does not name: LeRobot refuses it"
        yield TableProblem("column-missing", text, None, column)


def _compare_type(found: Any, feature: Mapping[str, Any]) -> tuple[str, str] | None:
    """Return what a column holds of a feature, and what the description says; None if it may be the same."""
    types, kind, shape = importlib.import_module("pyarrow.types"), str(feature.get("dtype")), feature.get("shape")
    count, is_known, size = 1, True, math.prod(shape or [1])
    while types.is_list(found) or types.is_large_list(found) or types.is_fixed_size_list(found):
        is_known &= hasattr(found, "list_size")
        count, found = count * getattr(found, "list_size", 1), found.value_type
    is_number = types.is_integer(found) or types.is_boolean(found)
    if not is_number and not (types.is_floating(found) and "int" not in kind and "bool" not in kind):
        return str(found), kind
    return (f"{count} values a frame", str(size)) if is_known and count != size else None
