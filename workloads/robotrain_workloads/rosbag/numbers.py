"""Messages with numbers as arrays: joints by name, velocities, poses, and vectors. Each refusal says why."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from robotrain_workloads.bag_parameters import DEGREES
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
        names, values = _read_values(self._kind, message)
        if not np.isfinite(values).all():
            raise MessageError("a value is NaN or infinite")
        if self._kind in POSE_TYPES:
            values[3:] = self._follow_rotation(values[3:])
        if self._unit == DEGREES:
            values = self._convert_degrees(values)
        if names is None:
            return values.astype(np.float32)
        self.names = names if self.names is None else self.names
        if missing := [name for name in self.names if name not in names]:
            noun = "value" if self._kind in FIXED_NAMES else "joint"
            raise MessageError(f"no {noun} {', '.join(missing)}; the message has {', '.join(names) or 'none'}")
        places = {name: index for index, name in enumerate(names)}
        return values[[places[name] for name in self.names]].astype(np.float32)

    def _follow_rotation(self, rotation: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return that of the two quaternions of a rotation which is near the one before; the first has w >= 0."""
        length = float(np.linalg.norm(rotation))
        if abs(length - 1) > UNIT_NORM:
            raise MessageError(f"its orientation is no rotation: the quaternion has a length of {length:.3g}, not 1")
        before = self._rotation
        cosine = rotation[3] if before is None else float(before @ rotation)
        self._rotation = -rotation if cosine < 0 else rotation
        return self._rotation

    def _convert_degrees(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        if self._kind in POSE_TYPES:
            raise MessageError("a pose has no angles, and --unit deg is for angles: its orientation is a quaternion")
        first = TWIST_NAMES.index("angular.x") if self._kind in TWIST_TYPES else 0
        return np.concatenate([values[:first], np.radians(values[first:])])


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
        content = getattr(message, "twist", getattr(message, "pose", message))
        parts = (name.split(".") for name in (TWIST_NAMES if kind in TWIST_TYPES else POSE_NAMES))
        values = [getattr(getattr(content, part), axis) for part, axis in parts]
        return FIXED_NAMES[kind], np.array(values, np.float64)
    return None, np.array(message.data, np.float64).reshape(-1)


def _name_joints(names: Sequence[str], positions: Any) -> tuple[tuple[str, ...], NDArray[np.float64]]:
    if len(positions) != len(names):
        raise MessageError(f"{len(names)} joint names but {len(positions)} positions")
    return tuple(names), np.array(positions, np.float64)
