"""Simulated environments: observations, actions, and start states of their episodes. Standard library only."""

import cmath
import dataclasses
import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

from robotrain_runtime.contract.problem import Problem, Problems, make_data_problem

from robotrain_workloads.lerobot import versions
from robotrain_workloads.lerobot.options import get_option_value
from robotrain_workloads.lerobot.policy_features import (
    ACTION,
    STATE,
    UNKNOWN_TYPE,
    WORLD,
    FeatureOrigin,
    find_feature_mismatches,
    get_policy_inputs,
)
from robotrain_workloads.lerobot.versions import ModelType

SUITE_SEPARATOR = "/"
"""Between a suite and the number of a task in it."""
SCENES_ROLE, SCENES_FLAG = "scenes", "--assets"
DECIDING_OPTIONS = ("--env.obs_type=", "--env.camera_name=", "--env.camera_name_mapping=")
"""With these options the user decides what the environment shows."""
COMMON_OPTIONS = ("task", "fps", "disable_env_checker")
SIZE_OPTIONS = ("observation_height", "observation_width")
PICTURE_DIMENSIONS = ("channels", "height", "width")
OBSERVATION_OPTIONS = ("obs_type", *SIZE_OPTIONS)
EASY_STARTS = "easy"
WORLD_SIZE = 512.0
"""Length of its sides; positions lie within."""
LARGEST_NUMBER = 1e6
MOST_CHARACTERS = 1_000_000
"""The text travels with the job."""
STATE_FORM = "[agent_x, agent_y, block_x, block_y, block_angle]"
StartRange = tuple[float, float]
LONGEST_STARTS_TEXT = 60
GOAL, GOAL_ANGLE = (256.0, 256.0), math.pi / 4
TRIED_TURNS = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedEnvironment:
    """Inputs and outputs of an environment, as LeRobot's processors bring them to a policy."""

    action: int
    """Size of its action."""
    state: int
    """Size of the robot's state; 0 for none."""
    world: int = 0
    """Size of the state of objects; 0 for none."""
    cameras: tuple[str, ...]
    """Names of its cameras."""
    picture: tuple[int, int]
    """Height and width of their pictures, unless options say otherwise."""
    is_exclusive: bool = False
    """Whether it shows either objects or images."""
    max_reward: float
    """Of a step; the least is 0."""
    options: tuple[str, ...]
    """Names for `--env.NAME`, besides the common ones."""
    tasks: tuple[str, ...] = ()
    """Its tasks, if LeRobot has no list of them (`tasks.json`)."""
    needs_tasks: bool = False
    """Whether it has no task unless the user names one."""
    has_description: bool = False
    """Whether it describes its tasks in words."""
    most_steps: int | None = None
    """The most steps that an episode can have; None for any number."""
    has_placeable_objects: bool = False
    """Whether the start of an episode can be given."""
    is_mujoco: bool = False
    """Whether MuJoCo renders it."""
    scenes: str = ""
    """The dataset of the Hub with meshes and textures that its package lacks, a source of the job; empty for none."""
    scene_file: str = ""
    """One of its files, which others do not have."""
    setup: str = ""
    """The module whose `prepare` is called before its package is imported; empty for none."""


