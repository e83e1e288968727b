"""What makes a policy worse that learns from the numbers of a dataset: lengths, idle ends, dimensions, repeats."""

from collections import Counter
from collections.abc import Collection
from functools import cache

import numpy as np
import pandas as pd

from robotrain_workloads.dataset_check import tables
from robotrain_workloads.dataset_check.findings import Findings, make_finding, make_span_finding
from robotrain_workloads.dataset_check.load import ACTION, REWARD, STATE, Recorded
from robotrain_workloads.dataset_check.motion import GRIP, Motion, take_quantile
from robotrain_workloads.dataset_check.table_files import Array
from robotrain_workloads.lerobot import dataset

CONSECUTIVE = 4
HASHES_PER_EPISODE, MOST_HASHES = 32, 2_000_000
FEWEST_HASHES = 6
SAME_PART = 0.6
MOST_ALIKE = 200
"""A hash that more episodes have is of no episode."""
DIGITS = 6
SHORT_SECONDS, SHORT_PART = 0.5, 0.2
"""An episode is short if it has less, and less than this part of the usual length."""
IDLE_SECONDS = 2.0
CONSTANT = 1e-3
MOVED = 0.2
"""How far a joint moves at least whose action, or state, should have moved too."""
FEWEST_FRAMES = 5
NOISE = 1.0
"""The unevenness from which on a dimension is noise (`Spread.unevenness`)."""
TINY = 0.01
"""Of the usual standard deviation of the feature's dimensions."""
OUTLIER = 1e-3
"""The part of a dimension's extent in which nearly all values are, where a few are far away."""
MOST_LISTED = 8
FOLLOWS_RESTING, SAME_UNIT = 0.9, (0.7, 1.4)
"""The least correlation of a state with its action, and how much it moves for a unit of it."""
OFFSET = 0.08
"""Of the range: more is not the lag or the weight of an arm."""
FEWEST_OFFSET_FRAMES = 10


def count_episodes(number: int) -> str:
    """Return a number of episodes in words."""
    return f"{number} episode{'s' * (number != 1)}"


def find_short_episodes(recorded: Recorded) -> Findings:
    """Yield the episodes with one frame or two, or that are over at once."""
    lengths = recorded.lengths[recorded.kept]
    usual = float(np.median(lengths)) if len(lengths) else 0.0
    is_short = (lengths <= 2) | ((lengths < SHORT_SECONDS * recorded.fps) & (lengths < SHORT_PART * usual))
    if is_short.any():
        episodes, lengths = recorded.kept[is_short], lengths[is_short]
        frames = int(lengths.min())
        text = f"episode {episodes[lengths.argmin()]} has {frames} frame{'s' * (frames != 1)}, and half of the"
        spans = [(episode, 0, length) for episode, length in zip(episodes, lengths, strict=True)]
        text = f"{text} episodes have {usual:g} or more"
        yield make_finding("episode-short", text, episodes, number=frames, unit="frames", spans=spans)


def find_empty_tasks(recorded: Recorded) -> Findings:
    """Yield the episodes whose task has no text, and the tasks without one."""
    empty = [number for number, text in recorded.tasks.items() if not text.strip()]
    episodes = [number for number in recorded.kept if not recorded.episodes["task"].iloc[number].strip()]
    if empty or episodes:
        subject = f"task {empty[0]}" if empty else f"the task of episode {episodes[0]}"
        yield make_finding("task-empty", f"{subject} has no text", episodes, number=len(empty))


def find_empty_split(recorded: Recorded) -> Findings:
    """Yield that no episodes are held out, as a task would keep none."""
    counts = Counter(recorded.episodes["task"].iloc[recorded.kept])
    part = recorded.val_split
    if part and (emptied := dataset.find_emptied_tasks(counts, part)):
        episodes = count_episodes(counts[emptied[0]]) + (f" of {emptied[0]!r}" if len(counts) > 1 else "")
        text = f"no episodes are held out, so there is no val/loss: --val-split {part:g} of {episodes} leaves none"
        yield make_finding("validation-empty", text, number=len(recorded.kept), unit="episodes")


def find_lengths(motion: Motion) -> Findings:
    """Yield what is wrong with the lengths and tasks of episodes."""
    yield from find_short_episodes(motion.recorded)
    yield from find_empty_tasks(motion.recorded)
    yield from find_empty_split(motion.recorded)


def find_non_finite(motion: Motion) -> Findings:
    """Yield numbers that are not finite, of features that not every policy reads."""
    recorded = motion.recorded
    for feature, _, rows in tables.join_wrong_values(recorded, tables.get_owners(recorded)):
        if feature in motion.spreads or feature == REWARD:
            episodes = np.unique(recorded.frames["episode"].to_numpy()[rows])
            yield make_finding(
                "number-not-finite",
                f"{feature} has a value that is not a finite number: episode {episodes[0]}",
                episodes,
                feature=feature,
            )


