"""Batches from bags: values in memory, pictures mapped from the cache, in an order that a seed decides."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from robotrain_workloads.bag_parameters import (
    TOPIC_PARAMETERS,
    parse_cameras,
    parse_names,
    parse_size,
    parse_units,
    read_topic,
)
from robotrain_workloads.rosbag.bag_files import BagError, select_bags
from robotrain_workloads.rosbag.episodes import BagReading, read_bag
from robotrain_workloads.rosbag.pictures import EpisodePictures, read_episode_pictures
from robotrain_workloads.rosbag.settings import DataSettings

if TYPE_CHECKING:
    from numpy.typing import NDArray

ACTION, PADDED = "action", "action_is_pad"


@dataclass(frozen=True)
class LoadedEpisode:
    """An episode that batches are taken from."""

    name: str
    """The number of its source and its bag's name."""
    bag: str
    """The same without the number of the piece, where a bag makes several episodes."""
    values: Mapping[str, NDArray[np.float32]]
    """State, environment's state and action; shape (steps, values)."""
    cameras: Mapping[str, EpisodePictures]
    """By feature."""

    @property
    def steps(self) -> int:
        """The number of steps."""
        return len(self.values[ACTION])


@dataclass(frozen=True)
class LoadedBags:
    """All episodes, and how many pieces were too short."""

    episodes: Sequence[LoadedEpisode]
    dropped: int


def make_settings(values: Mapping[str, Any]) -> DataSettings:
    """Return how bags are read, from the workload's parameters."""
    topics: dict[str, Any] = {name: read_topic(values[name]) for name in TOPIC_PARAMETERS}
    unchanged = ("fps", "sync", "tolerance_s", "max_gap_s", "timestamp", "on_clock_jump")
    return DataSettings(
        image_topics=parse_cameras(values["image_topics"] or ""),
        image_size=parse_size(values["image_size"]),
        exclude_bags=parse_names(values["exclude_bags"]),
        joint_names=parse_names(values["joint_names"]) or None,
        action_joint_names=parse_names(values["action_joint_names"]) or None,
        units=parse_units(values["units"]),
        is_action_open=values["action_topic"] is None,
        **topics,
        **{name: values[name] for name in unchanged},
    )


def load_bags(
    folders: Sequence[Path],
    settings: DataSettings,
    cache: Path,
    *,
    chunk: int,
    salvage: bool,
    workers: int = 0,
    report: Callable[[str], None],
) -> LoadedBags:
    """Read the bags of all sources; pictures are decoded unless the cache has them.

    Args:
        folders: One for each source, in the order given.
        settings: How bags are read.
        cache: The folder of decoded pictures.
        chunk: Pieces with fewer steps are dropped and counted.
        salvage: Read the whole chunks of MCAP files that end too early.
        workers: Threads that decode pictures; 0: one for each core.
        report: Takes a line for each bag.

    Raises:
        BagError: a bag cannot be used, no episode is left, or two bags differ in sizes.
    """
    episodes: list[LoadedEpisode] = []
    readings = _read_bags(folders, settings, chunk, salvage)
    for name in settings.exclude_bags:
        report(f"{name}: left out")
    for source, reading in readings:
        bag = reading.bag
        if reading.salvaged:
            report(f"{bag.name}: salvaged {reading.salvaged}")
        if reading.unused:
            report(f"{bag.name}: no episode has {reading.unused}")
        if not reading.episodes:
            report(f"{bag.name}: no episode of at least {chunk} steps")
            continue
        taken = read_episode_pictures(reading, cache, size=settings.image_size, salvage=salvage, workers=workers)
        for episode, cameras in zip(reading.episodes, taken, strict=True):
            loaded = LoadedEpisode(f"{source}:{episode.name}", f"{source}:{bag.name}", episode.values, cameras)
            if episodes and (difference := _find_difference(episodes[0], loaded)):
                raise BagError(bag.path, difference)
            episodes.append(loaded)
        report(f"{bag.name}: {sum(episode.steps for episode in reading.episodes)} steps")
    dropped = sum(len(reading.dropped) for _, reading in readings)
    if not episodes:
        raise BagError(folders[0], f"no episode is left: {dropped} pieces are shorter than a chunk of {chunk} steps")
    return LoadedBags(episodes, dropped)


def _read_bags(
    folders: Sequence[Path], settings: DataSettings, chunk: int, salvage: bool
) -> list[tuple[int, BagReading]]:
    """Return the readings of all bags, each with the number of its source. Raise BagError with every problem."""
    readings: list[tuple[int, BagReading]] = []
    problems: list[tuple[str, BagError]] = []
    joints: Mapping[str, tuple[str, ...]] = {}
    for source, bags in enumerate(select_bags(folders, settings.exclude_bags)):
        for bag in bags:
            try:
                reading = read_bag(bag, settings, min_steps=chunk, salvage=salvage, joints=joints)
            except BagError as error:
                problems.append((bag.name, error))
                continue
            joints = reading.joints
            readings.append((source, reading))
    if problems:
        first = problems[0][1]
        others = [f"\n{error}" for _, error in problems[1:]]
        names = ",".join(dict.fromkeys((*settings.exclude_bags, *(name for name, _ in problems))))
        # A plain remedy stands where `robotrain status` finds it: at the end of the first line.
        way = f"--exclude-bags {shlex.quote(names)}" if readings else ""
        hint, line = (f" ({way})", "") if way and shlex.quote(names) == names else ("", f"\n{way}" if way else "")
        raise BagError(first.file, first.why + hint + "".join(others) + line, first.time_ns) from first
    return readings


