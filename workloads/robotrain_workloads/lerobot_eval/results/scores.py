"""Scores of an evaluation: tracked metrics, `metrics.json` with verdicts, and the success threshold."""

import math
from collections.abc import Iterator
from typing import Any

from robotrain_workloads.evaluation import metrics_report
from robotrain_workloads.evaluation.rollout_result import RolloutEpisode
from robotrain_workloads.lerobot_eval.results.evaluation import EvaluationResult, ReplayEpisode
from robotrain_workloads.lerobot_eval.results.summary import AGGREGATES

ERROR_SUFFIXES = ("_mse", "_mae")
REPLAY_METRICS = {
    "mse": "action_accuracy_l2",
    "mae": "action_accuracy_l1",
    "avg_inference_ms": "inference_latency_mean_ms",
    "throughput_hz": "throughput_hz",
}


def score_episode(episode: ReplayEpisode | RolloutEpisode) -> dict[str, float]:
    """Return the tracked metrics of one episode: of a replay by its number, of a rollout by its index."""
    if isinstance(episode, RolloutEpisode):
        values = {
            "sum_reward": episode.sum_reward,
            "max_reward": episode.max_reward,
            "success": float(bool(episode.success)),
        }
        return {f"rollout_ep{episode.index}_{name}": value for name, value in values.items()}
    values = {f"ep{episode.episode}_{name}": getattr(episode, name) for name in AGGREGATES}
    return {name: value for name, value in values.items() if not math.isnan(value) or name.endswith(ERROR_SUFFIXES)}


def score_evaluation(result: EvaluationResult) -> dict[str, float]:
    """Return the tracked metrics of the whole evaluation."""
    replayed = result.replayed
    aggregates = {f"aggregate_{name}": value for name, value in replayed.aggregates.items()} if replayed else {}
    return {**aggregates, **compute_scores(result)}


def compute_scores(result: EvaluationResult) -> dict[str, float]:
    """Return the scores of the policy."""
    found: dict[str, float] = {}
    if replayed := result.replayed:
        found |= {
            "replay/mse": replayed.mean("mse"),
            "replay/mae": replayed.mean("mae"),
            "replay/latency_p50_ms": replayed.latency.p50,
            "replay/latency_p95_ms": replayed.latency.p95,
            "replay/latency_p99_ms": replayed.latency.p99,
            "replay/throughput_hz": 1000 / replayed.latency.action,
            "replay/episodes": float(len(replayed.episodes)),
        }
    if rolled := result.rolled:
        found |= rolled.compute_scores()
    return found


def make_metrics_report(result: EvaluationResult) -> dict[str, Any]:
    """Return the object of `metrics.json`, without a comparison with an earlier model."""
    return metrics_report.make_metrics_report(result.passed, _list_metrics(result))


def _list_metrics(result: EvaluationResult) -> Iterator[metrics_report.JudgedMetric]:
    if replayed := result.replayed:
        for name, value in replayed.aggregates.items():
            yield metrics_report.JudgedMetric(REPLAY_METRICS[name], value, None, None)
    if rolled := result.rolled:
        yield metrics_report.JudgedMetric("success_rate", rolled.success_rate, result.threshold, result.passed)
        yield metrics_report.JudgedMetric("avg_sum_reward", rolled.mean("sum_reward"), None, None)
        yield metrics_report.JudgedMetric("avg_max_reward", rolled.mean("max_reward"), None, None)


def explain_low_success(result: EvaluationResult) -> str:
    """Return a sentence if the success rate is below the threshold; else empty."""
    if result.passed is not False or result.rolled is None:
        return ""
    return result.rolled.explain_low_success(result.threshold or 0.0)
