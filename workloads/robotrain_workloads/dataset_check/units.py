"""Numbers in another unit: degrees among radians, in some episodes or in all, of one joint or of most."""

import re
from collections.abc import Mapping, Sequence

import numpy as np

from robotrain_workloads.dataset_check.findings import Finding, Findings, make_finding
from robotrain_workloads.dataset_check.load import ACTION, STATE
from robotrain_workloads.dataset_check.motion import GRIP, Motion
from robotrain_workloads.dataset_check.source_units import FACTORS, MOVING_PART, measure_sizes, split_by_unit
from robotrain_workloads.dataset_check.statistics import Spread
from robotrain_workloads.dataset_check.table_files import Array

DEGREES = 180 / np.pi
OTHER_UNIT = re.compile(
    r"grip|finger|hand|claw|jaw|lift|torso|rail|slid|linear|wheel|base|vel|\b[xyz]\b", re.IGNORECASE
)
"""What may have a unit of its own."""
FEWEST_EPISODES, FEWEST_JOINTS = 4, 3
JOINT_GAP = 3.0
"""The least factor between the sizes of a joint's numbers in degrees and in radians."""
ALIKE = 10.0
"""How far the motion of a joint is from its usual one, at most, as a factor."""
BEYOND = 5.0
"""How far a joint in degrees moves, at least, for what others move in radians; one that seldom moves does not."""
COURSE = 0.3
"""The unevenness from which on a joint does not move, but holds its place with noise (`Spread.unevenness`)."""
RANGE = 2.5
"""How many deviations from their means the numbers of a joint reach, about."""
NEAR, NEAR_IN_ALL = 1.25, 2.2
"""How far a factor is from that of degrees: between action and state, and between the ranges of joints."""
FULL_TURN, LEAST_DEGREES = 2 * np.pi, 30.0
"""Joints in radians move through less; and a joint in degrees through so much: in radians it were five turns."""


def find_other_units(motion: Motion) -> Findings:
    """Yield each feature with episodes in another unit than that of most, or a joint of it that is so."""
    features = [name for name in (ACTION, STATE) if name in motion.spreads]
    episodes = motion.episodes[motion.is_good]
    moments = {name: _measure_moments(motion, name)[motion.is_good] for name in features}
    findings = list[Finding]()
    if len(episodes) >= FEWEST_EPISODES:
        for name in features:
            findings += _compare_episodes(name, moments[name], episodes)
        yield from findings
        if not findings and features:
            if len({joint_moments.shape for joint_moments in moments.values()}) > 1:  # they have other dimensions
                moments = {features[0]: moments[features[0]]}
            yield from _find_odd_episodes(motion.names[features[0]], episodes.tolist(), moments)
    yield from _find_odd_joints(motion.spreads, motion.names)


def _measure_moments(motion: Motion, name: str) -> Array:
    """Return of each episode the mean, the deviation and the unevenness of each dimension."""
    values = motion.recorded.numbers[name]
    moments = np.zeros((len(motion.lengths), 3, values.shape[1]), np.float32)
    for dimension, column in enumerate(values.T.astype(float)):
        mean = motion.reduce(np.add, column) / motion.lengths
        variance = motion.reduce(np.add, (column - mean[motion.owners]) ** 2) / motion.lengths
        steps = np.where(motion.frames[1:] > 0, np.diff(column) ** 2, 0.0)
        squares = motion.reduce(np.add, np.append(0.0, steps)) / np.maximum(motion.lengths - 1, 1)
        squares = np.where(motion.lengths > 1, squares, variance)
        moments[:, :, dimension] = np.stack([mean, np.sqrt(variance), squares / np.maximum(variance, 1e-30)], axis=1)
    return moments


