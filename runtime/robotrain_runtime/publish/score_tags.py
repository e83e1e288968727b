"""What a version of a model says of how its policy was evaluated: always of one evaluation, never of two."""

import re
from collections.abc import Mapping

from robotrain_runtime.event import Evaluated

SCORE = "score_"
BY, IN = "scored_by", "evaluated_in"
"""Tags that say which run evaluated the policy, and under which conditions its scores hold."""


def of(evaluated: Evaluated | None, run: str) -> dict[str, str]:
    """The tags; none without scores. run: that which evaluated it.

    `rollout/success_rate` is told as `score_rollout_success_rate`.
    """
    if evaluated is None or not evaluated.scores:
        return {}
    scores = {SCORE + re.sub("[^A-Za-z0-9]", "_", name): f"{value:.6g}" for name, value in evaluated.scores.items()}
    conditions = {IN: evaluated.conditions} if evaluated.conditions else {}
    return {**scores, BY: run, **conditions}


def instead_of(there: Mapping[str, str], now: Mapping[str, str]) -> dict[str, str]:
    """What a version that has these tags is told: those of now, and an empty text for each that is to go."""
    earlier = [name for name in there if name.startswith(SCORE) or name in (BY, IN)]
    return {**dict.fromkeys(earlier, ""), **now}
