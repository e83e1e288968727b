"""A mixture in LeRobot's trainer: its datasets are one, of which each one's episodes are drawn by its share."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from robotrain_runtime.contract.event import Note, Track, emit_event

from robotrain_workloads.lerobot import dataset, dataset_preparation, device
from robotrain_workloads.lerobot.dataset_shares import Share
from robotrain_workloads.lerobot_mixture.sampler import MixtureSampler

SAMPLER = "EpisodeAwareSampler"


def install_mixture(trainer: ModuleType, shares: Iterable[tuple[str, float]], root: Path, samples: int) -> None:
    """Let the trainer draw the shares of a dataset's sources. Raise SystemExit with a sentence.

    :param samples: how many the whole training draws.
    """
    named_shares = [Share(name, part) for name, part in shares]
    sizes = [dataset_preparation.read_source_size(root, index, len(named_shares)) for index in range(len(named_shares))]
    episodes = [size[0] for size in sizes if size]
    if len(episodes) != len(named_shares):
        raise SystemExit(f"error: {root / dataset.SIZES_FILE} does not say which episodes are of which dataset")
    Mixture(named_shares, episodes, samples).install(trainer)


class Mixture:
    """The mixture of a training.

    :param shares: of each source.
    :param sizes: the episodes of each source, in the order in which the dataset has them.
    :param samples: how many the training draws.
    """

    def __init__(self, shares: Sequence[Share], sizes: Sequence[int], samples: int) -> None:
        self._shares, self._sizes, self._samples = shares, sizes, samples

    def install(self, trainer: ModuleType) -> None:
        """Put the sampler of the mixture in the place of the trainer's."""
        make_source, mixture = getattr(trainer, SAMPLER), self

        class TrainingSampler(MixtureSampler):
            """Made as the trainer makes its own."""

            def __init__(self, *ranges: Any, episode_indices_to_use: Any = None, seed: int = 0, **options: Any) -> None:
                read_episodes = range(sum(mixture._sizes)) if episode_indices_to_use is None else episode_indices_to_use
                sources = [
                    make_source(*ranges, episode_indices_to_use=episodes, seed=seed + index, **options)
                    for index, episodes in enumerate(mixture.split_episodes(read_episodes))
                ]
                super().__init__(sources, [share.part for share in mixture._shares], seed)
                mixture.report(self, [len(source) for source in sources])

        setattr(trainer, SAMPLER, TrainingSampler)

    def split_episodes(self, read_episodes: Sequence[int]) -> list[list[int]]:
        """Return the episodes of each source that are trained on. Raise SystemExit with a sentence if it has none."""
        source_ends = np.cumsum(self._sizes)
        owners = np.searchsorted(source_ends, np.asarray(read_episodes, dtype=np.int64), side="right")
        split = [
            [episode for episode, owner in zip(read_episodes, owners, strict=True) if owner == index]
            for index in range(len(source_ends))
        ]
        for share, episodes in zip(self._shares, split, strict=True):
            if not episodes:
                error_text = (
                    f"error: no episode of {share.name} is trained on: all are left out, or held out as the last ones"
                )
                raise SystemExit(f"{error_text} of their task (--no-val-split holds out none)")
        return split

    def report(self, sampler: MixtureSampler, frames: Sequence[int]) -> None:
        """Tell the share of each source, and how often the training reads it."""
        if not device.is_first_rank():
            return
        epochs = [drawn / count for drawn, count in zip(sampler.count_draws(self._samples), frames, strict=True)]
        share_texts = [
            f"{share.part:.3g} from {share.name} ({count} frames, {epoch:.3g} epochs)"
            for share, count, epoch in zip(self._shares, frames, epochs, strict=True)
        ]
        emit_event(Note(level="info", text=f"a mixture, by shares of the samples: {'; '.join(share_texts)}"))
        emit_event(Track(params={"mixture_epochs": ",".join(f"{epoch:.4g}" for epoch in epochs)}))
