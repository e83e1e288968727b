"""Results of replay and rollout: episodes, latency. Standard library only."""

import importlib
import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import metadata
from statistics import fmean
from typing import Any

from robotrain_workloads.evaluation.rollout_scores import RolloutResult
from robotrain_workloads.lerobot.loaded_policy import LoadedPolicy
from robotrain_workloads.lerobot_eval.inputs.request import EvaluationRequest

PACKAGES = (
    *("lerobot", "torch", "numpy", "gymnasium", "gym-pusht", "pymunk", "gym-aloha", "dm-control", "mujoco"),
    *("metaworld", "hf-libero", "libero", "robosuite", "transformers"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayEpisode:
    """A replayed episode: errors of the policy's actions, in units of the dataset."""

    episode: int
    steps: int
    mse: float
    mae: float
    max_error: float
    each_mse: dict[str, float]
    each_mae: dict[str, float]
    each_max: dict[str, float]
    """Of each dimension of the action, by its name, as the two above."""
    predicted: Any = field(compare=False, repr=False)
    recorded: Any = field(compare=False, repr=False)
    """One row a frame, like `predicted`."""
    seconds: Sequence[float] = field(compare=False, repr=False)
    """From observation to action, for each frame; NaN if not measured."""

    @property
    def avg_inference_ms(self) -> float:
        """Mean over the measured frames; NaN for none."""
        measured_seconds = [frame_seconds for frame_seconds in self.seconds if not math.isnan(frame_seconds)]
        return 1000 * fmean(measured_seconds) if measured_seconds else math.nan

    @property
    def throughput_hz(self) -> float:
        """Actions per second, one after the other."""
        return 1000 / self.avg_inference_ms


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencySummary:
    """Milliseconds from an observation to its action: short where a policy has planned it before."""

    frames: int
    mean: float
    p50: float
    p95: float
    p99: float
    max: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayResult:
    """All replayed episodes and the latency of single actions."""

    episodes: Sequence[ReplayEpisode]
    latency: LatencySummary
    seconds: float
    """Duration of the replay."""

    def mean(self, name: str) -> float:
        """Return the mean over episodes, whatever their length."""
        return fmean(getattr(episode, name) for episode in self.episodes)

    def mean_of_frames(self, name: str) -> float:
        """Return the mean over frames: long episodes count more."""
        total: float = sum(getattr(episode, name) * episode.steps for episode in self.episodes)
        return total / self.frames

    @property
    def frames(self) -> int:
        """Frames of all episodes."""
        return sum(episode.steps for episode in self.episodes)

    @property
    def aggregates(self) -> dict[str, float]:
        """The four metrics of the contract, over all episodes."""
        errors = {"mse": self.mean("mse"), "mae": self.mean("mae")}
        return {**errors, "avg_inference_ms": self.latency.mean, "throughput_hz": 1000 / self.latency.mean}


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationResult:
    """The complete evaluation."""

    request: EvaluationRequest
    policy: Mapping[str, Any]
    """Source, name, pin, type, step and sha256."""
    device: str
    statistics: str = ""
    """Beginning of the digest of the dataset's statistics; empty for no dataset."""
    held_out: bool | None = None
    """Whether no training of the policy saw the replayed episodes; None for no replay."""
    fps: float | None = None
    replayed: ReplayResult | None = None
    rolled: RolloutResult | None = None
    packages: Mapping[str, str] = field(default_factory=dict)
    """The versions of those that decide what happens, by name."""
    peak_memory_mib: float | None = None
    """The most memory of the GPU that the policy took; None without a GPU."""

    @property
    def episodes(self) -> int:
        """Number of evaluated episodes."""
        return sum(len(result.episodes) for result in (self.replayed, self.rolled) if result)

    @property
    def passed(self) -> bool | None:
        """Whether the required success rate was reached; None for none."""
        threshold = self.request.success_threshold
        return None if threshold is None or self.rolled is None else self.rolled.success_rate >= threshold


def list_packages() -> dict[str, str]:
    """Return the installed ones of these, with their versions."""
    versions = {}
    for name in PACKAGES:
        with suppress(metadata.PackageNotFoundError):
            versions[name] = metadata.version(name)
    return versions


class GpuMemory:
    """The memory of the GPU that a loaded policy takes while it acts; others may be loaded beside it."""

    def __init__(self, loaded: LoadedPolicy) -> None:
        """Begin to measure."""
        self._torch: Any = importlib.import_module("torch") if loaded.device.startswith("cuda") else None
        if self._torch:
            module = loaded.policy
            self._own = sum(
                tensor.numel() * tensor.element_size() for tensor in (*module.parameters(), *module.buffers())
            )
            self._torch.cuda.reset_peak_memory_stats()
            self._before = self._torch.cuda.memory_allocated()

    def measure_peak(self) -> float | None:
        """Return the most so far, in MiB; None without a GPU."""
        if not self._torch:
            return None
        return float((self._own + self._torch.cuda.max_memory_allocated() - self._before) / 2**20)
