"""What a replay is asked for, and what it tells of each episode. Standard library only."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayAsked:
    """root: the dataset's folder. episodes: which of its own. batch: how many the policy acts in at once.

    seed: for policies that draw at random. tolerance: seconds that a video's frame may lie from its time.
    """

    root: Path
    episodes: Sequence[int]
    batch: int = 10
    seed: int = 1000
    tolerance: float = 1e-4


@dataclass(frozen=True, slots=True, kw_only=True)
class EpisodeReplayed:
    """One episode: how far the policy's actions are from the recorded ones, in the units of the dataset.

    each_mse, each_mae, each_max: of each number of the action, by its name. predicted, recorded: one row a frame.
    seconds: from an observation alone to its action, for each frame; NaN where that was not measured.
    """

    episode: int
    steps: int
    mse: float
    mae: float
    max_error: float
    each_mse: dict[str, float]
    each_mae: dict[str, float]
    each_max: dict[str, float]
    predicted: Any = field(compare=False, repr=False)
    recorded: Any = field(compare=False, repr=False)
    seconds: Sequence[float] = field(compare=False, repr=False)

    @property
    def avg_inference_ms(self) -> float:
        """Over the frames that were measured; NaN for none."""
        measured = [one for one in self.seconds if not math.isnan(one)]
        return 1000 * fmean(measured) if measured else math.nan

    @property
    def throughput_hz(self) -> float:
        """Actions a second, one after the other."""
        return 1000 / self.avg_inference_ms
