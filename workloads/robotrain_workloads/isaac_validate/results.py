"""Verdict and documents of a validation: the environment's own success signal counts, else the mean return."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import pstdev
from typing import Any, Literal

from robotrain_workloads.evaluation import result_files
from robotrain_workloads.evaluation.result_files import JudgedMetric
from robotrain_workloads.evaluation.rollout_scores import RolloutResult

Verdict = Literal["passed", "failed", "not judged"]
NOT_JUDGED = (
    "the policy was not judged: the environment does not tell whether an episode succeeded, and a fall is no success;"
    " --reward-threshold R judges by the mean return"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidationResult:
    """The episodes of a policy, and what they are judged by."""

    rolled: RolloutResult
    success_threshold: float
    """The required success rate; without effect if the environment does not tell of successes."""
    reward_threshold: float | None = None
    """The required mean return where the environment does not tell."""

    @property
    def mean_return(self) -> float:
        """The mean over episodes of the sum of rewards."""
        return self.rolled.mean("sum_reward")

    @property
    def passed(self) -> bool | None:
        """Whether the policy is good enough; None if it is not judged."""
        if self.rolled.is_judged:
            return self.rolled.success_rate >= self.success_threshold
        return None if self.reward_threshold is None else self.mean_return >= self.reward_threshold

    @property
    def verdict(self) -> Verdict:
        """The verdict in words."""
        return "not judged" if self.passed is None else "passed" if self.passed else "failed"

    def explain_failure(self) -> str:
        """Return why it has failed."""
        if self.rolled.is_judged:
            return self.rolled.explain_low_success(self.success_threshold)
        return f"the mean return {self.mean_return:.6g} is below --reward-threshold {self.reward_threshold:.15g}"

    def describe_criterion(self) -> str:
        """Return what it is judged by, such as `success rate at least 0.7`."""
        if self.rolled.is_judged:
            return f"success rate at least {self.success_threshold:g}"
        return "not judged" if self.reward_threshold is None else f"mean return at least {self.reward_threshold:g}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidationSetup:
    """What was validated, and how."""

    job_name: str
    task: str
    backend: str
    device: str
    seed: int
    num_envs: int
    policy: Mapping[str, Any]
    """Source, name, pin, type, step and sha256."""
    options: Sequence[str] = ()


def describe_conditions(result: ValidationResult, setup: ValidationSetup) -> str:
    """Return the conditions of the scores, such as `Isaac-Ant-v0, 64 environments, seed 42, …`."""
    parts = (setup.task, f"{setup.num_envs} environments", f"seed {setup.seed}", result.describe_criterion())
    return ", ".join((*parts, *((f"with {' '.join(setup.options)}",) if setup.options else ())))


def write_results(result: ValidationResult, setup: ValidationSetup, folder: Path) -> None:
    """Write the documents that an evaluation writes."""
    result_files.write_json(folder / "eval_results.json", make_summary(result, setup))
    report = result_files.make_metrics_report(result.passed, _list_metrics(result))
    result_files.write_json(folder / "metrics.json", report)
    result_files.write_lines(folder / "failure_cases.jsonl", result.rolled.list_failures())


def make_summary(result: ValidationResult, setup: ValidationSetup) -> dict[str, Any]:
    """Return the object of `eval_results.json`."""
    rolled = result.rolled
    returns = [episode.sum_reward for episode in rolled.episodes]
    settings = {"env": setup.task, "starts": None, "success_reward": None, "env_steps": None, "batch": setup.num_envs}
    return {
        "job_name": setup.job_name,
        "policy_repo_id": setup.policy["name"],
        "policy_type": setup.backend,
        "framework": setup.backend,
        "task": setup.task,
        "dataset_repo_id": None,
        "device": setup.device,
        "episodes_evaluated": len(rolled.episodes),
        "mean_reward": result.mean_return,
        "std_reward": pstdev(returns),
        "mean_length": rolled.mean("steps"),
        "success_rate": rolled.success_rate if rolled.is_judged else None,
        "latency_ms": None,
        "per_joint": None,
        "per_episode": [],
        "rollout": {**settings, **rolled.summarize()},
        "seed": setup.seed,
        "options": list(setup.options),
        "conditions": describe_conditions(result, setup),
        "policy": dict(setup.policy),
        "success_signal": rolled.is_judged,
        "success_threshold": result.success_threshold if rolled.is_judged else None,
        "reward_threshold": None if rolled.is_judged else result.reward_threshold,
        "verdict": result.verdict,
        "passed": result.passed,
        "status": "completed",
    }


def _list_metrics(result: ValidationResult) -> Iterator[JudgedMetric]:
    rolled = result.rolled
    if rolled.is_judged:
        yield JudgedMetric("success_rate", rolled.success_rate, result.success_threshold, result.passed)
        yield JudgedMetric("avg_sum_reward", result.mean_return, None, None)
    else:
        yield JudgedMetric("avg_sum_reward", result.mean_return, result.reward_threshold, result.passed)
    yield JudgedMetric("avg_length", rolled.mean("steps"), None, None)
