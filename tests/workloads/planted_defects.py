"""Defects planted into datasets of made_datasets, each as people have recorded it: what must be found where.

A defect changes a dataset before it is written, or its files; it returns the episodes that have it.

    python planted_defects.py --places 10 --good 150 --seed 1 [--only NAME…] [--without-cameras]

checks so many datasets with each defect, and good ones, in the environment of LeRobot, and prints a line of JSON for
each: the defect, its seed, whether it was found, and the findings.
"""

import argparse
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import damaged_datasets
import numpy as np
from made_datasets import (
    ACTION,
    DATA,
    STATE,
    VIDEO,
    Array,
    MadeDataset,
    MadeEpisode,
    make_dataset,
    write_dataset,
    write_video,
)

Change = Callable[[MadeDataset, Any], list[int]]
FileChange = Callable[[Path, MadeDataset, Any], list[int]]


class Defect(NamedTuple):
    """A kind of defect, the codes that name it, and the dataset that it is planted into."""

    codes: tuple[str, ...]
    change: Change | None = None
    change_files: FileChange | None = None
    cameras: int = 0
    """How many the dataset needs at least."""
    video: bool | None = None
    episodes: int = 0
    """How many the dataset needs at least."""
    still: bool = False
    """Whether it needs a camera that does not move."""
    joints: int = 0
    """How many the dataset needs at least, without a gripper."""


class Planted(NamedTuple):
    """A dataset with a defect."""

    folder: Path
    defect: Defect
    episodes: list[int]
    """Those that have the defect; none if all have it."""


def plant(name: str, seed: int, folder: Path) -> Planted:
    """Write a dataset with a defect of this name."""
    defect = DEFECTS[name]
    draw = np.random.default_rng([seed, *name.encode()])
    kind = "position" if not defect.cameras or draw.random() < 0.7 else "difference"
    attempt = 0
    made = make_dataset(seed, cameras=defect.cameras, video=defect.video, kind=kind)
    while (
        STATE not in made.names
        or len(made.episodes) < defect.episodes
        or (defect.still and not _list_still_cameras(made))
        or len(_list_joints(made)) < defect.joints
    ):
        attempt += 1_000_000
        made = make_dataset(seed + attempt, cameras=defect.cameras, video=defect.video, kind=kind)
    numbers = defect.change(made, draw) if defect.change else []
    write_dataset(made, folder)
    numbers += defect.change_files(folder, made, draw) if defect.change_files else []
    return Planted(folder, defect, sorted(set(numbers)))


def _choose(made: MadeDataset, draw: Any, most: int = 3) -> list[int]:
    """Return one or some episodes."""
    count = int(draw.integers(1, min(most, len(made.episodes) - 2) + 1))
    return sorted(draw.choice(len(made.episodes), count, replace=False).tolist())


def _list_joints(made: MadeDataset) -> list[int]:
    return [at for at, name in enumerate(made.names[ACTION]) if name != "gripper"]


def _list_still_cameras(made: MadeDataset) -> list[str]:
    """Return the cameras whose mean picture is much the same in all episodes."""
    still = []
    for camera in made.cameras:
        means = np.stack([episode.pictures[camera].mean(axis=0) for episode in made.episodes])
        if np.abs(means - np.median(means, axis=0)).mean() < 10:
            still.append(camera)
    return still


def _find_busy(made: MadeDataset, episode: MadeEpisode, frames: int) -> int:
    """Return where so many frames begin in which the robot moves most."""
    values = episode.values.get(STATE, episode.values[ACTION])
    extent = np.ptp(np.concatenate([episode.values[STATE] for episode in made.episodes]), axis=0)
    speed = np.abs(np.diff(values, axis=0) / np.where(extent > 0, extent, np.inf)).max(axis=1)
    frames = min(frames, episode.length - 4)
    moved = np.convolve(speed, np.ones(frames), "valid")
    return int(moved.argmax())


