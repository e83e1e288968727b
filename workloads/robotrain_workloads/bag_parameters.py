"""ROS 2 bags of a job: the options that say how they are read, and what their texts mean. Standard library only."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from robotrain_runtime.contract.parameter import Param

STORAGE_SUFFIXES = (".db3", ".mcap")
COMPRESSED_SUFFIX = ".zstd"
"""What `ros2 bag record --compression-mode file` appends to the name of a storage file."""
MOST_LOOKED_AT = 20_000
"""Files of a folder: a folder that is named by mistake may have any number."""
Sync = Literal["nearest", "previous"]
"""Which message counts at a step: the nearest one, or the one before."""
Clock = Literal["header", "log"]
"""Which time counts: that of header stamps, where all are set, or that of the recording."""
ClockJump = Literal["refuse", "split"]
"""What a clock that goes back does to its bag."""
DEGREES = "deg"
"""The unit of a topic whose angles become radians."""
NO_TOPIC = "none"
"""What stands for no topic where the default is one."""
TOPIC = r"/?[A-Za-z_~{}][A-Za-z0-9_~{}/]*"
TOPIC_PATTERN = f"^{TOPIC}$"
TOPICS_PATTERN = f"^{TOPIC}(=[A-Za-z0-9_-]+)?(,{TOPIC}(=[A-Za-z0-9_-]+)?)*$"
UNITS_PATTERN = f"^{TOPIC}={DEGREES}(,{TOPIC}={DEGREES})*$"
SIZE_PATTERN = r"^[1-9][0-9]*x[1-9][0-9]*$"
NAMES_PATTERN = r"^[^,\s]+(,[^,\s]+)*$"
TOPIC_PARAMETERS = ("state_topic", "environment_state_topic", "action_topic")
"""Those with a topic of numbers."""
DEFAULT_TASK = "do the recorded task"
"""The text of the task that every episode of a converted bag shows."""


def _make_topic_param(help: str) -> Param:
    return Param(help=help, common=True, pattern=TOPIC_PATTERN, pattern_help="a topic", metavar="TOPIC")


def _make_joints_param(joints_owner: str) -> Param:
    return Param(
        help=f"the joints of the {joints_owner}, in order (default: as in the first bag)",
        pattern=NAMES_PATTERN,
        pattern_help="names with commas between them",
        metavar="NAME,…",
        form="list",
    )


IMAGE_TOPICS = Param(
    help="the cameras: topics and their names, as /camera/top=top,/camera/wrist=wrist",
    common=True,
    pattern=TOPICS_PATTERN,
    pattern_help="topics with commas between them, each with `=` and the camera's name after it",
    metavar="TOPIC=CAMERA,…",
)
STATE_TOPIC = _make_topic_param("the topic of the robot's state, or none")
ENVIRONMENT_STATE_TOPIC = _make_topic_param("a topic with the state of what is around the robot")._replace(common=False)
ACTION_TOPIC = _make_topic_param("the topic of the actions, or none: the action is the next state")._replace(
    takes_none=True
)
JOINT_NAMES = _make_joints_param("state")
ACTION_JOINT_NAMES = _make_joints_param("action")
UNITS = Param(
    help="topics of angles in degrees, which become radians, such as /joint_states=deg",
    aliases=("--unit",),
    pattern=UNITS_PATTERN,
    pattern_help="topics with `=deg` after each and commas between them",
    metavar="TOPIC=deg,…",
    form="table",
)
FPS = Param(help="steps per second", common=True, gt=0)
SYNC = Param(help="which message counts at a step: the nearest, or the one before")
TOLERANCE_S = Param(help="how far a message may be from its step, in seconds (default: half a step)", gt=0)
TIMESTAMP = Param(help="the time that counts: of headers, where all have one, or of the recording")
MAX_GAP_S = Param(help="a longer silence splits a bag into episodes, in seconds", gt=0)
ON_CLOCK_JUMP = Param(help="what a clock that goes back does to its bag")
EXCLUDE_BAGS = Param(
    help="bags that are left out, by the names that `robotrain bags inspect` shows",
    aliases=("--exclude-bag",),
    pattern=r"^[^,]+(,[^,]+)*$",
    pattern_help="names with commas between them",
    metavar="NAME,…",
    form="list",
)
IMAGE_SIZE = Param(
    help="the size that pictures are scaled to (default: their own)",
    pattern=SIZE_PATTERN,
    pattern_help="HEIGHTxWIDTH in pixels, such as 480x640",
    metavar="HEIGHTxWIDTH",
)
NAMES = (
    *("image_topics", *TOPIC_PARAMETERS, "joint_names", "action_joint_names", "units", "fps", "sync", "tolerance_s"),
    *("timestamp", "max_gap_s", "on_clock_jump", "exclude_bags", "image_size"),
)
"""The parameters above, as every workload that reads bags calls them."""


def list_given(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of these parameters that have a value, where the default of each is none."""
    return {name: values[name] for name in NAMES if values[name] not in (None, False)}


