"""How the state follows the action, joint by joint: where it does in most episodes, one where it does not is wrong."""

from collections.abc import Iterator, Sequence

import numpy as np

from robotrain_workloads.lerobot_data.quality.episode_rows import EpisodeRows
from robotrain_workloads.lerobot_data_check.findings import DataFinding, make_data_finding
from robotrain_workloads.lerobot_data_check.recording import Array

FOLLOWS, AGAINST = 0.9, -0.6
"""The correlation of a joint's state with its action: in most episodes, and if its sign is inverted."""
UNRELATED, UNUSUAL = 0.1, 10
"""How much less than 1 it is where the state does not follow: so much, and so many times what is usual."""
FEWEST_FRAMES, FEWEST_EPISODES = 20, 4
MOVES = 0.1
"""Of a joint's usual motion: less says nothing."""
FEWEST_JOINTS = 2
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


class Following:
    """The correlations of the actions with the states of all episodes."""

    def __init__(self, names: Sequence[str], fps: float) -> None:
        self._names, self._fps = names, fps
        self._episodes: list[int] = []
        self._own = EpisodeRows()
        self._crossed = EpisodeRows()
        """For each joint of the action the joint of the state that follows it best, if the reverse is so; else -1."""
        self._apart = EpisodeRows()
        """How far the state of each joint is from its action."""
        self._partners = EpisodeRows()
        """For each joint the one that it may be exchanged for, and how far their states are then from their actions."""
        self._swapped = EpisodeRows()
        self._motions = EpisodeRows()
        self._lags: list[float] = []
        """How many frames after the action the state follows it best; NaN where that is not sure."""
        self._last_lag = 0.0
        """That of the last episode where it is sure."""
        self._equal = True

    def add(self, episode: int, action: Array, state: Array) -> None:
        """Look at the next episode."""
        self._equal = self._equal and bool((action == state).all())
        if len(action) < FEWEST_FRAMES:
            return
        action_motion = action - action.mean(axis=0)
        state_motion = state - state.mean(axis=0)
        sizes = np.sqrt((action_motion**2).sum(axis=0)), np.sqrt((state_motion**2).sum(axis=0))
        lag = _find_lag(action_motion, state_motion, self._fps)
        self._last_lag = self._last_lag if np.isnan(lag) else lag
        shift = round(self._last_lag)
        aligned_action, aligned_state = action_motion[max(0, -shift) :], state_motion[max(0, shift) :]
        frames = min(len(aligned_action), len(aligned_state))
        correlations = _correlate(aligned_action[:frames], aligned_state[:frames])
        distances = _measure_distances(action[max(0, -shift) :][:frames], state[max(0, shift) :][:frames])
        swapped_distances = np.maximum(
            distances, distances.T
        )  # how far two joints are from each other, if they are exchanged
        np.fill_diagonal(swapped_distances, np.inf)
        self._episodes.append(episode)
        crossed_strength = np.minimum(correlations, correlations.T)
        np.fill_diagonal(crossed_strength, -1)
        following_joints = np.where(crossed_strength.max(axis=1) > FOLLOWS, crossed_strength.argmax(axis=1), -1)
        self._crossed.append(following_joints.astype(np.int16))
        self._own.append(np.diag(correlations).astype(np.float32))  # a copy: a view would hold the matrix
        self._apart.append(np.diag(distances).astype(np.float32))
        self._partners.append(swapped_distances.argmin(axis=1).astype(np.int16))
        self._swapped.append(swapped_distances.min(axis=1).astype(np.float32))
        self._motions.append(np.minimum(*sizes) / np.sqrt(len(action)))
        self._lags.append(lag)

    @property
    def lag(self) -> float | None:
        """How many frames after its action the state follows, in most episodes; None where that is not sure."""
        lags = np.array(self._lags)
        is_sure = ~np.isnan(lags)
        return float(np.median(lags[is_sure])) if is_sure.sum() > SURE_PART * len(lags) else None

    def list_findings(self) -> Iterator[DataFinding]:
        """Yield actions that are their states, and episodes whose actions are not of their states."""
        if len(self._episodes) < FEWEST_EPISODES:
            return
        if self._equal:
            yield make_data_finding(
                "action-is-state", "the action of each frame equals its state: a policy learns to stay where it is"
            )
            return
        yield from self._find_shifted()
        correlations = self._own.matrix
        motions = self._motions.matrix
        usual_motions = _compute_median(motions, motions > 0)
        is_moving = (motions > MOVES * usual_motions) & (usual_motions > 0)
        middle = np.median(correlations, axis=0)
        is_following = middle > FOLLOWS
        is_odd = is_moving & is_following & (1 - correlations > np.maximum(UNRELATED, UNUSUAL * (1 - middle)))
        is_odd |= is_moving & (_compute_median(correlations, is_moving) > HOLDS) & (correlations < AGAINST)
        rows_by_kind: dict[str, dict[int, list[int]]] = {"other": {}, "inverted": {}, "swapped": {}}
        swaps = self._find_swaps(motions)
        for row in np.flatnonzero(is_odd.any(axis=1) | np.isin(np.arange(len(correlations)), [*swaps])).tolist():
            joints = np.flatnonzero(is_odd[row]).tolist()
            compared_joints = int((is_moving[row] & is_following).sum())
            kind = "inverted" if all(correlations[row, joint] < AGAINST for joint in joints) else ""
            if row in swaps and not {*joints} - {*swaps[row]}:
                kind, joints = "swapped", swaps[row]
            elif joints and (pair := self._find_crossed(row, joints)):
                kind, joints = "swapped", pair
            elif not kind and compared_joints >= FEWEST_JOINTS and len(joints) > compared_joints / 2:
                kind = "other"
            if kind:
                rows_by_kind[kind][row] = joints
        for kind, rows in rows_by_kind.items():
            if rows and len(rows) <= MOST_PART * len(correlations):
                yield self._make_finding(kind, rows)

    def _find_shifted(self) -> Iterator[DataFinding]:
        """Yield the episodes whose actions are earlier or later against their states than in most."""
        if (usual_lag := self.lag) is None:
            return
        lag_differences = np.array(self._lags) - usual_lag
        lag_spread = float(np.nanquantile(np.abs(lag_differences), USUAL_PART))
        is_shifted = np.abs(lag_differences) > max(SHIFTED_FRAMES, SHIFTED_SECONDS * self._fps, UNSURE * lag_spread)
        if not is_shifted.any() or is_shifted.mean() > MOST_PART:
            return
        worst_row = int(np.where(is_shifted, np.abs(lag_differences), 0).argmax())
        frames = round(abs(lag_differences[worst_row]))
        way = "later" if lag_differences[worst_row] < 0 else "earlier"
        finding_text = (
            f"the actions of episode {self._episodes[worst_row]} are {frames} frames {way} against its states than in"
        )
        finding_text += f" most ({frames / self._fps:.2g} s)"
        episodes = [self._episodes[row] for row in np.flatnonzero(is_shifted)]
        yield make_data_finding(
            "action-shifted", finding_text, episodes, feature="action", number=frames, unit="frames"
        )

    def _find_swaps(self, motions: Array) -> dict[int, list[int]]:
        """Return the two joints of each episode whose actions are near each other's states, and far from their own."""
        distances = self._apart.matrix
        usual_distances = np.median(distances, axis=0)
        partners = self._partners.matrix
        is_far = (distances > FAR * usual_distances) & (distances > FAR_PART * motions)
        usual_of_pairs = np.maximum(usual_distances, usual_distances[partners])
        is_near = self._swapped.matrix < NEAR * np.maximum(usual_of_pairs, 1e-30)
        swaps = dict[int, list[int]]()
        for row, joint in np.argwhere(is_far & is_near).tolist():
            partner = int(partners[row, joint])
            if joint < partner and is_far[row, partner] and partners[row, partner] == joint:
                swaps[row] = [joint, partner]
        return swaps

    def _find_crossed(self, row: int, joints: list[int]) -> list[int]:
        """Return the two joints of an episode that follow each other's actions; empty if there are no such."""
        crossed_joints = self._crossed.matrix[row]
        partner = int(crossed_joints[joints[0]])
        is_pair = partner >= 0 and crossed_joints[partner] == joints[0] and not {*joints} - {joints[0], partner}
        is_bad = is_pair and 1 - self._own.matrix[row][partner] > UNRELATED / 2
        return sorted([joints[0], partner]) if is_bad and len(crossed_joints) > len(joints) else []

    def _make_finding(self, kind: str, rows: dict[int, list[int]]) -> DataFinding:
        first_row = min(rows)
        joint_names = " and ".join(self._names[joint] for joint in rows[first_row])
        episode = self._episodes[first_row]
        texts_by_kind = {
            "inverted": ("sign-differs", f"{joint_names} of the action moves against its state in episode {episode}"),
            "swapped": ("joints-swapped", f"{joint_names} are swapped between action and state in episode {episode}"),
            "other": ("action-unrelated", f"the actions of episode {episode} are not of its states"),
        }
        code, finding_text = texts_by_kind[kind]
        return make_data_finding(code, finding_text, [self._episodes[row] for row in rows], feature="action")