def _compare_episodes(feature: str, moments: Array, episodes: Array) -> Findings:
    rows = [measure_sizes(mean, deviation) for mean, deviation, _ in moments.tolist()]
    if not (split := split_by_unit(rows, FEWEST_EPISODES)):
        return
    small, large, factor = split
    is_larger = len(large) <= len(small)
    odd = episodes[large if is_larger else small]
    factor_text = f"about {factor:.3g} times" if is_larger else f"about 1/{factor:.3g} of"
    most_text = "the other half" if len(large) == len(small) else "most"
    text = f"the numbers of {feature} in episode {min(odd)} are {factor_text} those of {most_text}: {FACTORS[factor]}?"
    yield make_finding("units-differ", text, odd, feature=feature, number=factor)


def _find_odd_episodes(
    dimension_names: Sequence[str], episodes: Sequence[int], moments: Mapping[str, Array]
) -> Findings:
    """Yield each joint that has degrees in some episodes and radians in most.

    :param moments: by feature, of each episode the mean, the deviation and the unevenness of each joint.
    """
    if len(episodes) < FEWEST_EPISODES:
        return
    deviations = [joint_moments[:, 1] for joint_moments in moments.values()]
    for joint, name in enumerate(dimension_names):
        is_odd = np.logical_and.reduce([_find_degrees(joint_moments, joint) for joint_moments in moments.values()])
        finding_text = f"{name} has numbers about {DEGREES:.3g} times as large as in most"
        if not is_odd.any() and len(moments) > 1 and not GRIP.search(name):
            is_odd = _find_odd_ratios(deviations[0][:, joint], deviations[1][:, joint])
            finding_text = f"{name} moves about {DEGREES:.3g} times as far in {{}} as in {{}}"
        if is_odd.any():
            odd_episodes = [episodes[row] for row in np.flatnonzero(is_odd).tolist()]
            is_larger = deviations[0][is_odd, joint].sum() < deviations[-1][is_odd, joint].sum()
            finding_text = finding_text.format(*sorted(moments, reverse=bool(is_larger)))
            yield make_finding(
                "units-differ",
                f"{finding_text} in episode {min(odd_episodes)}: degrees among radians?",
                odd_episodes,
                number=DEGREES,
            )


def _find_odd_ratios(sizes: Array, other_sizes: Array) -> Array:
    """Return in which episodes, fewer than most, a joint moves as many times as far in one feature as in the other."""
    ratios = np.log(np.maximum(sizes, 1e-30) / np.maximum(other_sizes, 1e-30))
    is_moving = (sizes > 0) & (other_sizes > 0)
    ratio_differences = ratios - np.median(ratios[is_moving]) if is_moving.any() else ratios
    is_odd = is_moving & (np.abs(np.abs(ratio_differences) - np.log(DEGREES)) < np.log(NEAR))
    is_usual = is_moving & (np.abs(ratio_differences) < np.log(NEAR))
    is_tail = is_moving & ~is_odd & (np.abs(ratio_differences) > np.log(JOINT_GAP))  # ratios of all sizes are no unit
    return is_odd & (is_usual.sum() > MOVING_PART * len(sizes)) & (is_tail.sum() < is_odd.sum())


def _find_degrees(moments: Array, joint: int) -> Array:
    """Return in which episodes, at most half, the numbers of a joint are degrees where those of the others are not."""
    mean, deviation, unevenness = moments[:, :, joint].T
    no_episodes = np.zeros(len(mean), bool)
    is_moving = (deviation > 0) & (unevenness < COURSE)
    if is_moving.mean() <= MOVING_PART:
        return no_episodes
    sizes = np.sqrt(mean**2 + deviation**2)
    logs = np.sort(np.log(sizes[is_moving]))
    gaps = np.diff(logs)
    if not len(gaps) or gaps.max() < np.log(JOINT_GAP):
        return no_episodes
    is_large = (deviation > 0) & (sizes > np.exp(np.median(logs[: int(gaps.argmax()) + 1])) * np.sqrt(DEGREES))
    is_usual = is_moving & ~is_large
    if is_large.sum() > len(mean) / 2 or is_usual.sum() < 2 or not is_large.any():
        return no_episodes
    other_deviations = np.delete(moments[:, 1], joint, axis=1)
    typical_others = np.median(other_deviations, axis=0)
    reaches = np.median(deviation[is_large]) > BEYOND * max(
        np.median(typical_others), np.median(other_deviations[is_large])
    )
    return is_large if reaches and _are_degrees(mean, deviation, is_large, is_usual) else no_episodes


