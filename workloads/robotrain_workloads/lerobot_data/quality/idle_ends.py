"""Idle beginnings and ends of episodes, and actions that stay the same."""

from collections.abc import Iterator

import numpy as np

from robotrain_workloads.lerobot_data.quality.motion import Motion
from robotrain_workloads.lerobot_data_check.findings import DataFinding, Span, make_span_finding
from robotrain_workloads.lerobot_data_check.recording import Array

IDLE_SECONDS = 2.0
STILL = 0.012
"""How far a robot at rest moves, of a dimension's range: noise of sensors."""
CONSTANT = 1e-3
MOVED = 0.2
"""How far a joint moves at least whose action, or state, should have moved too."""
FEWEST_FRAMES = 5
SETTLING = 5
"""Frames whose median is the pose at rest."""


class IdleEnds:
    """What begins or ends with seconds without motion, or does not move at all."""

    def __init__(self, fps: float, names: list[str], is_smooth: Array) -> None:
        """`is_smooth` says of which joints both action and state move continuously."""
        self._fps, self._names, self._is_smooth = fps, names, is_smooth
        self._starts: list[Span] = []
        self._ends: list[Span] = []
        self._constant: list[Span] = []
        self._stuck: dict[tuple[str, int], list[Span]] = {}
        self._episodes = 0

    def add(self, motion: Motion) -> None:
        """Look at the next episode."""
        self._episodes += 1
        if motion.length < FEWEST_FRAMES or not motion.both.shape[1]:
            return
        whole_span = (motion.episode, 0, motion.length)
        if motion.action.shape[1] and np.ptp(motion.action, axis=0).max() < CONSTANT:
            self._constant.append(whole_span)
            return
        still_at_start = count_still(motion.both)
        still_at_end = count_still(motion.both[::-1])
        if still_at_start < motion.length and still_at_start / self._fps >= IDLE_SECONDS:
            self._starts.append((motion.episode, 0, still_at_start))
        if still_at_end < motion.length and still_at_end / self._fps >= IDLE_SECONDS:
            self._ends.append((motion.episode, motion.length - still_at_end, motion.length))
        self._find_stuck(motion, whole_span)

    def _find_stuck(self, motion: Motion, whole_span: Span) -> None:
        """Note each joint of which one of action and state stays the same while the other one moves."""
        if motion.action.shape != motion.state.shape:
            return
        action = np.ptp(motion.action, axis=0)
        state = np.ptp(motion.state, axis=0)
        for kind, still_ranges, moving_ranges in (("action", action, state), ("state", state, action)):
            for dimension in np.flatnonzero(self._is_smooth & (still_ranges == 0) & (moving_ranges > MOVED)):
                self._stuck.setdefault((kind, int(dimension)), []).append(whole_span)

    def list_findings(self) -> Iterator[DataFinding]:
        """Yield what was found."""
        for code, spans, verb in (("idle-start", self._starts, "begins"), ("idle-end", self._ends, "ends")):
            if spans:
                longest_span = max(spans, key=lambda span: span[2] - span[1])
                seconds = (longest_span[2] - longest_span[1]) / self._fps
                finding_text = f"{_count(len(spans))} {verb if len(spans) == 1 else verb[:-1]} without motion"
                usual_remark = ", which is usual for some seconds" if code == "idle-start" else ""
                worst_text = f"episode {longest_span[0]} for {seconds:.1f} s{usual_remark}"
                yield make_span_finding(code, f"{finding_text}: {worst_text}", spans, seconds, "s")
        if self._constant:
            finding_text = (
                f"{_count(len(self._constant))} {'has' if len(self._constant) == 1 else 'have'} one action throughout"
            )
            yield make_span_finding(
                "action-constant", f"{finding_text}: episode {self._constant[0][0]}", self._constant, None, ""
            )
        for (kind, dimension), spans in self._stuck.items():
            if len(spans) > self._episodes / 2:  # they are not of the same joint
                continue
            moving_kind = "state" if kind == "action" else "action"
            name = self._names[dimension] if dimension < len(self._names) else f"dimension {dimension}"
            finding_text = f"the {kind} of {name} stays the same while its {moving_kind} moves: episode {spans[0][0]}"
            yield make_span_finding("dimension-stuck", finding_text, spans, None, "")


def count_still(poses: Array) -> int:
    """Return how many frames at the beginning are as the first ones."""
    has_moved = np.abs(poses - np.median(poses[:SETTLING], axis=0)).max(axis=1) > STILL
    return int(has_moved.argmax()) if has_moved.any() else len(poses)


def _count(episodes: int) -> str:
    return f"{episodes} episode{'s' * (episodes != 1)}"
