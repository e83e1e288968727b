"""A few numbers of each episode: as an array of its own, those of one would take a hundred bytes more."""

import numpy as np

from robotrain_workloads.lerobot_data_check.recording import Array

FIRST_ROWS = 64


class EpisodeRows:
    """The numbers of the episodes so far, as rows of one array that grows."""

    def __init__(self) -> None:
        self._rows: Array = np.empty((0, 0))
        self._count = 0

    def append(self, row: Array) -> None:
        """Add the numbers of the next episode, of the shape and type of those of the first."""
        if not self._count:
            self._rows = np.empty((FIRST_ROWS, *row.shape), row.dtype)
        elif self._count == len(self._rows):
            self._rows = np.concatenate([self._rows, np.empty_like(self._rows)])
        self._rows[self._count] = row
        self._count += 1

    def __len__(self) -> int:
        return self._count

    @property
    def matrix(self) -> Array:
        """The numbers of all episodes; a row each."""
        return self._rows[: self._count]
