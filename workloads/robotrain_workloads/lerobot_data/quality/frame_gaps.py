"""Frames that are missing or recorded twice, values that jump for one frame, and times that are not even."""

from collections.abc import Iterator

import numpy as np

from robotrain_workloads.lerobot_data.quality.motion import Motion, find_runs
from robotrain_workloads.lerobot_data_check.findings import DataFinding, Span, make_data_finding, make_span_finding
from robotrain_workloads.lerobot_data_check.recording import Array, EpisodeNumbers

DROPPED = 2.8
"""How many times as far as in the frames around it a robot moves where frames are missing."""
SLOW = 0.003
"""Of a dimension's range: less is no motion, but noise."""
SAME_DIRECTION = 0.9
AROUND = 2
AROUND_STEPS = tuple(offset for offset in range(-AROUND, AROUND + 1) if offset)
LEAP, LEAPING = 0.15, 0.3
"""How far a state leaps, of the range, that else moves a third of that at most; and the part of joints that do."""
REPEATED_RUN, REPEATED_PART = 3, 0.05
SPIKE, SPIKE_AROUND = 0.25, 0.25
UNUSUAL = 4.0
"""How many times as far a spike goes as nine of ten steps."""
UNEVEN = 0.1
"""Of the time between two frames."""
RATE_PART = 0.02
"""How far frames per second are from those of the description, as a part."""


def find_other_rate(times: Array, fps: float) -> Iterator[DataFinding]:
    """Yield that timestamps, one after another of one episode or more, have other frames per second than info.json."""
    steps = np.diff(times)
    steps = steps[steps > 0]
    rate = 1 / float(np.median(steps)) if len(steps) else fps
    if abs(rate / fps - 1) > RATE_PART:
        text = f"the timestamps have {rate:.4g} frames per second, and meta/info.json says fps {fps:g}"
        yield make_data_finding("fps-differs", text, number=rate, unit="fps")


