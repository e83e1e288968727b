"""What an evaluation found, before it is written in the ways that its readers know."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from robotrain_workloads.lerobot_eval.replay.asked import EpisodeReplayed
from robotrain_workloads.lerobot_eval.replay.latency import Latency
from robotrain_workloads.lerobot_eval.results.interval import wilson
from robotrain_workloads.lerobot_eval.rollout.asked import EpisodeRolled


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What was evaluated. policy: source, name, pin, type, step and sha256 of it. dataset, env: empty for none.

    statistics: the beginning of the digest of the dataset's; empty for no dataset.
    held_out: whether the replayed episodes are those that the policy was not trained on; None for no replay.
    starts, success_reward, env_steps, replay_episodes, options: as the person gave them; None for what was not said.
    """

    job_name: str
    policy: Mapping[str, Any]
    device: str
    dataset: str = ""
    statistics: str = ""
    env: str = ""
    held_out: bool | None = None
    fps: float | None = None
    seed: int | None = None
    batch: int | None = None
    starts: str | None = None
    success_reward: float | None = None
    env_steps: int | None = None
    replay_episodes: str | None = None
    options: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """All replayed episodes, and how quickly the policy answers one at a time. seconds: that the replay took."""

    episodes: Sequence[EpisodeReplayed]
    latency: Latency
    seconds: float

    def mean(self, name: str) -> float:
        """Over episodes: each counts the same, however long it is."""
        return fmean(getattr(one, name) for one in self.episodes)

    def mean_of_frames(self, name: str) -> float:
        """Over frames: a long episode counts for more."""
        total: float = sum(getattr(one, name) * one.steps for one in self.episodes)
        return total / self.frames

    @property
    def frames(self) -> int:
        """Of all episodes."""
        return sum(one.steps for one in self.episodes)

    @property
    def aggregates(self) -> dict[str, float]:
        """The four numbers that the contract has of all episodes, and of each."""
        average = self.latency.action
        return {
            "mse": self.mean("mse"),
            "mae": self.mean("mae"),
            "avg_inference_ms": average,
            "throughput_hz": 1000 / average,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Rolled:
    """All episodes that were rolled out."""

    episodes: Sequence[EpisodeRolled]

    def mean(self, name: str) -> float:
        """Over episodes."""
        return fmean(getattr(one, name) for one in self.episodes)

    @property
    def successes(self) -> int:
        """How many succeeded."""
        return sum(one.success for one in self.episodes)

    @property
    def rate(self) -> float:
        """Of success."""
        return self.successes / len(self.episodes)

    @property
    def interval(self) -> tuple[float, float]:
        """In which the true rate lies, in 95 of 100 such evaluations."""
        return wilson(self.successes, len(self.episodes))


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """All of it. threshold: the success rate that was demanded."""

    about: About
    replayed: Replayed | None = None
    rolled: Rolled | None = None
    threshold: float | None = None

    @property
    def episodes(self) -> int:
        """How many were evaluated, over both ways."""
        return sum(len(way.episodes) for way in (self.replayed, self.rolled) if way)

    @property
    def passed(self) -> bool | None:
        """Whether the demanded success rate was reached; None when none was demanded."""
        if self.threshold is None or self.rolled is None:
            return None
        return self.rolled.rate >= self.threshold
