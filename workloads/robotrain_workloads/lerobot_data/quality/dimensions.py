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


def find_dimension_problems(
    spreads: Mapping[str, Spread], dimension_names: Mapping[str, list[str]]
) -> Iterator[DataFinding]:
    """Yield the dimensions of each feature that never move, and those that hardly do."""
    for feature in (ACTION, STATE):
        if (spread := spreads.get(feature)) is None or spread.count < 10:
            continue
        is_constant = spread.max == spread.min
        if is_constant.any():
            constant_names = [
                f"{dimension_names[feature][dimension]} ({spread.min[dimension]:.4g})"
                for dimension in np.flatnonzero(is_constant)
            ]
            effect = (
                "the policy learns to say it"
                if feature == ACTION
                else "harmless if the robot has this value too, else normalization makes a small difference huge"
            )
            finding_text = (
                f"{feature} has {_count(is_constant.sum())} with one value: {_list(constant_names)}: {effect}"
            )
            yield make_data_finding("dimension-constant", finding_text, feature=feature, number=is_constant.sum())
        is_tiny = ~is_constant & (_is_noise(spread, is_constant) | _is_nearly_constant(spread))
        for dimension in np.flatnonzero(is_tiny):
            low_value, high_value = (
                (spread.q01[dimension], spread.q99[dimension])
                if spread.q99[dimension] > spread.q01[dimension]
                else (spread.min[dimension],) * 2
            )
            finding_text = (
                f"{dimension_names[feature][dimension]} of {feature} hardly changes: 98 % of it is from "
                f"{low_value:.6g} to {high_value:.6g}"
            )
            finding_text += f", in {spread.min[dimension]:.6g} to {spread.max[dimension]:.6g}"
            yield make_data_finding("dimension-tiny", finding_text, feature=feature, number=spread.std[dimension])


def _is_noise(spread: Spread, is_constant: Array) -> Array:
    """Return which dimensions move far less than the others, and without a course."""
    moving_deviations = spread.std[~is_constant]
    return (spread.unevenness > NOISE) & (
        spread.std < TINY * (np.median(moving_deviations) if len(moving_deviations) else 0.0)
    )


def _is_nearly_constant(spread: Spread) -> Array:
    """Return which dimensions have nearly all values in one place, and a few outliers, which are no gripper's."""
    extent = spread.max - spread.min
    return (spread.q99 - spread.q01 < OUTLIER * extent) & (spread.distinct > 2)


def find_statistics_problems(
    spreads: Mapping[str, Spread], statistics: Mapping[str, Any], dimension_names: Mapping[str, list[str]]
) -> Iterator[DataFinding]:
    """Yield the features whose statistics are not of these numbers."""
    counts = {name: (statistics.get(name) or {}).get("count") for name in (ACTION, STATE)}
    for feature, spread in spreads.items():
        stored_statistics = statistics.get(feature)
        if not isinstance(stored_statistics, dict) or (
            feature == ACTION and counts[STATE] and counts[STATE] != counts[ACTION]
        ):
            continue  # statistics of relative actions count other frames
        statistics_arrays = {
            key: np.ravel(np.asarray(array, float)) for key, array in stored_statistics.items() if key != "count"
        }
        statistics_arrays = {key: array for key, array in statistics_arrays.items() if len(array) == len(spread.mean)}
        for explain in (_explain_std, _explain_mean, _explain_limits, _explain_quantiles):
            if problem := explain(spread, statistics_arrays, dimension_names[feature]):
                finding_text, number = problem
                yield make_data_finding("statistics-differ", finding_text, feature=feature, number=number)
                break


