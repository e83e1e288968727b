"""Datasets whose tables disagree, each in one way, made from a good one: `python damaged_datasets.py GOOD OUT`.

The good one has a video. Run in the environment of LeRobot. Each is like one of a public report.
"""

import json
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

DATA, EPISODES = "data/chunk-000/file-000.parquet", "meta/episodes/chunk-000/file-000.parquet"
VIDEO = "videos/observation.image/chunk-000/file-000.mp4"
POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 60000\n"


def overwrite(path: Path, content: bytes) -> None:
    """Overwrite bytes in the middle of a file."""
    old = path.read_bytes()
    path.write_bytes(old[: len(old) // 3] + content + old[len(old) // 3 + len(content) :])


def change_column(path: Path, name: str, change: Callable[[list[Any]], list[Any]]) -> None:
    """Write a Parquet file again with other values in a column."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pq.read_table(path)
    field = table.schema.field(name)
    values = pa.array(change(table.column(name).to_pylist()), field.type)
    pq.write_table(table.set_column(table.schema.get_field_index(name), field, values), path)


def change_info(folder: Path, **values: Any) -> None:
    """Change values of the description."""
    path = folder / "meta/info.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def change_shape(folder: Path, feature: str, shape: list[int]) -> None:
    """Change the shape of a feature in the description."""
    features = json.loads((folder / "meta/info.json").read_text())["features"]
    features[feature]["shape"] = shape
    change_info(folder, features=features)


def add_infinite_reward(folder: Path, episode: int) -> None:
    """Add a reward, which is infinite in one frame."""
    import pyarrow as pa

    def add(table: Any) -> Any:
        owners = table.column("episode_index").to_pylist()
        rewards = [0.5] * len(owners)
        rewards[owners.index(episode) + 2] = float("inf")
        return table.append_column("next.reward", pa.array(rewards, "float32"))

    change_table(folder / DATA, add)
    features = json.loads((folder / "meta/info.json").read_text())["features"]
    change_info(folder, features={**features, "next.reward": {"dtype": "float32", "shape": [1], "names": None}})


def change_table(path: Path, change: Callable[[Any], Any]) -> None:
    """Write a Parquet file again."""
    import pyarrow.parquet as pq

    pq.write_table(change(pq.read_table(path)), path)


def convert_to_v21(folder: Path) -> None:
    """Make a dataset of v2.1 of one whose frames are in one file, without videos."""
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    table = pq.read_table(folder / DATA)
    lines = pq.read_table(folder / EPISODES, columns=["episode_index", "length", "tasks"]).to_pylist()
    features = json.loads((folder / "meta/info.json").read_text())["features"]
    features.pop("observation.image")
    shutil.rmtree(folder / "meta/episodes")
    shutil.rmtree(folder / "videos")
    (folder / DATA).unlink()
    for line in lines:
        number = line["episode_index"]
        rows = table.filter(pc.equal(table.column("episode_index"), number))
        pq.write_table(rows, folder / f"data/chunk-000/episode_{number:06d}.parquet")
    for name, objects in {"episodes": lines, "tasks": [{"task_index": 0, "task": "push"}]}.items():
        (folder / f"meta/{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in objects))
    change_info(folder, features=features, codebase_version="v2.1", data_path=None)


def repeat_numbers(table: Any) -> Any:
    """Return a table of a frame with a list of 20 million zeros, which takes no space in a file."""
    import numpy as np
    import pyarrow as pa

    zeros = pa.ListArray.from_arrays(pa.array([0, 20_000_000], pa.int32()), pa.array(np.zeros(20_000_000, "f4")))
    place = table.schema.get_field_index("action")
    return table.slice(0, 1).set_column(place, "action", zeros).replace_schema_metadata(None)


def damage_v21(path: str, change: Callable[[Path], Any]) -> Callable[[Path], None]:
    """Return a damage of one file of a dataset of v2.1."""

    def damage(folder: Path) -> None:
        convert_to_v21(folder)
        change(folder / path)

    return damage


def put(place: int, value: Any) -> Callable[[list[Any]], list[Any]]:
    """Return a change of one value."""
    return lambda values: [*values[:place], value, *values[place + 1 :]]


def damage_episodes(folder: Path) -> None:
    """Damage several episodes of forty frames in several ways, and make one a copy of another."""
    nan = [float("nan"), 1.0]
    change_column(folder / DATA, "action", lambda old: put(205, nan)(put(45, nan)(old)))
    change_column(folder / DATA, "task_index", put(125, 5))
    change_column(folder / EPISODES, "videos/observation.image/to_timestamp", put(7, 90.0))
    for name in ("action", "observation.state"):
        change_column(folder / DATA, name, lambda old: [*old[:240], *old[80:120], *old[280:]])


def damage_middle(folder: Path) -> None:
    """Overwrite 45 of 320 pictures of the video, from episode 3, frame 10, behind their headers."""
    import av

    with av.open(str(folder / VIDEO)) as container:
        packets = sorted((packet.pts, packet.pos, packet.size) for packet in container.demux(video=0) if packet.size)
    content = bytearray((folder / VIDEO).read_bytes())
    for _, begin, size in packets[130:175]:
        intact = max(12, size // 4)
        content[begin + intact : begin + size] = bytes(size - intact)
    (folder / VIDEO).write_bytes(content)


def encode_again(folder: Path, rate: int, step: int = 1, first: int = 0) -> None:
    """Encode every so many pictures of the video at another rate; the first one has this number."""
    import av

    with av.open(str(folder / VIDEO)) as container:
        pictures = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)][::step]
    with av.open(str(folder / VIDEO), "w") as container:
        stream = container.add_stream("libx264", rate=rate, options={"bf": "0"})
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        for number, picture in enumerate(pictures, first):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def shift_video(folder: Path, seconds: float) -> None:
    """Shift all episodes in the video of a camera."""
    for name in ("from_timestamp", "to_timestamp"):
        path = folder / EPISODES
        change_column(path, f"videos/observation.image/{name}", lambda old: [timestamp + seconds for timestamp in old])


def store_pictures(folder: Path, sizes: Callable[[int], int] = lambda frame: 64) -> None:
    """Store the pictures of the video in the table, each as wide and high as `sizes` says."""
    import io

    import av
    from PIL import Image

    rows = []
    with av.open(str(folder / VIDEO)) as video:
        for number, frame in enumerate(video.decode(video=0)):
            content = io.BytesIO()
            picture = Image.fromarray(frame.to_ndarray(format="rgb24"))
            picture.resize((sizes(number), sizes(number))).save(content, "PNG")
            rows.append({"bytes": content.getvalue(), "path": None})
    replace_video(folder, rows)


def replace_video(folder: Path, pictures: Sequence[Mapping[str, bytes | None]]) -> None:
    """Put pictures, as LeRobot stores them in a table, in the place of the video."""
    import pyarrow as pa

    column = pa.array(pictures, pa.struct([("bytes", pa.binary()), ("path", pa.string())]))
    change_table(
        folder / DATA, lambda old: old.append_column("observation.image", column).replace_schema_metadata(None)
    )
    features = json.loads((folder / "meta/info.json").read_text())["features"]
    features["observation.image"]["dtype"] = "image"
    change_info(folder, features=features)
    shutil.rmtree(folder / "videos")


DAMAGES: dict[str, Callable[[Path], None]] = {
    "nothing": lambda folder: None,
    "frames in info": lambda folder: change_info(folder, total_frames=9999),
    "episodes in info": lambda folder: change_info(folder, total_episodes=9),
    "episode twice": lambda folder: change_column(folder / EPISODES, "episode_index", put(3, 2)),
    "ranges from zero": lambda folder: change_column(
        folder / EPISODES, "dataset_from_index", lambda old: [0] * len(old)
    ),
    "length zero": lambda folder: change_column(folder / EPISODES, "length", put(2, 0)),
    "frame of another episode": lambda folder: change_column(folder / DATA, "episode_index", put(41, 2)),
    "frame number": lambda folder: change_column(folder / DATA, "frame_index", put(45, 6)),
    "fps": lambda folder: change_info(folder, fps=30),
    "wall clock": lambda folder: change_column(
        folder / DATA, "timestamp", lambda old: [1.7e9 + timestamp for timestamp in old]
    ),
    "jitter": lambda folder: change_column(folder / DATA, "timestamp", put(45, 0.54)),
    "task": lambda folder: change_column(folder / DATA, "task_index", put(80, 5)),
    "not a number": lambda folder: change_column(folder / DATA, "action", put(5, [float("nan"), 1.0])),
    "shape": lambda folder: change_shape(folder, "observation.state", [7]),
    "size of a video": lambda folder: change_shape(folder, "observation.image", [480, 640, 3]),
    "video too short": lambda folder: change_column(
        folder / EPISODES, "videos/observation.image/to_timestamp", put(7, 90.0)
    ),
    "video shifted": lambda folder: shift_video(folder, 0.5),
    "video that begins late": lambda folder: encode_again(folder, 10, first=5),
    "video of half the rate": lambda folder: encode_again(folder, 5, step=2),
    "video of the double rate": lambda folder: encode_again(folder, 20),
    "pictures of another size": lambda folder: store_pictures(folder, lambda frame: 96 if 130 <= frame < 200 else 64),
    "video of another number": lambda folder: change_column(
        folder / EPISODES, "videos/observation.image/file_index", put(6, 3)
    ),
    "video of two episodes": lambda folder: change_column(
        folder / EPISODES, "videos/observation.image/from_timestamp", put(5, 0.0)
    ),
    "video without its frames": lambda folder: change_column(
        folder / EPISODES, "videos/observation.image/to_timestamp", put(7, 29.0)
    ),
    "video empty": lambda folder: (folder / VIDEO).write_bytes(b"") and None,
    "video of Git LFS": lambda folder: (folder / VIDEO).write_text(POINTER) and None,
    "table of Git LFS": lambda folder: (folder / DATA).write_text(POINTER) and None,
    "table being written": lambda folder: (folder / DATA).write_bytes((folder / DATA).read_bytes()[:-1000]) and None,
    "page of a table": lambda folder: overwrite(folder / DATA, b"\xff" * 200),
    "no tasks": lambda folder: (folder / "meta/tasks.parquet").unlink(),
    "no value": lambda folder: change_column(folder / DATA, "action", put(50, None)),
    "column without a feature": lambda folder: change_table(
        folder / DATA, lambda old: old.append_column("extra", old.column("index"))
    ),
    "feature without a column": lambda folder: change_table(folder / DATA, lambda old: old.drop_columns(["action"])),
    "text as a number": lambda folder: change_table(
        folder / DATA, lambda old: old.set_column(1, "action", old.column("index").cast("string"))
    ),
    "more rows than frames": lambda folder: change_table(folder / EPISODES, lambda old: old.slice(0, 6)),
    "numbers by millions in a small file": lambda folder: change_table(folder / DATA, repeat_numbers),
    "path out of the dataset": lambda folder: change_column(
        folder / EPISODES, "videos/observation.image/file_index", lambda old: [-1 for _ in old]
    ),
    "v2.1": convert_to_v21,
    "v2.1, no file of an episode": damage_v21("data/chunk-000/episode_000003.parquet", Path.unlink),
    "v2.1, frame number": damage_v21(
        "data/chunk-000/episode_000003.parquet", lambda path: change_column(path, "frame_index", put(5, 6))
    ),
    "v2.1, length": damage_v21(
        "meta/episodes.jsonl", lambda path: path.write_text(path.read_text().replace('"length": 40', '"length": 41', 1))
    ),
    "v2.1, tasks over several lines": damage_v21(
        "meta/tasks.jsonl", lambda path: path.write_text(path.read_text().replace(",", ",\n"))
    ),
    "video unreadable": lambda folder: (folder / VIDEO).write_bytes(b"no video") and None,
}


def main(good: Path, out: Path) -> None:
    """Make each dataset, and print what the comparison of its tables says: titles and ways, as JSON."""
    from robotrain_workloads.dataset_check.checks import check_tables
    from robotrain_workloads.dataset_check.load import Training

    def list_table_problems(folder: Path, **training: Any) -> list[Any]:
        return check_tables(folder, Training(**training))[1]

    texts_by_name = {}
    for name, damage in DAMAGES.items():
        folder = out / name.replace(" ", "-")
        shutil.copytree(good, folder)
        damage(folder)
        texts_by_name[name] = [
            [problem.text, *filter(None, [problem.suggestion])] for problem in list_table_problems(folder)
        ]
    chosen = out / "not-a-number"
    texts_by_name["not a number, not chosen"] = [
        [problem.text] for problem in list_table_problems(chosen, episodes=[1, 2])
    ]
    texts_by_name["not a number, allowed"] = [
        [problem.text] for problem in list_table_problems(chosen, allow_non_finite=True)
    ]
    shutil.copytree(good, out / "reward")
    add_infinite_reward(out / "reward", episode=1)
    for name, reads in {"reward, read": ["next.reward"], "reward, not read": []}.items():
        texts_by_name[name] = [[problem.text] for problem in list_table_problems(out / "reward", reads=reads)]
    several = ("video shifted", "video that begins late", "video of half the rate", "pictures of another size")
    problems = {name: list_table_problems(out / name.replace(" ", "-")) for name in several}
    episodes = {name: [[*problem.episodes] for problem in said] for name, said in problems.items()}
    (out / "episodes.json").write_text(json.dumps(episodes))
    print(json.dumps(texts_by_name))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
