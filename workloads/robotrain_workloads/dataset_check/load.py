"""A recorded dataset as one value: its description, and its episodes, tasks, frames and numbers as tables.

LeRobot v2.1 and v3.0 have the same columns here. Needs numpy, pandas and pyarrow: the environment of LeRobot has them.
"""

import json
import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from robotrain_workloads.dataset_check.findings import Finding, Findings, make_finding
from robotrain_workloads.dataset_check.table_files import (
    DATA_FILES,
    Array,
    Unreadable,
    list_files,
    may_hold,
    open_table,
    read_batches,
    read_table,
    read_text,
    require_sizes,
    to_numbers,
)
from robotrain_workloads.lerobot import dataset, file_formats

ACTION, STATE, REWARD = "action", "observation.state", "next.reward"
TRAINED = (ACTION, STATE, "observation.environment_state")
"""Features whose numbers every policy that has them reads."""
NUMBER_PREFIXES = (ACTION, "observation.")
FRAME_COLUMNS = ("index", "episode_index", "frame_index", "timestamp", "task_index")
RANGE_COLUMNS = ("episode_index", "length", "dataset_from_index", "dataset_to_index")
VIDEO_COLUMNS = ("chunk_index", "file_index", "from_timestamp", "to_timestamp")
EPISODE_FILES, TASK_FILE = "meta/episodes/*/*.parquet", "meta/tasks.parquet"
EPISODES_V21, TASKS_V21 = "meta/episodes.jsonl", "meta/tasks.jsonl"
DATA_PATH = "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
DATA_PATH_V21 = "data/chunk-{episode_chunk:03d}/episode_{episode_index:06d}.parquet"
VIDEO_PATH_V21 = "videos/chunk-{chunk_index:03d}/{video_key}/episode_{file_index:06d}.mp4"
FOLDER_FILES = 1000
"""Files of v2.1 in a folder, if info.json does not say it."""
MOST_VALUES = 20_000_000
"""Numbers that are kept in memory; of a larger dataset, those of evenly spread episodes."""


@dataclass(frozen=True)
class Training:
    """What a training reads of a dataset, as far as it is known."""

    episodes: Collection[int] | None = None
    """None for all."""
    tolerance: float | None = None
    """How far a timestamp may be from its place, in seconds; None for what a training has by default."""
    allow_non_finite: bool = False
    reads: Sequence[str] = ()
    """Features whose numbers are read, beside those that every policy reads."""
    quantiles: Sequence[str] = ()
    """The features that are normalized by stored quantiles."""


@dataclass
class Recorded:
    """A dataset whose description is valid."""

    root: Path
    info: Mapping[str, Any]
    episodes: pd.DataFrame
    """A row an episode: RANGE_COLUMNS, `start` and `end` by the lengths before, `data_path`, `task`, and of each video
    `NAME/path`, `NAME/from` and `NAME/to`."""
    tasks: pd.Series
    """The text of each task by its number."""
    where: str
    """Where its episodes are described."""
    training: Training
    frames: pd.DataFrame = field(
        default_factory=lambda: pd.DataFrame(columns=[*FRAME_COLUMNS, "episode", "frame"], dtype=int)
    )
    """A row a frame, in the order of the files: FRAME_COLUMNS, and `episode` and `frame` by the lengths of episodes."""
    numbers: dict[str, Array] = field(default_factory=dict)
    """Of each feature with numbers, frames by dimensions, of 32 bits; what is missing is NaN."""
    sampled: Array = None
    """The episodes whose numbers are kept; the rows of `numbers` are theirs."""
    wrong_values: list[tuple[str, str, Array]] = field(default_factory=list)
    """Feature, reason and rows of the values that are missing, or of another length, or not finite."""
    findings: list[Finding] = field(default_factory=list)
    """What was found while it was read."""
    is_read: bool = True
    """Whether the frames could be read, as far as they are of the episodes."""
    kept: Array = None
    """The episodes that a training reads."""
    has_videos: bool = True
    """Whether the videos are here."""
    val_split: float = 0.0
    """The part of the episodes that a training holds out."""

    def __post_init__(self) -> None:
        self.features, self.fps = dataset.get_features(self.info), float(self.info["fps"])
        self.videos = [name for name, feature in self.features.items() if feature.get("dtype") == "video"]
        self.cameras = [name for name in dataset.list_cameras(self.info) if not dataset.is_depth(self.features[name])]

    @property
    def lengths(self) -> Array:
        """The number of frames of each episode."""
        return self.episodes["length"].to_numpy()

    @cached_property
    def statistics(self) -> Mapping[str, Any]:
        """What meta/stats.json says; empty if it does not exist. Raise Unreadable."""
        path = self.root / dataset.STATISTICS_FILE
        return file_formats.read_json_object(path) if path.is_file() else {}

    def name_dimensions(self, feature: str) -> list[str]:
        """Return the names of a feature's dimensions: its own, or numbers in brackets."""
        names: Any = self.features[feature].get("names")
        if isinstance(names, dict):  # such as {"motors": [...]}
            names = next((names for names in names.values() if isinstance(names, list)), None)
        count = self.numbers[feature].shape[1]
        return (
            [str(name) for name in names]
            if isinstance(names, list) and len(names) == count
            else [f"{feature}[{index}]" for index in range(count)]
        )


