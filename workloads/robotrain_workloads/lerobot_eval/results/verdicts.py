"""`metrics.json`: each number with what was demanded of it, as version 1 of the evaluation schema has it."""

from collections.abc import Iterator
from typing import Any

from robotrain_workloads.lerobot_eval.results.found import Found

VERSION = 1
REPLAYED = {
    "mse": "action_accuracy_l2",
    "mae": "action_accuracy_l1",
    "avg_inference_ms": "inference_latency_mean_ms",
    "throughput_hz": "throughput_hz",
}


def of(found: Found) -> dict[str, Any]:
    """The object. Nothing is compared with an earlier model."""
    return {
        "evaluation_schema_version": VERSION,
        "aggregate_verdict": _verdict(found.passed),
        "baseline_model_version": "none",
        "metrics": [_metric(*one) for one in _numbers(found)],
    }


def _numbers(found: Found) -> Iterator[tuple[str, float, float | None, bool | None]]:
    """Name, value, threshold, and whether it was reached."""
    if replayed := found.replayed:
        for name, value in replayed.aggregates.items():
            yield REPLAYED[name], value, None, None
    if rolled := found.rolled:
        yield "success_rate", rolled.rate, found.threshold, found.passed
        yield "avg_sum_reward", rolled.mean("sum_reward"), None, None
        yield "avg_max_reward", rolled.mean("max_reward"), None, None


def _metric(name: str, value: float, threshold: float | None, passed: bool | None) -> dict[str, Any]:
    return {
        "name": name,
        "value": value,
        "absolute_threshold": threshold,
        "absolute_verdict": _verdict(passed),
        "baseline_value": None,
        "regression_pct": 0,
        "regression_verdict": "skipped",
    }


def _verdict(passed: bool | None) -> str:
    return "fail" if passed is False else "pass"