SIMULATED_ENVIRONMENTS: Mapping[str, SimulatedEnvironment] = {
    "pusht": SimulatedEnvironment(
        action=2,
        state=2,
        world=16,
        cameras=("observation.image",),
        picture=(96, 96),
        is_exclusive=True,
        max_reward=1.0,
        options=(*OBSERVATION_OPTIONS, "visualization_width", "visualization_height"),
        has_placeable_objects=True,
    ),
    "aloha": SimulatedEnvironment(
        action=14,
        state=14,
        cameras=("observation.images.top",),
        picture=(480, 640),
        max_reward=4.0,
        options=OBSERVATION_OPTIONS,
        tasks=("AlohaInsertion-v0", "AlohaTransferCube-v0"),
        is_mujoco=True,
    ),
    "metaworld": SimulatedEnvironment(
        action=4,
        state=4,
        cameras=("observation.image",),
        picture=(480, 480),
        max_reward=10.0,
        options=("obs_type",),
        needs_tasks=True,
        has_description=True,
        most_steps=500,
        is_mujoco=True,
    ),
    "libero": SimulatedEnvironment(
        action=7,
        state=8,
        cameras=("observation.images.image", "observation.images.image2"),
        picture=(360, 360),
        max_reward=1.0,
        options=(
            *OBSERVATION_OPTIONS,
            "camera_name",
            "camera_name_mapping",
            "control_mode",
            "init_states",
            "hard_reset",
        ),
        needs_tasks=True,
        has_description=True,
        is_mujoco=True,
        scenes="hf://lerobot/libero-assets",
        scene_file="scenes/libero_floor_base_style.xml",
        setup="robotrain_workloads.lerobot_eval.rollout.libero",
    ),
}


def find_environment_problems(
    settings: Mapping[str, Any],
    env: str,
    options: Sequence[str],
    model: ModelType = UNKNOWN_TYPE,
    renames: Mapping[str, str] | None = None,
) -> Problems:
    """Yield one sentence for each reason why a policy of the type `model` cannot act there.

    :param options: the user's, for LeRobot.
    :param renames: observations that have another name for the policy.
    """
    if any(option.startswith(DECIDING_OPTIONS) for option in options):
        return
    environment = SIMULATED_ENVIRONMENTS[env]
    inputs = get_policy_inputs(settings)
    renames = renames or {}
    shown_cameras = list(environment.cameras)
    renames = {**match_single_camera(inputs, shown_cameras, renames), **renames}
    sizes = {ACTION: environment.action, STATE: environment.state, WORLD: environment.world}
    features: dict[str, Any] = {name: {"dtype": "float32", "shape": [size]} for name, size in sizes.items() if size}
    shape = [3, *environment.picture]
    for index, name in enumerate(SIZE_OPTIONS, start=1):
        size_text = get_option_value(options, f"--env.{name}") or ""
        shape[index] = int(size_text) if size_text.isdecimal() else shape[index]
    features |= {name: {"dtype": "image", "shape": shape, "names": PICTURE_DIMENSIONS} for name in environment.cameras}
    origin = FeatureOrigin(env, "show")
    problems = find_feature_mismatches(settings, {"features": features}, renames, model, origin, is_trained=False)
    way = _find_size_way(inputs, environment)
    for finding in map(make_data_problem, problems):
        yield make_data_problem(finding, way if " wide and " in finding.title else "")
    if environment.is_exclusive and WORLD in inputs and any(is_camera(name) for name in inputs):
        yield f"the policy reads both {WORLD} and {shown_cameras[0]}, but {env} shows only one of them"


def find_scenes_problem(env: str, folder: Path) -> Problem | None:
    """Return what is wrong if a folder does not have the scenes of an environment; else None."""
    file = SIMULATED_ENVIRONMENTS[env].scene_file if env else ""
    if not file or (folder / file).is_file():
        return None
    return make_data_problem(
        f"the scenes of {env} are not those that it reads: they have no {file}", suggest_scenes(env)
    )


def suggest_scenes(env: str) -> str:
    """Return the option that brings the scenes of an environment."""
    return f"{SCENES_FLAG} {SIMULATED_ENVIRONMENTS[env].scenes}"


def is_camera(name: str) -> bool:
    """Return whether an observation that a policy reads is a camera's."""
    return name not in (STATE, WORLD)