def split_episodes(
    episodes: Sequence[LoadedEpisode], share: float, seed: int
) -> tuple[list[LoadedEpisode], list[LoadedEpisode]]:
    """Return the episodes to train on and those that are held out: those of whole bags, at least one, if there are two.

    The pieces of one bag stay together: they show the same moments of the same scene.
    """
    bags = list(dict.fromkeys(episode.bag for episode in episodes))
    count = min(max(round(len(bags) * share), 1), len(bags) - 1) if share else 0
    held_out = {bags[index] for index in np.random.default_rng(seed).permutation(len(bags))[:count]}
    train = [episode for episode in episodes if episode.bag not in held_out]
    return train, [episode for episode in episodes if episode.bag in held_out]


def measure_statistics(episodes: Sequence[LoadedEpisode]) -> dict[str, tuple[NDArray[np.float32], NDArray[np.float32]]]:
    """Return mean and standard deviation of the state and the action over all steps, each of shape (values,)."""
    statistics = {}
    for name in ("observation.state", ACTION):
        if name in episodes[0].values:
            values = np.concatenate([episode.values[name] for episode in episodes]).astype(np.float64)
            statistics[name] = (values.mean(0).astype(np.float32), values.std(0).astype(np.float32))
    return statistics


def measure_limits(episodes: Sequence[LoadedEpisode]) -> dict[str, NDArray[np.float32]]:
    """Return the least and greatest values of each feature over all steps, by `FEATURE.min` and `FEATURE.max`."""
    limits: dict[str, NDArray[np.float32]] = {}
    for name in episodes[0].values:
        values = np.concatenate([episode.values[name] for episode in episodes])
        limits |= {f"{name}.min": values.min(0), f"{name}.max": values.max(0)}
    return limits


class Sampler:
    """Which steps make a batch: a new order of all steps in each epoch, from the seed alone."""

    def __init__(self, steps: int, batch: int, seed: int) -> None:
        self._steps, self._batch, self._seed = steps, batch, seed
        self._order: tuple[int, NDArray[np.int64]] = (-1, np.zeros(0, np.int64))

    def choose(self, number: int) -> NDArray[np.int64]:
        """Return the steps of a batch, shape (batch,); batches are counted from 0 and go on over epochs."""
        places = np.arange(number * self._batch, (number + 1) * self._batch)
        epochs, parts = places // self._steps, []
        for epoch in map(int, np.unique(epochs)):
            if self._order[0] != epoch:
                self._order = (epoch, np.random.default_rng((self._seed, epoch)).permutation(self._steps))
            parts.append(self._order[1][places[epochs == epoch] % self._steps])
        return np.concatenate(parts)


class BatchMaker:
    """Takes steps of episodes together."""

    def __init__(self, episodes: Sequence[LoadedEpisode], chunk: int) -> None:
        self._episodes, self._chunk = episodes, chunk
        self._starts = np.cumsum([0, *(episode.steps for episode in episodes)])

    @property
    def steps(self) -> int:
        """All steps."""
        return int(self._starts[-1])

    def count_actions(self, steps: NDArray[np.int64]) -> int:
        """Return how many actions of these steps' chunks are not padding."""
        ends = self._starts[np.searchsorted(self._starts, steps, side="right")]
        return int(np.minimum(ends - steps, self._chunk).sum())

    def make_batch(self, steps: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
        """Return a batch: values (batch, …), actions (batch, chunk, values), pictures uint8 (batch, height, width, 3).

        Behind an episode's end the last action is repeated, and `action_is_pad` is true.
        """
        rows = [self._take_step(int(step)) for step in steps]
        return {name: np.stack([row[name] for row in rows]) for name in rows[0]}

    def _take_step(self, step: int) -> dict[str, NDArray[Any]]:
        number = int(np.searchsorted(self._starts, step, side="right")) - 1
        episode = self._episodes[number]
        position = step - int(self._starts[number])
        ahead = np.arange(position, position + self._chunk)
        row: dict[str, NDArray[Any]] = {
            name: values[position] for name, values in episode.values.items() if name != ACTION
        }
        row[ACTION] = episode.values[ACTION][np.minimum(ahead, episode.steps - 1)]
        row[PADDED] = ahead >= episode.steps
        for name, camera in episode.cameras.items():
            row[name] = camera.pictures[camera.places[position]]
        return row


def iterate_all(maker: BatchMaker, batch: int) -> Iterator[dict[str, NDArray[Any]]]:
    """Yield every step once, in order."""
    for start in range(0, maker.steps, batch):
        yield maker.make_batch(np.arange(start, min(start + batch, maker.steps)))


def _find_difference(first: LoadedEpisode, other: LoadedEpisode) -> str:
    for name, values in other.values.items():
        if values.shape[1:] != first.values[name].shape[1:]:
            return f"{name} has {values.shape[1]} values, and {first.values[name].shape[1]} in {first.name}"
    for name, camera in other.cameras.items():
        if camera.pictures.shape[1:] != first.cameras[name].pictures.shape[1:]:
            return f"{name} has another size than in {first.name}: --image-size scales them all"
    return ""
