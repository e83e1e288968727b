"""How the state follows the action, joint by joint: where it does in most episodes, one where it does not is wrong."""

from dataclasses import dataclass
from functools import cache

import numpy as np
import pandas as pd

from robotrain_workloads.dataset_check.findings import Findings, make_finding
from robotrain_workloads.dataset_check.load import ACTION, STATE
from robotrain_workloads.dataset_check.motion import Motion
from robotrain_workloads.dataset_check.table_files import Array

FOLLOWS, AGAINST = 0.9, -0.6
"""The correlation of a joint's state with its action: in most episodes, and if its sign is inverted."""
UNRELATED, UNUSUAL = 0.1, 10
"""How much less than 1 it is where the state does not follow: so much, and so many times what is usual."""
FEWEST_FRAMES, FEWEST_EPISODES, FEWEST_JOINTS = 20, 4, 2
MOVES = 0.1
"""Of a joint's usual motion: less says nothing."""
MOST_PART = 0.5
"""Of the episodes: what more of them have is how the dataset is."""
MOST_LAG = 1.0
"""Seconds that a state comes after its action, or before it, at most."""
SHIFTED_FRAMES, SHIFTED_SECONDS = 1.5, 0.09
"""How far the lag of an episode is from that of most where its actions are shifted: both."""
UNSURE, USUAL_PART = 4, 0.4
"""How many times as far as lags usually are from that of most, and in what part of the episodes they are so."""
LEAST_VARIANCE = 0.25
"""Of the episode's: parts of it in which a joint moves less are not compared."""
SHARP, SHARP_PART = 2.0, 0.3
"""How much worse a state follows at another lag than at the best one where the lag is sure, and of how many joints."""
FAR, FAR_PART, NEAR = 4.0, 0.3, 3.0
"""How far two joints are from their own states and from each other's if they are exchanged: in usual distances, and the
first also in deviations.
"""
SURE_PART = 0.6
"""Of the episodes: where fewer have a sure lag, it is none of the dataset."""
AGREED_FRAMES = 1.5
"""How far the lag of a joint is from that of most."""
HOLDS = 0.5
"""The correlation, in most episodes, of a joint that is closed on something: inverted it is still against that."""
IMPOSSIBLE = -1e6
ROWS_AT_ONCE = 100_000
"""Frames whose lags are looked for together: so many are in the cache of a processor."""


@dataclass
class Following:
    """Of each episode with enough frames, how the joints of its state follow those of its action."""

    episodes: Array
    lags: Array
    """How many frames after the action the state follows it best; NaN where that is not sure."""
    own: Array
    """The correlation of each joint with its own state; below, episodes by joints too."""
    crossed: Array
    """The joint of the state that follows each of the action best, if the reverse is so; else -1."""
    apart: Array
    """How far the state of each joint is from its action."""
    partners: Array
    """The joint that each may be exchanged for, and, in `swapped`, how far they are then from their actions."""
    swapped: Array
    motions: Array

    @property
    def lag(self) -> float | None:
        """How many frames after its action the state follows, in most episodes; None where that is not sure."""
        is_sure = ~np.isnan(self.lags)
        return float(np.median(self.lags[is_sure])) if is_sure.sum() > SURE_PART * len(self.lags) else None


