"""A mixture in LeRobot's trainer: its datasets are one, of which each one's episodes are drawn by its share."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from robotrain_runtime.contract.event import Track, emit_event, emit_note

from robotrain_workloads.lerobot import device
from robotrain_workloads.lerobot.dataset_shares import Share
from robotrain_workloads.lerobot_mixture.episode_split import MixtureEpisodes

SAMPLER = "EpisodeAwareSampler"


BLOCK = 1024
"""Within so many samples each source has its share, but for one sample."""
GOLDEN = (math.sqrt(5) - 1) / 2
"""The step between the offsets of blocks, which spreads them evenly."""
Array = np.ndarray[Any, np.dtype[Any]]


class MixtureSampler:
    """Draws frames of several sources, with the interface of LeRobot's sampler.

    :param sources: their samplers; each has `load_state_dict` and reads an epoch when it is iterated.
    :param parts: of the samples, for each source; their sum is 1.
    """

    def __init__(self, sources: Sequence[Any], parts: Sequence[float], seed: int = 0) -> None:
        self._sources, self._seed = sources, seed
        self._ends = np.cumsum(parts)[:-1] * BLOCK
        self._epoch = self._start = 0

    def __len__(self) -> int:
        """Return the frames of all sources, which LeRobot counts as an epoch."""
        return sum(map(len, self._sources))

    def set_epoch(self, epoch: int) -> None:
        """Continue at the beginning of an epoch."""
        self._epoch = epoch

    def load_state_dict(self, state: Mapping[str, int]) -> None:
        """Continue at a position that LeRobot computes from the step."""
        self._epoch, self._start = state["epoch"], state["start_index"]

    def __iter__(self) -> Iterator[int]:
        """Return the rest of this epoch; the next one begins where it ends."""
        epoch, start = self._epoch, self._start
        self._epoch, self._start = epoch + 1, 0
        return self._draw(epoch * len(self) + start, len(self) - start)

    def count_draws(self, position: int) -> list[int]:
        """Return how many of the samples before a position are of each source."""
        block, block_position = divmod(position, BLOCK)
        counts = self._count_in_blocks(np.arange(block)).sum(axis=0)
        counts += np.bincount(self._order_block(block)[:block_position], minlength=len(self._sources))
        return [int(count) for count in counts]

    def _count_in_blocks(self, blocks: Array) -> Array:
        """Return a row for each block: its samples of each source."""
        offsets = (blocks * GOLDEN) % 1
        block_ends = np.clip(np.ceil(self._ends[None, :] - offsets[:, None]), 0, BLOCK).astype(np.int64)
        return np.diff(block_ends, axis=1, prepend=0, append=BLOCK)

    def _order_block(self, block: int) -> Array:
        """Return the source of each sample of a block."""
        counts = self._count_in_blocks(np.array([block]))[0]
        return np.random.default_rng([self._seed, block]).permutation(np.repeat(np.arange(len(counts)), counts))

    def _draw(self, position: int, count: int) -> Iterator[int]:
        drawn_counts = self.count_draws(position)
        frames = [self._read_source(sampler, start) for sampler, start in zip(self._sources, drawn_counts, strict=True)]
        order = self._order_block(position // BLOCK)
        for sample in range(position, position + count):
            if sample % BLOCK == 0:
                order = self._order_block(sample // BLOCK)
            yield next(frames[order[sample % BLOCK]])

    def _read_source(self, sampler: Any, drawn_count: int) -> Iterator[int]:
        """Yield the frames of a source without end, after those that were drawn before."""
        epoch, start = divmod(drawn_count, len(sampler))
        sampler.load_state_dict({"epoch": epoch, "start_index": start})
        while True:
            yield from sampler


def install_mixture(trainer: ModuleType, shares: Iterable[tuple[str, float]], root: Path, samples: int) -> None:
    """Let the trainer draw the shares of a dataset's sources. Raise SystemExit with a sentence.

    :param samples: how many the whole training draws.
    """
    named_shares = [Share(name, part) for name, part in shares]
    mixture_episodes = MixtureEpisodes(root, [share.name for share in named_shares])
    Mixture(named_shares, mixture_episodes, samples).install(trainer)


class Mixture:
    """The mixture of a training.

    :param shares: of each source.
    :param mixture_episodes: the episodes of each source.
    :param samples: how many the training draws.
    """

    def __init__(self, shares: Sequence[Share], mixture_episodes: MixtureEpisodes, samples: int) -> None:
        self._shares, self._episodes, self._samples = shares, mixture_episodes, samples

    def install(self, trainer: ModuleType) -> None:
        """Put the sampler of the mixture in the place of the trainer's."""
        make_source, mixture = getattr(trainer, SAMPLER), self
        total = sum(self._episodes.counts)

        class TrainingSampler(MixtureSampler):
            """Made as the trainer makes its own."""

            def __init__(self, *ranges: Any, episode_indices_to_use: Any = None, seed: int = 0, **options: Any) -> None:
                read_episodes = range(total) if episode_indices_to_use is None else episode_indices_to_use
                sources = [
                    make_source(*ranges, episode_indices_to_use=episodes, seed=seed + index, **options)
                    for index, episodes in enumerate(mixture._episodes.split(read_episodes))
                ]
                super().__init__(sources, [share.part for share in mixture._shares], seed)
                mixture.report(self, [len(source) for source in sources])

        setattr(trainer, SAMPLER, TrainingSampler)

    def report(self, sampler: MixtureSampler, frames: Sequence[int]) -> None:
        """Tell the share of each source, and how often the training reads it."""
        if not device.is_first_rank():
            return
        epochs = [drawn / count for drawn, count in zip(sampler.count_draws(self._samples), frames, strict=True)]
        share_texts = [
            f"{share.part:.3g} from {share.name} ({count} frames, {epoch:.3g} epochs)"
            for share, count, epoch in zip(self._shares, frames, epochs, strict=True)
        ]
        emit_note(f"a mixture, by shares of the samples: {'; '.join(share_texts)}")
        emit_event(Track(params={"mixture_epochs": ",".join(f"{epoch:.4g}" for epoch in epochs)}))