def _change_pictures(show: Callable[[Array, Any], Array], *, in_motion: bool = False) -> Change:
    """Return a change of the pictures of a camera, for a part of an episode or the whole."""

    def change(made: MadeDataset, draw: Any) -> list[int]:
        camera, numbers = str(draw.choice(list(made.cameras))), _choose(made, draw)
        for number in numbers:
            episode = made.episodes[number]
            frames = max(round(episode.length * draw.uniform(0.35, 1.0)), min(episode.length, 3 * made.fps))
            begin = (
                _find_busy(made, episode, frames) if in_motion else int(draw.integers(0, episode.length - frames + 1))
            )
            begin = min(begin, episode.length - frames)
            part = slice(begin, begin + frames)
            episode.pictures[camera][part] = show(episode.pictures[camera][part], draw)
        return numbers

    return change


def _show_black(pictures: Array, draw: Any) -> Array:
    return np.abs(draw.normal(0, 1.5, pictures.shape)).astype(np.uint8)


def _change_view(show: Callable[[Array], Array]) -> Change:
    """Return a change of all pictures of a camera in some episodes."""

    def change(made: MadeDataset, draw: Any) -> list[int]:
        camera = str(draw.choice(_list_still_cameras(made)))
        episodes = _choose(made, draw, 2)
        for number in episodes:
            episode = made.episodes[number]
            episode.pictures = {**episode.pictures, camera: np.ascontiguousarray(show(episode.pictures[camera]))}
        return episodes

    return change


def show_one_camera_twice(made: MadeDataset, draw: Any) -> list[int]:
    first, other = draw.choice(list(made.cameras), 2, replace=False)
    episodes = _choose(made, draw) if draw.random() < 0.5 else range(len(made.episodes))
    for number in episodes:
        episode = made.episodes[number]
        episode.pictures = {**episode.pictures, str(other): episode.pictures[str(first)]}
    return [] if isinstance(episodes, range) else episodes


def _copy(made: MadeDataset, first: int, place: int) -> list[int]:
    """Put a copy of an episode at a place."""
    original = made.episodes[first]
    made.episodes.insert(place, MadeEpisode(original.task, dict(original.values), dict(original.pictures)))
    return [place]


def copy_episode(made: MadeDataset, draw: Any) -> list[int]:
    first = int(draw.integers(len(made.episodes)))
    return _copy(made, first, int(draw.integers(first + 1, len(made.episodes) + 1)))


def copy_into_validation(made: MadeDataset, draw: Any) -> list[int]:
    return _copy(made, int(draw.integers(len(made.episodes))), len(made.episodes))


def _wait(made: MadeDataset, draw: Any, *, at_end: bool) -> list[int]:
    numbers = _choose(made, draw)
    for number in numbers:
        episode = made.episodes[number]
        still = [episode.length - 1 if at_end else 0] * round(draw.uniform(2.5, 6) * made.fps)
        rows = np.arange(episode.length)
        episode.take(np.concatenate([rows, still] if at_end else [still, rows]).astype(int))
        for name in (ACTION, STATE):
            scale = np.ptp(np.concatenate([episode.values[name] for episode in made.episodes]), axis=0)
            episode.values[name] = episode.values[name] + draw.normal(0, 0.0005, episode.values[name].shape) * scale
    return numbers


def stop_action(made: MadeDataset, draw: Any) -> list[int]:
    numbers = _choose(made, draw)
    for number in numbers:
        values = made.episodes[number].values
        values[ACTION] = np.repeat(values[ACTION][:1], len(values[ACTION]), axis=0)
    return numbers


def stick_joint(made: MadeDataset, draw: Any) -> list[int]:
    joint, name = (
        int(draw.integers(len(made.names[ACTION]) - (made.names[ACTION][-1] == "gripper"))),
        str(draw.choice([ACTION, STATE])),
    )
    numbers = _choose(made, draw, 1)
    for number in numbers:
        values = made.episodes[number].values
        values[name] = values[name].copy()
        values[name][:, joint] = values[name][0, joint]
    return numbers


def _set_dimension(values: Callable[[int, Array, Any], Array]) -> Change:
    """Return a change of one dimension of the action or state in all episodes."""

    def change(made: MadeDataset, draw: Any) -> list[int]:
        name = str(draw.choice([ACTION, STATE]))
        dimension = int(draw.integers(len(made.names[name])))
        usual = np.concatenate([episode.values[name][:, dimension] for episode in made.episodes])
        for episode in made.episodes:
            episode.values[name] = episode.values[name].astype(float)
            episode.values[name][:, dimension] = values(episode.length, usual, draw)
        return []

    return change


