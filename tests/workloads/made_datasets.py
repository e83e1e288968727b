"""Good LeRobot datasets of many shapes, made from a seed as robots would record them.

Needs numpy, pyarrow, PyAV and PIL.

dataset = make_dataset(seed)
write_dataset(dataset, folder)
"""

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

ACTION, STATE, WORLD = "action", "observation.state", "observation.environment_state"
DATA, EPISODES = "data/chunk-000/file-000.parquet", "meta/episodes/chunk-000/file-000.parquet"
VIDEO = "videos/{}/chunk-000/file-000.mp4"
RATES = (5, 10, 13, 15, 20, 25, 30, 50, 60)
UNITS = (100.0, 1.5, 0.4, 1000.0)
"""Degrees or percents, radians, meters, millimeters."""
MOST_FRAMES = 2400
HEIGHT, WIDTH, HAND = 48, 64, 10
QUANTILES = {"q01": 0.01, "q10": 0.1, "q50": 0.5, "q90": 0.9, "q99": 0.99}
KEYS = {
    "timestamp": "float32",
    "frame_index": "int64",
    "episode_index": "int64",
    "index": "int64",
    "task_index": "int64",
}

Array = Any


@dataclass
class MadeEpisode:
    """An episode: the numbers of each feature, and the pictures of each camera."""

    task: int
    values: dict[str, Array]
    pictures: dict[str, Array] = field(default_factory=dict)
    timestamps: Array = None
    """In seconds; None: on the grid of fps."""

    @property
    def length(self) -> int:
        return len(self.values[ACTION])

    def take(self, rows: Array) -> None:
        """Keep these frames, in this order."""
        self.values = {name: values[rows] for name, values in self.values.items()}
        self.pictures = {name: pictures[rows] for name, pictures in self.pictures.items()}


@dataclass
class MadeDataset:
    """A dataset before it is written."""

    fps: int
    names: dict[str, list[str]]
    dtypes: dict[str, str]
    cameras: dict[str, str]
    """The type of each: image or video."""
    tasks: list[str]
    episodes: list[MadeEpisode]
    codec: str = "libx264"
    video_rate: int = 0
    """Of the videos, if it is another one than fps."""
    kind: str = "position"
    """What the action says: a position, a difference or a key."""