def _compute_median(values: Array, is_used: Array) -> Array:
    """Return the median of each column, of the values that are used; 0 where there are none."""
    masked_values = np.ma.masked_array(values, ~is_used)
    median: Array = np.ma  # numpy has no types for it
    return np.asarray(median.median(masked_values, axis=0).filled(0.0))


def _correlate(action: Array, state: Array) -> Array:
    """Return the correlation of each joint of the action with each one of the state."""
    action_motion = action - action.mean(axis=0)
    state_motion = state - state.mean(axis=0)
    sizes = np.sqrt((action_motion**2).sum(axis=0)), np.sqrt((state_motion**2).sum(axis=0))
    return action_motion.T @ state_motion / np.maximum(np.outer(*sizes), 1e-30)


def _measure_distances(action: Array, state: Array) -> Array:
    """Return how far each joint of the action is from each one of the state."""
    squares = (action**2).mean(axis=0)[:, None] + (state**2).mean(axis=0) - 2 * action.T @ state / len(action)
    return np.sqrt(np.maximum(squares, 0))


def _find_lag(action: Array, state: Array, fps: float) -> float:
    """Return how many frames after the action the state follows it best, in fractions; NaN where that is not sure."""
    most_frames = min(max(3, round(MOST_LAG * fps)), len(action) // 4)
    lags = np.arange(-most_frames, most_frames + 1)
    curves = _correlate_lags(action, state, lags)
    width = 2 * max(1, round(max(SHIFTED_FRAMES, SHIFTED_SECONDS * fps) / 2))
    bests = curves.argmax(axis=0)
    joints = np.arange(curves.shape[1])
    side_correlations = np.maximum(
        curves[np.maximum(0, bests - width), joints], curves[np.minimum(len(curves) - 1, bests + width), joints]
    )
    missing_correlation = 1 - curves[bests, joints]
    is_sharp = (missing_correlation < 1 - FOLLOWS) & (1 - side_correlations > SHARP * missing_correlation)
    if is_sharp.any():
        is_sharp &= np.abs(bests - np.median(bests[is_sharp])) <= AGREED_FRAMES
    if is_sharp.sum() < max(1, SHARP_PART * len(joints)):
        return float("nan")
    sharp_deficits = missing_correlation[is_sharp]
    curve = curves[:, is_sharp] @ (
        1 / np.maximum(sharp_deficits, max(np.median(sharp_deficits), 1e-6))
    )  # those that follow well say it
    best_index = int(curve.argmax())
    if not 0 < best_index < len(curve) - 1:
        return float("nan")
    value_before, peak, value_after = curve[best_index - 1 : best_index + 2]
    bend = value_before - 2 * peak + value_after
    return float(lags[best_index] + (value_before - value_after) / (2 * bend)) if bend < 0 else float(lags[best_index])


def _correlate_lags(action: Array, state: Array, lags: Array) -> Array:
    """Return the correlation of each joint's state with its action, for each number of frames that it comes after."""
    frames = len(action)
    size = 1 << (2 * frames).bit_length()
    spectrum = np.conj(np.fft.rfft(action, size, axis=0)) * np.fft.rfft(state, size, axis=0)
    cross_products = np.fft.irfft(spectrum, size, axis=0)[lags]
    count = (frames - np.abs(lags))[:, None]
    early, late = np.maximum(0, -lags), np.maximum(0, lags)
    sums = []
    variances = []
    for numbers, window_starts, window_ends in ((action, early, frames - late), (state, late, frames - early)):
        total, squares = (
            np.vstack([np.zeros((1, numbers.shape[1])), np.cumsum(power, axis=0)]) for power in (numbers, numbers**2)
        )
        window = total[window_ends] - total[window_starts]
        variance = np.maximum(squares[window_ends] - squares[window_starts] - window**2 / count, 0)
        is_moving = variance > LEAST_VARIANCE * (numbers**2).sum(axis=0) * count / frames
        sums.append(window)
        variances.append(np.where(is_moving, variance, np.inf))
    product = cross_products - sums[0] * sums[1] / count
    return product / np.maximum(np.sqrt(variances[0] * variances[1]), 1e-30)
