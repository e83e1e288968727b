"""Datasets that LeRobot cannot read, each for one reason, and what is said of each: `unreadable_frames.py GOOD OUT`.

The good one has a video. Run in the environment of LeRobot, whose exceptions are the real ones: no table is compared.
"""

import gc
import io
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from damaged_datasets import (
    DATA,
    EPISODES,
    VIDEO,
    change_column,
    change_info,
    change_shape,
    change_table,
    damage_middle,
    overwrite,
    put,
    replace_video,
)

DAMAGED = 130
"""Frame 10 of episode 3."""


def store_pictures(folder: Path, change: Callable[[bytes], bytes | None], size: int = 64) -> None:
    """Store the frames of the video as pictures in the table; from a frame on they have another size."""
    import av
    from PIL import Image

    def encode() -> Iterator[dict[str, bytes | None]]:
        with av.open(str(folder / VIDEO)) as video:
            for number, frame in enumerate(video.decode(video=0)):
                picture, content = Image.fromarray(frame.to_ndarray(format="rgb24")), io.BytesIO()
                picture.resize((size, size) if number >= DAMAGED else (64, 64)).save(content, "PNG")
                yield {"bytes": change(content.getvalue()) if number == DAMAGED else content.getvalue(), "path": None}

    replace_video(folder, list(encode()))


DAMAGES: dict[str, Callable[[Path], Any]] = {
    "nothing": lambda folder: None,
    "episodes are missing": lambda folder: change_table(folder / EPISODES, lambda old: old.slice(0, 6)),
    "more frames in info": lambda folder: change_info(folder, total_frames=9999),
    "another shape": lambda folder: change_shape(folder, "observation.state", [7]),
    "timestamp": lambda folder: change_column(folder / DATA, "timestamp", put(DAMAGED, 1.04)),
    "wall clock": lambda folder: change_column(
        folder / DATA, "timestamp", lambda old: [1.7e9 + timestamp for timestamp in old]
    ),
    "task": lambda folder: change_column(folder / DATA, "task_index", put(DAMAGED, 5)),
    "no value": lambda folder: change_column(folder / DATA, "action", put(DAMAGED, None)),
    "a page of the table": lambda folder: overwrite(folder / DATA, b"\xff" * 200),
    "a table of Git LFS": lambda folder: (folder / DATA).write_text("version https://git-lfs.github.com/spec/v1\n"),
    "no tasks": lambda folder: (folder / "meta/tasks.parquet").unlink(),
    "column of videos": lambda folder: change_table(
        folder / EPISODES, lambda old: old.drop_columns(["videos/observation.image/from_timestamp"])
    ),
    "no video": lambda folder: (folder / VIDEO).unlink(),
    "empty video": lambda folder: (folder / VIDEO).write_bytes(b""),
    "a part of the video": lambda folder: overwrite(folder / VIDEO, b"\0" * 3000),
    "the middle of the video": damage_middle,
    "no picture": lambda folder: store_pictures(folder, lambda content: None),
    "picture is garbage": lambda folder: store_pictures(folder, lambda content: b"garbage"),
    "picture is cut": lambda folder: store_pictures(folder, lambda content: content[: len(content) // 2]),
    "picture of another size": lambda folder: store_pictures(folder, lambda content: content, size=96),
}
REPAIRED = ("the middle of the video",)
"""After their episodes are left out, as the sentence says, the others are read."""
READ_BY_A_PROCESS = ("a part of the video", "timestamp", "picture of another size")


def read_all(folder: Path, processes: int, episodes: list[int] | None = None) -> None:
    """Read all frames, or those of some episodes, as a training does."""
    import torch
    from lerobot.datasets import LeRobotDataset

    times = {"action": [number / 10 for number in range(4)]}
    options = {"delta_timestamps": times, "tolerance_s": 0.025, "video_backend": "pyav"}
    data = LeRobotDataset("user/set", root=folder, episodes=episodes, **options)
    gc.collect()  # a forked process that collected this one's decoders would wait for their threads
    for _ in torch.utils.data.DataLoader(data, batch_size=8, num_workers=processes):
        pass


def main(good: Path, out: Path) -> None:
    """Make each dataset, and print why it cannot be read, as JSON."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    from robotrain_workloads.dataset_check.videos import find_unreadable
    from robotrain_workloads.lerobot import data_errors, episode_numbers

    data_errors.guard_frames()
    sentences = {}
    for name, damage in DAMAGES.items():
        folder = shutil.copytree(good, out / name.replace(" ", "-"))
        damage(folder)
        for processes in (0, 1) if name in READ_BY_A_PROCESS else (0,):
            try:
                read_all(folder, processes)
                sentences[f"{name}, {processes}"] = ""
            except Exception as error:
                sentence = data_errors.explain_reading_error(
                    error, folder, find_unreadable=lambda folder=folder: find_unreadable(folder, None)
                )
                sentences[f"{name}, {processes}"] = sentence or repr(error)
    for name in REPAIRED:
        ranges = sentences[f"{name}, 0"].rpartition(f"({episode_numbers.EXCLUDE_FLAG} ")[2].rstrip(")")
        episodes = episode_numbers.leave_out(ranges, 8)
        read_all(out / name.replace(" ", "-"), 0, episodes)
        sentences[f"repaired: {name}"] = ranges
    print(json.dumps(sentences))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
