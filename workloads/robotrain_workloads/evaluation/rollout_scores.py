"""Episodes of a rollout and their scores: rewards, success rate and its confidence interval. Standard library only."""

import dataclasses
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

MEANS = {"avg_sum_reward": "sum_reward", "avg_max_reward": "max_reward", "avg_length": "steps"}
"""Means over episodes, and the fields that they are of."""
FAILURE_FIELDS = ("seed", "steps", "sum_reward", "max_reward", "video")
Z_95 = 1.959963984540054


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutEpisode:
    """An episode that was rolled out."""

    index: int
    seed: int
    steps: int
    """How many it had."""
    sum_reward: float
    max_reward: float
    final_reward: float
    success: bool | None
    """None if the environment does not tell."""
    seconds: float
    """Its duration, among others that ran beside it."""
    video: str | None = None
    """Relative to the parent of the video folder (`videos/episode_000.mp4`); None for none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutResult:
    """All episodes that were rolled out."""

    episodes: Sequence[RolloutEpisode]

    def mean(self, name: str) -> float:
        """Return the mean over episodes."""
        return fmean(getattr(episode, name) for episode in self.episodes)

    @property
    def is_judged(self) -> bool:
        """Whether the environment reports for every episode if it succeeded."""
        return all(episode.success is not None for episode in self.episodes)

    @property
    def successes(self) -> int:
        """Number of successful episodes."""
        return sum(episode.success is True for episode in self.episodes)

    @property
    def success_rate(self) -> float:
        """Share of successful episodes."""
        return self.successes / len(self.episodes)

    @property
    def success_interval(self) -> tuple[float, float]:
        """95 % confidence interval of the success rate."""
        return compute_success_interval(self.successes, len(self.episodes))

    def compute_scores(self) -> dict[str, float]:
        """Return the scores of the policy; without a success rate if the environment does not tell."""
        low, high = self.success_interval
        rate = {"success_rate": self.success_rate, "success_rate_low": low, "success_rate_high": high}
        return {
            **{f"rollout/{name}": value for name, value in rate.items() if self.is_judged},
            **{f"rollout/{name}": self.mean(field) for name, field in MEANS.items()},
            "rollout/episodes": float(len(self.episodes)),
        }

    def summarize(self) -> dict[str, Any]:
        """Return the part `rollout` of `eval_results.json`."""
        judged = self.is_judged
        return {
            "episodes": len(self.episodes),
            "successes": self.successes if judged else None,
            "success_rate": self.success_rate if judged else None,
            "success_interval": list(self.success_interval) if judged else None,
            **{name: self.mean(field) for name, field in MEANS.items()},
            "seeds": [episode.seed for episode in self.episodes],
            "per_episode": [dataclasses.asdict(episode) for episode in self.episodes],
        }

    def list_failures(self) -> Iterator[dict[str, Any]]:
        """Yield a line for each failed episode, with the seed that repeats it."""
        for episode in self.episodes:
            if episode.success is False:
                yield {"episode": episode.index, **{name: getattr(episode, name) for name in FAILURE_FIELDS}}

    def explain_low_success(self, required: float) -> str:
        """Return the sentence about a success rate below the threshold."""
        count = f"{self.successes} of {len(self.episodes)}"
        texts = (f"{self.success_rate:.{digits}f}" for digits in range(2, 17))  # enough to be visibly lower
        rate = next((text for text in texts if float(text) < required), repr(self.success_rate))
        return f"the success rate {rate} ({count}) is below --success-threshold {required:.15g}"


def compute_success_interval(successes: int, trials: int) -> tuple[float, float]:
    """Return Wilson's 95 % confidence interval of a success rate, sound for few trials and for rates of 0 and 1."""
    rate, square = successes / trials, Z_95**2 / trials
    middle = (rate + square / 2) / (1 + square)
    margin = Z_95 * math.sqrt(rate * (1 - rate) / trials + square / (4 * trials)) / (1 + square)
    low = 0.0 if successes == 0 else middle - margin
    high = 1.0 if successes == trials else middle + margin
    return low, high
