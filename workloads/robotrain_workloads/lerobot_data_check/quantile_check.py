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
    files: DatasetFiles, features: Collection[str], chosen: Collection[int] | None
) -> Iterator[DataFinding]:
    """Yield one problem if too many frames are outside of the stored quantiles of any of these features.

    Raise UnreadableTable, OSError, ValueError.

    :param chosen: the episodes that are read; None for all.
    """
    statistics = read_object(files, dataset.STATISTICS_FILE)
    counts = [(statistics.get(name) or {}).get("count") for name in (ACTION, STATE)]
    outer: dict[str, float] = {}
    for feature in features:
        said = statistics.get(feature)
        is_relative = feature == ACTION and counts[1] is not None and counts[0] != counts[1]
        if not isinstance(said, dict) or is_relative or LOW not in said or HIGH not in said:
            continue
        limits = ("min", "max") if {"min", "max"} <= said.keys() else (LOW, HIGH)
        low, high, least, most = (np.ravel(np.asarray(said[name], float)) for name in (LOW, HIGH, *limits))
        outside, count = np.zeros(len(low)), 0
        for _, values in number_statistics.read_rows(files, feature, chosen):
            outside += number_statistics.is_outside(values, low, high, most - least).sum(axis=0)
            count += len(values)
        part = float((outside / max(count, 1)).max())
        if part > number_statistics.MOST_OUTSIDE:
            outer[feature] = part
    if outer:
        said = " and ".join(f"{100 * part:.0f} % of the frames of {feature}" for feature, part in outer.items())
        text = f"the quantiles in {dataset.STATISTICS_FILE}, by which the policy normalizes, leave {said} outside"
        yield make_data_finding("quantiles-differ", text, feature=next(iter(outer)), suggestion=COMPUTED_WAY)