@cache
def measure_following(motion: Motion) -> Following | None:
    """Return how states follow actions; None where they have other dimensions, or no episode is long enough."""
    rows = np.flatnonzero(motion.is_good & (motion.lengths >= FEWEST_FRAMES))
    if not motion.is_comparable or not len(rows):
        return None
    joints = motion.action.shape[1]
    parts = np.array_split(rows, -(-motion.row_count // ROWS_AT_ONCE))
    lags = np.concatenate([_find_lags(motion, part) for part in parts if len(part)])
    shifts = pd.Series(lags).ffill().fillna(0).round().astype(int).to_numpy()  # that of the last one where it is sure
    own, apart, swapped, motions = (np.zeros((len(rows), joints), np.float32) for _ in range(4))
    crossed, partners = (np.zeros((len(rows), joints), np.int16) for _ in range(2))
    for place, (row, shift) in enumerate(zip(rows, shifts, strict=True)):
        start, end = motion.starts[row], motion.ends[row]
        late, early = max(0, shift), max(0, -shift)
        action = motion.recorded.numbers[ACTION][start + early : end - late].astype(float)
        state = motion.recorded.numbers[STATE][start + late : end - early].astype(float)
        action_motion, state_motion = action - action.mean(axis=0), state - state.mean(axis=0)
        action_size, state_size = (np.sqrt((values**2).sum(axis=0)) for values in (action_motion, state_motion))
        correlations = action_motion.T @ state_motion / np.maximum(np.outer(action_size, state_size), 1e-30)
        squares = (action**2).mean(axis=0)[:, None] + (state**2).mean(axis=0) - 2 * action.T @ state / len(action)
        distances = np.sqrt(np.maximum(squares, 0))
        exchanged = np.maximum(distances, distances.T)  # how far two joints are from each other's states
        mutual = np.minimum(correlations, correlations.T)
        np.fill_diagonal(exchanged, np.inf)
        np.fill_diagonal(mutual, -1)
        own[place], apart[place] = np.diag(correlations), np.diag(distances)
        crossed[place] = np.where(mutual.max(axis=1) > FOLLOWS, mutual.argmax(axis=1), -1)
        partners[place], swapped[place] = exchanged.argmin(axis=1), exchanged.min(axis=1)
        motions[place] = np.minimum(action_size, state_size) / np.sqrt(len(action))
    return Following(motion.episodes[rows], lags, own, crossed, apart, partners, swapped, motions)


def find_following_problems(motion: Motion) -> Findings:
    """Yield actions that are their states, and episodes whose actions are not of their states."""
    following = measure_following(motion)
    if following is None or len(following.episodes) < FEWEST_EPISODES:
        return
    numbers = motion.recorded.numbers
    if (numbers[ACTION] == numbers[STATE])[motion.is_good[motion.owners]].all():
        text = "the action of each frame equals its state: a policy learns to stay where it is"
        yield make_finding("action-is-state", text)
        return
    yield from _find_shifted(following, motion.fps)
    correlations, motions = following.own.astype(float), following.motions.astype(float)
    usual_motions = _compute_median(motions, motions > 0)
    is_moving = (motions > MOVES * usual_motions) & (usual_motions > 0)
    middle = np.median(correlations, axis=0)
    is_following = middle > FOLLOWS
    is_odd = is_moving & is_following & (1 - correlations > np.maximum(UNRELATED, UNUSUAL * (1 - middle)))
    is_odd |= is_moving & (_compute_median(correlations, is_moving) > HOLDS) & (correlations < AGAINST)
    swaps = _find_swaps(following)
    joints_by_kind: dict[str, dict[int, list[int]]] = {"other": {}, "inverted": {}, "swapped": {}}
    for row in sorted({*np.flatnonzero(is_odd.any(axis=1)).tolist(), *swaps}):
        joints = np.flatnonzero(is_odd[row]).tolist()
        compared = int((is_moving[row] & is_following).sum())
        kind = "inverted" if all(correlations[row, joint] < AGAINST for joint in joints) else ""
        if row in swaps and {*joints} <= {*swaps[row]}:
            kind, joints = "swapped", swaps[row]
        elif joints and (pair := _find_crossed(following, row, joints)):
            kind, joints = "swapped", pair
        elif not kind and compared >= FEWEST_JOINTS and len(joints) > compared / 2:
            kind = "other"
        if kind:
            joints_by_kind[kind][row] = joints
    for kind, rows in joints_by_kind.items():
        if rows and len(rows) <= MOST_PART * len(correlations):
            first = min(rows)
            episode = following.episodes[first]
            names = " and ".join(motion.joints[joint] for joint in rows[first])
            code, text = {
                "inverted": ("sign-differs", f"{names} of the action moves against its state in episode {episode}"),
                "swapped": ("joints-swapped", f"{names} are swapped between action and state in episode {episode}"),
                "other": ("action-unrelated", f"the actions of episode {episode} are not of its states"),
            }[kind]
            yield make_finding(code, text, following.episodes[[*rows]], feature="action")


def _find_shifted(following: Following, fps: float) -> Findings:
    """Yield the episodes whose actions are earlier or later against their states than in most."""
    if (usual := following.lag) is None:
        return
    differences = following.lags - usual
    spread = float(np.nanquantile(np.abs(differences), USUAL_PART))
    is_shifted = np.abs(differences) > max(SHIFTED_FRAMES, SHIFTED_SECONDS * fps, UNSURE * spread)
    if is_shifted.any() and is_shifted.mean() <= MOST_PART:
        worst = int(np.where(is_shifted, np.abs(differences), 0).argmax())
        frames = round(abs(differences[worst]))
        way = "later" if differences[worst] < 0 else "earlier"
        text = (
            f"the actions of episode {following.episodes[worst]} are {frames} frames {way} against its states than in"
            f" most ({frames / fps:.2g} s)"
        )
        episodes = following.episodes[is_shifted]
        yield make_finding("action-shifted", text, episodes, feature="action", number=frames, unit="frames")


def _find_swaps(following: Following) -> dict[int, list[int]]:
    """Return the two joints of each episode whose actions are near each other's states, and far from their own."""
    usual = np.median(following.apart, axis=0)
    partners = following.partners
    is_far = (following.apart > FAR * usual) & (following.apart > FAR_PART * following.motions)
    is_near = following.swapped < NEAR * np.maximum(np.maximum(usual, usual[partners]), 1e-30)
    swaps = dict[int, list[int]]()
    for row, joint in np.argwhere(is_far & is_near).tolist():
        partner = int(partners[row, joint])
        if joint < partner and is_far[row, partner] and partners[row, partner] == joint:
            swaps[row] = [joint, partner]
    return swaps


def _find_crossed(following: Following, row: int, joints: list[int]) -> list[int]:
    """Return the two joints of an episode that follow each other's actions; empty if there are no such."""
    crossed = following.crossed[row]
    partner = int(crossed[joints[0]])
    is_pair = partner >= 0 and crossed[partner] == joints[0] and {*joints} <= {joints[0], partner}
    is_bad = is_pair and 1 - following.own[row][partner] > UNRELATED / 2
    return sorted([joints[0], partner]) if is_bad and len(crossed) > len(joints) else []


def _compute_median(values: Array, is_used: Array) -> Array:
    """Return the median of each column, of the values that are used; 0 where there are none."""
    return pd.DataFrame(np.where(is_used, values, np.nan)).median().fillna(0.0).to_numpy()


def _find_lags(motion: Motion, rows: Array) -> Array:
    """Return how many frames after its action the state of each episode follows best; NaN where that is not sure."""
    limits = np.minimum(max(3, round(MOST_LAG * motion.fps)), motion.lengths[rows] // 4)
    most = int(limits.max())
    lags = np.arange(-most, most + 1)
    curves = np.stack([_correlate_lags(motion, rows, lags, joint) for joint in range(motion.action.shape[1])], axis=2)
    curves[np.abs(lags)[:, None] > limits] = IMPOSSIBLE
    width = 2 * max(1, round(max(SHIFTED_FRAMES, SHIFTED_SECONDS * motion.fps) / 2))
    bests = curves.argmax(axis=0)  # episodes by joints
    first, last = (most - limits)[:, None], (most + limits)[:, None]
    peak, before, after = (
        np.take_along_axis(curves, places[None], axis=0)[0]
        for places in (bests, np.maximum(first, bests - width), np.minimum(last, bests + width))
    )
    missing = 1 - peak
    is_sharp = (missing < 1 - FOLLOWS) & (1 - np.maximum(before, after) > SHARP * missing)
    usual_best = pd.DataFrame(np.where(is_sharp, bests, np.nan)).median(axis=1).to_numpy()
    is_sharp &= np.abs(bests - usual_best[:, None]) <= AGREED_FRAMES
    usual_missing = pd.DataFrame(np.where(is_sharp, missing, np.nan)).median(axis=1).to_numpy()
    weights = is_sharp / np.maximum(missing, np.fmax(usual_missing, 1e-6)[:, None])  # joints that follow well say it
    curve = (curves * weights).sum(axis=2)  # lags by episodes
    best = curve.argmax(axis=0).clip(1, len(lags) - 2)
    low, top, high = (np.take_along_axis(curve, (best + offset)[None], axis=0)[0] for offset in (-1, 0, 1))
    bend = low - 2 * top + high
    found = lags[best] + np.where(bend < 0, (low - high) / np.where(bend < 0, 2 * bend, 1.0), 0.0)
    is_inside = (np.abs(lags[best]) < limits) & (top >= np.maximum(low, high))
    return np.where(is_inside & (is_sharp.sum(axis=1) >= max(1, SHARP_PART * is_sharp.shape[1])), found, np.nan)


def _correlate_lags(motion: Motion, rows: Array, lags: Array, joint: int) -> Array:
    """Return the correlation of a joint's state with its action: by the frames that it comes after, and by episode."""
    first_row, end_row = motion.starts[rows[0]], motion.ends[rows[-1]]
    owners = motion.owners[first_row:end_row] - motion.owners[first_row]
    all_starts = motion.starts[rows[0] : rows[-1] + 1] - first_row
    lengths = motion.lengths[rows[0] : rows[-1] + 1]
    sums, signals = list[tuple[Array, Array]](), list[Array]()
    for name in (ACTION, STATE):
        values = np.nan_to_num(motion.recorded.numbers[name][first_row:end_row, joint].astype(float))
        values -= (np.add.reduceat(values, all_starts) / lengths)[owners]
        deviation = np.sqrt(np.add.reduceat(values**2, all_starts) / lengths)
        values /= np.where(deviation > 0, deviation, 1.0)[owners]
        signals.append(np.append(values, 0.0))
        sums.append((np.append(0.0, np.cumsum(values)), np.append(0.0, np.cumsum(values**2))))
    starts, ends = motion.starts[rows] - first_row, motion.ends[rows] - first_row
    curves = np.zeros((len(lags), len(rows)))
    for place, lag in enumerate(lags.tolist()):
        late, early = max(0, lag), max(0, -lag)
        product = signals[0][early : len(owners) + 1 - late] * signals[1][late : len(owners) + 1 - early]
        windows = np.stack([starts, np.maximum(starts, ends - late - early)], axis=1).ravel()
        count = np.maximum(ends - starts - late - early, 1)
        covariance = np.add.reduceat(product, np.minimum(windows, len(product) - 1))[::2]
        window_sums, variances = list[Array](), list[Array]()
        for (total, squares), first, last in zip(sums, (early, late), (late, early), strict=True):
            begin, end = starts + first, np.maximum(starts + first, ends - last)
            window_sums.append(total[end] - total[begin])
            variance = squares[end] - squares[begin] - window_sums[-1] ** 2 / count
            variances.append(np.where(variance > LEAST_VARIANCE * count, variance, np.inf))
        covariance -= window_sums[0] * window_sums[1] / count
        curves[place] = covariance / np.maximum(np.sqrt(variances[0] * variances[1]), 1e-30)
    return curves
