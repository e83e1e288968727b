"""Simulated environments: what they show and take, and where their episodes start. Standard library only."""

import dataclasses
import hashlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from robotrain_workloads.lerobot.policy_features import (
    ACTION,
    STATE,
    WORLD,
    FeatureOrigin,
    find_feature_mismatches,
    get_policy_inputs,
)

OBSERVATION_TYPE_OPTION = "--env.obs_type="
"""Who says what an environment is to show knows better than the table."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedEnvironment:
    """action: how many numbers it takes. state, world: how many it shows of the robot, and of the things around it; 0
    for none. camera: the name of its one camera. apart: whether it shows the things and pictures only one at a time.
    best: the greatest reward it gives; the least is 0. options: what `--env.NAME` can set, beside what every one has.
    """

    action: int
    state: int
    world: int = 0
    camera: str
    is_exclusive: bool = False
    max_reward: float
    options: tuple[str, ...]

    def describe_features(self, camera: str, shape: Sequence[int]) -> dict[str, dict[str, Any]]:
        """As a dataset describes its own. camera, shape: under which name and in which size it is shown."""
        numbers = {ACTION: self.action, STATE: self.state, WORLD: self.world}
        told = {name: {"dtype": "float32", "shape": [size]} for name, size in numbers.items() if size}
        names = ["channels", "height", "width"]
        return {**told, camera: {"dtype": "image", "shape": list(shape), "names": names}}


COMMON_OPTIONS = ("task", "fps", "disable_env_checker")
OBSERVATION_OPTIONS = ("obs_type", "observation_height", "observation_width")
SIMULATED_ENVIRONMENTS: Mapping[str, SimulatedEnvironment] = {
    "pusht": SimulatedEnvironment(
        action=2,
        state=2,
        world=16,
        camera="observation.image",
        is_exclusive=True,
        max_reward=1.0,
        options=(*OBSERVATION_OPTIONS, "visualization_width", "visualization_height"),
    ),
    "aloha": SimulatedEnvironment(
        action=14, state=14, camera="observation.images.top", max_reward=4.0, options=OBSERVATION_OPTIONS
    ),
}


def list_environment_options(env: str) -> tuple[str, ...]:
    """The names that `--env.NAME` may have there."""
    return (*COMMON_OPTIONS, *SIMULATED_ENVIRONMENTS[env].options)


def find_environment_problems(settings: Mapping[str, Any], env: str, options: Sequence[str]) -> Iterator[str]:
    """Why a policy cannot act there, one sentence each. given: the person's own options."""
    if any(option.startswith(OBSERVATION_TYPE_OPTION) for option in options):
        return
    place, read = SIMULATED_ENVIRONMENTS[env], get_policy_inputs(settings)
    cameras = [name for name in read if name not in (STATE, WORLD)]
    camera = cameras[0] if len(cameras) == 1 else place.camera  # one picture for one picture is no question of names
    size = read.get(camera, [])[1:] or [0, 0]  # it is drawn as the policy wants it
    features = place.describe_features(camera, [3, *size])
    yield from find_feature_mismatches(settings, {"features": features}, (), FeatureOrigin(env, "show"))
    if place.is_exclusive and cameras and WORLD in read:
        yield f"the policy reads {WORLD} and looks through {camera}: {env} shows only one of them at a time"


EASY_STARTS = "easy"
PLACEABLE_ENVIRONMENT = "pusht"
"""The environment whose parts can be placed."""
WORLD_SIZE = 512.0
"""The length of its sides; positions are within."""
LARGEST_NUMBER = 1e6
MOST_CHARACTERS = 1_000_000
"""Characters; they travel with the job."""
STATE_FORM = "[agent_x, agent_y, block_x, block_y, block_angle]"
StartRange = tuple[float, float]


