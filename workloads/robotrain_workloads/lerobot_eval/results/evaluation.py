"""What replay and rollout are asked to do, and what they found: episodes, latency, rates. Standard library only."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayRequest:
    """root: the dataset's folder. episodes: which of its own. batch: how many the policy acts in at once.

    seed: for policies that draw at random. tolerance: seconds that a video's frame may lie from its time.
    """

    root: Path
    episodes: Sequence[int]
    batch: int = 10
    seed: int = 1000
    tolerance: float = 1e-4


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayEpisode:
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


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutRequest:
    """env: `pusht` or `aloha`. episodes: how many; episode i has the seed `seed + i`.

    steps: that an episode has at most; None for the environment's own. starts: where episodes start, as `starts.read`
    takes it; None for the environment's own. success_reward: an episode succeeds when its greatest reward reaches it;
    None to believe the environment. batch: the episodes that a policy acts in at once. workers: processes that step
    environments; None for the cores, 0 for none. video_folder: where films go; None for no films. env_options: what
    was given after `--`, as `--env.NAME=VALUE`.
    """

    env: str
    episodes: int = 10
    seed: int = 1000
    steps: int | None = None
    starts: str | None = None
    success_reward: float | None = None
    batch: int = 10
    workers: int | None = None
    video_folder: Path | None = None
    env_options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutEpisode:
    """One episode. steps: how many it had. seconds: how long it took, among the others that ran beside it.

    video: its film, from the folder that the video folder lies in (`videos/episode_000.mp4`); None when not filmed.
    """

    index: int
    seed: int
    steps: int
    sum_reward: float
    max_reward: float
    final_reward: float
    success: bool
    seconds: float
    video: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencySummary:
    """Milliseconds from an observation to its action. frames: for how many of them the network ran; mean, p50, p95,
    p99 and max are of those alone. action: the mean over all `actions`.

    A policy that plans several actions at once runs its network for the first of them and hands out the others: they
    come at once, and say nothing of how long a robot waits for a plan.
    """

    frames: int
    mean: float
    p50: float
    p95: float
    p99: float
    max: float
    actions: int
    action: float


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationSetup:
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
class ReplayResult:
    """All replayed episodes, and how quickly the policy answers one at a time. seconds: that the replay took."""

    episodes: Sequence[ReplayEpisode]
    latency: LatencySummary
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
class RolloutResult:
    """All episodes that were rolled out."""

    episodes: Sequence[RolloutEpisode]

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
        return compute_wilson_interval(self.successes, len(self.episodes))


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationResult:
    """All of it. threshold: the success rate that was demanded."""

    about: EvaluationSetup
    replayed: ReplayResult | None = None
    rolled: RolloutResult | None = None
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


Z_95 = 1.959963984540054


def compute_wilson_interval(successes: int, trials: int) -> tuple[float, float]:
    """The 95 % interval after Wilson: sound for few trials, and for none or all of them."""
    rate, square = successes / trials, Z_95**2 / trials
    middle = (rate + square / 2) / (1 + square)
    half = Z_95 * math.sqrt(rate * (1 - rate) / trials + square / (4 * trials)) / (1 + square)
    low = 0.0 if successes == 0 else middle - half
    high = 1.0 if successes == trials else middle + half
    return low, high