def load_description(root: Path) -> dict[str, Any]:
    """Return meta/info.json. Raise Unreadable."""
    return file_formats.parse_json_object(read_text(root, str(dataset.INFO_FILE), file_formats.LONGEST_JSON), "info")


def load(root: Path, training: Training) -> Recorded:
    """Return a dataset whose description is valid, with what is wrong with its frames. Raise Unreadable, OSError."""
    recorded = load_episodes(root, training)
    _load_frames(recorded)
    return recorded


def load_episodes(root: Path, training: Training) -> Recorded:
    """Return a dataset without its frames. Raise Unreadable, OSError."""
    info = load_description(root)
    videos = [name for name, feature in dataset.get_features(info).items() if feature.get("dtype") == "video"]
    if dataset.is_convertible(info):
        episodes, tasks = _load_old(root, info, videos)
    else:
        columns = [*RANGE_COLUMNS, *(f"videos/{name}/{column}" for name in videos for column in VIDEO_COLUMNS)]
        paths = list_files(root, EPISODE_FILES)
        tables = [read_table(root, path, columns, ["tasks", "data/chunk_index", "data/file_index"]) for path in paths]
        episodes = pd.concat(tables, ignore_index=True) if tables else pd.DataFrame({name: [] for name in columns})
        task_table = read_table(root, TASK_FILE, ["task_index"], None)
        texts = task_table.drop(columns="task_index")
        tasks = pd.Series(
            [str(text or "") for text in texts.iloc[:, 0]] if texts.shape[1] else "", task_table["task_index"]
        )
        template = str(info.get("data_path") or DATA_PATH)
        if "data/chunk_index" in episodes:
            places = zip(episodes["data/chunk_index"], episodes["data/file_index"], strict=True)
            episodes["data_path"] = [template.format(chunk_index=chunk, file_index=file) for chunk, file in places]
        if "tasks" in episodes:
            episodes["task"] = [
                str(texts[0]) if texts is not None and len(texts) else "" for texts in episodes["tasks"]
            ]
    template = VIDEO_PATH_V21 if dataset.is_convertible(info) else str(info.get("video_path") or dataset.VIDEO_FILES)
    for name in videos:
        chunks, files, starts, ends = (episodes[f"videos/{name}/{column}"] for column in VIDEO_COLUMNS)
        places = zip(chunks.astype(int), files.astype(int), strict=True)
        episodes[f"{name}/path"] = [
            template.format(video_key=name, chunk_index=chunk, file_index=file) for chunk, file in places
        ]
        episodes[f"{name}/from"], episodes[f"{name}/to"] = starts.astype(float), ends.astype(float)
    episodes["end"] = episodes["length"].cumsum()
    episodes["start"] = episodes["end"] - episodes["length"]
    where = EPISODES_V21 if dataset.is_convertible(info) else "meta/episodes"
    recorded = Recorded(root, info, episodes.copy(), tasks, where, training)
    chosen = range(len(episodes)) if training.episodes is None else training.episodes
    recorded.kept = np.array(sorted(number for number in {*chosen} if 0 <= number < len(episodes)), int)
    return recorded


