"""A mixture in LeRobot's trainer: its datasets are one, of which each one's episodes are drawn by its share."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from robotrain_runtime.contract.event import Note, Track, emit_event

from robotrain_workloads.lerobot import device
from robotrain_workloads.lerobot.dataset_shares import Share
from robotrain_workloads.lerobot_mixture.episode_split import MixtureEpisodes
from robotrain_workloads.lerobot_mixture.sampler import MixtureSampler

SAMPLER = "EpisodeAwareSampler"


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
        emit_event(Note(level="info", text=f"a mixture, by shares of the samples: {'; '.join(share_texts)}"))
        emit_event(Track(params={"mixture_epochs": ",".join(f"{epoch:.4g}" for epoch in epochs)}))