def offset_some(made: MadeDataset, draw: Any) -> list[int]:
    numbers = _choose(made, draw, 1)
    joint = int(draw.integers(len(made.names[ACTION]) - (made.names[ACTION][-1] == "gripper")))
    extent = np.ptp(np.concatenate([episode.values[ACTION][:, joint] for episode in made.episodes]))
    off = extent * draw.uniform(0.12, 0.4) * draw.choice([-1, 1])
    for number in numbers:
        values = made.episodes[number].values
        values[STATE] = values[STATE].copy()
        values[STATE][:, joint] += off
    return numbers


def drop_frames(made: MadeDataset, draw: Any) -> list[int]:
    numbers = _choose(made, draw)
    for number in numbers:
        episode = made.episodes[number]
        missing = max(5, round(made.fps * draw.uniform(0.15, 0.3)))
        begin = min(_find_busy(made, episode, missing), episode.length - missing - 1)
        rows = np.arange(episode.length)
        episode.take(np.concatenate([rows[:begin], rows[begin + missing :]]))
    return numbers


def repeat_frames(made: MadeDataset, draw: Any) -> list[int]:
    numbers = _choose(made, draw)
    for number in numbers:
        episode = made.episodes[number]
        frames = int(draw.integers(4, 9))
        at = _find_busy(made, episode, 6) + 2
        rows = np.arange(episode.length)
        rows[at + 1 : at + 1 + frames] = at
        if draw.random() < 0.5:  # the recorder goes on where it stopped
            rows = np.concatenate([np.arange(at + 1), np.repeat(at, frames), np.arange(at + 1, episode.length)])
        episode.take(rows)
    return numbers


def put_spikes(made: MadeDataset, draw: Any) -> list[int]:
    numbers = _choose(made, draw)
    name = str(draw.choice([ACTION, STATE]))
    joint = int(draw.integers(len(made.names[name]) - (made.names[name][-1] == "gripper")))
    extent = np.ptp(np.concatenate([episode.values[name][:, joint] for episode in made.episodes]))
    for number in numbers:
        values = made.episodes[number].values
        values[name] = values[name].copy()
        values[name][int(draw.integers(3, len(values[name]) - 3)), joint] += (
            extent * draw.uniform(0.6, 2) * draw.choice([-1, 1])
        )
    return numbers


def add_force(made: MadeDataset, draw: Any) -> list[int]:
    """Add a column of one value a frame."""
    made.names["observation.force"], made.dtypes["observation.force"] = ["value"], "float32"
    for episode in made.episodes:
        episode.values["observation.force"] = draw.random((episode.length, 1))
    return []


def empty_task(made: MadeDataset, draw: Any) -> list[int]:
    task = int(draw.integers(len(made.tasks)))
    made.tasks[task] = str(draw.choice(["", " "]))
    return [number for number, episode in enumerate(made.episodes) if episode.task == task]


def cut_episode(made: MadeDataset, draw: Any) -> list[int]:
    numbers = _choose(made, draw)
    for number in numbers:
        made.episodes[number].take(np.arange(int(draw.choice([1, 1, 2]))))
    return numbers


def set_video_rate(made: MadeDataset, draw: Any) -> list[int]:
    made.video_rate = next(rate for rate in draw.permutation([10, 15, 30, 50]).tolist() if rate != made.fps)
    return []


def shake_times(made: MadeDataset, draw: Any) -> list[int]:
    for episode in made.episodes:
        jitter = draw.uniform(-0.2, 0.2, episode.length) / made.fps
        jitter[0] = 0
        episode.timestamps = np.arange(episode.length) / made.fps + jitter
    return list(range(len(made.episodes)))


