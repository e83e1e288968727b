"""Whether an action is one: no error can be told of what is no number, and no environment takes it."""

import math
from typing import Any

DAMAGED = "its weights or its statistics may be damaged"


def refuse(action: Any, whose: str, at: str, why: str = DAMAGED) -> None:
    """Raises SystemExit with a sentence for an action that is not finite. at: the episode, and where in it."""
    numbers = action.tolist()
    if not all(map(math.isfinite, numbers)):
        raise SystemExit(f"error: {whose} in {at} is not finite: {numbers}; {why}")