@dataclass(frozen=True, slots=True)
class StartStates:
    """Given states, taken in turn: the agent's position, the block's, and the block's angle in radians."""

    states: tuple[tuple[float, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StartRanges:
    """Where the block and the agent are put at random. Without more said it is the start of examples/pusht-mini.

    distance: pixels from the goal, along the stem. lateral: pixels aside. turn: radians away from the goal's angle.
    agent_across, agent_behind: where the agent is, as seen from the block: along its bar, and behind it.
    """

    distance: StartRange = (80, 130)
    lateral: StartRange = (-20, 20)
    turn: StartRange = (-0.25, 0.25)
    agent_across: StartRange = (-80, 80)
    agent_behind: StartRange = (40, 110)


Starts = StartStates | StartRanges


def parse_starts(text: str | None, env: str) -> Starts | None:
    """What the text says; None for the environment's own start. Raises ValueError with a sentence."""
    if text is None:
        return None
    if len(text) > MOST_CHARACTERS:
        raise ValueError(
            f"it is {len(text):,} characters long, and the most is {MOST_CHARACTERS:,}: give ranges, or fewer states"
        )
    if env != PLACEABLE_ENVIRONMENT:
        raise ValueError(f"{env} chooses where its episodes start: only those of {PLACEABLE_ENVIRONMENT} can be given")
    if text == EASY_STARTS:
        return StartRanges()
    try:
        said = json.loads(text)
    except json.JSONDecodeError as error:
        if text.lstrip()[:1] in ("[", "{"):
            raise ValueError(_explain_json_error(error)) from None
        said = None
    except (ValueError, RecursionError):
        said = None
    if isinstance(said, list) and said:
        return StartStates(tuple(_parse_state(number, one) for number, one in enumerate(said)))
    if isinstance(said, dict):
        return _parse_ranges(said)
    raise ValueError(f"neither {EASY_STARTS!r}, nor JSON: a list of states {STATE_FORM}, or an object of ranges")


def _explain_json_error(error: json.JSONDecodeError) -> str:
    if error.pos >= len(error.doc.rstrip()):
        return "this JSON ends before it is complete: a bracket, a brace or a quote is not closed"
    return f"this is not JSON from character {error.pos + 1} on: {error.msg[:1].lower()}{error.msg[1:]}"


def _parse_state(number: int, value: Any) -> tuple[float, ...]:
    if not (isinstance(value, list) and len(value) == 5 and all(map(_is_number, value))):
        raise ValueError(f"state {number} must be five numbers: {STATE_FORM}")
    if not all(0 <= position <= WORLD_SIZE for position in value[:4]):
        raise ValueError(f"state {number} has a position outside of 0 to {WORLD_SIZE:g}")
    return tuple(map(float, value))


def _parse_ranges(values: dict[str, Any]) -> StartRanges:
    known = [field.name for field in dataclasses.fields(StartRanges)]
    if unknown := sorted(set(values) - set(known)):
        raise ValueError(f"there is no range {', '.join(map(repr, unknown))}: the ranges are {', '.join(known)}")
    found = StartRanges(**{name: _parse_range(name, value) for name, value in values.items()})
    agent = (found.agent_across, found.agent_behind)
    place = find_farthest_position(found.distance, found.lateral, found.turn, *agent, centre=WORLD_SIZE / 2)
    if not all(0 <= one <= WORLD_SIZE for one in place):
        at = ", ".join(f"{one:.0f}" for one in place)
        raise ValueError(f"these ranges reach to [{at}], and positions are from 0 to {WORLD_SIZE:g}")
    return found


def _parse_range(name: str, value: Any) -> StartRange:
    if not (isinstance(value, list) and len(value) == 2 and all(map(_is_number, value)) and value[0] <= value[1]):
        raise ValueError(f"the range {name!r} must be two numbers, the lower one first")
    return float(value[0]), float(value[1])


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < LARGEST_NUMBER


LONGEST_STARTS_TEXT = 60


def summarize_starts(starts: str) -> str:
    """As the person gave them, as long as a person would read them."""
    said = " ".join(starts.split())
    if len(said) <= LONGEST_STARTS_TEXT:
        return said
    return f"{_describe_starts(said)} (sha256:{hashlib.sha256(said.encode()).hexdigest()[:16]})"


def _describe_starts(text: str) -> str:
    try:
        found = json.loads(text)
    except ValueError:
        return "as given"
    return f"{len(found)} given states" if isinstance(found, list) else "given ranges"


GOAL, GOAL_ANGLE = (256.0, 256.0), math.pi / 4
QUARTER_TURN = math.pi / 2
Range = tuple[float, float]
Position = tuple[float, float]


def find_farthest_position(
    distance: Range, lateral: Range, turn: Range, across: Range, behind: Range, centre: float
) -> Position:
    """The one that lies farthest out of a square around its centre."""
    blocks = [_locate_block(*one) for one in product(distance, lateral)]
    agents = [(x + dx, y + dy) for (x, y), (dx, dy) in product(blocks, list(_locate_agents(turn, across, behind)))]
    return max([*blocks, *agents], key=lambda place: max(abs(one - centre) for one in place))


def _locate_block(distance: float, lateral: float) -> Position:
    cos, sin = math.cos(GOAL_ANGLE), math.sin(GOAL_ANGLE)
    return GOAL[0] + sin * distance + cos * lateral, GOAL[1] - cos * distance + sin * lateral


def _locate_agents(turn: Range, across: Range, behind: Range) -> Iterator[Position]:
    """As seen from the block: at the corners, and where a turn brings a corner farthest to a side."""
    for one, other in product(across, behind):
        length, angle = math.hypot(one, other), math.atan2(-other, one) + GOAL_ANGLE
        for turned in _list_extreme_angles(angle + turn[0], angle + min(turn[1], turn[0] + 4 * QUARTER_TURN)):
            yield length * math.cos(turned), length * math.sin(turned)


def _list_extreme_angles(low: float, high: float) -> Iterator[float]:
    yield from (low, high)
    yield from (
        number * QUARTER_TURN for number in range(math.ceil(low / QUARTER_TURN), math.floor(high / QUARTER_TURN) + 1)
    )
