"""Episodes of a rollout and their scores: rewards, success rate and its confidence interval. Standard library only."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from robotrain_runtime.comparison.rates import compute_success_interval

MEANS = {"avg_sum_reward": "sum_reward", "avg_max_reward": "max_reward", "avg_length": "steps"}
"""Means over episodes, and the fields that they are of."""
FAILURE_FIELDS = ("seed", "steps", "sum_reward", "max_reward", "video")
OPTIONAL_FIELDS = ("task", "description", "start", "trial")
"""Fields that episodes of some environments lack."""


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
    task: str = ""
    """The task of an environment with several."""
    description: str = ""
    """What a policy that reads words was told; empty for nothing."""
    start: int | None = None
    """The number of its start among those that were given or recorded; None if its seed draws it."""
    trial: int | None = None
    """The seed of the first episode of the task with the same start and the same random numbers: an episode that only
    repeats another has the other's. None if each episode is a trial of its own.
    """
    video: str | None = None
    """Relative to the parent of the video folder (`videos/episode_000.mp4`); None for none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutResult:
    """All episodes that were rolled out."""

    episodes: Sequence[RolloutEpisode]
    latency_ms: Mapping[str, float] | None = None
    """Milliseconds from one observation to an action that the network computed: p50 and p95; None if not measured."""
    scaled_key_points: bool = False
    """Whether the policy was given the environment's key points as -1 to 1, as it was trained."""

    def mean(self, name: str) -> float:
        """Return the mean over episodes."""
        return fmean(getattr(episode, name) for episode in self.episodes)

    @property
    def is_judged(self) -> bool:
        """Whether the environment reports for every episode if it succeeded."""
        return all(episode.success is not None for episode in self.episodes)

    @property
    def trials(self) -> int:
        """Number of episodes that count: those that only repeat another count once."""
        return len(self._list_trial_rates())

    @property
    def successes(self) -> int:
        """Number of successful trials."""
        return round(sum(self._list_trial_rates()))

    @property
    def success_rate(self) -> float:
        """Share of successful trials."""
        return fmean(self._list_trial_rates())

    @property
    def success_interval(self) -> tuple[float, float]:
        """95 % confidence interval of the success rate."""
        return compute_success_interval(self.successes, self.trials)

    def _list_trial_rates(self) -> list[float]:
        """Return of each trial the share of its episodes that succeeded."""
        successes_by_trial: dict[tuple[str, int], list[bool]] = {}
        for number, episode in enumerate(self.episodes):
            key = number if episode.trial is None else episode.trial
            successes_by_trial.setdefault((episode.task, key), []).append(episode.success is True)
        return [fmean(successes) for successes in successes_by_trial.values()]

    @property
    def by_task(self) -> dict[str, "RolloutResult"]:
        """The episodes of each task, in the order of the tasks; empty for an environment that is one task."""
        episodes_by_task: dict[str, list[RolloutEpisode]] = {}
        for episode in self.episodes:
            if episode.task:
                episodes_by_task.setdefault(episode.task, []).append(episode)
        return {task: RolloutResult(episodes=episodes) for task, episodes in episodes_by_task.items()}

    def compute_scores(self) -> dict[str, float]:
        """Return the scores of the policy, of all tasks and of each; a success rate if the environment tells it."""
        means = {f"rollout/{name}": self.mean(field) for name, field in MEANS.items()}
        scores = {**self._compute_rate("rollout/"), **means, "rollout/episodes": float(self.trials)}
        for task, task_result in self.by_task.items():
            prefix = f"rollout/{task}/"
            scores |= {**task_result._compute_rate(prefix), f"{prefix}episodes": float(task_result.trials)}
        return scores

    def _compute_rate(self, prefix: str) -> dict[str, float]:
        lower_bound, upper_bound = self.success_interval
        rate = {"success_rate": self.success_rate, "success_rate_low": lower_bound, "success_rate_high": upper_bound}
        return {f"{prefix}{name}": value for name, value in rate.items() if self.is_judged}

    def summarize(self) -> dict[str, Any]:
        """Return the part `rollout` of `eval_results.json`."""
        tasks = [
            {
                "task": task,
                "description": task_result.episodes[0].description or None,
                **task_result._summarize_scores(),
            }
            for task, task_result in self.by_task.items()
        ]
        return {
            **self._summarize_scores(),
            **({"tasks": tasks} if tasks else {}),
            **({"latency_ms": dict(self.latency_ms)} if self.latency_ms else {}),
            **({"scaled_key_points": True} if self.scaled_key_points else {}),
            "seeds": [episode.seed for episode in self.episodes],
            "per_episode": [_describe_episode(episode) for episode in self.episodes],
        }

    def _summarize_scores(self) -> dict[str, Any]:
        judged = self.is_judged
        return {
            "episodes": len(self.episodes),
            "trials": self.trials,
            "successes": self.successes if judged else None,
            "success_rate": self.success_rate if judged else None,
            "success_interval": list(self.success_interval) if judged else None,
            **{name: self.mean(field) for name, field in MEANS.items()},
        }

    def list_failures(self) -> Iterator[dict[str, Any]]:
        """Yield a line for each failed episode, with the seed that repeats it."""
        for episode in self.episodes:
            if episode.success is False:
                task = {"task": episode.task} if episode.task else {}
                yield {"episode": episode.index, **task, **{name: getattr(episode, name) for name in FAILURE_FIELDS}}


def explain_low_success(rate: float, trials: int, required: float) -> str:
    """Return the sentence about a success rate below the threshold."""
    rate_texts = (f"{rate:.{digits}f}" for digits in range(2, 17))  # enough to be visibly lower
    rate_text = next((candidate for candidate in rate_texts if float(candidate) < required), repr(rate))
    count = f"{round(rate * trials)} of {trials}"
    return f"the success rate {rate_text} ({count}) is below --success-threshold {required:.15g}"


def _describe_episode(episode: RolloutEpisode) -> dict[str, Any]:
    """Return the fields of an episode, without those of other environments."""
    fields = dataclasses.asdict(episode).items()
    return {name: value for name, value in fields if value not in ("", None) or name not in OPTIONAL_FIELDS}