def parse_cameras(cameras_text: str) -> dict[str, str]:
    """Return the camera of each topic; the topic names it where nothing else does."""
    topics = [part.partition("=") for part in cameras_text.split(",") if part]
    return {topic: camera or topic.strip("/").replace("/", "_") for topic, _, camera in topics}


def parse_units(units_text: str | None) -> dict[str, str]:
    """Return the unit of each topic. Raise ValueError."""
    unit_parts = [part.partition("=") for part in (units_text or "").split(",") if part]
    if wrong_unit := next(
        (f"{topic}{sign}{unit}" for topic, sign, unit in unit_parts if unit != DEGREES or not topic), ""
    ):
        raise ValueError(f"It is TOPIC={DEGREES}, for angles in degrees, which become radians; not {wrong_unit}.")
    return {topic: unit for topic, _, unit in unit_parts}


def parse_names(names_text: str | None) -> tuple[str, ...]:
    """Return the names of a list with commas."""
    return tuple(names_text.split(",")) if names_text else ()


def parse_size(text: str | None) -> tuple[int, int] | None:
    """Return the height and the width; None for a text that is empty."""
    height, _, width = (text or "").partition("x")
    return (int(height), int(width)) if height else None


def read_topic(topic_text: str | None) -> str | None:
    """Return the topic; None for none."""
    return None if topic_text in (None, NO_TOPIC) else topic_text


def make_settings(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of DataSettings that parameters name: the others are guessed from the bags."""
    name_readers = dict.fromkeys(("exclude_bags", "joint_names", "action_joint_names"), parse_names)
    readers: Mapping[str, Any] = {
        **dict.fromkeys(TOPIC_PARAMETERS, read_topic),
        "image_topics": lambda text: parse_cameras(read_topic(text) or ""),
        "units": parse_units,
        "image_size": parse_size,
        **name_readers,
    }
    return {name: readers.get(name, lambda value: value)(value) for name, value in values.items()}


NEXT_STATE = "the action of a step is the next state"
ACTION_IS_STATE = "the topic of the action is that of the state: the action would be what the policy sees"


def is_action_the_state(bag_settings: Mapping[str, Any]) -> bool:
    """Return whether the action of a step is the state of the same step."""
    action, state = (read_topic(bag_settings[name]) for name in ("action_topic", "state_topic"))
    return action is not None and action == state and bag_settings["joint_names"] == bag_settings["action_joint_names"]


def get_plain_path(path: Path) -> Path:
    """Return the path of a storage file without the suffix of its compression."""
    return path.with_suffix("") if path.suffix == COMPRESSED_SUFFIX else path


def is_storage_file(path: Path) -> bool:
    """Return whether the name is that of a storage file, compressed or not."""
    return get_plain_path(path).suffix in STORAGE_SUFFIXES


def has_bags(folder: Path) -> bool:
    """Return whether a storage file is in a folder or below it, as far as it is looked at."""
    return any(map(is_storage_file, itertools.islice(folder.rglob("*"), MOST_LOOKED_AT)))
