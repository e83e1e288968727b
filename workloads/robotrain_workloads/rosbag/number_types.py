"""The types of messages with numbers, and what their values are called. Standard library only."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Mapping

JOINT_TYPE = "sensor_msgs/msg/JointState"
TRAJECTORY_TYPE = "trajectory_msgs/msg/JointTrajectory"
POINT_TYPE = "trajectory_msgs/msg/JointTrajectoryPoint"
TWIST_TYPES = ("geometry_msgs/msg/Twist", "geometry_msgs/msg/TwistStamped")
POSE_TYPES = ("geometry_msgs/msg/Pose", "geometry_msgs/msg/PoseStamped")
ARRAY_TYPES = ("std_msgs/msg/Float64MultiArray", "std_msgs/msg/Float32MultiArray")
SCALAR_TYPES = ("std_msgs/msg/Float64", "std_msgs/msg/Float32")
NUMBER_TYPES = (JOINT_TYPE, *ARRAY_TYPES, TRAJECTORY_TYPE, POINT_TYPE, *TWIST_TYPES, *POSE_TYPES, *SCALAR_TYPES)
STATE_TYPES = (JOINT_TYPE, *ARRAY_TYPES, *POSE_TYPES)
"""Those that a state is guessed from."""


def _name_fields(**fields: str) -> tuple[str, ...]:
    return tuple(itertools.chain.from_iterable([f"{part}.{axis}" for axis in axes] for part, axes in fields.items()))


TWIST_NAMES = _name_fields(linear="xyz", angular="xyz")
POSE_NAMES = _name_fields(position="xyz", orientation="xyzw")
FIXED_NAMES: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(TWIST_TYPES, TWIST_NAMES),
    **dict.fromkeys(POSE_TYPES, POSE_NAMES),
}
"""What the values of a type are called, where the type says it."""


def list_unused_numbers(types: Mapping[str, str], used_topics: Collection[str]) -> dict[str, str]:
    """Return the type of each topic of numbers that is used for nothing: it may be the action.

    :param types: by topic, of those that have messages.
    """
    return {topic: kind for topic, kind in sorted(types.items()) if kind in NUMBER_TYPES and topic not in used_topics}


def describe_topics(types: Mapping[str, str]) -> str:
    """Return topics with their types, without the packages of these, as text."""
    return ", ".join(f"{topic} ({kind.rpartition('/')[2]})" for topic, kind in types.items())
