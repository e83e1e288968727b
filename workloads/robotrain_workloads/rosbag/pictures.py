"""Decode the pictures of a bag in parallel, at the size of training, into files of a folder."""

from __future__ import annotations

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

IMAGES = "observation.images"
"""What the features of cameras begin with."""


def read_pictures(
    bag: Bag,
    wanted: Mapping[str, Sequence[int]],
    folder: Path,
    *,
    size: tuple[int, int] | None = None,
    workers: int = 0,
) -> dict[str, NDArray[np.uint8]]:
    """Return the pictures of some topics, shape (pictures, height, width, 3), mapped from files of a folder.

    Args:
        bag: The bag.
        wanted: For each topic, the positions of the pictures among its messages, ascending and each once.
        folder: The folder of the files.
        size: (height, width) to scale to; None: the pictures' own.
        workers: Threads that decode; 0: one for each core.

    Raises:
        BagError: a picture is damaged, or has another size than the first one.
    """
    files = {topic: folder / f"pictures-{number}.npy" for number, topic in enumerate(wanted)}
    if wanted:
        _decode(bag, wanted, files, size, workers or count_cores())
    return {topic: np.load(file, mmap_mode="r") for topic, file in files.items()}


@dataclass(frozen=True)
class EpisodePictures:
    """The pictures of one camera in one episode."""

    pictures: NDArray[np.uint8]
    """Those of the whole bag, shape (pictures, height, width, 3), mapped from a file."""
    places: NDArray[np.int64]
    """Which of them stands at each step; shape (steps,)."""


def read_episode_pictures(
    reading: BagReading, folder: Path, *, size: tuple[int, int] | None, workers: int = 0
) -> list[dict[str, EpisodePictures]]:
    """Return the pictures of each episode of a bag, by feature; the arguments are those of `read_pictures`.

    Raises:
        BagError: as `read_pictures`.
    """
    wanted_positions = {
        topic: np.unique(np.concatenate([episode.pictures[camera] for episode in reading.episodes])).tolist()
        for topic, camera in reading.image_topics.items()
    }
    pictures = read_pictures(reading.bag, wanted_positions, folder, size=size, workers=workers)
    return [
        {
            f"{IMAGES}.{camera}": EpisodePictures(
                pictures[topic], np.searchsorted(wanted_positions[topic], episode.pictures[camera])
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
    workers: int,
) -> None:
    """Decode into files."""
    arrays: dict[str, NDArray[np.uint8]] = {}
    running_tasks: list[tuple[Future[NDArray[np.uint8]], str, int, int]] = []

    def store(future: Future[NDArray[np.uint8]], topic: str, slot: int, log_ns: int) -> None:
        try:
            picture = future.result()
        except MessageError as error:
            raise BagError(bag.path, f"{topic}: {error}", log_ns) from error
        if topic not in arrays:
            shape = (len(wanted[topic]), *picture.shape)
            arrays[topic] = np.lib.format.open_memmap(files[topic], mode="w+", dtype=np.uint8, shape=shape)
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
            for topic, slot, log_ns, message_content in _iterate_wanted(bag, wanted):
                running_tasks.append((pool.submit(decode_picture, message_content, size), topic, slot, log_ns))
                if len(running_tasks) >= 4 * workers:  # so that memory stays flat
                    store(*running_tasks.pop(0))
            while running_tasks:
                store(*running_tasks.pop(0))
        for array in arrays.values():
            array.flush()  # type: ignore[attr-defined]
    finally:
        for task in running_tasks:
            task[0].cancel()


def _iterate_wanted(bag: Bag, wanted_positions: Mapping[str, Sequence[int]]) -> Iterator[tuple[str, int, int, object]]:
    slots = {
        topic: {int(position): slot for slot, position in enumerate(topic_positions)}
        for topic, topic_positions in wanted_positions.items()
    }
    seen_counts = dict.fromkeys(wanted_positions, 0)
    with open_bag(bag) as opened_bag:
        for message in opened_bag.read(tuple(wanted_positions)):
            slot = slots[message.topic].get(seen_counts[message.topic])
            seen_counts[message.topic] += 1
            if slot is not None:
                yield message.topic, slot, message.log_ns, message.content