def find_idle_ends(motion: Motion) -> Findings:
    """Yield idle beginnings and ends of episodes, and actions that stay the same."""
    if not motion.both.shape[1]:
        return
    is_looked_at = motion.is_good & (motion.lengths >= FEWEST_FRAMES)
    is_constant = np.zeros(len(motion.lengths), bool)
    if motion.action.shape[1]:
        is_constant = is_looked_at & (motion.measure_range(motion.action).max(axis=1) < CONSTANT)
    is_looked_at &= ~is_constant
    for code, verb, at_end in (("idle-start", "begins", False), ("idle-end", "ends", True)):
        still = motion.count_still(at_end=at_end)
        rows = np.flatnonzero(is_looked_at & (still < motion.lengths) & (still / motion.fps >= IDLE_SECONDS))
        if len(rows):
            ends = motion.lengths[rows] if at_end else still[rows]
            worst = rows[still[rows].argmax()]
            spans = [*zip(motion.episodes[rows], ends - still[rows], ends, strict=True)]
            text = (
                f"{count_episodes(len(rows))} {verb if len(rows) == 1 else verb[:-1]} without motion: episode"
                f" {motion.episodes[worst]} for {still[worst] / motion.fps:.1f} s"
            )
            text += ", which is usual for some seconds" if code == "idle-start" else ""
            yield make_span_finding(code, text, spans, still[worst] / motion.fps, "s")
    if is_constant.any():
        spans = motion.list_spans(np.flatnonzero(is_constant))
        verb = "has" if len(spans) == 1 else "have"
        text = f"{count_episodes(len(spans))} {verb} one action throughout: episode {spans[0][0]}"
        yield make_span_finding("action-constant", text, spans, None)
    if motion.is_comparable:
        yield from _find_stuck(motion, is_looked_at)


def _find_stuck(motion: Motion, is_looked_at: Array) -> Findings:
    """Yield each joint of which one of action and state stays the same while the other one moves."""
    action, state = motion.measure_range(motion.action), motion.measure_range(motion.state)
    is_smooth = motion.spreads[ACTION].is_smooth & motion.spreads[STATE].is_smooth
    for kind, moving_kind, still, moving in (("action", "state", action, state), ("state", "action", state, action)):
        is_stuck = is_looked_at[:, None] & is_smooth & (still == 0) & (moving > MOVED)
        for joint in np.flatnonzero(is_stuck.any(axis=0)):
            spans = motion.list_spans(np.flatnonzero(is_stuck[:, joint]))
            if len(spans) <= motion.is_good.sum() / 2:  # else they are not of the same joint
                text = f"the {kind} of {motion.joints[joint]} stays the same while its {moving_kind} moves"
                yield make_span_finding("dimension-stuck", f"{text}: episode {spans[0][0]}", spans, None)


def find_dimension_problems(motion: Motion) -> Findings:
    """Yield the dimensions of each feature that never move, and those that hardly do."""
    for feature in (ACTION, STATE):
        if (spread := motion.spreads.get(feature)) is None or spread.count < 10:
            continue
        names, is_constant = motion.names[feature], spread.max == spread.min
        if count := int(is_constant.sum()):
            constant = [
                f"{names[dimension]} ({spread.min[dimension]:.4g})" for dimension in np.flatnonzero(is_constant)
            ]
            more = f" and {count - MOST_LISTED} more" if count > MOST_LISTED else ""
            effect = "harmless if the robot has this value too, else normalization makes a small difference huge"
            effect = "the policy learns to say it" if feature == ACTION else effect
            listed = f"{', '.join(constant[:MOST_LISTED])}{more}"
            text = f"{feature} has {count} dimension{'s' * (count != 1)} with one value: {listed}: {effect}"
            yield make_finding("dimension-constant", text, feature=feature, number=count)
        moving = spread.std[~is_constant]
        is_noise = (spread.unevenness > NOISE) & (spread.std < TINY * (np.median(moving) if len(moving) else 0.0))
        has_outliers = (spread.q99 - spread.q01 < OUTLIER * (spread.max - spread.min)) & (spread.distinct > 2)
        for dimension in np.flatnonzero(~is_constant & (is_noise | has_outliers)):
            low, high, least, most = (
                float(value[dimension]) for value in (spread.q01, spread.q99, spread.min, spread.max)
            )
            low, high = (low, high) if high > low else (least, least)
            text = (
                f"{names[dimension]} of {feature} hardly changes: 98 % of it is from {low:.6g} to {high:.6g}"
                f", in {least:.6g} to {most:.6g}"
            )
            yield make_finding("dimension-tiny", text, feature=feature, number=spread.std[dimension])


