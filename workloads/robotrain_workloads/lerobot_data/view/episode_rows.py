"""The rows of one episode: of the files of data/, only the row groups that have it are read."""

import importlib
from collections.abc import Collection, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from robotrain_workloads.lerobot import dataset
from robotrain_workloads.lerobot_data_check import frame_tables
from robotrain_workloads.lerobot_data_check.episode_files import may_hold
from robotrain_workloads.lerobot_data_check.number_statistics import convert_column
from robotrain_workloads.lerobot_data_check.recording import Array, RecordedDataset

OWNER = "episode_index"
BATCH_ROWS = 256
"""Rows of pictures that are in memory at once."""
MOST_POINTS = 480
"""Of a curve."""
MOST_DIMENSIONS = 64
"""Of a feature: one with more is no list of joints."""


class DimensionCurve(NamedTuple):
    """A curve: frames and values, thinned, without those that are not finite."""

    name: str
    points: list[tuple[int, float]]
    omitted: int
    """How many values are not finite."""


def read_rows(recording: RecordedDataset, episode: int, columns: Sequence[str], batch_rows: int) -> Iterator[Any]:
    """Yield the rows of an episode in batches of pyarrow. Raise OSError or pyarrow's exceptions."""
    parquet = importlib.import_module("pyarrow.parquet")
    likely_files = recording.episodes.list_data_files([episode])
    for path in dict.fromkeys((*likely_files, *recording.episodes.list_data_files())):
        is_found = False
        with recording.files.open(path) as open_file:
            file = parquet.ParquetFile(open_file)
            row_groups = [row_group for row_group in range(file.num_row_groups) if may_hold(file, row_group, {episode})]
            for batch in file.iter_batches(batch_rows, row_groups, [OWNER, *columns]) if row_groups else ():
                rows = batch.filter(importlib.import_module("pyarrow.compute").equal(batch.column(OWNER), episode))
                if rows.num_rows:
                    is_found = True
                    yield rows
        if is_found:  # the whole episode is in one file
            return


def read_curves(recording: RecordedDataset, episode: int) -> dict[str, list[DimensionCurve]]:
    """Return the curves of each feature with numbers, those of the actions first."""
    features = {name: feature for name, feature in recording.features.items() if _is_drawn(name, feature)}
    batches = [*read_rows(recording, episode, [*features], 10_000)]
    if not batches:
        return {}
    table = importlib.import_module("pyarrow").Table.from_batches(batches).combine_chunks()
    curves = {}
    for name in sorted(features, key=lambda name: (name != "action", name != "observation.state")):
        column_values = convert_column(table.column(name).combine_chunks(), table.num_rows)
        dimension_names = name_dimensions(features[name], column_values.shape[1])
        curves[name] = [make_curve(*column) for column in zip(dimension_names, column_values.T, strict=True)]
    return curves


def _is_drawn(name: str, feature: Any) -> bool:
    shape = feature.get("shape")
    is_number = dataset.NUMERIC_TYPES.fullmatch(str(feature.get("dtype")))
    size = int(np.prod(shape)) if isinstance(shape, list) and shape else 1
    return bool(is_number) and name not in frame_tables.FRAME_COLUMNS and size <= MOST_DIMENSIONS


def name_dimensions(feature: Any, count: int) -> list[str]:
    """Return the names of the dimensions of a feature."""
    dimension_names = feature.get("names")
    if isinstance(dimension_names, dict):  # {"motors": [...]}
        dimension_names = (
            next(iter(dimension_names.values()), None) if len(dimension_names) == 1 else [*dimension_names]
        )
    if (
        isinstance(dimension_names, list)
        and len(dimension_names) == count
        and all(isinstance(name, str) for name in dimension_names)
    ):
        return [*dimension_names]
    return [f"dimension {index}" for index in range(count)] if count > 1 else [""]


def make_curve(name: str, numbers: Array) -> DimensionCurve:
    """Return the curve of a dimension; a long one has the lowest and the highest value of each part."""
    frames = np.flatnonzero(np.isfinite(numbers))
    omitted_count = len(numbers) - len(frames)
    if len(frames) > MOST_POINTS:
        frame_parts = [part for part in np.array_split(frames, MOST_POINTS // 2) if len(part)]
        extreme_frames = ((part[numbers[part].argmin()], part[numbers[part].argmax()]) for part in frame_parts)
        frames = np.unique([frames[0], frames[-1], *(end for pair in extreme_frames for end in pair)])
    return DimensionCurve(name, [(int(frame), float(f"{numbers[frame]:.6g}")) for frame in frames], omitted_count)


def read_pictures(
    recording: RecordedDataset, episode: int, camera: str, frames: Collection[int]
) -> Iterator[tuple[int, bytes]]:
    """Yield the encoded pictures of some frames of a camera that is stored as images."""
    first_frame = 0
    for rows in read_rows(recording, episode, [camera], BATCH_ROWS):
        for row in range(rows.num_rows):
            if first_frame + row in frames:
                yield first_frame + row, (rows.column(camera)[row].as_py() or {}).get("bytes") or b""
        first_frame += rows.num_rows
        if first_frame > max(frames, default=0):
            return
