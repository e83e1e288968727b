"""Episodes that repeat another one, and copies on both sides of the validation split.

Of each episode a few hashes of consecutive moving frames are kept, chosen by their own value: a copy has the same, also
where its beginning or end was cut.
"""

import math
from collections import Counter
from collections.abc import Collection, Iterator, Mapping

import numpy as np

from robotrain_workloads.lerobot import dataset
from robotrain_workloads.lerobot_data.quality.motion import Motion
from robotrain_workloads.lerobot_data_check.findings import DataFinding, make_data_finding
from robotrain_workloads.lerobot_data_check.recording import Array

CONSECUTIVE = 4
HASHES_PER_EPISODE, MOST_HASHES = 32, 2_000_000
FEWEST_HASHES = 6
REPEATED_PART = 0.6
MOST_ALIKE = 200
"""A hash that more episodes have is of no episode."""
DIGITS = 6


class Repeats:
    """The comparison of each episode with all others."""

    def __init__(self, episodes: int, frames: int) -> None:
        per_episode = max(1, min(HASHES_PER_EPISODE, MOST_HASHES // max(episodes, 1)))
        self._every = max(1, frames // max(episodes, 1) // per_episode)
        self._hashes: list[Array] = []
        self._owners: list[int] = []
        self._lengths: dict[int, int] = {}
        self._factors: Array = None

    def add(self, motion: Motion) -> None:
        """Look at the next episode."""
        self._lengths[motion.episode] = motion.length
        if motion.length < CONSECUTIVE + FEWEST_HASHES or not motion.rows.shape[1]:
            return
        hashes = self._hash_frames(motion)
        chosen_hashes = np.unique(hashes[hashes % np.uint64(self._every) == 0])
        if len(chosen_hashes) >= FEWEST_HASHES:
            self._hashes.append(chosen_hashes)
            self._owners.append(motion.episode)

    def _hash_frames(self, motion: Motion) -> Array:
        if self._factors is None or len(self._factors) != motion.rows.shape[1]:
            draw = np.random.default_rng(7)
            self._factors = draw.integers(1, 2**63, motion.rows.shape[1], dtype=np.uint64) | np.uint64(1)
        # Two of the same size, so that +0.0 and -0.0 are one.
        bits = (np.round(motion.rows, DIGITS) + 0.0).view(np.uint64)
        frames = _mix((bits * self._factors).sum(axis=1, dtype=np.uint64))
        count = len(frames) - CONSECUTIVE + 1
        hashes = np.zeros(count, np.uint64)
        for shift in range(CONSECUTIVE):
            hashes = _mix(hashes * np.uint64(31) + frames[shift : shift + count])
        is_moving = ~motion.is_repeated[1:count] if count > 1 else np.zeros(0, bool)
        return hashes[1:][is_moving]

    def find_copies(self) -> dict[int, tuple[int, float]]:
        """Return for each copy the episode that it repeats, and how much of the shorter one."""
        if not self._hashes:
            return {}
        sizes = {owner: len(hashes) for owner, hashes in zip(self._owners, self._hashes, strict=True)}
        owners = np.repeat(self._owners, [len(hashes) for hashes in self._hashes])
        hashes = np.concatenate(self._hashes)
        order = np.lexsort((owners, hashes))
        hashes, owners = hashes[order], owners[order]
        run_starts = np.flatnonzero(np.concatenate([[True], hashes[1:] != hashes[:-1]]))
        run_ends = np.append(run_starts[1:], len(hashes))
        shared_hashes: Counter[tuple[int, int]] = Counter()
        for run_start, run_end in zip(run_starts, run_ends, strict=True):
            if 1 < run_end - run_start <= MOST_ALIKE:
                first_owner, *other_owners = owners[run_start:run_end].tolist()
                shared_hashes.update((first_owner, other_owner) for other_owner in other_owners)
        copies: dict[int, tuple[int, float]] = {}
        for (first_owner, copy), count in shared_hashes.items():
            repeated_part = count / min(sizes[first_owner], sizes[copy])
            if repeated_part >= REPEATED_PART and repeated_part > copies.get(copy, (0, 0.0))[1]:
                copies[copy] = (first_owner, repeated_part)
        return dict(sorted(copies.items()))

    def list_findings(self, first_tasks: Mapping[int, str], part: float) -> Iterator[DataFinding]:
        """Yield what was found; `part` of the episodes of each task is held out."""
        copies = self.find_copies()
        if not copies:
            return
        copy, (repeated_episode, repeated_part) = max(copies.items(), key=lambda pair: pair[1][1])
        spans = [(copy, 0, self._lengths[copy]) for copy in copies]
        number = len(copies)
        finding_text = f"{number} episode{'s repeat' if number > 1 else ' repeats'} another one"
        copy_text = f"episode {copy} has {repeated_part:.0%} of the frames of episode {repeated_episode}"
        yield make_data_finding(
            "episode-repeated",
            f"{finding_text}: {copy_text}",
            copies,
            number=100 * repeated_part,
            unit="%",
            spans=spans,
        )
        yield from find_leaks(
            {copy: repeated_episode for copy, (repeated_episode, _) in copies.items()}, first_tasks, part
        )


def find_leaks(copies: Mapping[int, int], first_tasks: Mapping[int, str], part: float) -> Iterator[DataFinding]:
    """Yield whether copies are on both sides of the split; `copies` holds for each the episode that it repeats."""
    held_out = _select_held_out(first_tasks, part)
    split_copies = {
        copy: repeated_episode
        for copy, repeated_episode in copies.items()
        if (copy in held_out) != (repeated_episode in held_out)
    }
    if split_copies:
        copy, repeated_episode = next(iter(split_copies.items()))
        held_out_episode, trained_episode = (copy, repeated_episode) if copy in held_out else (repeated_episode, copy)
        finding_text = (
            f"validation (--val-split {part:g}) has episode {held_out_episode}, which is a copy of "
            f"episode {trained_episode} in training"
        )
        yield make_data_finding(
            "episode-in-validation", finding_text, split_copies, number=len(split_copies), unit="episodes"
        )


def _select_held_out(first_tasks: Mapping[int, str], held_out_part: float) -> Collection[int]:
    if not held_out_part or math.isnan(held_out_part):
        return ()
    return set(dataset.select_last_episodes(first_tasks.items(), held_out_part))


def _mix(hashes: Array) -> Array:
    """Return other bits for each number, so that any of them may be used to choose."""
    hashes = (hashes ^ (hashes >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    hashes = (hashes ^ (hashes >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return hashes ^ (hashes >> np.uint64(31))
