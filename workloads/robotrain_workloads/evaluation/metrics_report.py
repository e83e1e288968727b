"""`metrics.json`: each metric with its verdict, as later stages of a model's life read it."""

from collections.abc import Iterable
from typing import Any, NamedTuple

SCHEMA_VERSION = 1


class JudgedMetric(NamedTuple):
    """A metric, its threshold, and whether it was reached; None for none."""

    name: str
    value: float
    threshold: float | None
    passed: bool | None


def make_metrics_report(passed: bool | None, metrics: Iterable[JudgedMetric]) -> dict[str, Any]:
    """Return the object of `metrics.json`, without a comparison with an earlier model."""
    return {
        "evaluation_schema_version": SCHEMA_VERSION,
        "aggregate_verdict": _format_verdict(passed),
        "baseline_model_version": "none",
        "metrics": [_make_metric(metric) for metric in metrics],
    }


def _make_metric(metric: JudgedMetric) -> dict[str, Any]:
    return {
        "name": metric.name,
        "value": metric.value,
        "absolute_threshold": metric.threshold,
        "absolute_verdict": _format_verdict(metric.passed),
        "baseline_value": None,
        "regression_pct": 0,
        "regression_verdict": "skipped",
    }


def _format_verdict(passed: bool | None) -> str:
    return "fail" if passed is False else "pass"