def make_dataset(
    seed: int, *, cameras: int | None = None, video: bool | None = None, kind: str = "", episodes: int = 0
) -> MadeDataset:
    """Return a good dataset; what is not given is drawn."""
    draw = np.random.default_rng(seed)
    kind = kind or str(draw.choice(["position"] * 7 + ["difference"] * 2 + ["key"]))
    fps = int(draw.choice(RATES))
    joints = int(draw.integers(2, 4) if kind == "key" else draw.integers(2, 15))
    has_grip, has_state = (
        kind == "position" and joints > 3 and draw.random() < 0.7,
        draw.random() < 0.85 or kind != "position",
    )
    names = [f"joint_{at}" for at in range(joints - has_grip)] + ["gripper"] * has_grip
    scale = draw.choice(UNITS) * draw.uniform(0.4, 1.0, joints)
    origin = scale * draw.uniform(-0.5, 0.5, joints)
    cameras = int(draw.integers(0 if has_state else 1, 4)) if cameras is None else cameras
    is_video = bool(draw.random() < 0.7) if video is None else video
    count = episodes or int(draw.integers(4, 13))
    tasks = [f"put the cube into box {at}" for at in range(int(draw.choice([1, 1, 2, 3])))]
    made = MadeDataset(
        fps,
        {ACTION: names},
        {ACTION: str(draw.choice(["float32", "float32", "float64"]))},
        {
            f"observation.images.{name}": "video" if is_video else "image"
            for name in ("front", "wrist", "top")[:cameras]
        },
        tasks,
        [],
        kind=kind,
    )
    if kind == "key":
        made.dtypes[ACTION] = "int64"
    if has_state:
        made.names[STATE], made.dtypes[STATE] = names, made.dtypes[ACTION] if kind != "key" else "float32"
    has_world = draw.random() < 0.2
    if has_world:
        made.names[WORLD], made.dtypes[WORLD] = ["object_x", "object_y"], "float32"
    noise = draw.choice([0.0, 0.0003, 0.001, 0.002])
    sag = draw.uniform(-0.015, 0.015, joints)
    is_binary = draw.random() < 0.4
    home = draw.uniform(0.1, 0.9, joints)
    courses = [_draw_waypoints(draw, joints) for _ in range(max(1, count // 2))]
    seconds = min(draw.uniform(3, 20), MOST_FRAMES / fps / count)
    scenes = {name: _draw_scene(draw) for name in made.cameras}
    for at in range(count):
        course = courses[at % len(courses)] + draw.normal(0, 0.02, courses[at % len(courses)].shape)
        path = _follow(draw, np.vstack([home, course]), seconds * draw.uniform(0.7, 1.4), fps)
        values = _record(draw, path, kind, noise, sag, has_grip, is_binary, fps)
        values = {name: column for name, column in values.items() if name in made.names}
        pose = path
        for name in (ACTION, STATE):
            if name in values and not (name == ACTION and kind != "position"):
                values[name] = origin + scale * values[name]
        if has_world:
            values[WORLD] = 100 * path[:, :2] + draw.normal(0, 0.05, (len(path), 2))
        pictures = {name: _render(draw, scene, pose) for name, scene in scenes.items()}
        made.episodes.append(MadeEpisode(int(draw.integers(len(tasks))) % max(1, count // 2), values, pictures))
    del tasks[max(1, count // 2) :]
    for task in range(len(tasks)):  # each has an episode to train on, and one to hold out
        made.episodes[task].task = made.episodes[-1 - task].task = task
    return made


def _draw_waypoints(draw: Any, joints: int) -> Array:
    return draw.uniform(0.0, 1.0, (int(draw.integers(2, 6)), joints))


def _follow(draw: Any, waypoints: Array, seconds: float, fps: int) -> Array:
    """Return a course through waypoints: rest, smooth motion, short pauses, and rest at the end."""
    each = min(4.0, seconds / max(1, len(waypoints) - 1))
    parts = [np.repeat(waypoints[:1], round(draw.uniform(0, 0.7) * fps), axis=0)]
    for before, after in pairwise(waypoints):
        times = np.linspace(0, 1, max(4, round(each * draw.uniform(0.6, 1.4) * fps)))[:, None]
        parts.append(before + (after - before) * (10 * times**3 - 15 * times**4 + 6 * times**5))
        if draw.random() < 0.5:
            parts.append(np.repeat(after[None], round(draw.uniform(0, 0.6) * fps), axis=0))
    parts.append(np.repeat(waypoints[-1:], round(draw.uniform(0, 0.7) * fps), axis=0))
    return np.concatenate(parts)


def _record(
    draw: Any, path: Array, kind: str, noise: float, sag: Array, has_grip: bool, is_binary: bool, fps: int
) -> dict[str, Array]:
    """Return actions and states, where 1 is what a joint moves through."""
    state = path.copy()
    weight = min(0.7, 10 / fps)  # the robot follows within a tenth of a second
    for at in range(1, len(path)):
        state[at] = state[at - 1] + weight * (path[at] - state[at - 1])
    action = path
    if kind == "difference":
        action = np.vstack([np.diff(path, axis=0), np.zeros((1, path.shape[1]))]) * fps
    elif kind == "key":
        steps = np.vstack([np.diff(path, axis=0), np.zeros((1, path.shape[1]))])
        action = np.sign(np.round(steps * fps * 20)).astype(np.int64)
    else:
        state = state + sag
    action = action.copy()
    if has_grip:
        is_closed = np.clip((path[:, -1] - 0.4) * 5, 0, 1)
        action[:, -1], state[:, -1] = is_closed, np.minimum(is_closed, 0.7)
        if is_binary:
            action[:, -1] = is_closed > 0.5
    if kind != "key":
        action[:, : action.shape[1] - has_grip] += draw.normal(0, noise, action.shape)[:, : action.shape[1] - has_grip]
    state = state + draw.normal(0, noise, state.shape)
    return {ACTION: action, STATE: state}


def _draw_scene(draw: Any) -> dict[str, Any]:
    coarse = draw.integers(30, 220, (6, 8, 3))
    return {
        "back": np.kron(coarse, np.ones((HEIGHT // 6, WIDTH // 8, 1))).astype(np.float32),
        "color": draw.integers(0, 255, 3),
        "noise": draw.choice([0.0, 1.0, 3.0]),
        "moves": draw.random() < 0.3,
    }


def _render(draw: Any, scene: Mapping[str, Any], pose: Array) -> Array:
    """Return pictures of an arm in front of a scene, or of the scene from a moving wrist."""
    pictures = np.repeat(scene["back"][None], len(pose), axis=0)
    mix = np.full((pose.shape[1], 2), 0.4 / pose.shape[1])  # each joint moves the hand
    mix[0, 0] = mix[1, 1] = 0.6
    place = pose @ mix
    columns = (4 + place[:, 0] * (WIDTH - 16)).clip(0, WIDTH - 12)
    rows = (4 + place[:, 1] * (HEIGHT - 16)).clip(0, HEIGHT - 12)
    light, grain = draw.uniform(0.9, 1.1), draw.normal(0, 1, (4, HEIGHT, WIDTH, 3)) * scene["noise"]
    for at, (row, column) in enumerate(zip(rows, columns, strict=True)):
        top, left = int(row), int(column)
        if scene["moves"]:
            pictures[at] = np.roll(pictures[at], (top, left), (0, 1))
        cover = np.outer(_cover(row - top), _cover(column - left))[..., None]  # also of parts of a pixel
        part = pictures[at, top : top + HAND + 1, left : left + HAND + 1]
        part += cover * (scene["color"] - part)
        if scene["noise"]:
            pictures[at] += grain[draw.integers(4)]
    return (pictures * light).clip(0, 255).astype(np.uint8)


def _cover(fraction: float) -> Array:
    return np.array([1 - fraction, *[1.0] * (HAND - 1), fraction])


def write_dataset(made: MadeDataset, folder: Path) -> None:
    """Write a dataset as LeRobot does: one file each of frames, episodes and of a camera's videos."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    lengths = [episode.length for episode in made.episodes]
    starts = np.cumsum([0, *lengths])
    features = _describe(made)
    for name in (DATA, EPISODES, "meta/tasks.parquet"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
    columns = _list_columns(made)
    arrays = {}
    for name, values in columns.items():
        plain = pa.array(np.ascontiguousarray(values).reshape(-1), features[name]["dtype"])
        is_list = values.ndim == 2
        arrays[name] = pa.FixedSizeListArray.from_arrays(plain, values.shape[1]) if is_list else plain
    for name, kind in made.cameras.items():
        pictures = (picture for episode in made.episodes for picture in episode.pictures[name])
        if kind == "image":
            contents = [
                {"bytes": _write_png(picture), "path": f"frame_{at:06d}.png"} for at, picture in enumerate(pictures)
            ]
            arrays[name] = pa.array(contents)
        else:
            path = folder / VIDEO.format(name)
            path.parent.mkdir(parents=True, exist_ok=True)
            write_video(path, pictures, made.video_rate or made.fps, made.codec)
    pq.write_table(pa.table(arrays), folder / DATA, row_group_size=500)
    episodes: dict[str, Any] = {
        "episode_index": list(range(len(lengths))),
        "tasks": [[made.tasks[episode.task]] for episode in made.episodes],
        "length": lengths,
        "data/chunk_index": [0] * len(lengths),
        "data/file_index": [0] * len(lengths),
        "meta/episodes/chunk_index": [0] * len(lengths),
        "meta/episodes/file_index": [0] * len(lengths),
        "dataset_from_index": starts[:-1].tolist(),
        "dataset_to_index": starts[1:].tolist(),
    }
    for name in (name for name, kind in made.cameras.items() if kind == "video"):
        episodes[f"videos/{name}/chunk_index"] = episodes[f"videos/{name}/file_index"] = [0] * len(lengths)
        episodes[f"videos/{name}/from_timestamp"] = (starts[:-1] / made.fps).tolist()
        episodes[f"videos/{name}/to_timestamp"] = (starts[1:] / made.fps).tolist()
    pq.write_table(pa.table(episodes), folder / EPISODES)
    numbers = pa.array(range(len(made.tasks)), "int64")
    pq.write_table(pa.table({"task_index": numbers, "__index_level_0__": made.tasks}), folder / "meta/tasks.parquet")
    info = {
        "codebase_version": "v3.0",
        "fps": made.fps,
        "features": features,
        "total_episodes": len(lengths),
        "total_frames": int(starts[-1]),
        "total_tasks": len(made.tasks),
        "chunks_size": 1000,
        "data_files_size_in_mb": 100,
        "video_files_size_in_mb": 200,
        "data_path": "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet",
        "video_path": "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4",
        "robot_type": "arm",
        "splits": {"train": f"0:{len(lengths)}"},
    }
    (folder / "meta/info.json").write_text(json.dumps(info))
    statistics = {name: compute_statistics(values) for name, values in columns.items()}
    for name in made.cameras:
        pixels = np.concatenate([episode.pictures[name][::5] for episode in made.episodes]).reshape(-1, 3) / 255
        statistics[name] = {
            key: [[[float(number)]] for number in values] if key != "count" else values
            for key, values in compute_statistics(pixels[::7]).items()
        }
    (folder / "meta/stats.json").write_text(json.dumps(statistics))


def _describe(made: MadeDataset) -> dict[str, dict[str, Any]]:
    features: dict[str, dict[str, Any]] = {
        name: {"dtype": made.dtypes[name], "shape": [len(names)], "names": names} for name, names in made.names.items()
    }
    for name, kind in made.cameras.items():
        features[name] = {"dtype": kind, "shape": [HEIGHT, WIDTH, 3], "names": ["height", "width", "channels"]}
        if kind == "video":
            features[name]["info"] = {
                "video.fps": made.fps,
                "video.height": HEIGHT,
                "video.width": WIDTH,
                "video.codec": "h264",
                "video.pix_fmt": "yuv420p",
                "video.is_depth_map": False,
                "has_audio": False,
            }
    return {**features, **{name: {"dtype": dtype, "shape": [1], "names": None} for name, dtype in KEYS.items()}}


def _list_columns(made: MadeDataset) -> dict[str, Array]:
    columns = {name: np.concatenate([episode.values[name] for episode in made.episodes]) for name in made.names}
    lengths = [episode.length for episode in made.episodes]
    numbers = [np.arange(length) for length in lengths]
    times = [
        frames / made.fps if episode.timestamps is None else episode.timestamps
        for episode, frames in zip(made.episodes, numbers, strict=True)
    ]
    return {
        **columns,
        "timestamp": np.concatenate(times),
        "frame_index": np.concatenate(numbers),
        "episode_index": np.repeat(np.arange(len(lengths)), lengths),
        "index": np.arange(sum(lengths)),
        "task_index": np.repeat([episode.task for episode in made.episodes], lengths),
    }


def compute_statistics(values: Array) -> dict[str, Any]:
    """Return the statistics of rows, as meta/stats.json has them."""
    rows = values.reshape(len(values), -1).astype(float)
    statistics = {key: getattr(rows, key)(axis=0).tolist() for key in ("min", "max", "mean", "std")}
    return {
        **statistics,
        **{key: np.quantile(rows, at, axis=0).tolist() for key, at in QUANTILES.items()},
        "count": [len(rows)],
    }


def _write_png(picture: Array) -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def write_video(path: Path, pictures: Any, rate: int, codec: str = "libx264", early: float = 0.0) -> None:
    """Write a video with a key frame every second frame, as LeRobot does.

    :param early: how much too early every second picture is shown, as a part of the time between two.
    """
    import av

    with av.open(str(path), "w") as container:
        options = {"g": "2", "crf": "23"} | ({"preset": "ultrafast"} if codec == "libx264" else {"preset": "12"})
        stream = container.add_stream(codec, rate=rate, options=options)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        ticks, tick = 512, Fraction(1, 512 * rate)
        if early:
            stream.codec_context.time_base = tick
        for number, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            if early:
                frame.pts, frame.time_base = ticks * number - round(early * ticks) * (number % 2), tick
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
