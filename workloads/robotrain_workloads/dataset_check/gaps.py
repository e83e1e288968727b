"""Where the frames of episodes do not follow one another: missing, recorded twice, spikes, uneven times."""

import numpy as np
import pandas as pd

from robotrain_workloads.dataset_check.findings import Findings, Span, make_finding, make_span_finding
from robotrain_workloads.dataset_check.load import Recorded
from robotrain_workloads.dataset_check.motion import Motion, find_runs
from robotrain_workloads.dataset_check.table_files import Array

DROPPED = 2.8
"""How many times as far as in the frames around it a robot moves where frames are missing."""
SLOW = 0.003
"""Of a dimension's range: less is no motion, but noise."""
SAME_DIRECTION = 0.9
AROUND = (-2, -1, 1, 2)
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


def find_other_rate(times: Array, fps: float) -> Findings:
    """Yield that timestamps, one after another of one episode or more, have other frames per second than info.json."""
    steps = np.diff(times)
    steps = steps[steps > 0]
    rate = 1 / float(np.median(steps)) if len(steps) else fps
    if abs(rate / fps - 1) > RATE_PART:
        yield make_finding(
            "fps-differs",
            f"the timestamps have {rate:.4g} frames per second, and meta/info.json says fps {fps:g}",
            number=rate,
            unit="fps",
        )


def find_gaps(motion: Motion) -> Findings:
    """Yield where the frames of episodes do not follow one another."""
    if motion.physical.shape[1]:
        yield from _find_dropped(motion)
        if motion.state.shape[1]:  # a command may stay the same at any time
            yield from _find_repeated(motion)
    if motion.both.shape[1] and motion.physical.shape[1]:
        yield from _find_spikes(motion)
    yield from _find_uneven_times(motion.recorded)


def _measure_speeds(motion: Motion) -> Array:
    """Return how far the fastest joint moves from each row to the next; 0 from the last row of an episode."""
    speeds = np.zeros(motion.row_count, np.float32)
    for dimension in range(motion.physical.shape[1]):
        np.maximum(speeds[:-1], np.abs(np.diff(motion.physical[:, dimension])), out=speeds[:-1])
    speeds[motion.ends - 1] = 0
    return speeds


def _find_dropped(motion: Motion) -> Findings:
    """Yield steps that are several times as far as those around them, in the same direction, or as any other."""
    speeds = _measure_speeds(motion)
    can_leap = motion.state.shape[1] > 0
    frames, lengths = motion.frames, motion.lengths[motion.owners]
    is_inner = (frames >= 2) & (frames < lengths - 3) & motion.is_good[motion.owners]
    around = np.stack([np.roll(speeds, -offset) for offset in AROUND])
    fastest, slowest = around.max(axis=0), around.min(axis=0)
    is_far = (speeds > DROPPED * fastest) & (slowest > SLOW)
    may_leap = (speeds > np.maximum(LEAP, DROPPED * fastest)) & can_leap
    dropped = list[tuple[float, Span]]()
    for row in np.flatnonzero(is_inner & (is_far | may_leap)):
        owner = motion.owners[row]
        rows = slice(motion.starts[owner], motion.ends[owner])
        steps = np.diff(motion.physical[rows], axis=0)
        frame = int(frames[row])
        usual = float(np.quantile(speeds[rows][:-1], 0.95))
        joints = np.abs(steps[frame]) > DROPPED * np.quantile(np.abs(steps), 0.95, axis=0) + SLOW
        is_leap = may_leap[row] and speeds[row] > DROPPED * usual and joints.mean() > LEAPING
        if not (is_leap or is_far[row]):
            continue
        missing = _count_missing(steps[frame], np.stack([steps[frame + offset] for offset in AROUND]))
        if is_leap:
            missing = max(missing, float(speeds[row] / max(usual, SLOW)) - 1)
        if missing:
            dropped.append((missing, (int(motion.episodes[owner]), frame, frame + 2)))
    if dropped:
        missing, span = max(dropped)
        text = f"motion jumps where frames are missing: episode {span[0]}, about {missing:.0f} at frame {span[1] + 1}"
        yield make_span_finding("frames-dropped", text, [span for _, span in dropped], missing, "frames")


