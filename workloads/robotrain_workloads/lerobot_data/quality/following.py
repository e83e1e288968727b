"""How the state follows the action, joint by joint: where it does in most episodes, one where it does not is wrong."""

from collections.abc import Iterator, Sequence

import numpy as np

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


class Following:
    """The correlations of the actions with the states of all episodes."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = names
        self._episodes: list[int] = []
        self._own: list[Array] = []
        self._nearest: list[Array] = []
        """For each joint of the action, the joint of the state that follows it best."""
        self._motions: list[Array] = []
        self._equal = True

    def add(self, episode: int, action: Array, state: Array) -> None:
        """Look at the next episode."""
        self._equal = self._equal and bool((action == state).all())
        if len(action) < FEWEST_FRAMES:
            return
        moved = action - action.mean(axis=0)
        followed = state - state.mean(axis=0)
        sizes = np.sqrt((moved**2).sum(axis=0)), np.sqrt((followed**2).sum(axis=0))
        both = moved.T @ followed / np.maximum(np.outer(*sizes), 1e-30)
        self._episodes.append(episode)
        self._own.append(np.diag(both))
        self._nearest.append(both.argmax(axis=1))
        self._motions.append(np.minimum(*sizes) / np.sqrt(len(action)))

    def list_findings(self) -> Iterator[DataFinding]:
        """Yield actions that are their states, and episodes whose actions are not of their states."""
        if len(self._episodes) < FEWEST_EPISODES:
            return
        if self._equal:
            yield make_data_finding(
                "action-is-state", "the action of each frame equals its state: a policy learns to stay where it is"
            )
            return
        own = np.stack(self._own)
        motions = np.stack(self._motions)
        usual = np.median(motions, axis=0)
        is_moving = (motions > MOVES * usual) & (usual > 0)
        follows = np.median(own, axis=0) > FOLLOWS
        is_odd = is_moving & follows & (1 - own > np.maximum(UNRELATED, UNUSUAL * (1 - np.median(own, axis=0))))
        rows_by_kind: dict[str, dict[int, list[int]]] = {"other": {}, "inverted": {}, "swapped": {}}
        for row in np.flatnonzero(is_odd.any(axis=1)).tolist():
            joints = np.flatnonzero(is_odd[row]).tolist()
            compared = int((is_moving[row] & follows).sum())
            kind = "inverted" if all(own[row, joint] < AGAINST for joint in joints) else ""
            if len(joints) == 2 and self._are_swapped(row, *joints):
                kind = "swapped"
            elif not kind and compared >= FEWEST_JOINTS and len(joints) > compared / 2:
                kind = "other"
            if kind:
                rows_by_kind[kind][row] = joints
        for kind, rows in rows_by_kind.items():
            if rows and len(rows) <= MOST_PART * len(own):
                yield self._make_finding(kind, rows)

    def _are_swapped(self, row: int, joint: int, other: int) -> bool:
        return bool(self._nearest[row][joint] == other and self._nearest[row][other] == joint)

    def _make_finding(self, kind: str, rows: dict[int, list[int]]) -> DataFinding:
        first = min(rows)
        names = " and ".join(self._names[joint] for joint in rows[first])
        episode = self._episodes[first]
        texts = {
            "inverted": ("sign-differs", f"{names} of the action moves against its state in episode {episode}"),
            "swapped": ("joints-swapped", f"{names} are swapped between action and state in episode {episode}"),
            "other": ("action-unrelated", f"the actions of episode {episode} are not of its states"),
        }
        code, text = texts[kind]
        return make_data_finding(code, text, [self._episodes[row] for row in rows], feature="action")