def _explain_std(
    spread: Spread, stored_statistics: Mapping[str, Array], dimension_names: list[str]
) -> tuple[str, float] | None:
    if (std := stored_statistics.get("std")) is None:
        return None
    floor = 1e-4 * np.maximum(np.abs(spread.mean), spread.std.max()) + 1e-9
    ratio = (std + floor) / (spread.std + floor)
    dimension = int(np.abs(np.log(np.maximum(ratio, 1e-30))).argmax())
    if 1 / STD_FACTOR <= ratio[dimension] <= STD_FACTOR:
        return None
    return (
        f"meta/stats.json says std {std[dimension]:.4g} of {dimension_names[dimension]}, and it is "
        f"{spread.std[dimension]:.4g}",
        float(ratio[dimension]),
    )


def _explain_mean(
    spread: Spread, stored_statistics: Mapping[str, Array], dimension_names: list[str]
) -> tuple[str, float] | None:
    if (mean := stored_statistics.get("mean")) is None:
        return None
    extent = np.where(spread.std > 0, spread.std, 1e-3 * np.maximum(np.abs(spread.mean), 1e-3))
    mean_differences = np.abs(mean - spread.mean) / extent
    dimension = int(mean_differences.argmax())
    if mean_differences[dimension] <= MEAN_PART:
        return None
    stored_mean, actual_mean = float(mean[dimension]), float(spread.mean[dimension])
    return (
        f"meta/stats.json says mean {stored_mean:.4g} of {dimension_names[dimension]}, and it is {actual_mean:.4g}",
        stored_mean,
    )


def _explain_limits(
    spread: Spread, stored_statistics: Mapping[str, Array], dimension_names: list[str]
) -> tuple[str, float] | None:
    if (stored_minimum := stored_statistics.get("min")) is None or (
        stored_maximum := stored_statistics.get("max")
    ) is None:
        return None
    extent = np.maximum(spread.max - spread.min, 1e-3 * np.maximum(np.abs(spread.mean), 1e-3))
    outside_parts = np.maximum(stored_minimum - spread.min, spread.max - stored_maximum) / extent
    beyond_parts = np.maximum(spread.min - stored_minimum, stored_maximum - spread.max) / extent
    dimension = int(np.maximum(outside_parts / OUTSIDE_PART, beyond_parts / STD_FACTOR).argmax())
    if outside_parts[dimension] <= OUTSIDE_PART and beyond_parts[dimension] <= STD_FACTOR:
        return None
    stored_range = f"{stored_minimum[dimension]:.4g} to {stored_maximum[dimension]:.4g}"
    actual_range = f"{spread.min[dimension]:.4g} to {spread.max[dimension]:.4g}"
    text = f"meta/stats.json says {stored_range} of {dimension_names[dimension]}, and it is {actual_range}"
    return text, float(
        stored_maximum[dimension]
        if spread.max[dimension] - stored_maximum[dimension] > stored_minimum[dimension] - spread.min[dimension]
        else stored_minimum[dimension]
    )


def _explain_quantiles(
    spread: Spread, stored_statistics: Mapping[str, Array], dimension_names: list[str]
) -> tuple[str, float] | None:
    if (low_quantile := stored_statistics.get("q01")) is None or (
        high_quantile := stored_statistics.get("q99")
    ) is None:
        return None
    extent = spread.max - spread.min
    outside_parts = np.where(
        extent > 1e-6 * np.abs(spread.mean),
        is_outside(spread.sample, low_quantile, high_quantile, extent).mean(axis=0),
        0.0,
    )
    dimension = int(outside_parts.argmax())
    if outside_parts[dimension] <= MOST_OUTSIDE:
        return None
    text = describe_outside(
        dimension_names[dimension], low_quantile[dimension], high_quantile[dimension], outside_parts[dimension]
    )
    finding_text = (
        f"{text}: they are from {spread.q01[dimension]:.6g} to {spread.q99[dimension]:.6g}; only policies that "
        "normalize by quantiles, such as pi05, use these"
    )
    return finding_text, float(outside_parts[dimension])


def _count(dimensions: int) -> str:
    return f"{dimensions} dimension{'s' * (dimensions != 1)}"


def _list(names: list[str], most: int = 8) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
