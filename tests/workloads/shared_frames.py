"""Processes that share a cache of decoded frames, and what each read: `shared_frames.py DATASET DAMAGED FOLDER`.

Run in the environment of LeRobot, which is imported once: each process is a fork. It prints JSON.
"""

import hashlib
import json
import os
import shutil
import signal
import sys
import time
from pathlib import Path

from damaged_datasets import VIDEO
from robotrain_workloads.dataset_check.videos import find_unreadable
from robotrain_workloads.lerobot import data_errors
from robotrain_workloads.lerobot_train.frames import frame_cache

DECODER = {"video_backend": "pyav", "tolerance_s": 0.025}
OPTIONS = ["--dataset.video_backend=pyav", "--tolerance_s=0.025"]
TIMES = {"observation.image": [-0.1, 0.0], "action": [number / 10 for number in range(4)]}
"""Two pictures a sample, as a diffusion policy has."""


def read_frames(root: Path, cache: Path | None, workers: int = 0) -> str:
    """Return a hash of all pictures, in order; of a dataset that cannot be read, what is said of it."""
    import torch
    from lerobot.datasets import LeRobotDataset

    torch.set_num_threads(1)
    settings = {"cache": str(cache), "mode": "on", "limit": None, "cache_limit": None} if cache else {}
    digest = hashlib.sha256()
    with frame_cache.start(root, OPTIONS, settings):
        try:
            data = LeRobotDataset("user/set", root=root, delta_timestamps=TIMES, return_uint8=True, **DECODER)
            for batch in torch.utils.data.DataLoader(data, batch_size=8, num_workers=workers):
                digest.update(batch["observation.image"].numpy().tobytes())
        except Exception as error:
            return data_errors.explain_reading_error(error, root, find_unreadable=lambda: find_unreadable(root, None))
    return digest.hexdigest()


def start(out: Path, *arguments: object) -> int:
    """Read frames in a process, which writes to a file what it read. Return its number."""
    child = os.fork()
    if not child:
        os.dup2(2, 1)
        out.write_text(read_frames(*arguments))  # type: ignore[arg-type]
        os._exit(0)
    return child


def read_once(out: Path, *arguments: object) -> str:
    """Return what a process read."""
    os.waitpid(start(out, *arguments), 0)
    return out.read_text()


def count_kept(cache: Path) -> int:
    """Return the bytes of all indexes of a cache."""
    return sum(path.stat().st_size for path in cache.glob("frames/*/*.index"))


def kill_in_the_middle(out: Path, root: Path, cache: Path) -> None:
    """Kill a process once it has kept some frames."""
    child = start(out, root, cache)
    while count_kept(cache) < 500:
        time.sleep(0.005)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def main(dataset: Path, damaged: Path, folder: Path) -> None:
    """Print what each process read, by its name."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    import lerobot.datasets  # noqa: F401

    data_errors.guard_frames()
    read = {"plain": read_once(folder / "plain", dataset, None)}
    kill_in_the_middle(folder / "killed", dataset, folder / "cache-killed")
    read["killed"] = str((folder / "killed").exists())
    read["after a kill"] = read_once(folder / "after", dataset, folder / "cache-killed")
    outs = [folder / "first", folder / "second"]
    for child in [start(out, dataset, folder / "cache-shared") for out in outs]:
        os.waitpid(child, 0)
    read |= {"first of two": outs[0].read_text(), "second of two": outs[1].read_text()}
    read["from the cache"] = read_once(folder / "later", dataset, folder / "cache-shared")
    read["four workers"] = read_once(folder / "workers", dataset, folder / "cache-shared", 4)
    read["damaged"] = read_once(folder / "damaged", damaged, None)
    read["damaged, cached"] = read_once(folder / "damaged-cached", damaged, folder / "cache-shared")
    replaced = shutil.copytree(dataset, folder / "replaced")
    read_once(folder / "before", replaced, folder / "cache-replaced")
    shutil.copy(damaged / VIDEO, replaced / VIDEO)
    read["replaced"] = read_once(folder / "after-it", replaced, folder / "cache-replaced")
    print(json.dumps(read))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
