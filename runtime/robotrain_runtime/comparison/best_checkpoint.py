"""Which of several evaluated checkpoints is the best: the evaluation keeps it, and core shows and registers it."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from robotrain_runtime.contract.event import Scored


class Headline(NamedTuple):
    """A score that says which checkpoint is the best."""

    name: str
    """Its tracking name."""
    better: str
    """`higher` or `lower`."""
    is_share: bool = False
    """Whether it is a share: a value outside of 0 to 1 is none."""

    def find_value(self, checkpoint: Scored) -> float | None:
        """Return the score of a checkpoint; None if it has none, or one that cannot be compared."""
        score = checkpoint.scores.get(self.name, math.nan)
        if not math.isfinite(score) or (self.is_share and not 0 <= score <= 1):
            return None
        return score


def find_headline(checkpoints: Sequence[Scored], headlines: Sequence[Headline]) -> Headline | None:
    """Return the first headline that one of the checkpoints has; None if they have none."""
    for headline in headlines:
        if any(headline.find_value(checkpoint) is not None for checkpoint in checkpoints):
            return headline
    return None


def find_best(checkpoints: Sequence[Scored], headlines: Sequence[Headline]) -> Scored | None:
    """Return the checkpoint with the best score of the first headline, of equal ones the later; None if none has it."""
    headline = find_headline(checkpoints, headlines)
    if headline is None:
        return None
    sign = 1 if headline.better == "higher" else -1
    ranked = [
        (sign * score, checkpoint.step, checkpoint)
        for checkpoint in checkpoints
        if (score := headline.find_value(checkpoint)) is not None
    ]
    return max(ranked, key=lambda rank: rank[:2])[2]
