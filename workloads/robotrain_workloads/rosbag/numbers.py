"""Messages with numbers as arrays: joints by name, velocities, poses, and vectors. Each refusal says why."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from robotrain_workloads.bag_parameters import DEGREES
from robotrain_workloads.option_kinds import find_near_option
from robotrain_workloads.rosbag.messages import MessageError
from robotrain_workloads.rosbag.number_types import (
    FIXED_NAMES,
    JOINT_TYPE,
    POINT_TYPE,
    POSE_NAMES,
    POSE_TYPES,
    TRAJECTORY_TYPE,
    TWIST_NAMES,
    TWIST_TYPES,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

UNIT_NORM = 0.01
"""How far the length of a rotation's quaternion may be from 1."""


class NumberReader:
    """Reads the messages of one topic of a bag, in their order.

    :param kind: their type.
    :param names: the values that are read, in order; None for those of the first message.
    :param unit: `deg` for angles that become radians; empty for what is recorded.
    """

    def __init__(self, kind: str, names: Sequence[str] | None = None, unit: str = "") -> None:
        self._kind, self._unit = kind, unit
        self.names = None if names is None else tuple(names)
        """None for arrays, whose values have no names."""
        self._rotation: NDArray[np.float64] | None = None

    def read(self, message: Any) -> NDArray[np.float32]:
        """Return the numbers of a message, shape (values,).

        Raises:
            MessageError: a named value is missing, or a number is NaN or infinite.
        """
        value_names, message_values = _read_values(self._kind, message)
        if not np.isfinite(message_values).all():
            raise MessageError("a value is NaN or infinite")
        if self._kind in POSE_TYPES:
            message_values[3:] = self._follow_rotation(message_values[3:])
        if self._unit == DEGREES:
            message_values = self._convert_degrees(message_values)
        if value_names is None:
            return message_values.astype(np.float32)
        self.names = value_names if self.names is None else self.names
        if missing_names := [name for name in self.names if name not in value_names]:
            noun = "value" if self._kind in FIXED_NAMES else "joint"
            unused_names = [name for name in value_names if name not in self.names]
            near = [name if name in value_names else find_near_option(name, unused_names) for name in self.names]
            raise MessageError(
                f"no {noun} {', '.join(missing_names)}; the message has {', '.join(value_names) or 'none'}",
                ",".join(near) if all(near) and len(set(near)) == len(near) else "",
            )
        index_by_name = {name: index for index, name in enumerate(value_names)}
        return message_values[[index_by_name[name] for name in self.names]].astype(np.float32)

    def _follow_rotation(self, rotation: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return that of the two quaternions of a rotation which is near the one before; the first has w >= 0."""
        length = float(np.linalg.norm(rotation))
        if abs(length - 1) > UNIT_NORM:
            raise MessageError(f"its orientation is no rotation: the quaternion has a length of {length:.3g}, not 1")
        previous_rotation = self._rotation
        cosine = rotation[3] if previous_rotation is None else float(previous_rotation @ rotation)
        self._rotation = -rotation if cosine < 0 else rotation
        return self._rotation

    def _convert_degrees(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        if self._kind in POSE_TYPES:
            raise MessageError("a pose has no angles, and --unit deg is for angles: its orientation is a quaternion")
        first_angle = TWIST_NAMES.index("angular.x") if self._kind in TWIST_TYPES else 0
        return np.concatenate([values[:first_angle], np.radians(values[first_angle:])])


def _read_values(kind: str, message: Any) -> tuple[tuple[str, ...] | None, NDArray[np.float64]]:
    """Return the names of the values, None if they have none, and the values."""
    if kind == JOINT_TYPE:
        return _name_joints(message.name, message.position)
    if kind == TRAJECTORY_TYPE:
        if len(message.points) != 1:
            raise MessageError(f"a trajectory of {len(message.points)} points, and an action is one point")
        return _name_joints(message.joint_names, message.points[0].positions)
    if kind == POINT_TYPE:
        if not len(message.positions):
            raise MessageError("the point has no positions")
        return None, np.array(message.positions, np.float64)
    if kind in FIXED_NAMES:
        pose_or_twist = getattr(message, "twist", getattr(message, "pose", message))
        field_names = (name.split(".") for name in (TWIST_NAMES if kind in TWIST_TYPES else POSE_NAMES))
        values = [getattr(getattr(pose_or_twist, field_name), axis) for field_name, axis in field_names]
        return FIXED_NAMES[kind], np.array(values, np.float64)
    return None, np.array(message.data, np.float64).reshape(-1)


def _name_joints(joint_names: Sequence[str], positions: Any) -> tuple[tuple[str, ...], NDArray[np.float64]]:
    if len(positions) != len(joint_names):
        raise MessageError(f"{len(joint_names)} joint names but {len(positions)} positions")
    return tuple(joint_names), np.array(positions, np.float64)
