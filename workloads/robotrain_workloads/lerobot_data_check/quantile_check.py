"""Quantiles that a policy normalizes with, compared with the frames: LeRobot averages those of episodes."""

from collections.abc import Collection, Iterator

import numpy as np

from robotrain_workloads.lerobot import dataset
from robotrain_workloads.lerobot.policy_features import ACTION, STATE
from robotrain_workloads.lerobot_data_check import number_statistics
from robotrain_workloads.lerobot_data_check.dataset_files import DatasetFiles
from robotrain_workloads.lerobot_data_check.findings import DataFinding, make_data_finding
from robotrain_workloads.lerobot_data_check.statistics_needs import COMPUTED_WAY
from robotrain_workloads.lerobot_data_check.table_files import read_object

LOW, HIGH = "q01", "q99"


def find_quantile_problems(
    files: DatasetFiles, features: Collection[str], chosen_episodes: Collection[int] | None
) -> Iterator[DataFinding]:
    """Yield one problem if too many frames are outside of the stored quantiles of any of these features.

    Raise UnreadableTable, OSError, ValueError.

    :param chosen_episodes: the episodes that are read; None for all.
    """
    statistics = read_object(files, dataset.STATISTICS_FILE)
    counts = [(statistics.get(name) or {}).get("count") for name in (ACTION, STATE)]
    outside_parts: dict[str, float] = {}
    for feature in features:
        stored_statistics = statistics.get(feature)
        is_relative = feature == ACTION and counts[1] is not None and counts[0] != counts[1]
        if (
            not isinstance(stored_statistics, dict)
            or is_relative
            or LOW not in stored_statistics
            or HIGH not in stored_statistics
        ):
            continue
        limits = ("min", "max") if {"min", "max"} <= stored_statistics.keys() else (LOW, HIGH)
        low_quantile, high_quantile, minimum, maximum = (
            np.ravel(np.asarray(stored_statistics[name], float)) for name in (LOW, HIGH, *limits)
        )
        outside_counts, count = np.zeros(len(low_quantile)), 0
        for _, rows in number_statistics.read_rows(files, feature, chosen_episodes):
            outside_counts += number_statistics.is_outside(rows, low_quantile, high_quantile, maximum - minimum).sum(
                axis=0
            )
            count += len(rows)
        outside_part = float((outside_counts / max(count, 1)).max())
        if outside_part > number_statistics.MOST_OUTSIDE:
            outside_parts[feature] = outside_part
    if outside_parts:
        stored_statistics = " and ".join(
            f"{100 * outside_part:.0f} % of the frames of {feature}" for feature, outside_part in outside_parts.items()
        )
        finding_text = (
            f"the quantiles in {dataset.STATISTICS_FILE}, by which the policy normalizes, leave "
            f"{stored_statistics} outside"
        )
        yield make_data_finding(
            "quantiles-differ", finding_text, feature=next(iter(outside_parts)), suggestion=COMPUTED_WAY
        )