def find_offsets(motion: Motion) -> Findings:
    """Yield an offset between action and state at rest: a leader and a follower that were calibrated differently."""
    rows = np.flatnonzero(motion.is_good & (motion.lengths >= FEWEST_OFFSET_FRAMES))
    if not motion.is_comparable or not len(rows):
        return
    spread = motion.spreads[ACTION]
    extent = np.where(spread.range > 0, spread.range, np.inf)
    products = np.zeros((3, len(extent)))
    offsets = np.zeros((len(rows), len(extent)))
    for place, row in enumerate(rows):
        span = slice(motion.starts[row], motion.ends[row])
        action, state = (motion.recorded.numbers[name][span].astype(float) for name in (ACTION, STATE))
        action_motion, state_motion = action - action.mean(axis=0), state - state.mean(axis=0)
        products += [
            (action_motion**2).sum(axis=0),
            (state_motion**2).sum(axis=0),
            (action_motion * state_motion).sum(axis=0),
        ]
        offsets[place] = _measure_offset((action - state) / extent, state)
    action_squares, state_squares, crossed = np.maximum(products, 1e-30)
    slope = crossed / action_squares
    is_following = (crossed / np.sqrt(action_squares * state_squares) > FOLLOWS_RESTING) & (slope > SAME_UNIT[0])
    for joint in np.flatnonzero(is_following & (slope < SAME_UNIT[1])):
        name = motion.joints[joint]
        usual = float(np.median(offsets[:, joint]))
        differences = offsets[:, joint] - usual
        is_off = np.abs(differences) > OFFSET
        if GRIP.search(name):
            continue
        if abs(usual) > OFFSET:
            text = (
                f"action and state of {name} differ by {usual * extent[joint]:.3g} at rest"
                f", {abs(usual):.0%} of its range"
            )
            yield make_finding("calibration-offset", text, feature=name, number=usual * extent[joint])
        elif 0 < is_off.mean() < 0.5:
            worst = int(np.abs(differences * is_off).argmax())
            offset = float(offsets[worst, joint] * extent[joint])
            text = (
                f"action and state of {name} differ by {offset:.3g} at rest in episode {motion.episodes[rows[worst]]}"
                f", and by {usual * extent[joint]:.3g} in most"
            )
            yield make_finding("calibration-offset", text, motion.episodes[rows[is_off]], feature=name, number=offset)


def _measure_offset(difference: Array, state: Array) -> Array:
    """Return how far action and state of an episode are from each other at rest, by joint."""
    velocity = np.gradient(state, axis=0)
    change = velocity - velocity.mean(axis=0)
    lag = (change * difference).sum(axis=0) / np.maximum((change**2).sum(axis=0), 1e-30)
    difference = difference - lag * velocity  # what is left would be there at rest
    low, middle, high = (take_quantile(difference, part) for part in (0.1, 0.5, 0.9))
    # A grip holds with an offset while it is closed: what is meant is there at all times.
    return np.where(high - low < OFFSET, middle, np.where(low > 0, low, np.where(high < 0, high, 0.0)))


def find_repeats(motion: Motion) -> Findings:
    """Yield episodes that repeat another one, and copies on both sides of the validation split."""
    copies = find_copies(motion)
    if copies.empty:
        return
    worst = copies.loc[copies["part"].idxmax()]
    lengths = motion.recorded.lengths
    spans = [(copy, 0, lengths[copy]) for copy in copies["copy"]]
    text = (
        f"{len(copies)} episode{'s repeat' if len(copies) > 1 else ' repeats'} another one: episode"
        f" {worst['copy']:.0f} has {worst['part']:.0%} of the frames of episode {worst['first']:.0f}"
    )
    yield make_finding("episode-repeated", text, copies["copy"], number=100 * worst["part"], unit="%", spans=spans)
    held_out = _select_held_out(motion.recorded)
    is_split = copies["copy"].isin(held_out) != copies["first"].isin(held_out)
    if is_split.any():
        first, copy = copies[is_split].iloc[0][["first", "copy"]].astype(int)
        held, trained = (copy, first) if copy in held_out else (first, copy)
        text = (
            f"validation (--val-split {motion.recorded.val_split:g}) has episode {held}"
            f", which is a copy of episode {trained} in training"
        )
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
    counts["part"] = counts["count"] / np.minimum(counts["first"].map(sizes), counts["episode"].map(sizes))
    counts = counts[counts["part"] >= SAME_PART].sort_values("part", ascending=False, kind="stable")
    return counts.drop_duplicates("episode").rename(columns={"episode": "copy"}).sort_values("copy")


def _mix(hashes: Array) -> Array:
    """Return other bits for each number, so that any of them may be used to choose."""
    hashes = (hashes ^ (hashes >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    hashes = (hashes ^ (hashes >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return hashes ^ (hashes >> np.uint64(31))
