"""Files of results: JSON with finite numbers only, in folders that are written atomically.

An interrupted attempt leaves only hidden files; the next one starts again.
"""

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from robotrain_runtime.contract.event import make_json_safe
from robotrain_runtime.contract.files import make_atomically

METRICS_SCHEMA_VERSION = 1


@contextmanager
def fill_folder(folder: Path) -> Iterator[Path]:
    """Yield a new folder that replaces `folder` when the block ends, and is removed when it fails."""
    with make_atomically(folder, replace=True, key="fill") as scratch:
        scratch.mkdir()
        yield scratch


def write_json(path: Path, json_value: object) -> None:
    """Write one value, indented."""
    path.write_text(json.dumps(replace_non_finite(json_value), indent=1, allow_nan=False) + "\n", encoding="utf-8")


def write_lines(path: Path, values: Iterable[object]) -> None:
    """Write values, one a line."""
    path.write_text(
        "".join([json.dumps(replace_non_finite(value), allow_nan=False) + "\n" for value in values]), encoding="utf-8"
    )


def replace_non_finite(json_value: Any) -> Any:
    """Replace numbers that are not finite by None."""
    return make_json_safe(json_value, lambda number: None)


class JudgedMetric(NamedTuple):
    """A metric, its threshold, and whether it was reached; None for none."""

    name: str
    value: float
    threshold: float | None = None
    passed: bool | None = None


def make_metrics_report(passed: bool | None, metrics: Iterable[JudgedMetric]) -> dict[str, Any]:
    """Return the object of `metrics.json`: each metric with its verdict, as later stages of a model's life read it.

    It has no comparison with an earlier model.
    """
    return {
        "evaluation_schema_version": METRICS_SCHEMA_VERSION,
        "aggregate_verdict": _format_verdict(passed),
        "baseline_model_version": "none",
        "metrics": [
            {
                "name": metric.name,
                "value": metric.value,
                "absolute_threshold": metric.threshold,
                "absolute_verdict": _format_verdict(metric.passed),
                "baseline_value": None,
                "regression_pct": 0,
                "regression_verdict": "skipped",
            }
            for metric in metrics
        ],
    }


def _format_verdict(passed: bool | None) -> str:
    return "fail" if passed is False else "pass"
