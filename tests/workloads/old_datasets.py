"""Datasets in the format of LeRobot 2.1, for tests."""

import subprocess
from pathlib import Path

WRITE_V21 = """
import json, sys
from collections import defaultdict
from fractions import Fraction
from pathlib import Path
import av
import numpy as np
import pandas as pd
import pyarrow.parquet as pq

old, new = Path(sys.argv[1]), Path(sys.argv[2])
info = json.loads((old / "meta/info.json").read_text())
cameras = [name for name, feature in info["features"].items() if feature["dtype"] == "video"]
episodes = pd.concat(pd.read_parquet(path) for path in sorted((old / "meta/episodes").glob("*/*.parquet")))
data = pq.ParquetDataset(old / "data").read()
numbers = np.asarray(data["episode_index"])
lines = defaultdict(list)


def place(name):
    (new / name).parent.mkdir(parents=True, exist_ok=True)
    return new / name


def plain(value):
    if isinstance(value, np.ndarray | list):
        return [plain(one) for one in value]
    return value.item() if hasattr(value, "item") else value


def video(name, episode, to):
    at = old / f"videos/{name}/chunk-000/file-{episode[f'videos/{name}/file_index']:03d}.mp4"
    begin, end = (episode[f"videos/{name}/{side}_timestamp"] - 1e-3 for side in ("from", "to"))
    with av.open(str(at)) as source, av.open(str(to), "w") as target:
        stream = target.add_stream("libsvtav1", rate=info["fps"], options={"g": "2"})
        stream.height, stream.width = info["features"][name]["shape"][:2]
        stream.pix_fmt = "yuv420p"
        frames = [one for one in source.decode(video=0) if begin <= one.time < end]
        for number, one in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(one.to_ndarray(format="rgb24"), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, info["fps"])
            target.mux(stream.encode(frame))
        target.mux(stream.encode())


for task, row in pd.read_parquet(old / "meta/tasks.parquet").iterrows():
    lines["tasks"].append({"task_index": int(row.task_index), "task": task})
for _, episode in episodes.iterrows():
    number, statistics = int(episode.episode_index), defaultdict(dict)
    pq.write_table(data.filter(numbers == number), place(f"data/chunk-000/episode_{number:06d}.parquet"))
    for column in (one for one in episode.index if one.startswith("stats/")):
        feature, statistic = column.removeprefix("stats/").rsplit("/", 1)
        if statistic in ("min", "max", "mean", "std", "count"):
            statistics[feature][statistic] = plain(episode[column])
    lines["episodes"].append({"episode_index": number, "tasks": list(episode.tasks), "length": int(episode.length)})
    lines["episodes_stats"].append({"episode_index": number, "stats": statistics})
    for name in cameras:
        video(name, episode, place(f"videos/chunk-000/{name}/episode_{number:06d}.mp4"))
for name, each in lines.items():
    place(f"meta/{name}.jsonl").write_text("".join(json.dumps(one) + "\\n" for one in each))
for name in ("data_files_size_in_mb", "video_files_size_in_mb"):
    info.pop(name, None)
info |= {
    "codebase_version": "v2.1",
    "total_chunks": 1,
    "total_videos": len(cameras) * len(episodes),
    "data_path": "data/chunk-{episode_chunk:03d}/episode_{episode_index:06d}.parquet",
    "video_path": "videos/chunk-{episode_chunk:03d}/{video_key}/episode_{episode_index:06d}.mp4",
}
place("meta/info.json").write_text(json.dumps(info))
"""
"""A dataset in the format of LeRobot 2.1, made of one of v3: a file an episode, with metadata in JSON lines."""


def write_v21(environment: str, dataset: Path, to: Path) -> Path:
    """Write `dataset` to the new folder `to`, in the environment of the trainer."""
    command = [Path(environment) / "bin/python", "-c", WRITE_V21, dataset, to]
    subprocess.run(command, check=True, capture_output=True)
    return to
