"""A row of metrics: their values at a step, from whichever source."""

import math
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from robotrain_runtime.contract.event import LAST_STEP, Unit

_NOT_ALLOWED = re.compile(r"[^\w\-. :/]", re.ASCII)
LONGEST_NAME = 250


class MetricRow(NamedTuple):
    """Values of metrics at a step."""

    step: int
    values: Mapping[str, float]
    total: int | None = None
    """The last step, if it is known."""
    time: float = 0.0
    """When they were measured, in seconds since 1970; 0 if unknown."""
    unit: Unit = "step"
    """What `step` counts: `value` if nothing told a step, and it is the number of the value.

    Without values such a row withdraws the steps that were told before.
    """


def parse_step(value: Any) -> int | None:
    """Return a step; None if it is no count."""
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return int(number) if math.isfinite(number) and 0 <= number <= LAST_STEP else None


def clean_name(name: str) -> str:
    """Return the name of a metric as MLflow allows it: of certain letters, and a path without `..` and `//`."""
    cleaned_name = _NOT_ALLOWED.sub("_", name).strip()[:LONGEST_NAME]
    return "/".join(part for part in cleaned_name.split("/") if part not in ("", ".", ".."))


def is_clean_name(name: str) -> bool:
    """Return whether MLflow allows a metric's name."""
    return bool(name) and clean_name(name) == name
