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
        finding_text = f"the timestamps have {rate:.4g} frames per second, and meta/info.json says fps {fps:g}"
        yield make_data_finding("fps-differs", finding_text, number=rate, unit="fps")


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
        inner_frames = slice(AROUND, len(speeds) - AROUND)
        speeds_around = np.stack([np.roll(speeds, -offset)[inner_frames] for offset in AROUND_STEPS])
        fastest_around = speeds_around.max(axis=0)
        usual_speed = float(np.quantile(speeds, 0.95))
        joints = (np.abs(steps[inner_frames]) > DROPPED * np.quantile(np.abs(steps), 0.95, axis=0) + SLOW).mean(axis=1)
        is_leap = (speeds[inner_frames] > np.maximum(LEAP, DROPPED * np.maximum(usual_speed, fastest_around))) & (
            joints > LEAPING
        )
        is_far = (speeds[inner_frames] > DROPPED * fastest_around) & (speeds_around.min(axis=0) > SLOW)
        for frame in np.flatnonzero((is_leap & can_leap) | is_far) + AROUND:
            near_steps = np.stack([steps[frame + offset] for offset in AROUND_STEPS])
            missing_frames = _count_missing(steps[frame], near_steps)
            if can_leap and is_leap[frame - AROUND]:
                missing_frames = max(missing_frames, float(speeds[frame] / max(usual_speed, SLOW)) - 1)
            if missing_frames:
                self._dropped.append((missing_frames, (episode, int(frame), int(frame) + 2)))

    def _find_repeated(self, motion: Motion, speeds: Array) -> None:
        runs = []
        for run_start, run_end in find_runs(motion.is_repeated):
            is_moving = (
                run_start >= 2 and run_end < motion.length and min(speeds[run_start - 2], speeds[run_end - 1]) > SLOW
            )
            if is_moving:
                runs.append((motion.episode, run_start, run_end))
        longest_run = max((run_end - run_start for _, run_start, run_end in runs), default=0)
        total = sum(b - a for _, a, b in runs)
        if longest_run >= REPEATED_RUN or (total >= REPEATED_RUN and total >= REPEATED_PART * motion.length):
            self._repeated += runs

    def _find_spikes(self, motion: Motion) -> None:
        """Note values that are far from those before and after, which are near each other."""
        numbers = motion.continuous
        previous_values, current_values, next_values = numbers[:-2], numbers[1:-1], numbers[2:]
        usual_steps = np.quantile(np.abs(np.diff(numbers, axis=0)), 0.9, axis=0)
        distances = np.minimum(np.abs(current_values - previous_values), np.abs(current_values - next_values))
        is_spike = (distances > np.maximum(SPIKE, UNUSUAL * usual_steps)) & (
            np.abs(next_values - previous_values) < SPIKE_AROUND * distances
        )
        has_spike = is_spike.any(axis=1)
        self._spikes += [(motion.episode, int(frame), int(frame) + 1) for frame in np.flatnonzero(has_spike) + 1]

    def _find_uneven(self, episode_numbers: EpisodeNumbers) -> None:
        time_differences = np.abs(episode_numbers.timestamps - np.arange(episode_numbers.length) / self._fps)
        if len(time_differences) and time_differences.max() > UNEVEN / self._fps:
            self._uneven.append((float(time_differences.max()), (episode_numbers.episode, 0, episode_numbers.length)))
            self._uneven_times = max(self._uneven_times, episode_numbers.timestamps, key=len)

    def list_findings(self) -> Iterator[DataFinding]:
        """Yield what was found."""
        if self._dropped:
            missing_frames, span = max(self._dropped)
            spans = [span for _, span in self._dropped]
            finding_text = (
                f"motion jumps where frames are missing: episode {span[0]}, about {missing_frames:.0f} "
                f"at frame {span[1] + 1}"
            )
            yield make_span_finding("frames-dropped", finding_text, spans, missing_frames, "frames")
        if self._repeated:
            longest_span = max(self._repeated, key=lambda span: span[2] - span[1])
            count = longest_span[2] - longest_span[1]
            finding_text = (
                f"frames are recorded twice in motion: episode {longest_span[0]}, {count} from frame "
                f"{longest_span[1]} on"
            )
            yield make_span_finding("frames-repeated", finding_text, self._repeated, count, "frames")
        if self._spikes:
            episode, frame, _ = self._spikes[0]
            finding_text = f"actions or states jump for one frame: episode {episode}, frame {frame}"
            yield make_span_finding("action-jump", finding_text, self._spikes, len(self._spikes), "frames")
        if rate_findings := [*find_other_rate(self._uneven_times, self._fps)]:
            yield from rate_findings
        elif self._uneven:
            worst_difference, (episode, *_) = max(self._uneven)
            finding_text = (
                f"frames are not evenly spaced at {self._fps:g} fps: episode {episode}, up to {worst_difference:.3g} s"
            )
            yield make_span_finding(
                "timestamps-irregular", finding_text, [span for _, span in self._uneven], worst_difference, "s"
            )


def _count_missing(step: Array, steps_around: Array) -> float:
    """Return how many steps such as those around it a step stands for, less one; 0 if it is no motion like theirs."""
    direction = steps_around.mean(axis=0)
    usual_steps = np.abs(steps_around).mean(axis=0)
    norms = np.linalg.norm(direction) * np.linalg.norm(step)
    ratios = np.abs(step[usual_steps > SLOW]) / usual_steps[usual_steps > SLOW]  # of the joints that move
    is_alike = len(ratios) and norms and np.median(ratios) > DROPPED and direction @ step / norms > SAME_DIRECTION
    return float(np.median(ratios)) - 1 if is_alike else 0.0
