"""How far ranges of starts reach: the places at which the T and the agent may be. Standard library only."""

import math
from collections.abc import Iterator
from itertools import product

GOAL, GOAL_ANGLE = (256.0, 256.0), math.pi / 4
QUARTER = math.pi / 2
Range = tuple[float, float]
Place = tuple[float, float]


def farthest(distance: Range, lateral: Range, turn: Range, across: Range, behind: Range, centre: float) -> Place:
    """The one that lies farthest out of a square around its centre."""
    blocks = [_block(*one) for one in product(distance, lateral)]
    agents = [(x + dx, y + dy) for (x, y), (dx, dy) in product(blocks, list(_agents(turn, across, behind)))]
    return max([*blocks, *agents], key=lambda place: max(abs(one - centre) for one in place))


def _block(distance: float, lateral: float) -> Place:
    cos, sin = math.cos(GOAL_ANGLE), math.sin(GOAL_ANGLE)
    return GOAL[0] + sin * distance + cos * lateral, GOAL[1] - cos * distance + sin * lateral


def _agents(turn: Range, across: Range, behind: Range) -> Iterator[Place]:
    """As seen from the block: at the corners, and where a turn brings a corner farthest to a side."""
    for one, other in product(across, behind):
        length, angle = math.hypot(one, other), math.atan2(-other, one) + GOAL_ANGLE
        for turned in _turns(angle + turn[0], angle + min(turn[1], turn[0] + 4 * QUARTER)):
            yield length * math.cos(turned), length * math.sin(turned)


def _turns(low: float, high: float) -> Iterator[float]:
    yield from (low, high)
    yield from (number * QUARTER for number in range(math.ceil(low / QUARTER), math.floor(high / QUARTER) + 1))
