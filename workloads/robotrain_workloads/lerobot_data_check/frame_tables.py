"""The frames of a dataset: the files of data/ are compared with the episodes and with the description of features."""

import importlib
import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from robotrain_workloads.lerobot import dataset
from robotrain_workloads.lerobot_data_check.dataset_files import DatasetFiles
from robotrain_workloads.lerobot_data_check.episode_tables import EpisodeTables
from robotrain_workloads.lerobot_data_check.findings import DataFinding, make_data_finding
from robotrain_workloads.lerobot_data_check.table_files import (
    BATCH_ROWS,
    DATA_FILES,
    TASK_FILE,
    ProblemList,
    find_wrong,
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
    """The comparison of the files of data/ with the episodes, row group by row group."""

    def __init__(
        self,
        files: DatasetFiles,
        info: Mapping[str, Any],
        episodes: EpisodeTables,
        chosen: Collection[int] | None,
        tolerance: float | None,
        *,
        in_order: bool = True,
        reads: Collection[str] = (),
    ) -> None:
        """`in_order`: whether the metadata says where the frames of each episode are. `reads`: other features."""
        self._np = importlib.import_module("numpy")
        self._files, self._episodes, self._chosen, self._tolerance = files, episodes, chosen, tolerance
        self.features, self.interval = dataset.get_features(info), 1 / float(info["fps"])
        self._found = ProblemList()
        self._in_order, self._trained = in_order, dict.fromkeys((*TRAINED, *reads))
        self._worst, self._late = _Timestamp(), set[int]()

    def compare(self, *, allow_non_finite: bool) -> None:
        """Compare columns, numbers of frames, tasks and values. Raise UnreadableTable."""
        stored_features = [name for name, feature in self.features.items() if feature.get("dtype") != "video"]
        cameras = dataset.CAMERA_TYPES
        trained_features = [
            name
            for name in self._trained
            if name in stored_features and self.features[name].get("dtype") not in cameras
        ]
        total, row = int(self._episodes.columns["length"].sum()), 0
        for name in self._files.list_files(DATA_FILES):
            file = open_table(self._files, name)
            for problem in _find_column_problems(file.schema_arrow, self.features, name):
                self._found.add(problem)
            present_columns = [
                column for column in (*FRAME_COLUMNS, *trained_features) if column in file.schema_arrow.names
            ]
            require_sizes(file, name, present_columns)
            if any(
                problem.feature in (*FRAME_COLUMNS, *trained_features) and not problem.episodes
                for problem in self._found
            ):
                return  # what follows would be wrong in each row
            if row + file.metadata.num_rows > total:
                row += file.metadata.num_rows
                break
            for row_part in self._files.plan_rows(file, name, FRAME_COLUMNS, present_columns[len(FRAME_COLUMNS) :]):
                read_features = [feature for feature in trained_features if feature in row_part.columns]
                start = row + row_part.first
                for table in read_batches(file, name, BATCH_ROWS, row_part.columns, row_part.groups):
                    rows = self._np.arange(start, start + table.num_rows)
                    start += table.num_rows
                    self._compare_rows(table, rows, name, read_features, allow_non_finite=allow_non_finite)
            row += file.metadata.num_rows
        if row != total:
            count = row if row < total else f"{row} or more"
            finding_text = f"{self._episodes.where} has {total} frames, and the files of data/ have {count}"
            self._found.add(make_data_finding("frames-disagree", finding_text))

    def list_problems(self) -> Iterator[DataFinding]:
        """Yield what was found, and the timestamp that is farthest from its place, if it is too far."""
        yield from self._found
        if self._late and not any(problem.code == "frames-disagree" for problem in self._found):
            yield self._worst.describe(self.interval, sorted(self._late))

    def _compare_rows(
        self, table: Any, rows: Any, name: str, trained: Sequence[str], *, allow_non_finite: bool
    ) -> None:
        np, episodes = self._np, self._episodes
        frames = {column: table.column(column).to_numpy(zero_copy_only=False) for column in FRAME_COLUMNS}
        owners, frame_numbers = frames["episode_index"], frames["frame_index"]
        if self._in_order:
            owners = np.searchsorted(episodes.ends, rows, "right")
            frame_numbers = rows - episodes.starts[owners]
        is_read = np.ones(len(rows), bool) if self._chosen is None else np.isin(owners, [*self._chosen])

        def add(code: str, text: str, wrong: Sequence[int], feature: str = "") -> None:
            self._found.add(make_data_finding(code, text, np.unique(owners[wrong]).tolist(), feature=feature))

        if self._in_order:
            for column, expected_values in {
                "index": rows,
                "episode_index": owners,
                "frame_index": frame_numbers,
            }.items():
                if wrong_rows := find_wrong((frames[column] != expected_values) & is_read):
                    row = wrong_rows[0]
                    finding_text = (
                        f"{name} has the {column} {frames[column][row]} for frame {frame_numbers[row]} of episode"
                    )
                    add(
                        "frames-disagree",
                        f"{finding_text} {owners[row]}, where {expected_values[row]} belongs",
                        wrong_rows,
                        column,
                    )
            time_differences = np.where(is_read, np.abs(frames["timestamp"] - frame_numbers * self.interval), 0)
            if self._tolerance is not None and (wrong_rows := find_wrong(time_differences > self._tolerance)):
                self._late.update(owners[wrong_rows].tolist())
                row = int(time_differences.argmax())
                timestamp = _Timestamp(
                    *(float(array[row]) for array in (time_differences, owners, frame_numbers, frames["timestamp"]))
                )
                self._worst = max(self._worst, timestamp)
        if wrong_rows := find_wrong(~np.isin(frames["task_index"], episodes.tasks) & is_read):
            row = wrong_rows[0]
            finding_text = (
                f"episode {owners[row]} has the task {frames['task_index'][row]}, which {TASK_FILE} does not have"
            )
            add("task-missing", finding_text, wrong_rows)
        for feature in trained:
            for wrong_rows, reason in self._find_wrong_values(
                table.column(feature), feature, is_read, allow_non_finite
            ):
                if wrong_rows:
                    finding_text = (
                        f"episode {owners[wrong_rows[0]]}: {feature} of frame {frame_numbers[wrong_rows[0]]} {reason}"
                    )
                    add("value-not-finite", finding_text, wrong_rows, feature)

    def _find_wrong_values(
        self, column: Any, feature: str, is_read: Any, allow_non_finite: bool
    ) -> Iterator[tuple[list[int], str]]:
        """Yield the rows whose value is missing, has another length, or is not finite; and what the first one is."""
        is_wrong = column.is_null().to_numpy(zero_copy_only=False)
        yield find_wrong(is_wrong & is_read), "has no value"
        types = importlib.import_module("pyarrow.types")
        shape = self.features[feature].get("shape") or [1]
        if types.is_list(column.type) and len(shape) == 1:
            lengths = column.value_lengths().fill_null(shape[0]).to_numpy(zero_copy_only=False)
            if wrong_rows := find_wrong((lengths != shape[0]) & is_read):
                yield wrong_rows, f"has {lengths[wrong_rows[0]]} values, and {dataset.INFO_FILE} says {shape[0]}"
            is_wrong = is_wrong | (lengths != shape[0])
        if is_wrong.any():
            column = column.filter(importlib.import_module("pyarrow").array(~is_wrong))
        count = len(column)
        while types.is_list(column.type) or types.is_fixed_size_list(column.type):
            column = column.flatten()
        flat_values = column.to_numpy(zero_copy_only=False)
        if not allow_non_finite and len(flat_values) and not len(flat_values) % count:
            is_finite = self._np.ones(len(is_wrong), bool)
            is_finite[~is_wrong] = self._np.isfinite(flat_values).reshape(count, -1).all(axis=1)
            yield find_wrong(~is_finite & is_read), "has a value that is not a finite number"


class _Timestamp(NamedTuple):
    """A timestamp, and how far it is from its place, in seconds."""

    off: float = 0.0
    episode: float = 0
    frame: float = 0
    said: float = 0.0

    def describe(self, interval: float, episodes: Sequence[int]) -> DataFinding:
        """Return the problem; within half the time between two frames, a larger tolerance helps."""
        expected_text = f"at {1 / interval:g} fps it is at {self.frame * interval:.4g} s"
        finding_text = (
            f"episode {self.episode:g}: frame {self.frame:g} has the timestamp {self.said:.4g} s, and {expected_text}"
        )
        if self.off < LARGEST_TOLERANCE * interval:
            larger_tolerance = math.ceil(self.off * 1000 + 1) / 1000
            way, reason = f"-- {TOLERANCE_OPTION}={larger_tolerance:g}", "LeRobot finds no frame of the video there"
        else:
            way, reason = "", f"the timestamps, or fps of {dataset.INFO_FILE}, are wrong"
        return make_data_finding("timestamp-off", f"{finding_text}: {reason}", episodes, suggestion=way)


def _find_column_problems(schema: Any, features: Mapping[str, Mapping[str, Any]], name: str) -> Iterator[DataFinding]:
    """Yield each feature that has no column, or one of another type or number of values, and columns of none."""
    for feature, description in features.items():
        if description.get("dtype") == "video":
            continue
        if feature not in schema.names:
            finding_text = f"{name} has no column {feature}, which {dataset.INFO_FILE} names"
            yield make_data_finding("column-missing", finding_text, feature=feature)
        elif description.get("dtype") not in dataset.OTHER_TYPES and (
            kinds := _compare_type(schema.field(feature).type, description)
        ):
            finding_text = f"{name} has {feature} as {kinds[0]}, and {dataset.INFO_FILE} says {kinds[1]}"
            yield make_data_finding("shape-differs", finding_text, feature=feature)
    for column in (column for column in schema.names if column not in features):
        finding_text = f"{name} has the column {column}, which {dataset.INFO_FILE} does not name: LeRobot refuses it"
        yield make_data_finding("column-missing", finding_text, feature=column)


def _compare_type(arrow_type: Any, feature: Mapping[str, Any]) -> tuple[str, str] | None:
    """Return what a column holds of a feature, and what the description says; None if it may be the same."""
    types = importlib.import_module("pyarrow.types")
    kind = str(feature.get("dtype"))
    shape = feature.get("shape")
    count, is_known, size = 1, True, math.prod(shape or [1])
    while types.is_list(arrow_type) or types.is_large_list(arrow_type) or types.is_fixed_size_list(arrow_type):
        is_known &= hasattr(arrow_type, "list_size")
        count = count * getattr(arrow_type, "list_size", 1)
        arrow_type = arrow_type.value_type
    is_number = types.is_integer(arrow_type) or types.is_boolean(arrow_type)
    if not is_number and not (types.is_floating(arrow_type) and "int" not in kind and "bool" not in kind):
        return str(arrow_type), kind
    return (f"{count} values a frame", str(size)) if is_known and count != size else None
