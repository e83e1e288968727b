"""Dimensions without motion, and statistics that are not of the dataset's numbers."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from robotrain_workloads.lerobot_data_check.findings import DataFinding, make_data_finding
from robotrain_workloads.lerobot_data_check.number_statistics import MOST_OUTSIDE, describe_outside, is_outside
from robotrain_workloads.lerobot_data_check.recording import ACTION, STATE, Array, Spread

NOISE = 1.0
"""The unevenness from which on a dimension is noise (`Spread.unevenness`)."""
TINY = 0.01
"""Of the usual standard deviation of the feature's dimensions."""
OUTLIER = 1e-3
"""The part of a dimension's extent in which nearly all values are, where a few are far away."""
STD_FACTOR = 1.5
MEAN_PART, OUTSIDE_PART = 0.3, 0.05


def find_dimension_problems(spreads: Mapping[str, Spread], names: Mapping[str, list[str]]) -> Iterator[DataFinding]:
    """Yield the dimensions of each feature that never move, and those that hardly do."""
    for feature in (ACTION, STATE):
        if (spread := spreads.get(feature)) is None or spread.count < 10:
            continue
        is_constant = spread.max == spread.min
        if is_constant.any():
            listed = [
                f"{names[feature][dimension]} ({spread.min[dimension]:.4g})"
                for dimension in np.flatnonzero(is_constant)
            ]
            effect = (
                "the policy learns to say it"
                if feature == ACTION
                else "harmless if the robot has this value too, else normalization makes a small difference huge"
            )
            text = f"{feature} has {_count(is_constant.sum())} with one value: {_list(listed)}: {effect}"
            yield make_data_finding("dimension-constant", text, feature=feature, number=is_constant.sum())
        is_tiny = ~is_constant & (_is_noise(spread, is_constant) | _is_nearly_constant(spread))
        for dimension in np.flatnonzero(is_tiny):
            low, high = (
                (spread.q01[dimension], spread.q99[dimension])
                if spread.q99[dimension] > spread.q01[dimension]
                else (spread.min[dimension],) * 2
            )
            text = (
                f"{names[feature][dimension]} of {feature} hardly changes: 98 % of it is from {low:.6g} to {high:.6g}"
            )
            text += f", in {spread.min[dimension]:.6g} to {spread.max[dimension]:.6g}"
            yield make_data_finding("dimension-tiny", text, feature=feature, number=spread.std[dimension])


def _is_noise(spread: Spread, is_constant: Array) -> Array:
    """Return which dimensions move far less than the others, and without a course."""
    moving = spread.std[~is_constant]
    return (spread.unevenness > NOISE) & (spread.std < TINY * (np.median(moving) if len(moving) else 0.0))


def _is_nearly_constant(spread: Spread) -> Array:
    """Return which dimensions have nearly all values in one place, and a few outliers, which are no gripper's."""
    extent = spread.max - spread.min
    return (spread.q99 - spread.q01 < OUTLIER * extent) & (spread.distinct > 2)


def find_statistics_problems(
    spreads: Mapping[str, Spread], statistics: Mapping[str, Any], names: Mapping[str, list[str]]
) -> Iterator[DataFinding]:
    """Yield the features whose statistics are not of these numbers."""
    counts = {name: (statistics.get(name) or {}).get("count") for name in (ACTION, STATE)}
    for feature, spread in spreads.items():
        said = statistics.get(feature)
        if not isinstance(said, dict) or (feature == ACTION and counts[STATE] and counts[STATE] != counts[ACTION]):
            continue  # statistics of relative actions count other frames
        values = {key: np.ravel(np.asarray(numbers, float)) for key, numbers in said.items() if key != "count"}
        values = {key: numbers for key, numbers in values.items() if len(numbers) == len(spread.mean)}
        for explain in (_explain_std, _explain_mean, _explain_limits, _explain_quantiles):
            if problem := explain(spread, values, names[feature]):
                text, number = problem
                yield make_data_finding("statistics-differ", text, feature=feature, number=number)
                break


def _explain_std(spread: Spread, said: Mapping[str, Array], names: list[str]) -> tuple[str, float] | None:
    if (std := said.get("std")) is None:
        return None
    floor = 1e-4 * np.maximum(np.abs(spread.mean), spread.std.max()) + 1e-9
    ratio = (std + floor) / (spread.std + floor)
    dimension = int(np.abs(np.log(np.maximum(ratio, 1e-30))).argmax())
    if 1 / STD_FACTOR <= ratio[dimension] <= STD_FACTOR:
        return None
    return (
        f"meta/stats.json says std {std[dimension]:.4g} of {names[dimension]}, and it is {spread.std[dimension]:.4g}",
        float(ratio[dimension]),
    )


def _explain_mean(spread: Spread, said: Mapping[str, Array], names: list[str]) -> tuple[str, float] | None:
    if (mean := said.get("mean")) is None:
        return None
    extent = np.where(spread.std > 0, spread.std, 1e-3 * np.maximum(np.abs(spread.mean), 1e-3))
    off = np.abs(mean - spread.mean) / extent
    dimension = int(off.argmax())
    if off[dimension] <= MEAN_PART:
        return None
    stored, actual = float(mean[dimension]), float(spread.mean[dimension])
    return f"meta/stats.json says mean {stored:.4g} of {names[dimension]}, and it is {actual:.4g}", stored


def _explain_limits(spread: Spread, said: Mapping[str, Array], names: list[str]) -> tuple[str, float] | None:
    if (low := said.get("min")) is None or (high := said.get("max")) is None:
        return None
    extent = np.maximum(spread.max - spread.min, 1e-3 * np.maximum(np.abs(spread.mean), 1e-3))
    outside = np.maximum(low - spread.min, spread.max - high) / extent
    beyond = np.maximum(spread.min - low, high - spread.max) / extent
    dimension = int(np.maximum(outside / OUTSIDE_PART, beyond / STD_FACTOR).argmax())
    if outside[dimension] <= OUTSIDE_PART and beyond[dimension] <= STD_FACTOR:
        return None
    said_range = f"{low[dimension]:.4g} to {high[dimension]:.4g}"
    actual_range = f"{spread.min[dimension]:.4g} to {spread.max[dimension]:.4g}"
    text = f"meta/stats.json says {said_range} of {names[dimension]}, and it is {actual_range}"
    return text, float(
        high[dimension]
        if spread.max[dimension] - high[dimension] > low[dimension] - spread.min[dimension]
        else low[dimension]
    )


def _explain_quantiles(spread: Spread, said: Mapping[str, Array], names: list[str]) -> tuple[str, float] | None:
    if (low := said.get("q01")) is None or (high := said.get("q99")) is None:
        return None
    extent = spread.max - spread.min
    parts = np.where(
        extent > 1e-6 * np.abs(spread.mean), is_outside(spread.sample, low, high, extent).mean(axis=0), 0.0
    )
    dimension = int(parts.argmax())
    if parts[dimension] <= MOST_OUTSIDE:
        return None
    text = describe_outside(names[dimension], low[dimension], high[dimension], parts[dimension])
    return f"{text}: they are from {spread.q01[dimension]:.6g} to {spread.q99[dimension]:.6g}", float(parts[dimension])


def _count(dimensions: int) -> str:
    return f"{dimensions} dimension{'s' * (dimensions != 1)}"


def _list(names: list[str], most: int = 8) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
