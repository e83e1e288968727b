"""Where episodes start, as it is said: `easy`, a list of states, or an object of ranges. Standard library only."""

import dataclasses
import json
from dataclasses import dataclass
from typing import Any

from robotrain_workloads.lerobot_eval.rollout import reach

EASY = "easy"
PLACED = "pusht"
"""The environment whose parts can be placed."""
WORLD = 512.0
"""The length of its sides; positions are within."""
LARGEST = 1e6
MOST = 1_000_000
"""Characters; they travel with the job."""
STATE = "[agent_x, agent_y, block_x, block_y, block_angle]"
Range = tuple[float, float]


@dataclass(frozen=True, slots=True)
class States:
    """Given states, taken in turn: the agent's position, the block's, and the block's angle in radians."""

    each: tuple[tuple[float, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranges:
    """Where the block and the agent are put at random. Without more said it is the start of examples/pusht-mini.

    distance: pixels from the goal, along the stem. lateral: pixels aside. turn: radians away from the goal's angle.
    agent_across, agent_behind: where the agent is, as seen from the block: along its bar, and behind it.
    """

    distance: Range = (80, 130)
    lateral: Range = (-20, 20)
    turn: Range = (-0.25, 0.25)
    agent_across: Range = (-80, 80)
    agent_behind: Range = (40, 110)


Starts = States | Ranges


def read(text: str | None, env: str) -> Starts | None:
    """What the text says; None for the environment's own start. Raises ValueError with a sentence."""
    if text is None:
        return None
    if len(text) > MOST:
        raise ValueError(f"it is {len(text):,} characters long, and the most is {MOST:,}: give ranges, or fewer states")
    if env != PLACED:
        raise ValueError(f"{env} chooses where its episodes start: only those of {PLACED} can be given")
    if text == EASY:
        return Ranges()
    try:
        said = json.loads(text)
    except json.JSONDecodeError as error:
        if text.lstrip()[:1] in ("[", "{"):
            raise ValueError(_broken(error)) from None
        said = None
    except (ValueError, RecursionError):
        said = None
    if isinstance(said, list) and said:
        return States(tuple(_state(number, one) for number, one in enumerate(said)))
    if isinstance(said, dict):
        return _ranges(said)
    raise ValueError(f"neither {EASY!r}, nor JSON: a list of states {STATE}, or an object of ranges")


def _broken(error: json.JSONDecodeError) -> str:
    if error.pos >= len(error.doc.rstrip()):
        return "this JSON ends before it is complete: a bracket, a brace or a quote is not closed"
    return f"this is not JSON from character {error.pos + 1} on: {error.msg[:1].lower()}{error.msg[1:]}"


def _state(number: int, said: Any) -> tuple[float, ...]:
    if not (isinstance(said, list) and len(said) == 5 and all(map(_is_number, said))):
        raise ValueError(f"state {number} must be five numbers: {STATE}")
    if not all(0 <= position <= WORLD for position in said[:4]):
        raise ValueError(f"state {number} has a position outside of 0 to {WORLD:g}")
    return tuple(map(float, said))


def _ranges(said: dict[str, Any]) -> Ranges:
    known = [field.name for field in dataclasses.fields(Ranges)]
    if unknown := sorted(set(said) - set(known)):
        raise ValueError(f"there is no range {', '.join(map(repr, unknown))}: the ranges are {', '.join(known)}")
    found = Ranges(**{name: _range(name, value) for name, value in said.items()})
    agent = (found.agent_across, found.agent_behind)
    place = reach.farthest(found.distance, found.lateral, found.turn, *agent, centre=WORLD / 2)
    if not all(0 <= one <= WORLD for one in place):
        at = ", ".join(f"{one:.0f}" for one in place)
        raise ValueError(f"these ranges reach to [{at}], and positions are from 0 to {WORLD:g}")
    return found


def _range(name: str, said: Any) -> Range:
    if not (isinstance(said, list) and len(said) == 2 and all(map(_is_number, said)) and said[0] <= said[1]):
        raise ValueError(f"the range {name!r} must be two numbers, the lower one first")
    return float(said[0]), float(said[1])


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < LARGEST
