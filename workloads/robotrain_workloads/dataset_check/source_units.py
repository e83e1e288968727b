"""Datasets that are read together, of which some have another unit, such as degrees among radians.

Standard library only. Of a job, the statistics that each dataset stores are compared.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from robotrain_workloads.lerobot import dataset
from robotrain_workloads.lerobot.file_formats import read_json_object
from robotrain_workloads.lerobot.job import LerobotJob
from robotrain_workloads.lerobot.policy_features import ACTION, STATE

FACTORS: Mapping[float, str] = {
    math.degrees(1): "degrees among radians",
    10.0: "another scale",
    100.0: "percents or centimeters",
    1000.0: "millimeters among meters",
}
"""How far units are from each other, and which they may be."""
NEAR_SIZE, NEAR_MOTION = 1.6, 2.2
"""How far the factor between two groups may be from one of them: of their numbers' size, and of their motion."""
GAP = 4.0
"""The least factor between the datasets of one unit and those of another."""
AGREED = 0.6
"""How far the factors of dimensions are from each other in the middle, as logarithms."""
FEWEST_DIMENSIONS = 2


class _Dimension(NamedTuple):
    """How large the numbers of a dimension are, and how far they move, as logarithms."""

    size: float
    motion: float


def list_warnings(job: LerobotJob) -> Iterator[str]:
    """Yield a sentence if the numbers of some datasets of a job are in another unit than those of the others."""
    sources = list(dict.fromkeys(job.datasets))
    if len(sources) < 2:
        return
    yield from find_other_units({source.uri: _read_statistics(job.folders[source]) for source in sources})


def find_other_units(statistics: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Yield a sentence if the numbers of some datasets are in another unit than those of the others.

    :param statistics: by the name of a dataset, of each feature the `mean` and `std` of its dimensions.
    """
    features_by_text: dict[str, list[str]] = {}
    for feature in (STATE, ACTION):
        dimensions = {
            name: _read_dimensions(stored_statistics, feature) for name, stored_statistics in statistics.items()
        }
        if comparison := _compare(dimensions):
            features_by_text.setdefault(comparison, []).append(feature)
    for comparison, features in features_by_text.items():
        yield f"the numbers of {' and '.join(features)} in {comparison}"


def _read_statistics(folder: Path) -> Mapping[str, Any]:
    with suppress(OSError, ValueError):
        return read_json_object(folder / dataset.STATISTICS_FILE)
    return {}


def _read_dimensions(statistics: Mapping[str, Any], feature: str) -> list[_Dimension | None]:
    """Return the dimensions of a feature, None for one that does not move; empty without statistics of them."""
    dimensions: list[_Dimension | None] = []
    with suppress(KeyError, TypeError, ValueError):
        feature_statistics = statistics[feature]
        for mean, deviation in zip(feature_statistics["mean"], feature_statistics["std"], strict=True):
            size = math.hypot(mean, deviation)
            is_moving = deviation > 0 and math.isfinite(size)
            dimensions.append(_Dimension(math.log(size), math.log(deviation)) if is_moving else None)
        return dimensions
    return []


def _compare(dimensions_by_name: Mapping[str, Sequence[_Dimension | None]]) -> str:
    """Return the end of a sentence about the datasets with the larger numbers; empty if all have one unit."""
    common_datasets = {name: dimensions for name, dimensions in dimensions_by_name.items() if any(dimensions)}
    if len(common_datasets) < 2 or len({len(dimensions) for dimensions in common_datasets.values()}) > 1:
        return ""
    moving_rows = [row for row in zip(*common_datasets.values(), strict=True) if None not in row]
    if len(moving_rows) < FEWEST_DIMENSIONS:
        return ""
    dataset_names = [*common_datasets]
    levels = {name: median(row[at].size for row in moving_rows) for at, name in enumerate(dataset_names)}
    ordered_names = sorted(dataset_names, key=levels.__getitem__)
    gaps = [levels[larger_name] - levels[smaller_name] for smaller_name, larger_name in pairwise(ordered_names)]
    split = gaps.index(max(gaps)) + 1
    if gaps[split - 1] < math.log(GAP):
        return ""
    small_indices, large_indices = (
        [dataset_names.index(name) for name in name_group]
        for name_group in (ordered_names[:split], ordered_names[split:])
    )
    sizes, motions = (
        [
            median(row[at][part] for at in large_indices) - median(row[at][part] for at in small_indices)
            for row in moving_rows
        ]
        for part in range(2)
    )
    factor = _name_factor(sizes, motions)
    if factor is None:
        return ""
    larger_names, smaller_names = ordered_names[split:], ordered_names[:split]
    return (
        f"{' and '.join(larger_names)} are about {factor:.3g} times those in {' and '.join(smaller_names)}: "
        f"{FACTORS[factor]}?"
    )


def _name_factor(sizes: Sequence[float], motions: Sequence[float]) -> float | None:
    """Return the factor between two units that the logarithms of dimensions agree on; None if there is no such."""
    size, motion = median(sizes), median(motions)
    spreads = [
        median(abs(logarithm - middle) for logarithm in logarithms)
        for logarithms, middle in ((sizes, size), (motions, motion))
    ]
    near_factors = [
        factor
        for factor in FACTORS
        if abs(size - math.log(factor)) < math.log(NEAR_SIZE) and abs(motion - math.log(factor)) < math.log(NEAR_MOTION)
    ]
    if not near_factors or max(spreads) > AGREED:
        return None
    return min(near_factors, key=lambda factor: abs(size - math.log(factor)))
