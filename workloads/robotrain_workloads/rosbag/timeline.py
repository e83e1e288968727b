"""Time in a bag: header stamps or log times, clock jumps, gaps, and a grid of a fixed rate. Pure.

The order of recording tells when a clock was set: in it, times do not go back.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from robotrain_workloads.rosbag.settings import DataSettings

    Times = NDArray[np.int64]
    """Nanoseconds since 1970."""

JUMP_NS = 1_000_000_000
"""Header stamps that go back by more than this have jumped; less is jitter."""
LOG_JUMP_NS = 100_000_000
"""The same for log times: one clock takes them all, message by message."""
MAX_APART_S = 1.0
"""How much the header stamps of topics may differ in their distance from the times of recording."""
UNUSED_NS = 1_000_000_000
"""Less of a bag that no piece has is not worth a word: topics never begin and end together."""
_NANOSECONDS = 1_000_000_000


@dataclass(frozen=True)
class TopicTimes:
    """When the messages of a topic were made, in the order of recording."""

    log: Times
    """Log times."""
    stamps: Times
    """Header stamps; 0 where there is none."""
    sequence: Times
    """The number of each message among all that were read of the bag."""

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
        gaps_ns = np.concatenate([np.diff(part) for part in self._split()])
        if not len(gaps_ns):
            return 0.0
        regular_gaps = gaps_ns[gaps_ns <= int(max(5 * np.median(gaps_ns), np.mean(gaps_ns)))]
        return _NANOSECONDS / max(float(np.mean(regular_gaps)), 1.0)

    @property
    def longest_gap(self) -> tuple[float, int]:
        """The longest time between two messages in seconds, and when it began; (0, 0) with fewer than two."""
        parts = [part for part in self._split() if len(part) > 1]
        gaps = [(int(gap.max()), int(part[np.argmax(gap)])) for part in parts for gap in (np.diff(part),)]
        gap, start = max(gaps, default=(0, 0))
        return gap / _NANOSECONDS, start

    @cached_property
    def jumps(self) -> list[int]:
        """The positions of the messages before which the clock of the recording, or that of the headers, went back."""
        return sorted({*_find_jumps(self.log, LOG_JUMP_NS), *_find_jumps(self.times, JUMP_NS)})

    def _split(self) -> list[Times]:
        """Return the times between the jumps, each part ascending."""
        return [np.sort(part) for part in np.split(self.times, self.jumps)]

    def measure_jump(self, position: int) -> float:
        """Return by how many seconds the clock went back before a message that `jumps` names first."""
        backward_steps = (int(clock[:position].max() - clock[position]) for clock in (self.log, self.times))
        return max(backward_steps) / _NANOSECONDS


def make_topic_times(messages: Sequence[tuple[int, int, int]]) -> TopicTimes:
    """Return the times of messages, each given as log time, header stamp and number in the bag."""
    return TopicTimes(*np.asarray(messages, np.int64).reshape(-1, 3).T)


def _find_jumps(times: Times, tolerance_ns: int) -> list[int]:
    jumps, start = [], 0
    while start < len(times):
        is_behind = times[start:] < np.maximum.accumulate(times[start:]) - tolerance_ns
        if not is_behind.any():
            break
        start += int(np.argmax(is_behind))
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


Stretch = Mapping[str, "tuple[Times, NDArray[np.int64]]"]
"""What lies between two clock jumps: for each topic the times of its messages, ascending, and their positions."""


def find_pieces(stretches: Iterable[Stretch], settings: DataSettings) -> Iterator[Piece]:
    """Yield the pieces of a bag: each stretch is split where a topic is silent for longer than `max_gap_s`."""
    fps, tolerance_s = settings.fps, settings.tolerance
    for ordered_topics in stretches:
        spans = _intersect([_find_spans(times, settings.max_gap_s) for times, _ in ordered_topics.values()])
        for first_ns, last_ns in spans:
            # A last step within the tolerance of every topic's last message counts: topics never end together.
            steps = int(np.floor(((last_ns - first_ns) / _NANOSECONDS + tolerance_s * 0.999) * fps)) + 1
            grid = first_ns + np.round(np.arange(steps) * (_NANOSECONDS / fps)).astype(np.int64)
            indexes, is_far = {}, np.zeros(steps, bool)
            for name, (times, positions) in ordered_topics.items():
                next_indices = np.searchsorted(times, grid, side="right")
                previous_indices = np.clip(next_indices - 1, 0, len(times) - 1)
                chosen_indices = previous_indices
                if settings.sync == "nearest":
                    next_indices = np.clip(next_indices, 0, len(times) - 1)
                    chosen_indices = np.where(
                        np.abs(times[next_indices] - grid) < np.abs(grid - times[previous_indices]),
                        next_indices,
                        previous_indices,
                    )
                is_far |= np.abs(times[chosen_indices] - grid) > tolerance_s * _NANOSECONDS + 1
                indexes[name] = positions[chosen_indices]
            yield Piece(grid, indexes, int(is_far.sum()))


def describe_unused(stretches: Iterable[Stretch], pieces: Iterable[Piece]) -> str:
    """Return how many seconds of a bag are in no piece; empty for less than a second."""
    total_ns = 0
    for ordered_topics in stretches:
        all_times = [times for times, _ in ordered_topics.values() if len(times)]
        if all_times:
            total_ns += int(max(times[-1] for times in all_times) - min(times[0] for times in all_times))
    unused_ns = total_ns - sum(int(piece.grid[-1] - piece.grid[0]) for piece in pieces)
    return f"{unused_ns / _NANOSECONDS:.1f} of {total_ns / _NANOSECONDS:.1f} s" if unused_ns >= UNUSED_NS else ""


def split_at_jumps(topics: Mapping[str, TopicTimes]) -> list[Stretch]:
    """Return the stretches of a bag between its clock jumps."""
    recorded_times = _make_monotonic(topics)
    cuts = _find_cuts(topics, recorded_times)
    return [
        {
            name: _select_ordered(topic_times, recorded_times[name], cuts, name, number)
            for name, topic_times in topics.items()
        }
        for number in range(len(cuts) + 1)
    ]


def _make_monotonic(topics: Mapping[str, TopicTimes]) -> Mapping[str, Times]:
    """Return for each message when it was recorded, on a clock that nobody sets: log times, moved where they jump."""
    if not any(_find_jumps(topic_times.log, LOG_JUMP_NS) for topic_times in topics.values()):
        return {name: topic_times.log for name, topic_times in topics.items()}
    recording_order = np.argsort(np.concatenate([topic_times.sequence for topic_times in topics.values()]))
    ordered_times = np.concatenate([topic_times.log for topic_times in topics.values()])[recording_order]
    for jump in _find_jumps(ordered_times, LOG_JUMP_NS):
        ordered_times[jump:] += ordered_times[:jump].max() - ordered_times[jump] + 1
    monotonic_times = np.empty_like(ordered_times)
    monotonic_times[recording_order] = ordered_times
    topic_ends = np.cumsum([len(topic_times.log) for topic_times in topics.values()])
    return dict(zip(topics, np.split(monotonic_times, topic_ends[:-1]), strict=True))


def _find_cuts(
    topics: Mapping[str, TopicTimes], recorded_times: Mapping[str, Times]
) -> list[dict[str, tuple[int, int]]]:
    """Return for each clock jump when each topic's last message before it ended and its first one after it began.

    Topics jump within a second. Header stamps may jump some messages after the log times: those between are left out.
    """
    jumps = sorted(
        (int(recorded_times[name][jump]), name) for name, topic_times in topics.items() for jump in topic_times.jumps
    )
    cuts: list[dict[str, tuple[int, int]]] = []
    cut_start = 0
    for time_ns, name in jumps:
        if not cuts or time_ns - cut_start > JUMP_NS:
            cuts.append({})
            cut_start = time_ns
        first_ns, _ = cuts[-1].get(name, (time_ns, time_ns))
        cuts[-1][name] = (first_ns, time_ns)
    return [
        {name: cut_by_topic.get(name, (min(cut_by_topic.values())[0],) * 2) for name in topics} for cut_by_topic in cuts
    ]


def _select_ordered(
    topic_times: TopicTimes,
    recorded_times: Times,
    cuts: Sequence[Mapping[str, tuple[int, int]]],
    name: str,
    number: int,
) -> tuple[Times, NDArray[np.int64]]:
    """Return the times of a topic's messages between two jumps, ascending, and their positions."""
    is_inside = np.ones(len(recorded_times), bool)
    if number:
        is_inside &= recorded_times >= cuts[number - 1][name][1]
    if number < len(cuts):
        is_inside &= recorded_times < cuts[number][name][0]
    positions = np.flatnonzero(is_inside)
    ordered_positions = positions[np.argsort(topic_times.times[positions], kind="stable")]
    return topic_times.times[ordered_positions], ordered_positions


