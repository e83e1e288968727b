"""Time in a bag: header stamps or log times, clock jumps, gaps, and a grid of a fixed rate. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from robotrain_workloads.rosbag_act_train.bags import Sync

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Times = NDArray[np.int64]
    """Nanoseconds since 1970."""

JUMP_NS = 1_000_000_000
"""A clock that goes back by more than this has jumped; less is jitter."""
_NANOSECONDS = 1_000_000_000


@dataclass(frozen=True)
class TopicTimes:
    """When the messages of a topic were made, in the order in which they were recorded."""

    log: Times
    """Log times, ascending."""
    stamps: Times
    """Header stamps; 0 where there is none."""

    @property
    def times(self) -> Times:
        """The header stamps if all are above 0, else the log times."""
        return self.stamps if self.uses_stamps else self.log

    @cached_property
    def uses_stamps(self) -> bool:
        """Whether the header stamps count."""
        return bool(len(self.stamps)) and bool((self.stamps > 0).all())

    @property
    def rate(self) -> float:
        """Messages per second where there is no gap; 0 with fewer than two."""
        apart = np.diff(np.sort(self.times))
        if not len(apart):
            return 0.0
        regular = apart[apart <= int(max(5 * np.median(apart), np.mean(apart)))]
        return _NANOSECONDS / max(float(np.mean(regular)), 1.0)

    @property
    def longest_gap(self) -> tuple[float, int]:
        """The longest time between two messages in seconds, and when it began; (0, 0) with fewer than two."""
        if len(self.log) < 2:
            return 0.0, 0
        ordered = np.sort(self.times)
        at = int(np.argmax(np.diff(ordered)))
        return float(ordered[at + 1] - ordered[at]) / _NANOSECONDS, int(ordered[at])

    @cached_property
    def jumps(self) -> list[int]:
        """The positions of the messages before which the clock went back by more than a second."""
        times, jumps, start = self.times, [], 0
        while start < len(times):
            behind = times[start:] < np.maximum.accumulate(times[start:]) - JUMP_NS
            if not behind.any():
                break
            start += int(np.argmax(behind))
            jumps.append(start)
        return jumps


@dataclass(frozen=True)
class Piece:
    """A stretch of time in which every topic has messages, sampled at a fixed rate."""

    grid: Times
    """Shape (steps,)."""
    indexes: Mapping[str, NDArray[np.int64]]
    """For each topic, which message stands at each step; shape (steps,), positions in the order of recording."""
    filled: int
    """Steps at which a topic's message is farther away than the tolerance."""


def find_pieces(
    topics: Mapping[str, TopicTimes], *, fps: float, sync: Sync, tolerance_s: float, max_gap_s: float
) -> Iterator[Piece]:
    """Yield the pieces of a bag: split where a clock jumped, and where a topic is silent for longer than max_gap_s."""
    cuts = _find_cuts(topics)
    for number in range(len(cuts) + 1):
        ordered = {name: _select_ordered(one, name, cuts, number) for name, one in topics.items()}
        spans = _intersect([_find_spans(times, max_gap_s) for times, _ in ordered.values()])
        for first, last in spans:
            yield _make_piece(ordered, first, last, fps, sync, tolerance_s)


def _find_cuts(topics: Mapping[str, TopicTimes]) -> list[dict[str, int]]:
    """Return for each clock jump the log time of each topic's first message after it; topics jump within a second."""
    jumps = sorted((int(one.log[jump]), name) for name, one in topics.items() for jump in one.jumps)
    cuts: list[dict[str, int]] = []
    for log, name in jumps:
        if not cuts or log - min(cuts[-1].values()) > JUMP_NS:
            cuts.append({})
        cuts[-1].setdefault(name, log)
    return [{name: cut.get(name, min(cut.values())) for name in topics} for cut in cuts]


def _select_ordered(one: TopicTimes, name: str, cuts: Sequence[Mapping[str, int]], number: int) -> tuple[Times, Times]:
    """Return the times of a topic's messages between two jumps, ascending, and their positions."""
    inside = np.ones(len(one.log), bool)
    if number:
        inside &= one.log >= cuts[number - 1][name]
    if number < len(cuts):
        inside &= one.log < cuts[number][name]
    positions = np.flatnonzero(inside)
    order = positions[np.argsort(one.times[positions], kind="stable")]
    return one.times[order], order


def _find_spans(times: Times, max_gap_s: float) -> list[tuple[int, int]]:
    if not len(times):
        return []
    breaks = np.flatnonzero(np.diff(times) > max_gap_s * _NANOSECONDS)
    firsts = [0, *(breaks + 1)]
    lasts = [*breaks, len(times) - 1]
    return [(int(times[first]), int(times[last])) for first, last in zip(firsts, lasts, strict=True)]


def _intersect(spans: Sequence[Sequence[tuple[int, int]]]) -> list[tuple[int, int]]:
    common = list(spans[0]) if spans else []
    for others in spans[1:]:
        common = [
            (max(first, begin), min(last, end))
            for first, last in common
            for begin, end in others
            if max(first, begin) <= min(last, end)
        ]
    return common


def _make_piece(
    ordered: Mapping[str, tuple[Times, Times]], first: int, last: int, fps: float, sync: Sync, tolerance_s: float
) -> Piece:
    # A last step within the tolerance of every topic's last message counts: topics never end at the same moment.
    steps = int(np.floor(((last - first) / _NANOSECONDS + tolerance_s * 0.999) * fps)) + 1
    grid = first + np.round(np.arange(steps) * (_NANOSECONDS / fps)).astype(np.int64)
    indexes, far = {}, np.zeros(steps, bool)
    for name, (times, positions) in ordered.items():
        after = np.searchsorted(times, grid, side="right")
        before = np.clip(after - 1, 0, len(times) - 1)
        chosen = before
        if sync == "nearest":
            after = np.clip(after, 0, len(times) - 1)
            chosen = np.where(np.abs(times[after] - grid) < np.abs(grid - times[before]), after, before)
        far |= np.abs(times[chosen] - grid) > tolerance_s * _NANOSECONDS + 1
        indexes[name] = positions[chosen]
    return Piece(grid, indexes, int(far.sum()))
