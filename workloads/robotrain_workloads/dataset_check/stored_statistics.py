"""Statistics that a dataset stores and that are not of its numbers."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from robotrain_workloads.dataset_check.findings import Findings, make_finding
from robotrain_workloads.dataset_check.load import ACTION, STATE, Recorded
from robotrain_workloads.dataset_check.motion import Motion
from robotrain_workloads.dataset_check.statistics import Spread
from robotrain_workloads.dataset_check.table_files import Array
from robotrain_workloads.lerobot import dataset

COMPUTED_WAY = "--statistics computed"
MOST_OUTSIDE = 0.05
"""The part of frames outside of q01 to q99 from which on these are not quantiles; by right it is 0.02."""
MARGIN = 1e-3
"""Of a dimension's range: LeRobot counts values in bins, so that a quantile may be beside the values that it is of."""
STD_FACTOR = 1.5
MEAN_PART, OUTSIDE_PART = 0.3, 0.05


def find_statistics_problems(motion: Motion) -> Findings:
    """Yield the features whose statistics are not of these numbers."""
    recorded = motion.recorded
    if len(recorded.sampled) < len(recorded.episodes):
        return
    for feature, spread in motion.spreads.items():
        stored = recorded.statistics.get(feature)
        if not isinstance(stored, dict) or (feature == ACTION and has_relative_actions(recorded.statistics)):
            continue
        arrays = {name: np.ravel(np.asarray(values, float)) for name, values in stored.items() if name != "count"}
        arrays = {name: values for name, values in arrays.items() if len(values) == len(spread.mean)}
        for explain in (_explain_std, _explain_mean, _explain_limits, _explain_quantiles):
            if problem := explain(spread, arrays, motion.names[feature]):
                yield make_finding("statistics-differ", problem[0], feature=feature, number=problem[1])
                break


def _explain_std(spread: Spread, stored: Mapping[str, Array], names: Sequence[str]) -> tuple[str, float] | None:
    if (std := stored.get("std")) is None:
        return None
    floor = 1e-4 * np.maximum(np.abs(spread.mean), spread.std.max()) + 1e-9
    ratios = (std + floor) / (spread.std + floor)
    worst = int(np.abs(np.log(np.maximum(ratios, 1e-30))).argmax())
    text = f"meta/stats.json says std {std[worst]:.4g} of {names[worst]}, and it is {spread.std[worst]:.4g}"
    return None if 1 / STD_FACTOR <= ratios[worst] <= STD_FACTOR else (text, float(ratios[worst]))


def _explain_mean(spread: Spread, stored: Mapping[str, Array], names: Sequence[str]) -> tuple[str, float] | None:
    if (mean := stored.get("mean")) is None:
        return None
    extent = np.where(spread.std > 1e-6 * np.abs(spread.mean), spread.std, 1e-3 * np.maximum(np.abs(spread.mean), 1e-3))
    differences = np.abs(mean - spread.mean) / extent
    worst = int(differences.argmax())
    text = f"meta/stats.json says mean {mean[worst]:.4g} of {names[worst]}, and it is {spread.mean[worst]:.4g}"
    return (text, float(mean[worst])) if differences[worst] > MEAN_PART else None


def _explain_limits(spread: Spread, stored: Mapping[str, Array], names: Sequence[str]) -> tuple[str, float] | None:
    low, high = stored.get("min"), stored.get("max")
    if low is None or high is None:
        return None
    extent = np.maximum(spread.max - spread.min, 1e-3 * np.maximum(np.abs(spread.mean), 1e-3))
    outside = np.maximum(low - spread.min, spread.max - high) / extent
    beyond = np.maximum(spread.min - low, high - spread.max) / extent
    worst = int(np.maximum(outside / OUTSIDE_PART, beyond / STD_FACTOR).argmax())
    if outside[worst] <= OUTSIDE_PART and beyond[worst] <= STD_FACTOR:
        return None
    text = f"meta/stats.json says {low[worst]:.4g} to {high[worst]:.4g} of {names[worst]}, and it is"
    is_above = spread.max[worst] - high[worst] > low[worst] - spread.min[worst]
    return f"{text} {spread.min[worst]:.4g} to {spread.max[worst]:.4g}", float((high if is_above else low)[worst])


def _explain_quantiles(spread: Spread, stored: Mapping[str, Array], names: Sequence[str]) -> tuple[str, float] | None:
    low, high = stored.get("q01"), stored.get("q99")
    if low is None or high is None:
        return None
    extent = spread.max - spread.min
    outside = is_outside(spread.sample, low, high, extent).mean(axis=0)
    outside = np.where(extent > 1e-6 * np.abs(spread.mean), outside, 0.0)
    worst = int(outside.argmax())
    if outside[worst] <= MOST_OUTSIDE:
        return None
    text = (
        f"meta/stats.json says that 98 % of {names[worst]} are from {low[worst]:.6g} to {high[worst]:.6g}, and"
        f" {100 * outside[worst]:.0f} % of its frames are outside: they are from {spread.q01[worst]:.6g} to"
        f" {spread.q99[worst]:.6g}; only policies that normalize by quantiles, such as pi05, use these"
    )
    return text, float(outside[worst])


def find_quantile_problems(recorded: Recorded) -> Findings:
    """Yield one problem if too many frames are outside of the quantiles that normalize them: LeRobot averages them."""
    parts = dict[str, float]()
    for feature in () if dataset.is_convertible(recorded.info) else recorded.training.quantiles:
        stored = recorded.statistics.get(feature)
        if feature not in recorded.numbers or not isinstance(stored, dict) or not {"q01", "q99"} <= stored.keys():
            continue
        if feature == ACTION and has_relative_actions(recorded.statistics):
            continue
        low, high = (np.ravel(np.asarray(stored[key], float)) for key in ("q01", "q99"))
        extent = np.ravel(np.asarray(stored.get("max", high), float)) - np.ravel(
            np.asarray(stored.get("min", low), float)
        )
        rows = recorded.numbers[feature][
            np.isin(np.repeat(recorded.sampled, recorded.lengths[recorded.sampled]), recorded.kept)
        ]
        part = float(is_outside(rows, low, high, extent).mean(axis=0).max()) if len(rows) else 0.0
        if part > MOST_OUTSIDE:
            parts[feature] = part
    if parts:
        frames = " and ".join(f"{100 * part:.0f} % of the frames of {feature}" for feature, part in parts.items())
        text = f"the quantiles in {dataset.STATISTICS_FILE}, by which the policy normalizes, leave {frames} outside"
        yield make_finding("quantiles-differ", text, feature=next(iter(parts)), suggestion=COMPUTED_WAY)


def is_outside(rows: Array, low: Array, high: Array, extent: Array) -> Array:
    """Return which values of rows are outside of q01 to q99; `extent` is the range of each dimension."""
    return (rows < low - MARGIN * extent) | (rows > high + MARGIN * extent)


def has_relative_actions(statistics: Any) -> bool:
    """Return whether stored statistics are of actions relative to the state: those count other frames."""
    action, state = ((statistics.get(name) or {}).get("count") for name in (ACTION, STATE))
    return state is not None and action != state