def find_clock_problem(topics: Mapping[str, TopicTimes], stretches: Iterable[Stretch]) -> str:
    """Return why times of different topics cannot be compared; empty if they can.

    Header stamps of one clock are all about as far from the times of recording.
    """
    for ordered_topics in stretches:
        late_seconds = {
            name: float(np.median(topics[name].log[positions] - times)) / _NANOSECONDS
            for name, (times, positions) in ordered_topics.items()
            if len(positions)
        }
        usual_seconds = min(late_seconds.values(), key=abs, default=0.0)
        outliers = [name for name, seconds in late_seconds.items() if abs(seconds - usual_seconds) > MAX_APART_S]
        if outliers:
            seconds = late_seconds[outliers[0]]
            other_topics = ", ".join(name for name in late_seconds if name not in outliers)
            clocks = "has a clock of its own" if len(outliers) == 1 else "have a clock of their own"
            return (
                f"{', '.join(outliers)} {clocks}: the header stamps are {abs(seconds):.1f} s"
                f" {'behind' if seconds > 0 else 'ahead of'} the times of recording, and the times of {other_topics}"
                " are not; --timestamp log takes the times of recording"
            )
    return ""


def _find_spans(times: Times, max_gap_s: float) -> list[tuple[int, int]]:
    if not len(times):
        return []
    breaks = np.flatnonzero(np.diff(times) > max_gap_s * _NANOSECONDS)
    first_indices = [0, *(breaks + 1)]
    last_indices = [*breaks, len(times) - 1]
    return [
        (int(times[first_index]), int(times[last_index]))
        for first_index, last_index in zip(first_indices, last_indices, strict=True)
    ]


def _intersect(spans: Sequence[Sequence[tuple[int, int]]]) -> list[tuple[int, int]]:
    common_spans = list(spans[0]) if spans else []
    for other_spans in spans[1:]:
        common_spans = [
            (max(common_start, start), min(common_end, end))
            for common_start, common_end in common_spans
            for start, end in other_spans
            if max(common_start, start) <= min(common_end, end)
        ]
    return common_spans