def _are_degrees(mean: Array, deviation: Array, is_large: Array, is_usual: Array) -> bool:
    """Return whether the large numbers of a joint are like its usual ones, if they are degrees and these radians."""
    typical_deviation = np.median(deviation[is_usual])
    factors = np.median(deviation[is_large]) / DEGREES / typical_deviation
    is_steady = (
        np.mean((deviation[is_usual] < ALIKE * typical_deviation) & (deviation[is_usual] * ALIKE > typical_deviation))
        > 0.8
    )
    usual_low, usual_high = _reach(mean[is_usual], deviation[is_usual], 1.0)
    odd_low, odd_high = _reach(mean[is_large], deviation[is_large], 1 / DEGREES)
    margin = 0.5 * (usual_high - usual_low)
    is_inside = usual_low - margin < odd_low and odd_high < usual_high + margin
    return bool(is_steady and is_inside and 1 / ALIKE < factors < ALIKE)


def _reach(mean: Array, deviation: Array, factor: float) -> tuple[float, float]:
    return float((mean - RANGE * deviation).min() * factor), float((mean + RANGE * deviation).max() * factor)


def _find_odd_joints(spreads: Mapping[str, Spread], dimension_names: Mapping[str, Sequence[str]]) -> Findings:
    """Yield a joint that has degrees in all episodes, and the others radians."""
    action, state = spreads.get(ACTION), spreads.get(STATE)
    if action and state and len(action.mean) == len(state.mean) and len(action.mean) >= FEWEST_JOINTS:
        for larger_spread, smaller_spread, feature, other_feature in (
            (action, state, ACTION, STATE),
            (state, action, STATE, ACTION),
        ):
            ratios = larger_spread.std / np.maximum(smaller_spread.std, 1e-30)
            is_degrees = (np.abs(np.log(np.maximum(ratios, 1e-30) / DEGREES)) < np.log(NEAR)) & (smaller_spread.std > 0)
            other_ratios = ratios[~is_degrees]
            if (
                is_degrees.any()
                and len(other_ratios) > is_degrees.sum()
                and 1 / ALIKE < np.median(other_ratios) < ALIKE
            ):
                for joint in np.flatnonzero(is_degrees).tolist():
                    name = dimension_names[feature][joint]
                    finding_text = f"{name} moves {ratios[joint]:.3g} times as far in {feature} as in {other_feature}"
                    yield make_finding(
                        "units-differ", f"{finding_text}: degrees and radians?", feature=feature, number=ratios[joint]
                    )
    for feature, spread in spreads.items():
        if feature in (ACTION, STATE):
            yield from _find_large_joints(feature, spread, dimension_names[feature])


def _find_large_joints(feature: str, spread: Spread, dimension_names: Sequence[str]) -> Findings:
    is_joint = np.array([not OTHER_UNIT.search(name.split(".")[0].replace("_", " ")) for name in dimension_names])
    is_joint &= spread.is_smooth
    if is_joint.sum() <= FEWEST_JOINTS:
        return
    ranges = spread.range
    joint = int(np.where(is_joint, ranges, -np.inf).argmax())
    other_ranges = ranges[is_joint & (np.arange(len(ranges)) != joint)]
    factor = ranges[joint] / np.median(other_ranges)
    is_degrees = (
        1 / NEAR_IN_ALL < factor / DEGREES < NEAR_IN_ALL
        and other_ranges.max() < FULL_TURN
        and ranges[joint] > LEAST_DEGREES
    )
    if is_degrees and ranges[joint] / DEGREES < FULL_TURN and other_ranges.max() < ALIKE * np.median(other_ranges):
        finding_text = (
            f"{dimension_names[joint]} of {feature} moves through {ranges[joint]:.3g}, and the other joints through"
        )
        finding_text += f" {np.median(other_ranges):.3g}: degrees among radians?"
        yield make_finding("units-differ", finding_text, feature=feature, number=factor)
