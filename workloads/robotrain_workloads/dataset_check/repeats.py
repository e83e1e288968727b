"""Episodes that repeat another one."""

from collections.abc import Collection, Iterator
from functools import cache

import numpy as np
import pandas as pd

from robotrain_workloads.dataset_check.findings import Finding, make_finding
from robotrain_workloads.dataset_check.load import Recorded
from robotrain_workloads.dataset_check.motion import Motion
from robotrain_workloads.dataset_check.table_files import Array
from robotrain_workloads.lerobot import dataset

CONSECUTIVE = 4
HASHES_PER_EPISODE, MOST_HASHES = 32, 2_000_000
FEWEST_HASHES = 6
SAME_PART = 0.6
MOST_ALIKE = 200
"""A hash that more episodes have is of no episode."""
DIGITS = 6


def find_repeats(motion: Motion) -> Iterator[Finding]:
    """Yield episodes that repeat another one, and copies on both sides of the validation split."""
    copies = find_copies(motion)
    if copies.empty:
        return
    worst = copies.loc[copies["part"].idxmax()]
    lengths = motion.recorded.lengths
    spans = [(copy, 0, lengths[copy]) for copy in copies["copy"]]
    text = f"{len(copies)} episode{'s repeat' if len(copies) > 1 else ' repeats'} another one: episode"
    text = f"{text} {worst['copy']:.0f} has {worst['part']:.0%} of the frames of episode {worst['first']:.0f}"
    yield make_finding("episode-repeated", text, copies["copy"], number=100 * worst["part"], unit="%", spans=spans)
    held_out = _select_held_out(motion.recorded)
    is_split = copies["copy"].isin(held_out) != copies["first"].isin(held_out)
    if is_split.any():
        first, copy = copies[is_split].iloc[0][["first", "copy"]].astype(int)
        held, trained = (copy, first) if copy in held_out else (first, copy)
        text = f"validation (--val-split {motion.recorded.val_split:g}) has episode {held}"
        text = f"{text}, which is a copy of episode {trained} in training"
        episodes = copies["copy"][is_split]
        yield make_finding("episode-in-validation", text, episodes, number=len(episodes), unit="episodes")


def _select_held_out(recorded: Recorded) -> Collection[int]:
    """Return the episodes that a training holds out."""
    tasks = zip(recorded.kept.tolist(), recorded.episodes["task"].iloc[recorded.kept], strict=True)
    return {*dataset.select_last_episodes(tasks, recorded.val_split)} if recorded.val_split else set()


@cache
def find_copies(motion: Motion) -> pd.DataFrame:
    """Return the copies: `copy`, the `first` episode that it repeats, and what `part` of the shorter one.

    A few hashes of consecutive moving frames are compared, chosen by their own value: a copy has the same, also where
    its beginning or end was cut.
    """
    hashes = np.zeros(motion.row_count, np.uint64)
    factors = np.random.default_rng(7)
    for name in motion.spreads:
        for column in motion.recorded.numbers[name].T:
            bits = (np.round(column.astype(float), DIGITS) + 0.0).view(np.uint64)  # so that +0.0 and -0.0 are one
            hashes += bits * (factors.integers(1, 2**63, dtype=np.uint64) | np.uint64(1))
    hashes = _mix(hashes)
    windows = np.zeros(motion.row_count, np.uint64)
    for shift in range(CONSECUTIVE):
        windows = _mix(windows * np.uint64(31) + np.roll(hashes, -shift))
    per_episode = max(1, min(HASHES_PER_EPISODE, MOST_HASHES // max(len(motion.lengths), 1)))
    every = max(1, int(motion.lengths.mean()) // per_episode) if len(motion.lengths) else 1
    lengths = motion.lengths[motion.owners]
    is_used = motion.is_good[motion.owners] & (motion.frames > 0) & (motion.frames <= lengths - CONSECUTIVE)
    is_used &= ~motion.is_repeated & (lengths >= CONSECUTIVE + FEWEST_HASHES) & (windows % np.uint64(every) == 0)
    table = pd.DataFrame(
        {"hash": windows[is_used], "episode": motion.episodes[motion.owners[is_used]]}
    ).drop_duplicates()
    sizes = table["episode"].value_counts()
    table = table[table["episode"].map(sizes) >= FEWEST_HASHES].sort_values("episode")
    groups = table.groupby("hash")["episode"]
    table["first"] = groups.transform("first")
    pairs = table[(groups.transform("size") <= MOST_ALIKE) & (table["first"] != table["episode"])]
    counts = pairs.groupby(["first", "episode"]).size().rename("count").reset_index()
    smaller = np.minimum(counts["first"].map(sizes), counts["episode"].map(sizes))
    counts["part"] = counts["count"] / smaller
    counts = counts[counts["part"] >= SAME_PART].sort_values("part", ascending=False, kind="stable")
    return counts.drop_duplicates("episode").rename(columns={"episode": "copy"}).sort_values("copy")


def _mix(hashes: Array) -> Array:
    """Return other bits for each number, so that any of them may be used to choose."""
    hashes = (hashes ^ (hashes >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    hashes = (hashes ^ (hashes >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return hashes ^ (hashes >> np.uint64(31))