class FrameGaps:
    """Where the frames of episodes do not follow one another."""

    def __init__(self, fps: float) -> None:
        self._fps = fps
        self._dropped: list[tuple[float, Span]] = []
        self._repeated: list[Span] = []
        self._spikes: list[Span] = []
        self._uneven: list[tuple[float, Span]] = []
        self._uneven_times: Array = np.zeros(0)

    def add(self, motion: Motion, numbers: EpisodeNumbers) -> None:
        """Look at the next episode."""
        self._find_uneven(numbers)
        if motion.length < 2 * AROUND + 2 or not motion.physical.shape[1]:
            return
        steps = np.diff(motion.physical, axis=0)
        speeds = np.abs(steps).max(axis=1)
        self._find_dropped(motion.episode, steps, speeds, motion.state.shape[1] > 0)
        if motion.state.shape[1]:  # a command may stay the same at any time
            self._find_repeated(motion, speeds)
        self._find_spikes(motion)

    def _find_dropped(self, episode: int, steps: Array, speeds: Array, can_leap: bool) -> None:
        """Note steps that are several times as far as those around them, in the same direction, or as any other."""
        inner = slice(AROUND, len(speeds) - AROUND)
        around = np.stack([np.roll(speeds, -offset)[inner] for offset in AROUND_STEPS])
        farthest = around.max(axis=0)
        usual = float(np.quantile(speeds, 0.95))
        joints = (np.abs(steps[inner]) > DROPPED * np.quantile(np.abs(steps), 0.95, axis=0) + SLOW).mean(axis=1)
        is_leap = (speeds[inner] > np.maximum(LEAP, DROPPED * np.maximum(usual, farthest))) & (joints > LEAPING)
        is_far = (speeds[inner] > DROPPED * farthest) & (around.min(axis=0) > SLOW)
        for frame in np.flatnonzero((is_leap & can_leap) | is_far) + AROUND:
            near = np.stack([steps[frame + offset] for offset in AROUND_STEPS])
            missing = _count_missing(steps[frame], near)
            if can_leap and is_leap[frame - AROUND]:
                missing = max(missing, float(speeds[frame] / max(usual, SLOW)) - 1)
            if missing:
                self._dropped.append((missing, (episode, int(frame), int(frame) + 2)))

    def _find_repeated(self, motion: Motion, speeds: Array) -> None:
        runs = []
        for begin, end in find_runs(motion.is_repeated):
            is_moving = begin >= 2 and end < motion.length and min(speeds[begin - 2], speeds[end - 1]) > SLOW
            if is_moving:
                runs.append((motion.episode, begin, end))
        longest = max((end - begin for _, begin, end in runs), default=0)
        total = sum(b - a for _, a, b in runs)
        if longest >= REPEATED_RUN or (total >= REPEATED_RUN and total >= REPEATED_PART * motion.length):
            self._repeated += runs

    def _find_spikes(self, motion: Motion) -> None:
        """Note values that are far from those before and after, which are near each other."""
        values = motion.continuous
        before, current, after = values[:-2], values[1:-1], values[2:]
        usual = np.quantile(np.abs(np.diff(values, axis=0)), 0.9, axis=0)
        far = np.minimum(np.abs(current - before), np.abs(current - after))
        is_spike = (far > np.maximum(SPIKE, UNUSUAL * usual)) & (np.abs(after - before) < SPIKE_AROUND * far)
        has_spike = is_spike.any(axis=1)
        self._spikes += [(motion.episode, int(frame), int(frame) + 1) for frame in np.flatnonzero(has_spike) + 1]

    def _find_uneven(self, numbers: EpisodeNumbers) -> None:
        off = np.abs(numbers.timestamps - np.arange(numbers.length) / self._fps)
        if len(off) and off.max() > UNEVEN / self._fps:
            self._uneven.append((float(off.max()), (numbers.episode, 0, numbers.length)))
            self._uneven_times = max(self._uneven_times, numbers.timestamps, key=len)

    def list_findings(self) -> Iterator[DataFinding]:
        """Yield what was found."""
        if self._dropped:
            missing, span = max(self._dropped)
            spans = [span for _, span in self._dropped]
            text = (
                f"motion jumps where frames are missing: episode {span[0]}, about {missing:.0f} at frame {span[1] + 1}"
            )
            yield make_span_finding("frames-dropped", text, spans, missing, "frames")
        if self._repeated:
            longest = max(self._repeated, key=lambda span: span[2] - span[1])
            count = longest[2] - longest[1]
            text = f"frames are recorded twice in motion: episode {longest[0]}, {count} from frame {longest[1]} on"
            yield make_span_finding("frames-repeated", text, self._repeated, count, "frames")
        if self._spikes:
            episode, frame, _ = self._spikes[0]
            text = f"actions or states jump for one frame: episode {episode}, frame {frame}"
            yield make_span_finding("action-jump", text, self._spikes, len(self._spikes), "frames")
        if other := [*find_other_rate(self._uneven_times, self._fps)]:
            yield from other
        elif self._uneven:
            off, (episode, *_) = max(self._uneven)
            text = f"frames are not evenly spaced at {self._fps:g} fps: episode {episode}, up to {off:.3g} s"
            yield make_span_finding("timestamps-irregular", text, [span for _, span in self._uneven], off, "s")


def _count_missing(step: Array, around: Array) -> float:
    """Return how many steps such as those around it a step stands for, less one; 0 if it is no motion like theirs."""
    direction = around.mean(axis=0)
    usual = np.abs(around).mean(axis=0)
    norms = np.linalg.norm(direction) * np.linalg.norm(step)
    ratios = np.abs(step[usual > SLOW]) / usual[usual > SLOW]  # of the joints that move
    is_alike = len(ratios) and norms and np.median(ratios) > DROPPED and direction @ step / norms > SAME_DIRECTION
    return float(np.median(ratios)) - 1 if is_alike else 0.0
