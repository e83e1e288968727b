"""Scores of an evaluation: tracked metrics, `metrics.json` with verdicts, and the success threshold."""

import math
from collections.abc import Iterator
from typing import Any

from robotrain_workloads.lerobot_eval.results.evaluation import EvaluationResult, ReplayEpisode, RolloutEpisode
from robotrain_workloads.lerobot_eval.results.summary import AGGREGATES

ERROR_SUFFIXES = ("_mse", "_mae")
ROLLOUT_FIELDS = {"avg_sum_reward": "sum_reward", "avg_max_reward": "max_reward", "avg_length": "steps"}
SCHEMA_VERSION = 1
REPLAY_METRICS = {
    "mse": "action_accuracy_l2",
    "mae": "action_accuracy_l1",
    "avg_inference_ms": "inference_latency_mean_ms",
    "throughput_hz": "throughput_hz",
}


def score_episode(episode: ReplayEpisode | RolloutEpisode) -> dict[str, float]:
    """Return the tracked metrics of one episode: of a replay by its number, of a rollout by its index."""
    if isinstance(episode, RolloutEpisode):
        values = {"sum_reward": episode.sum_reward, "max_reward": episode.max_reward, "success": float(episode.success)}
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
        low, high = rolled.interval
        found |= {
            "rollout/success_rate": rolled.success_rate,
            "rollout/success_rate_low": low,
            "rollout/success_rate_high": high,
            **{f"rollout/{name}": rolled.mean(field) for name, field in ROLLOUT_FIELDS.items()},
            "rollout/episodes": float(len(rolled.episodes)),
        }
    return found


def make_metrics_report(result: EvaluationResult) -> dict[str, Any]:
    """Return the object of `metrics.json`, without a comparison with an earlier model."""
    return {
        "evaluation_schema_version": SCHEMA_VERSION,
        "aggregate_verdict": _format_verdict(result.passed),
        "baseline_model_version": "none",
        "metrics": [_make_metric(*metric) for metric in _list_metrics(result)],
    }


def _list_metrics(result: EvaluationResult) -> Iterator[tuple[str, float, float | None, bool | None]]:
    """Yield name, value, threshold, and whether it was reached."""
    if replayed := result.replayed:
        for name, value in replayed.aggregates.items():
            yield REPLAY_METRICS[name], value, None, None
    if rolled := result.rolled:
        yield "success_rate", rolled.success_rate, result.threshold, result.passed
        yield "avg_sum_reward", rolled.mean("sum_reward"), None, None
        yield "avg_max_reward", rolled.mean("max_reward"), None, None


def _make_metric(name: str, value: float, threshold: float | None, passed: bool | None) -> dict[str, Any]:
    return {
        "name": name,
        "value": value,
        "absolute_threshold": threshold,
        "absolute_verdict": _format_verdict(passed),
        "baseline_value": None,
        "regression_pct": 0,
        "regression_verdict": "skipped",
    }


def _format_verdict(passed: bool | None) -> str:
    return "fail" if passed is False else "pass"


def explain_low_success(result: EvaluationResult) -> str:
    """Return a sentence if the success rate is below the threshold; else empty."""
    if result.passed is not False or result.rolled is None:
        return ""
    rolled, required = result.rolled, result.threshold or 0.0
    count = f"{rolled.successes} of {len(rolled.episodes)}"
    texts = (f"{rolled.success_rate:.{digits}f}" for digits in range(2, 17))  # as many as it takes to be visibly lower
    rate = next((text for text in texts if float(text) < required), repr(rolled.success_rate))
    return f"the success rate {rate} ({count}) is below --success-threshold {required:.15g}"