def scale_episodes(made: MadeDataset, draw: Any) -> list[int]:
    """Put some episodes into degrees."""
    numbers = _choose(made, draw, max(1, (len(made.episodes) - 1) // 2))  # fewer than half
    for number in numbers:
        values = made.episodes[number].values
        values.update({name: values[name] * (180 / np.pi) for name in (ACTION, STATE)})
    return numbers


def _choose_moving(made: MadeDataset, draw: Any, count: int) -> list[int]:
    """Return joints that move most in all episodes."""
    motions = np.stack([episode.values[STATE].std(axis=0) for episode in made.episodes])
    least = (motions / motions.max(axis=0)).min(axis=0)
    return np.argsort(-least)[:count].tolist()


def invert_joint(made: MadeDataset, draw: Any) -> list[int]:
    numbers, (joint,) = _choose(made, draw, 2), _choose_moving(made, draw, 1)
    for number in numbers:
        action = made.episodes[number].values[ACTION]
        action[:, joint] = action[:, joint].max() + action[:, joint].min() - action[:, joint]
    return numbers


def scale_joint_of_all(made: MadeDataset, draw: Any) -> list[int]:
    """Put a joint of an arm in radians into degrees, in all episodes."""
    extents = np.ptp(np.concatenate([episode.values[STATE] for episode in made.episodes]), axis=0)
    factor = draw.uniform(0.6, 3.0) / extents[_list_joints(made)].max()
    joint = _choose_moving_joint(made, draw)
    columns = ((ACTION, STATE), (ACTION,), (STATE,))[int(draw.integers(3))]
    for episode in made.episodes:
        for name in (ACTION, STATE):
            values = episode.values[name] = episode.values[name] * factor
            if name in columns:
                values[:, joint] *= 180 / np.pi
    return []


def _choose_moving_joint(made: MadeDataset, draw: Any) -> int:
    """Return a joint that moves in all episodes, and is no gripper."""
    motions = np.stack([episode.values[STATE].std(axis=0) for episode in made.episodes])
    least = (motions / motions.max(axis=0)).min(axis=0)
    moving = [joint for joint in _list_joints(made) if least[joint] > 0.05]
    return int(draw.choice(moving or _list_joints(made)))


def delay_actions(made: MadeDataset, draw: Any) -> list[int]:
    """Record the actions of some episodes some frames later than they were sent."""
    numbers = _choose(made, draw, max(1, (len(made.episodes) - 1) // 2))
    frames = max(2, round(draw.uniform(0.1, 0.5) * made.fps))
    for number in numbers:
        values = made.episodes[number].values
        rows = np.maximum(np.arange(len(values[ACTION])) - frames, 0)
        values[ACTION] = values[ACTION][rows]
    return numbers


def swap_joints(made: MadeDataset, draw: Any) -> list[int]:
    numbers, pair = _choose(made, draw, 2), _choose_moving(made, draw, 2)
    for number in numbers:
        action = made.episodes[number].values[ACTION]
        action[:, pair] = action[:, pair[::-1]]
    return numbers


def exchange_actions(made: MadeDataset, draw: Any) -> list[int]:
    """Give two episodes of other courses each other's actions."""
    first = int(draw.integers(len(made.episodes) - 1))
    earlier, other = made.episodes[first].values, made.episodes[first + 1].values
    length = min(len(earlier[ACTION]), len(other[ACTION]))
    for values, begin in ((earlier, 0), (other, 0)):
        values.update({name: array[begin : begin + length] for name, array in values.items()})
    earlier[ACTION], other[ACTION] = other[ACTION].copy(), earlier[ACTION].copy()
    for number in (first, first + 1):
        episode = made.episodes[number]
        episode.pictures = {name: pictures[:length] for name, pictures in episode.pictures.items()}
    return [first, first + 1]


def copy_states(made: MadeDataset, draw: Any) -> list[int]:
    for episode in made.episodes:
        episode.values[ACTION] = episode.values[STATE].copy()
    return []


def _scale_statistics(folder: Path, made: MadeDataset, draw: Any) -> list[int]:
    path = folder / "meta/stats.json"
    statistics = json.loads(path.read_text())
    values, factor = statistics[str(draw.choice([ACTION, STATE]))], draw.choice([1000, 0.001, 57.3])
    for key in values.keys() - {"count"}:
        values[key] = (np.asarray(values[key]) * factor).tolist()
    path.write_text(json.dumps(statistics))
    return []


def _lose_force(folder: Path, made: MadeDataset, draw: Any) -> list[int]:
    """Put no number into one frame, which is not the first of its episode."""
    number, row = _choose_frame(made, draw)
    damaged_datasets.change_column(folder / DATA, "observation.force", damaged_datasets.put(row, [np.nan]))
    return [number]


def _choose_frame(made: MadeDataset, draw: Any) -> tuple[int, int]:
    """Return an episode, and the row of one of its frames that is not the first."""
    number = int(draw.integers(len(made.episodes)))
    start = sum(episode.length for episode in made.episodes[:number])
    return number, start + int(draw.integers(1, made.episodes[number].length))


def _spoil(content: bytes, draw: Any) -> bytes:
    """Overwrite bytes from the beginning of what a picture is kept in, behind its first byte."""
    return content[:1] + draw.bytes(min(40, len(content) - 1)) + content[41:]


def _spoil_picture(folder: Path, made: MadeDataset, draw: Any) -> list[int]:
    number, row = _choose_frame(made, draw)

    def change(old: list[Any]) -> list[Any]:
        return damaged_datasets.put(row, {**old[row], "bytes": _spoil(old[row]["bytes"], draw)})(old)

    damaged_datasets.change_column(folder / DATA, str(draw.choice(list(made.cameras))), change)
    return [number]


def _spoil_video(folder: Path, made: MadeDataset, draw: Any) -> list[int]:
    import av

    path = folder / VIDEO.format(str(draw.choice(list(made.cameras))))
    number, frame = _choose_frame(made, draw)
    with av.open(str(path)) as container:
        packets = sorted((packet.pts, packet.pos, packet.size) for packet in container.demux(video=0) if packet.size)
    _, begin, size = packets[frame]
    content = path.read_bytes()
    path.write_bytes(content[:begin] + _spoil(content[begin : begin + size], draw) + content[begin + size :])
    return [number]


def _make_uneven(folder: Path, made: MadeDataset, draw: Any) -> list[int]:
    import av

    path = folder / VIDEO.format(str(draw.choice(list(made.cameras))))
    with av.open(str(path)) as container:
        pictures = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    write_video(path, pictures, made.fps, early=float(draw.uniform(0.05, 0.2)))
    return list(range(len(made.episodes)))


def _lie_about_rate(folder: Path, made: MadeDataset, draw: Any) -> list[int]:
    damaged_datasets.change_info(folder, fps=next(rate for rate in (13, 30) if rate != made.fps))
    return []


QUALITY: dict[str, Defect] = {
    "camera black": Defect(("camera-black",), _change_pictures(_show_black), cameras=1),
    "camera of one color": Defect(
        ("camera-constant",), _change_pictures(lambda old, draw: np.full_like(old, draw.integers(40, 255))), cameras=1
    ),
    "camera frozen": Defect(
        ("camera-frozen",),
        _change_pictures(lambda old, draw: np.repeat(old[:1], len(old), 0), in_motion=True),
        cameras=2,
    ),
    "camera mirrored": Defect(
        ("camera-flipped",), _change_view(lambda old: old[:, :, ::-1]), cameras=1, episodes=6, still=True
    ),
    "red and blue exchanged": Defect(
        ("colors-exchanged",), _change_view(lambda old: old[..., ::-1]), cameras=1, episodes=6, still=True
    ),
    "one camera twice": Defect(("cameras-equal",), show_one_camera_twice, cameras=2),
    "episode copied": Defect(("episode-repeated",), copy_episode),
    "copy across the split": Defect(("episode-in-validation",), copy_into_validation),
    "idle beginning": Defect(("idle-start",), lambda made, draw: _wait(made, draw, at_end=False)),
    "idle end": Defect(("idle-end",), lambda made, draw: _wait(made, draw, at_end=True)),
    "action constant": Defect(("action-constant",), stop_action),
    "joint stuck": Defect(("dimension-stuck",), stick_joint),
    "dimension constant": Defect(
        ("dimension-constant",), _set_dimension(lambda length, usual, draw: np.full(length, usual[0]))
    ),
    "dimension of noise": Defect(
        ("dimension-tiny",),
        _set_dimension(lambda length, usual, draw: usual[0] + draw.normal(0, 1e-4, length) * np.ptp(usual)),
    ),
    "offset of one episode": Defect(("calibration-offset",), offset_some),
    "frames dropped": Defect(("frames-dropped",), drop_frames),
    "frames twice": Defect(("frames-repeated",), repeat_frames),
    "spikes": Defect(("action-jump",), put_spikes),
    "force not finite": Defect(("number-not-finite",), add_force, _lose_force),
    "task without text": Defect(("task-empty",), empty_task),
    "one-frame episode": Defect(("episode-short",), cut_episode),
    "rate of the video": Defect(("video-rate", "fps-differs"), set_video_rate, cameras=1, video=True),
    "video uneven": Defect(("video-uneven",), None, _make_uneven, cameras=1, video=True),
    "fps of another recording": Defect(("fps-differs",), None, _lie_about_rate, cameras=1, video=False),
    "uneven times": Defect(("timestamps-irregular",), shake_times),
    "statistics scaled": Defect(("statistics-differ",), None, _scale_statistics),
}
"""What makes a policy worse."""
PICTURES: dict[str, Defect] = {
    "garbage in a picture": Defect(("picture-unreadable",), None, _spoil_picture, cameras=1, video=False),
    "garbage in a video": Defect(("video-unreadable",), None, _spoil_video, cameras=1, video=True),
}
"""What no policy can be trained with; those of tables are in damaged_datasets."""
FOLLOWING: dict[str, Defect] = {
    "degrees among radians": Defect(("units-differ",), scale_episodes, episodes=5),
    "inverted joint": Defect(("sign-differs",), invert_joint, episodes=5),
    "joints swapped": Defect(("joints-swapped", "action-unrelated"), swap_joints, episodes=5),
    "actions of another episode": Defect(("action-unrelated",), exchange_actions, episodes=5),
    "joint in degrees in all episodes": Defect(("units-differ",), scale_joint_of_all, joints=4),
    "actions delayed": Defect(("action-shifted",), delay_actions, episodes=5),
    "action is the state": Defect(("action-is-state",), copy_states),
}
"""What makes no sense between action and state."""
DEFECTS = {**QUALITY, **PICTURES, **FOLLOWING}


def check_dataset(folder: Path) -> list[Any]:
    """Return the findings about a dataset, as `robotrain data check` finds them."""
    from robotrain_workloads.data_command.inspection import answer_request
    from robotrain_workloads.dataset_check.findings import load_finding

    told = list[Any]()

    def emit(event: str, **values: Any) -> None:
        if event == "finding":
            told.append(load_finding(values["finding"]))

    questions = {"tables": {}, "quality": {"val_split": 0.1}}
    answer_request({"dataset": {"folder": str(folder)}, "questions": questions}, emit)
    return told


def try_defect(name: str, seed: int) -> dict[str, Any]:
    """Plant a defect, and return whether it was found, with all its episodes."""
    with tempfile.TemporaryDirectory() as place:
        planted = plant(name, seed, Path(place))
        findings = check_dataset(planted.folder)
    said = {episode for finding in findings if finding.code in planted.defect.codes for episode in finding.episodes}
    codes = {finding.code for finding in findings} & {*planted.defect.codes}
    is_found = bool(codes) and {*planted.episodes} <= said
    return {"defect": name, "seed": seed, "found": is_found, "episodes": planted.episodes, "findings": _list(findings)}


def try_good(seed: int, cameras: int | None) -> dict[str, Any]:
    """Check a good dataset, and return the findings."""
    with tempfile.TemporaryDirectory() as place:
        write_dataset(make_dataset(seed, cameras=cameras), Path(place))
        return {"defect": "", "seed": seed, "found": True, "findings": _list(check_dataset(Path(place)))}


def _list(findings: list[Any]) -> list[list[Any]]:
    return [[finding.severity, finding.code, finding.text, *finding.episodes] for finding in findings]


def _try_all(options: argparse.Namespace) -> Iterator[Any]:
    chosen = options.only or [
        name for name, defect in DEFECTS.items() if not (options.without_cameras and defect.cameras)
    ]
    cameras = 0 if options.without_cameras else None
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        tried = [pool.submit(try_defect, name, options.seed + at) for name in chosen for at in range(options.places)]
        tried += [pool.submit(try_good, options.seed + at, cameras) for at in range(options.good)]
        yield from (future.result() for future in tried)


def main() -> None:
    """Print a line for each dataset."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--places", type=int, default=10)
    parser.add_argument("--good", type=int, default=150)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", nargs="+", choices=DEFECTS)
    parser.add_argument("--without-cameras", action="store_true")
    for report in _try_all(parser.parse_args()):
        print(json.dumps(report), flush=True)


if __name__ == "__main__":
    main()
