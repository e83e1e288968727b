"""Tables of a dataset that must agree: description, episodes, frames, tasks and stored statistics.

LeRobot compares none of them: it fails in the middle of a training, or trains on other frames than are meant.
"""

import math
from collections.abc import Iterator

import numpy as np

from robotrain_workloads.dataset_check.findings import Findings, make_finding
from robotrain_workloads.dataset_check.load import TASK_FILE, TRAINED, Recorded
from robotrain_workloads.dataset_check.table_files import Array
from robotrain_workloads.lerobot import dataset

TOLERANCE_OPTION = "--tolerance_s"
LARGEST_TOLERANCE = 0.5
"""Of the time between two frames: from there on, the nearest frame is another one."""


def find_episode_problems(recorded: Recorded) -> Findings:
    """Yield how the episodes are not all there, once and in order."""
    episodes, where = recorded.episodes, recorded.where
    numbers, lengths = episodes["episode_index"].to_numpy(), recorded.lengths
    if len(rows := np.flatnonzero(numbers != np.arange(len(numbers)))):
        text = f"{where} has episode {numbers[rows[0]]} where episode {rows[0]} belongs"
        yield make_finding("episodes-disagree", text, rows)
    if len(rows := np.flatnonzero(lengths <= 0)):
        yield make_finding("episodes-disagree", f"episode {rows[0]} has no frames by {where}", rows)
    for key, count in (("total_episodes", len(lengths)), ("total_frames", int(lengths.sum()))):
        if recorded.info[key] != count:
            text = f"{dataset.INFO_FILE} says {key} {recorded.info[key]}, and {where} has {count}"
            yield make_finding("counts-disagree", text)
    starts, ends = episodes["dataset_from_index"].to_numpy(), episodes["dataset_to_index"].to_numpy()
    if len(rows := np.flatnonzero((starts != episodes["start"]) | (ends != episodes["end"]))):
        row = rows[0]
        text = (
            f"episode {row} has the frames {starts[row]} to {ends[row]} by {where}, and the lengths before it put it at"
            f" {episodes['start'][row]} to {episodes['end'][row]}"
        )
        yield make_finding("episodes-disagree", text, rows)


def is_in_order(recorded: Recorded) -> bool:
    """Return whether the metadata says where the frames of each episode are."""
    return not any(find_episode_problems(recorded))


def find_read_problems(recorded: Recorded) -> Findings:
    """Yield what was found while the files of data/ were read, each kind of a feature once."""
    yield from {(finding.code, finding.feature): finding for finding in reversed(recorded.findings)}.values()


def find_frame_problems(recorded: Recorded) -> Findings:
    """Yield frames that have another place than the lengths of the episodes give them."""
    frames = recorded.frames
    if not is_in_order(recorded):
        return  # each frame would seem to be wrong
    is_read = np.isin(frames["episode"], recorded.kept)
    expected = {"index": np.arange(len(frames)), "episode_index": frames["episode"], "frame_index": frames["frame"]}
    for column, places in expected.items():
        rows = np.flatnonzero((frames[column].to_numpy() != np.asarray(places)) & is_read)
        if len(rows):
            row = frames.iloc[rows[0]]
            text = (
                f"{_name_file(recorded, int(row['episode']))} has the {column} {int(row[column])} for frame"
                f" {int(row['frame'])} of episode {int(row['episode'])}"
                f", where {np.asarray(places)[rows[0]]} belongs"
            )
            yield make_finding("frames-disagree", text, frames["episode"].iloc[rows], feature=column)


def _name_file(recorded: Recorded, episode: int) -> str:
    return str(recorded.episodes["data_path"].iloc[episode]) if "data_path" in recorded.episodes else "data/"


def find_time_problems(recorded: Recorded) -> Findings:
    """Yield the timestamp that is farthest from its place, if LeRobot would not find its picture."""
    frames = recorded.frames
    tolerance = recorded.training.tolerance or dataset.get_frame_tolerance(recorded.info) or 0.0
    if not recorded.videos or not len(frames) or not is_in_order(recorded):  # only their frames are looked up by time
        return
    if any(find_frame_problems(recorded)):
        return
    expected = frames["frame"].to_numpy() / recorded.fps
    distances = np.abs(frames["timestamp"].to_numpy() - expected) * np.isin(frames["episode"], recorded.kept)
    rows = np.flatnonzero(distances > tolerance)
    if not len(rows):
        return
    row = int(distances.argmax())
    text = (
        f"episode {frames['episode'][row]}: frame {frames['frame'][row]} has the timestamp"
        f" {frames['timestamp'][row]:.4g} s, and at {recorded.fps:g} fps it is at {expected[row]:.4g} s"
    )
    way, reason = "", f"the timestamps, or fps of {dataset.INFO_FILE}, are wrong"
    if distances[row] < LARGEST_TOLERANCE / recorded.fps:
        way = f"-- {TOLERANCE_OPTION}={math.ceil(distances[row] * 1000 + 1) / 1000:g}"
        reason = "LeRobot finds no frame of the video there"
    yield make_finding("timestamp-off", f"{text}: {reason}", frames["episode"].iloc[rows], suggestion=way)


def find_task_problems(recorded: Recorded) -> Findings:
    """Yield frames with a task that does not exist."""
    frames, owners = recorded.frames, get_owners(recorded)
    rows = np.flatnonzero(~np.isin(frames["task_index"], recorded.tasks.index) & np.isin(owners, recorded.kept))
    if len(rows):
        text = (
            f"episode {owners[rows[0]]} has the task {frames['task_index'][rows[0]]}, which {TASK_FILE} does not have"
        )
        yield make_finding("task-missing", text, owners[rows])


def get_owners(recorded: Recorded) -> Array:
    """Return the episode of each frame: by the metadata, if that is in order."""
    return recorded.frames["episode" if is_in_order(recorded) else "episode_index"].to_numpy()


def find_value_problems(recorded: Recorded) -> Findings:
    """Yield values that a training reads and that are missing, of another length, or not finite numbers."""
    owners = get_owners(recorded)
    for feature, text, rows in join_wrong_values(recorded, owners):
        is_allowed = recorded.training.allow_non_finite and text.endswith("finite number")
        if feature in (*TRAINED, *recorded.training.reads) and not is_allowed:
            yield make_finding("value-not-finite", text, owners[rows], feature=feature)


def join_wrong_values(recorded: Recorded, owners: Array) -> Iterator[tuple[str, str, Array]]:
    """Yield each feature with wrong values in episodes that are kept: a sentence about the first, and their rows."""
    by_feature = dict[str, list[tuple[str, Array]]]()
    for feature, reason, rows in recorded.wrong_values:
        if len(rows := rows[np.isin(owners[rows], recorded.kept)]):
            by_feature.setdefault(feature, []).append((reason, rows))
    for feature, parts in by_feature.items():
        reason, rows = parts[0]
        frame = recorded.frames["frame" if is_in_order(recorded) else "frame_index"][rows[0]]
        yield (
            feature,
            f"episode {owners[rows[0]]}: {feature} of frame {frame} {reason}",
            np.concatenate([p[1] for p in parts]),
        )