def _load_old(root: Path, info: Mapping[str, Any], videos: Sequence[str]) -> tuple[pd.DataFrame, pd.Series]:
    """Return the episodes and tasks of v2.1, where each episode has its own files."""
    episodes = _read_lines(root, EPISODES_V21, ("episode_index", "length"))
    tasks = _read_lines(root, TASKS_V21, ("task_index",))
    size = int(info.get("chunks_size") or FOLDER_FILES)
    numbers = episodes["episode_index"]
    template = str(info.get("data_path") or DATA_PATH_V21)
    paths = [template.format(episode_chunk=number // size, episode_index=number) for number in numbers]
    missing = [number for number, path in zip(numbers, paths, strict=True) if not (root / path).is_file()]
    if missing:
        text = f"{template.format(episode_chunk=missing[0] // size, episode_index=missing[0])}, the frames of episode"
        raise Unreadable(make_finding("file-missing", f"{text} {missing[0]}, does not exist", missing))
    episodes["data_path"] = paths
    episodes["dataset_to_index"] = episodes["length"].cumsum()
    episodes["dataset_from_index"] = episodes["dataset_to_index"] - episodes["length"]
    texts_of_episodes = episodes.get("tasks", [None] * len(episodes))
    episodes["task"] = [str(texts[0]) if isinstance(texts, list) and texts else "" for texts in texts_of_episodes]
    for name in videos:
        columns = numbers // size, numbers, 0.0, episodes["length"] / float(info["fps"])
        for column, values in zip(VIDEO_COLUMNS, columns, strict=True):
            episodes[f"videos/{name}/{column}"] = values
    texts = tasks.get("task", [""] * len(tasks))
    return episodes, pd.Series([str(text or "") for text in texts], tasks["task_index"])


def _read_lines(root: Path, path: str, keys: Sequence[str]) -> pd.DataFrame:
    """Return the objects of a file's lines, each with whole numbers by the keys. Raise Unreadable."""
    rows = []
    for number, line in enumerate(read_text(root, path).splitlines(), 1):
        try:
            row = json.loads(line)
            rows.append({**row, **{key: int(row[key]) for key in keys}})
        except (ValueError, KeyError, TypeError, RecursionError, OverflowError) as error:
            text = f"line {number} of {path} is no JSON object with {' and '.join(keys)}, as each line must be"
            raise Unreadable(make_finding("file-unreadable", text)) from error
    return pd.DataFrame(rows, columns=None if rows else keys)


def _load_frames(recorded: Recorded) -> None:
    """Read the frames and numbers of a dataset; what is wrong with its files is a finding."""
    features, reads = recorded.features, recorded.training.reads
    numeric = [name for name, feature in features.items() if dataset.NUMERIC_TYPES.fullmatch(str(feature.get("dtype")))]
    names = [name for name in numeric if name.startswith(NUMBER_PREFIXES) or name in (REWARD, *reads)]
    needed = {*FRAME_COLUMNS, *(name for name in names if name in (*TRAINED, *reads))}
    sizes = {name: math.prod(features[name].get("shape") or [1]) for name in names}
    total, count = int(recorded.lengths.sum()), len(recorded.episodes)
    part = min(1.0, MOST_VALUES / max(1, total * sum(sizes.values())))
    recorded.sampled = np.unique(np.linspace(0, count - 1, max(1, int(count * part))).round().astype(int))[:count]
    frame_parts, number_parts = list[pd.DataFrame](), {name: list[Array]() for name in names}
    row = 0
    try:
        for path in list_files(recorded.root, DATA_FILES):
            file = open_table(recorded.root, path)
            problems = [*_find_column_problems(file.schema_arrow, features, path)]
            recorded.findings += problems
            present = [name for name in (*FRAME_COLUMNS, *names) if name in file.schema_arrow.names]
            require_sizes(file, path, present)
            if any(problem.feature in needed for problem in problems):
                recorded.is_read = False
                break
            if row + file.metadata.num_rows > total:
                row += file.metadata.num_rows
                break
            for batch in read_batches(file, path, present):
                frames = _place_frames(recorded, batch, row)
                is_kept = np.isin(frames["episode"], recorded.sampled) if len(recorded.sampled) < count else slice(None)
                for name in names if len(frames) else ():
                    if name in present:
                        number_parts[name].append(
                            _note_wrong(recorded, name, batch.column(name), sizes[name], row)[is_kept]
                        )
                frame_parts.append(frames)
                row += len(frames)
        if row != total and recorded.is_read:
            number = row if row < total else f"{row} or more"
            recorded.findings.append(
                make_finding(
                    "frames-disagree", f"{recorded.where} has {total} frames, and the files of data/ have {number}"
                )
            )
    except Unreadable as error:
        recorded.findings.append(error.finding)
        recorded.is_read = False
    if frame_parts:
        recorded.frames = pd.concat(frame_parts, ignore_index=True)
    for name in names:  # each is freed before the next one
        if parts := number_parts.pop(name):
            recorded.numbers[name] = np.concatenate(parts)


def _place_frames(recorded: Recorded, batch: Any, first_row: int) -> pd.DataFrame:
    """Return the columns of frames, with the episode and the frame that they are by the lengths of episodes."""
    columns = {name: batch.column(name).to_numpy(zero_copy_only=False) for name in FRAME_COLUMNS}
    frames = pd.DataFrame({name: _shorten(values) for name, values in columns.items()})
    rows = np.arange(first_row, first_row + len(frames))
    frames["episode"] = np.searchsorted(recorded.episodes["end"], rows, "right").astype(np.int32)
    frames["frame"] = (rows - recorded.episodes["start"].to_numpy()[frames["episode"]]).astype(np.int32)
    return frames


def _shorten(values: Array) -> Array:
    """Return whole numbers with 32 bits; those that need more become the largest ones."""
    limits = np.iinfo(np.int32)
    return values.clip(limits.min, limits.max).astype(np.int32) if values.dtype.kind == "i" else values


def _note_wrong(recorded: Recorded, name: str, column: Any, size: int, first_row: int) -> Array:
    """Return a column as rows of numbers; note the rows that are missing, of another length, or not finite."""
    values, lengths = to_numbers(column, size)
    is_missing = lengths < 0
    reasons = {
        "has no value": is_missing,
        "has {} values, and meta/info.json says " + str(size): ~is_missing & (lengths != size),
        "has a value that is not a finite number": (lengths == size) & ~np.isfinite(values).all(axis=1),
    }
    for reason, is_wrong in reasons.items():
        if is_wrong.any():
            rows = np.flatnonzero(is_wrong)
            recorded.wrong_values.append((name, reason.format(lengths[rows[0]]), rows + first_row))
    return values


def _find_column_problems(schema: Any, features: Mapping[str, Mapping[str, Any]], path: str) -> Findings:
    """Yield each feature that has no column, or one of another type or number of values, and columns of none."""
    for name, feature in features.items():
        if feature.get("dtype") == "video":
            continue
        if name not in schema.names:
            text = f"{path} has no column {name}, which {dataset.INFO_FILE} names"
            yield make_finding("column-missing", text, feature=name)
        elif feature.get("dtype") not in dataset.OTHER_TYPES and (
            kinds := _compare_type(schema.field(name).type, feature)
        ):
            text = f"{path} has {name} as {kinds[0]}, and {dataset.INFO_FILE} says {kinds[1]}"
            yield make_finding("shape-differs", text, feature=name)
    for name in [name for name in schema.names if name not in features]:
        text = f"{path} has the column {name}, which {dataset.INFO_FILE} does not name: LeRobot refuses it"
        yield make_finding("column-missing", text, feature=name)


def _compare_type(arrow_type: Any, feature: Mapping[str, Any]) -> tuple[str, str] | None:
    """Return what a column holds of a feature, and what the description says; None if it may be the same."""
    kind = str(feature.get("dtype"))
    count, size, is_known = 1, math.prod(feature.get("shape") or [1]), True
    while hasattr(arrow_type, "value_type"):
        is_known &= hasattr(arrow_type, "list_size")
        count *= getattr(arrow_type, "list_size", 1)
        arrow_type = arrow_type.value_type
    is_whole = pa.types.is_integer(arrow_type) or pa.types.is_boolean(arrow_type)
    if not is_whole and not (pa.types.is_floating(arrow_type) and "int" not in kind and "bool" not in kind):
        return str(arrow_type), kind
    return (f"{count} values a frame", str(size)) if is_known and count != size else None


def read_episode(recorded: Recorded, episode: int, columns: Sequence[str], batch_rows: int) -> Iterator[Any]:
    """Yield the rows of one episode in batches of pyarrow; only row groups that may have it are read."""
    named = recorded.episodes["data_path"].iloc[episode] if "data_path" in recorded.episodes else ""
    paths = [named] if (recorded.root / named).is_file() and named else list_files(recorded.root, DATA_FILES)
    for path in paths:
        file = open_table(recorded.root, path)
        groups = [group for group in range(file.num_row_groups) if may_hold(file, group, {episode})]
        for batch in file.iter_batches(batch_rows, groups, ["episode_index", *columns]) if groups else ():
            rows = batch.filter(pa.compute.equal(batch.column("episode_index"), episode))
            if rows.num_rows:
                yield rows