def match_single_camera(
    inputs: Iterable[str], shown_cameras: Sequence[str], renames: Mapping[str, str]
) -> dict[str, str]:
    """Return the rename of the environment's only camera to the policy's only one: then names do not matter."""
    read_cameras = [name for name in inputs if is_camera(name)]
    if (
        len(read_cameras) != 1
        or len(shown_cameras) != 1
        or renames.get(shown_cameras[0], shown_cameras[0]) == read_cameras[0]
    ):
        return {}
    return {shown_cameras[0]: read_cameras[0]} if shown_cameras[0] not in renames else {}


def _find_size_way(inputs: Mapping[str, Sequence[int]], environment: SimulatedEnvironment) -> str:
    """Return the options that render the size of the policy's pictures; empty if the environment has none."""
    sizes = {tuple(shape[1:]) for name, shape in inputs.items() if is_camera(name)}
    if len(sizes) != 1 or not {*SIZE_OPTIONS} <= {*environment.options}:
        return ""
    (size,) = sizes
    return "-- " + " ".join(f"--env.{name}={length}" for name, length in zip(SIZE_OPTIONS, size, strict=False))


@dataclass(frozen=True, slots=True)
class StartStates:
    """Given states, used in turn: agent position, block position, and block angle in radians."""

    states: tuple[tuple[float, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StartRanges:
    """Ranges for random starts of block and agent. The defaults are those of examples/pusht-mini."""

    distance: StartRange = (80, 130)
    """Pixels from the goal, along the stem."""
    lateral: StartRange = (-20, 20)
    """Pixels to the side."""
    turn: StartRange = (-0.25, 0.25)
    """Radians from the goal's angle."""
    agent_across: StartRange = (-80, 80)
    """Agent along the block's bar, as seen from the block."""
    agent_behind: StartRange = (40, 110)
    """Agent behind the block's bar."""


Starts = StartStates | StartRanges


def parse_starts(starts_text: str | None, env: str) -> Starts | None:
    """Return the starts; None for the environment's own. Raise ValueError with a sentence."""
    if starts_text is None:
        return None
    if len(starts_text) > MOST_CHARACTERS:
        raise ValueError(
            f"it has {len(starts_text):,} characters, and at most {MOST_CHARACTERS:,} are allowed: use ranges or "
            "fewer states"
        )
    if not SIMULATED_ENVIRONMENTS[env].has_placeable_objects:
        placing_environments = ", ".join(
            name for name, environment in SIMULATED_ENVIRONMENTS.items() if environment.has_placeable_objects
        )
        raise ValueError(f"{env} chooses its own starts: only {placing_environments} takes --starts")
    if starts_text == EASY_STARTS:
        return StartRanges()
    try:
        starts_json = json.loads(starts_text)
    except (ValueError, RecursionError):
        starts_json = None
    if isinstance(starts_json, list) and starts_json:
        return StartStates(tuple(_parse_state(number, state) for number, state in enumerate(starts_json)))
    if isinstance(starts_json, dict):
        return _parse_ranges(starts_json)
    raise ValueError(
        f"it is neither {EASY_STARTS!r} nor a JSON list of states {STATE_FORM} nor a JSON object of ranges"
    )


def _parse_state(number: int, state: Any) -> tuple[float, ...]:
    if not (isinstance(state, list) and len(state) == 5 and all(map(_is_number, state))):
        raise ValueError(f"state {number} must be five numbers: {STATE_FORM}")
    if not all(0 <= position <= WORLD_SIZE for position in state[:4]):
        raise ValueError(f"state {number} has a position outside of 0 to {WORLD_SIZE:g}")
    return tuple(map(float, state))


def _parse_ranges(ranges_by_name: dict[str, Any]) -> StartRanges:
    range_names = [field.name for field in dataclasses.fields(StartRanges)]
    if unknown_names := sorted(set(ranges_by_name) - set(range_names)):
        raise ValueError(
            f"unknown range {', '.join(map(repr, unknown_names))}: the ranges are {', '.join(range_names)}"
        )
    parsed_ranges = {}
    for name, bounds in ranges_by_name.items():
        if not (
            isinstance(bounds, list) and len(bounds) == 2 and all(map(_is_number, bounds)) and bounds[0] <= bounds[1]
        ):
            raise ValueError(f"the range {name!r} must be two numbers, the lower one first")
        parsed_ranges[name] = (float(bounds[0]), float(bounds[1]))
    ranges = StartRanges(**parsed_ranges)
    position = _find_farthest_position(ranges)
    if not (0 <= position.real <= WORLD_SIZE and 0 <= position.imag <= WORLD_SIZE):
        reached = f"[{position.real:.0f}, {position.imag:.0f}]"
        raise ValueError(f"the ranges reach {reached}, but positions lie between 0 and {WORLD_SIZE:g}")
    return ranges


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) < LARGEST_NUMBER


def summarize_starts(starts: str) -> str:
    """Return the starts, shortened if they are too long to read."""
    starts_text = " ".join(starts.split())
    if len(starts_text) <= LONGEST_STARTS_TEXT:
        return starts_text
    try:
        starts_json = json.loads(starts_text)
        summary = f"{len(starts_json)} given states" if isinstance(starts_json, list) else "given ranges"
    except ValueError:
        summary = "as given"
    return f"{summary} (sha256:{hashlib.sha256(starts_text.encode()).hexdigest()[:16]})"


def _find_farthest_position(ranges: StartRanges) -> complex:
    """Return the position of block or agent that lies farthest from the world's center, as `x + y * 1j`."""
    first_turn, last_turn = ranges.turn
    turns = [first_turn + (last_turn - first_turn) * number / TRIED_TURNS for number in range(TRIED_TURNS + 1)]
    positions = list[complex]()
    for distance, lateral in product(ranges.distance, ranges.lateral):
        block = complex(*GOAL) + cmath.rect(1, GOAL_ANGLE) * complex(lateral, -distance)
        positions.append(block)
        for turn, across, behind in product(turns, ranges.agent_across, ranges.agent_behind):
            positions.append(block + cmath.rect(1, GOAL_ANGLE + turn) * complex(across, -behind))
    center = complex(WORLD_SIZE / 2, WORLD_SIZE / 2)
    return max(positions, key=lambda position: max(abs((position - center).real), abs((position - center).imag)))


class TaskCatalog(NamedTuple):
    """The tasks of an environment."""

    tasks: Sequence[str]
    groups: Mapping[str, Sequence[str]]
    """Names of several."""

    @property
    def names(self) -> tuple[str, ...]:
        """All names of groups and tasks."""
        return (*self.groups, *self.tasks)


def get_catalog(env: str, lerobot_version: object = None) -> TaskCatalog:
    """Return the tasks of an environment; none for an environment that is one task."""
    listed_groups = versions.get_version(lerobot_version).read_tasks().get(env, {})
    groups = {
        name: [f"{name}{SUITE_SEPARATOR}{number}" for number in range(members)] if type(members) is int else members
        for name, members in listed_groups.items()
    }
    tasks = (*SIMULATED_ENVIRONMENTS[env].tasks, *(task for members in groups.values() for task in members))
    return TaskCatalog(tasks, groups)


def split_names(names_text: str) -> list[str]:
    """Return the names of a list with commas."""
    return [name for part in names_text.split(",") if (name := part.strip())]


def select_tasks(names_text: str, catalog: TaskCatalog) -> list[str]:
    """Return the named tasks in the order given, each once. Raise KeyError for a name that is none."""
    members = {**{task: [task] for task in catalog.tasks}, **catalog.groups}
    return list(dict.fromkeys(task for name in split_names(names_text) for task in members[name]))


def make_task_options(task: str) -> list[str]:
    """Return LeRobot's options of the environment for one task, without a prefix."""
    if not task:
        return []
    suite, separator, number = task.rpartition(SUITE_SEPARATOR)
    if separator:
        return [f"--task={suite}", f"--task_ids=[{number}]"]
    return [f"--task={task}"]
