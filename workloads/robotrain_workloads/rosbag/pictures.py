"""Decode the pictures of a bag once, in parallel, at the size of training, into a cache that is keyed by content."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from robotrain_runtime.machine.hardware import count_cores

from robotrain_workloads.rosbag.bag_files import Bag, BagError, open_bag
from robotrain_workloads.rosbag.messages import MessageError, decode_picture, describe_size

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from robotrain_workloads.rosbag.episodes import BagReading

CACHE_FOLDER = "bag-pictures"
"""Below robotrain's cache."""
IMAGES = "observation.images"
"""What the features of cameras begin with."""
VERSION = 2
"""Increase it when the same bag would be decoded to other pixels."""
_BLOCK = 1 << 20


def digest_bag(bag: Bag) -> str:
    """Return a digest of the content of a bag's storage files."""
    digest = hashlib.blake2b(digest_size=20)
    for file in bag.files:
        with file.open("rb") as stream:
            while block := stream.read(_BLOCK):
                digest.update(block)
    return digest.hexdigest()


def read_pictures(
    bag: Bag,
    wanted: Mapping[str, Sequence[int]],
    cache: Path,
    *,
    size: tuple[int, int] | None = None,
    salvage: bool = False,
    workers: int = 0,
) -> dict[str, NDArray[np.uint8]]:
    """Return the pictures of some topics, shape (pictures, height, width, 3), mapped from files of the cache.

    Args:
        bag: The bag.
        wanted: For each topic, the positions of the pictures among its messages, ascending and each once.
        cache: The folder of decoded pictures.
        size: (height, width) to scale to; None: the pictures' own.
        salvage: Read the whole chunks of an MCAP file that ends too early.
        workers: Threads that decode; 0: one for each core.

    Raises:
        BagError: a picture is damaged, or has another size than the first one.
    """
    digest = digest_bag(bag) if wanted else ""
    files: dict[str, Path] = {}
    for topic, positions in wanted.items():
        chosen = hashlib.blake2b(np.asarray(positions, np.int64).tobytes(), digest_size=20).hexdigest()
        key = json.dumps([VERSION, digest, topic, chosen, size, salvage])
        files[topic] = cache / f"{hashlib.blake2b(key.encode(), digest_size=20).hexdigest()}.npy"
    missing = {topic: wanted[topic] for topic, file in files.items() if not file.exists()}
    if missing:
        cache.mkdir(parents=True, exist_ok=True)
        _decode(bag, missing, files, size, salvage, workers or count_cores())
    return {topic: np.load(file, mmap_mode="r") for topic, file in files.items()}


@dataclass(frozen=True)
class EpisodePictures:
    """The pictures of one camera in one episode."""

    pictures: NDArray[np.uint8]
    """Those of the whole bag, shape (pictures, height, width, 3), mapped from a file of the cache."""
    places: NDArray[np.int64]
    """Which of them stands at each step; shape (steps,)."""


def read_episode_pictures(
    reading: BagReading, cache: Path, *, size: tuple[int, int] | None, salvage: bool, workers: int = 0
) -> list[dict[str, EpisodePictures]]:
    """Return the pictures of each episode of a bag, by feature; the arguments are those of `read_pictures`.

    Raises:
        BagError: as `read_pictures`.
    """
    wanted = {
        topic: np.unique(np.concatenate([episode.pictures[camera] for episode in reading.episodes])).tolist()
        for topic, camera in reading.image_topics.items()
    }
    pictures = read_pictures(reading.bag, wanted, cache, size=size, salvage=salvage, workers=workers)
    return [
        {
            f"{IMAGES}.{camera}": EpisodePictures(
                pictures[topic], np.searchsorted(wanted[topic], episode.pictures[camera])
            )
            for topic, camera in reading.image_topics.items()
        }
        for episode in reading.episodes
    ]


def _decode(
    bag: Bag,
    wanted: Mapping[str, Sequence[int]],
    files: Mapping[str, Path],
    size: tuple[int, int] | None,
    salvage: bool,
    workers: int,
) -> None:
    """Decode into files beside the cache's, and rename them when all are whole."""
    arrays: dict[str, NDArray[np.uint8]] = {}
    partial = {topic: files[topic].with_suffix(f".{os.getpid()}.partial") for topic in wanted}
    running: list[tuple[Future[NDArray[np.uint8]], str, int, int]] = []

    def store(future: Future[NDArray[np.uint8]], topic: str, slot: int, log_ns: int) -> None:
        try:
            picture = future.result()
        except MessageError as error:
            raise BagError(bag.path, f"{topic}: {error}", log_ns) from error
        if topic not in arrays:
            shape = (len(wanted[topic]), *picture.shape)
            arrays[topic] = np.lib.format.open_memmap(partial[topic], mode="w+", dtype=np.uint8, shape=shape)
        if picture.shape != arrays[topic].shape[1:]:
            raise BagError(
                bag.path,
                f"{topic}: a picture of {describe_size(picture.shape)} after pictures of"
                f" {describe_size(arrays[topic].shape[1:])}; --image-size scales them all",
                log_ns,
            )
        arrays[topic][slot] = picture

    try:
        with ThreadPoolExecutor(workers) as pool:
            for topic, slot, log_ns, content in _iterate_wanted(bag, wanted, salvage):
                running.append((pool.submit(decode_picture, content, size), topic, slot, log_ns))
                if len(running) >= 4 * workers:  # so that memory stays flat
                    store(*running.pop(0))
            while running:
                store(*running.pop(0))
        for topic, array in arrays.items():
            array.flush()  # type: ignore[attr-defined]
            partial[topic].replace(files[topic])
    finally:
        for task in running:
            task[0].cancel()
        for path in partial.values():
            path.unlink(missing_ok=True)


def _iterate_wanted(
    bag: Bag, wanted: Mapping[str, Sequence[int]], salvage: bool
) -> Iterator[tuple[str, int, int, object]]:
    slots = {topic: {int(position): slot for slot, position in enumerate(chosen)} for topic, chosen in wanted.items()}
    seen = dict.fromkeys(wanted, 0)
    with open_bag(bag, salvage=salvage) as opened:
        for message in opened.read(tuple(wanted)):
            slot = slots[message.topic].get(seen[message.topic])
            seen[message.topic] += 1
            if slot is not None:
                yield message.topic, slot, message.log_ns, message.content