def _count_missing(step: Array, steps_around: Array) -> float:
    """Return how many steps such as those around it a step stands for, less one; 0 if it is no motion like theirs."""
    direction = steps_around.mean(axis=0)
    usual = np.abs(steps_around).mean(axis=0)
    norms = np.linalg.norm(direction) * np.linalg.norm(step)
    ratios = np.abs(step[usual > SLOW]) / usual[usual > SLOW]  # of the joints that move
    is_alike = len(ratios) and norms and np.median(ratios) > DROPPED and direction @ step / norms > SAME_DIRECTION
    return float(np.median(ratios)) - 1 if is_alike else 0.0


def _find_repeated(motion: Motion) -> Findings:
    """Yield frames that are recorded twice or more often while the robot moves."""
    speeds, spans = _measure_speeds(motion), list[Span]()
    runs = find_runs(motion.is_repeated & motion.is_good[motion.owners])
    owners = motion.owners[runs[:, 0]]
    begins, ends = (runs - motion.starts[owners, None]).T
    can_move = (begins >= 2) & (ends < motion.lengths[owners]) & (motion.lengths[owners] >= 6)
    runs, owners, begins, ends = runs[can_move], owners[can_move], begins[can_move], ends[can_move]
    is_moving = np.minimum(speeds[runs[:, 0] - 2], speeds[runs[:, 1] - 1]) > SLOW
    table = pd.DataFrame({"owner": owners, "begin": begins, "end": ends})[is_moving]
    for owner, rows in table.groupby("owner"):
        counts = rows["end"] - rows["begin"]
        if counts.max() >= REPEATED_RUN or counts.sum() >= max(REPEATED_RUN, REPEATED_PART * motion.lengths[owner]):
            spans += [
                (int(motion.episodes[owner]), begin, end) for begin, end in zip(rows["begin"], rows["end"], strict=True)
            ]
    if spans:
        episode, begin, end = max(spans, key=lambda span: span[2] - span[1])
        text = f"frames are recorded twice in motion: episode {episode}, {end - begin} from frame {begin} on"
        yield make_span_finding("frames-repeated", text, spans, end - begin, "frames")


def _find_spikes(motion: Motion) -> Findings:
    """Yield values that are far from those before and after, which are near each other."""
    is_inner = (motion.frames > 0) & (motion.frames < motion.lengths[motion.owners] - 1) & motion.is_good[motion.owners]
    is_inner &= motion.lengths[motion.owners] >= 6
    spikes = set[tuple[int, int]]()
    for dimension in np.flatnonzero(motion.is_smooth):
        values = motion.both[:, dimension]
        before, after, around = values[1:-1] - values[:-2], values[1:-1] - values[2:], values[2:] - values[:-2]
        distances = np.minimum(np.abs(before), np.abs(after))
        is_spike = (distances > SPIKE) & (np.abs(around) < SPIKE_AROUND * distances) & is_inner[1:-1]
        for row in np.flatnonzero(is_spike) + 1:
            owner = motion.owners[row]
            steps = np.abs(np.diff(values[motion.starts[owner] : motion.ends[owner]]))
            if distances[row - 1] > UNUSUAL * np.quantile(steps, 0.9):
                spikes.add((int(motion.episodes[owner]), int(motion.frames[row])))
    if spikes:
        spans = [(episode, frame, frame + 1) for episode, frame in sorted(spikes)]
        yield make_span_finding(
            "action-jump",
            f"actions or states jump for one frame: episode {spans[0][0]}, frame {spans[0][1]}",
            spans,
            len(spans),
            "frames",
        )


def _find_uneven_times(recorded: Recorded) -> Findings:
    """Yield timestamps that are not even, or of another rate."""
    frames = recorded.frames
    distances = (frames["timestamp"] - frames["frame"] / recorded.fps).abs().groupby(frames["episode"]).max()
    uneven = distances[distances.index.isin(recorded.kept) & (distances > UNEVEN / recorded.fps)]
    if uneven.empty:
        return
    longest = uneven.index[recorded.lengths[uneven.index].argmax()]
    rates = [*find_other_rate(frames["timestamp"][frames["episode"] == longest].to_numpy(), recorded.fps)]
    yield from rates
    if not rates:
        text = (
            f"frames are not evenly spaced at {recorded.fps:g} fps: episode {uneven.idxmax()}"
            f", up to {uneven.max():.3g} s"
        )
        yield make_span_finding(
            "timestamps-irregular",
            text,
            [(episode, 0, recorded.lengths[episode]) for episode in uneven.index],
            uneven.max(),
            "s",
        )
