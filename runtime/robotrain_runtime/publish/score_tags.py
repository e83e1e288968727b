"""What a version of a model says of how its policy was evaluated: always of one evaluation, never of two."""

import re
from collections.abc import Mapping

from robotrain_runtime.event import Evaluated
from robotrain_runtime.publish.tag_value import cut

SCORE, ON = "score_", "evaluated_on_"
"""Before the names of scores, and of what the policy was evaluated on."""
BY, IN = "scored_by", "evaluated_in"
"""Tags that say which run evaluated the policy, and under which conditions its scores hold."""


def of(evaluated: Evaluated | None, run: str, on: Mapping[str, str]) -> dict[str, str]:
    """The tags; none without scores. run: that which evaluated it. on: the data and the world that it did so with.

    `rollout/success_rate` is told as `score_rollout_success_rate`.
    """
    if evaluated is None or not evaluated.scores:
        return {}
    scores = {SCORE + re.sub("[^A-Za-z0-9]", "_", name): f"{value:.6g}" for name, value in evaluated.scores.items()}
    said = {BY: run, IN: evaluated.conditions, **{ON + name: value for name, value in on.items()}}
    return {**scores, **{name: cut(value) for name, value in said.items() if value}}


def instead_of(there: Mapping[str, str], now: Mapping[str, str]) -> dict[str, str]:
    """What a version that has these tags is told: those of now, and an empty text for each that is to go."""
    earlier = [name for name in there if name.startswith((SCORE, ON)) or name in (BY, IN)]
    return {**dict.fromkeys(earlier, ""), **now}


def replaced(there: Mapping[str, str], now: Mapping[str, str]) -> str:
    """The run whose scores give way to those of another one; empty for none."""
    before, after = there.get(BY, ""), now.get(BY, "")
    return before if after and before != after else ""
