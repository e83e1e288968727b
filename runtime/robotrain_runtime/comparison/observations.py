"""The table that comparisons are made of, one row an episode, and the pairs of two policies on the same starts."""

import hashlib
import math
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

Measure = Literal["success", "score", "sign"]
"""What of two episodes is compared: their success, their scores from 0 to 1, or only which score is higher, for scores
without bounds such as a sum of rewards.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """One episode of a policy."""

    policy: str
    start: str
    """What the episode started from: a seed, or a task and a seed. Equal starts of two policies are a pair."""
    success: float | None = None
    """1 or 0, of repetitions their mean; None if it is unknown."""
    score: float | None = None
    condition: str = ""
    """What else differs between evaluations, such as `noise=0.1`; empty if nothing does."""
    training: str = ""
    """Which of several trainings of the policy; empty for the only one."""
    repetition: str = ""
    """Which of several episodes from the start; empty for the only one."""


class Side(NamedTuple):
    """One side of a comparison: a policy, under one condition or under all."""

    policy: str
    condition: str | None = None
    """None: each condition of its own is a part of the start."""

    def has(self, observation: Observation) -> bool:
        """Return whether an episode is of this side."""
        return observation.policy == self.policy and self.condition in (None, observation.condition)


class StartKey(NamedTuple):
    """What both episodes of a pair have in common."""

    start: str
    repetition: str
    condition: str | None


class Pair(NamedTuple):
    """Two episodes with the same start."""

    first: Observation
    second: Observation


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairing:
    """The pairs of two sides, and the starts that only one of them has."""

    first: Side
    second: Side
    pairs: tuple[Pair, ...]
    only_first: tuple[Observation, ...]
    only_second: tuple[Observation, ...]


def find_repeated(observations: Sequence[Observation]) -> Iterator[Observation]:
    """Yield each episode that has policy, training, condition, start and repetition of an earlier one."""
    seen_keys = set()
    for observation in observations:
        key = (
            observation.policy,
            observation.training,
            observation.condition,
            observation.start,
            observation.repetition,
        )
        if key in seen_keys:
            yield observation
        seen_keys.add(key)


def pair_sides(observations: Sequence[Observation], first: Side, second: Side) -> Pairing:
    """Return the pairs, in the order in which the table first names their starts.

    Looks at a comparison that goes on are honest only if that order was planned: rows in the order in which episodes
    ended would show the quick ones, which are often successes, first. Episodes that were played before are looked at
    once. Of repeated episodes the first counts.
    """
    rows: dict[StartKey, tuple[list[Observation], list[Observation]]] = {}
    for observation in observations:
        for number, side in enumerate((first, second)):
            if side.has(observation):
                key = StartKey(
                    observation.start, observation.repetition, observation.condition if side.condition is None else None
                )
                rows.setdefault(key, ([], []))[number].append(observation)
    return Pairing(
        first=first,
        second=second,
        pairs=tuple(
            Pair(first_observations[0], second_observations[0])
            for first_observations, second_observations in rows.values()
            if first_observations and second_observations
        ),
        only_first=tuple(
            first_observations[0]
            for first_observations, second_observations in rows.values()
            if first_observations and not second_observations
        ),
        only_second=tuple(
            second_observations[0]
            for first_observations, second_observations in rows.values()
            if second_observations and not first_observations
        ),
    )


def pool_repetitions(observations: Sequence[Observation]) -> list[Observation]:
    """Return one episode for each start of a policy, training and condition: the mean of those that begin there.

    Repetitions tell how a policy does at that start, and nothing about other starts.
    """
    episodes_by_start: dict[tuple[str, ...], list[Observation]] = {}
    for episode in observations:
        key = (episode.policy, episode.training, episode.condition, episode.start)
        episodes_by_start.setdefault(key, []).append(episode)
    return [_compute_mean(group) for group in episodes_by_start.values()]


def _compute_mean(group: Sequence[Observation]) -> Observation:
    successes = [episode.success for episode in group if episode.success is not None]
    scores = [episode.score for episode in group if episode.score is not None]
    return replace(
        group[0],
        repetition="",
        success=statistics.fmean(successes) if len(successes) == len(group) else None,
        score=statistics.fmean(scores) if len(scores) == len(group) else None,
    )


def pool_pairs(pairing: Pairing) -> Pairing:
    """Return a pair for each start, of the means of its repetitions: the start is the unit."""
    sides = [pool_repetitions([pair[number] for pair in pairing.pairs]) for number in (0, 1)]
    return replace(pairing, pairs=tuple(Pair(*pair) for pair in zip(*sides, strict=True)))


def count_missing_as_failures(pairing: Pairing, *, of_first: bool = True, of_second: bool = True) -> Pairing:
    """Return the pairs, with a failure for each start that one side lacks: without success, below all other scores.

    :param of_first: whether the starts that the first side lacks count.
    """
    all_observations = [observation for pair in pairing.pairs for observation in pair] + [
        *pairing.only_first,
        *pairing.only_second,
    ]
    scores = [observation.score for observation in all_observations if observation.score is not None]
    lowest = min([0.0, *(score - 1 for score in scores if not 0 <= score <= 1)])

    def fail(played: Observation, side: Side) -> Observation:
        condition = played.condition if side.condition is None else side.condition
        success = None if played.success is None else False
        score = None if played.score is None else lowest
        return replace(played, policy=side.policy, condition=condition, success=success, score=score)

    failed_pairs = [
        Pair(observation, fail(observation, pairing.second)) for observation in pairing.only_first if of_second
    ]
    failed_pairs += [
        Pair(fail(observation, pairing.first), observation) for observation in pairing.only_second if of_first
    ]
    return replace(pairing, pairs=(*pairing.pairs, *failed_pairs))


def shuffle_starts(starts: Sequence[str], block: int = 1) -> list[int]:
    """Return the places of starts in a shuffled order: that of their digests, salted with all starts.

    :param block: how many starts after each other stay together.
    """
    salt = _digest(sorted(starts))
    blocks = [range(position, min(position + block, len(starts))) for position in range(0, len(starts), block)]
    blocks.sort(key=lambda places: _digest([salt, *(starts[position] for position in places)]))
    return [position for places in blocks for position in places]


def _digest(texts: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()


def compute_difference(pair: Pair, measure: Measure) -> float:
    """Return the first minus the second, from -1 to 1. Raise ValueError if they lack what is measured."""
    first, second = (get_value(observation, measure) for observation in pair)
    return float((first > second) - (first < second)) if measure == "sign" else first - second


def get_value(observation: Observation, measure: Measure) -> float:
    """Return what is measured of an episode. Raise ValueError if it is not known or not in its bounds."""
    measured_value = observation.success if measure == "success" else observation.score
    if measured_value is None or not math.isfinite(measured_value):
        raise ValueError(
            f"the episode of {observation.policy} at start {observation.start} has no {_name_value(measure)}"
        )
    if measure == "score" and not 0 <= measured_value <= 1:
        raise ValueError(
            f"the score {measured_value:g} of {observation.policy} at start {observation.start} is not between 0 and 1"
        )
    return float(measured_value)


def _name_value(measure: Measure) -> str:
    return "success" if measure == "success" else "score"
