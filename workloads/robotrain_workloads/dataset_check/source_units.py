"""Datasets that are read together, of which some have another unit, such as degrees among radians.

Standard library only. Of a job, the statistics that each dataset stores are compared.
"""

import math
import operator
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
MOVING_PART = 0.5
"""Of the datasets or episodes: a dimension that moves in fewer is not compared; and of the dimensions."""


Size = tuple[float, ...]
"""How large the numbers of a dimension are, and how far they move, as logarithms."""


class UnitSplit(NamedTuple):
    """Rows whose numbers have another unit than those of the others."""

    small: list[int]
    large: list[int]
    factor: float


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
        sizes = {name: _read_sizes(stored, feature) for name, stored in statistics.items()}
        sizes = {name: row for name, row in sizes.items() if any(row)}
        names = [*sizes]
        are_alike = len({len(row) for row in sizes.values()}) == 1
        if are_alike and (split := split_by_unit([*sizes.values()], fewest=2)):
            large, small = (" and ".join(names[row] for row in rows) for rows in (split.large, split.small))
            text = f"{large} are about {split.factor:.3g} times those in {small}: {FACTORS[split.factor]}?"
            features_by_text.setdefault(text, []).append(feature)
    for text, features in features_by_text.items():
        yield f"the numbers of {' and '.join(features)} in {text}"


def _read_statistics(folder: Path) -> Mapping[str, Any]:
    with suppress(OSError, ValueError):
        return read_json_object(folder / dataset.STATISTICS_FILE)
    return {}


def _read_sizes(statistics: Mapping[str, Any], feature: str) -> list[Size | None]:
    with suppress(KeyError, TypeError, ValueError):
        return measure_sizes(statistics[feature]["mean"], statistics[feature]["std"])
    return []


def measure_sizes(means: Sequence[float], deviations: Sequence[float]) -> list[Size | None]:
    """Return the sizes of dimensions; None for one that does not move."""
    sizes = list[Size | None]()
    for mean, deviation in zip(means, deviations, strict=True):
        size = math.hypot(mean, deviation)
        sizes.append((math.log(size), math.log(deviation)) if deviation > 0 and math.isfinite(size) else None)
    return sizes


def split_by_unit(rows: Sequence[Sequence[Size | None]], fewest: int) -> UnitSplit | None:
    """Return which rows have larger numbers than the others, by the factor of a unit; None if all have one unit.

    :param rows: of each dataset, or each episode, the sizes of its dimensions.
    :param fewest: the least number of rows that move.
    """
    columns = [column for column in zip(*rows, strict=True) if _is_mostly_moving(column)]
    numbers = [number for number, row in enumerate(zip(*columns, strict=True)) if _is_mostly_moving(row)]
    if len(columns) < FEWEST_DIMENSIONS or len(numbers) < fewest:
        return None
    usual = [_find_middle([column[number] for number in numbers]) for column in columns]
    levels = dict[int, Size]()
    for number in numbers:
        pairs = [(column[number], middle) for column, middle in zip(columns, usual, strict=True)]
        levels[number] = _find_middle([_subtract(size, middle) if size else None for size, middle in pairs])
    ordered = sorted(numbers, key=lambda number: levels[number][0])
    gaps = [levels[after][0] - levels[number][0] for number, after in pairwise(ordered)]
    split = gaps.index(max(gaps)) + 1
    small, large = ordered[:split], ordered[split:]
    difference = _subtract(*(_find_middle([levels[number] for number in group]) for group in (large, small)))
    deviations = list[float]()
    for column in columns:
        groups = [[column[number] for number in group if column[number]] for group in (large, small)]
        if all(groups):
            deviations += map(abs, _subtract(_subtract(*map(_find_middle, groups)), difference))
    limits = math.log(NEAR_SIZE), math.log(NEAR_MOTION)
    errors = {factor: [abs(part - math.log(factor)) for part in difference] for factor in FACTORS}
    near_factors = [factor for factor in FACTORS if all(map(operator.lt, errors[factor], limits))]
    if max(gaps) < math.log(GAP) or not near_factors or median(deviations) > AGREED:
        return None
    return UnitSplit(small, large, min(near_factors, key=lambda factor: errors[factor][0]))


def _is_mostly_moving(sizes: Sequence[Size | None]) -> bool:
    return sum(size is not None for size in sizes) > MOVING_PART * len(sizes)


def _find_middle(sizes: Sequence[Size | None]) -> Size:
    return tuple(median(part) for part in zip(*filter(None, sizes), strict=True))


def _subtract(size: Size, other: Size) -> Size:
    return tuple(map(operator.sub, size, other))
