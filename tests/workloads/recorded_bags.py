"""ROS 2 bags for tests, written by rosbags: a camera, joints and actions, with whatever is wrong with them."""

from __future__ import annotations

import io
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

START = 1_700_000_000_000_000_000
SECOND = 1_000_000_000
RGB = "sensor_msgs/msg/Image"
COMPRESSED = "sensor_msgs/msg/CompressedImage"
JOINTS = "sensor_msgs/msg/JointState"
FLOATS = "std_msgs/msg/Float64MultiArray"


@cache
def _store() -> Any:
    """The types of messages; rosbags compiles what reads and writes them anew for each bag, a third of all CPU time."""
    from rosbags.serde import cdr, utils
    from rosbags.typesys import Stores, get_typestore

    compile_once = cache(lambda text: utils.compile_lines([text]))
    cdr.compile_lines = lambda lines: compile_once("\n".join(lines))
    return get_typestore(Stores.ROS2_HUMBLE)


@dataclass
class Recording:
    """What a bag holds: messages as (topic, type, log time, message)."""

    steps: int = 40
    fps: float = 10
    camera: str = "/camera/top"
    encoding: str = "rgb8"
    joints: Sequence[str] = ("pusher_x", "pusher_y")
    stamped: bool = True
    size: tuple[int, int] = (12, 16)
    padding: int = 0
    lost: range = range(0)
    offset: Callable[[int], int] = lambda step: 0
    """Nanoseconds that a step's header stamps are moved by."""
    camera_offset: int = 0
    """Nanoseconds that the camera's header stamps are moved by."""
    clock: Callable[[int], int] = lambda step: 0
    """Nanoseconds that the system's clock, which makes all times of a step, is moved by."""
    without: Sequence[str] = ()
    """Topics that are not recorded."""
    messages: list[tuple[str, str, int, Any]] = field(default_factory=list)

    def write(self, folder: Path, storage: str = "sqlite3", compression: str = "none") -> Path:
        """Write the bag and return its folder. compression: as ros2 bag record --compression-mode."""
        from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer

        shutil.rmtree(folder, ignore_errors=True)
        plugin = StoragePlugin.MCAP if storage == "mcap" else StoragePlugin.SQLITE3
        bag = Writer(folder, version=9, storage_plugin=plugin)
        bag.set_compression(CompressionMode[compression.upper()], CompressionFormat.ZSTD)
        with bag:
            connections: dict[str, Any] = {}
            for topic, kind, log, message in [*self.list_messages(), *self.messages]:
                if topic not in connections:
                    connections[topic] = bag.add_connection(topic, kind, typestore=_store())
                bag.write(connections[topic], log, _store().serialize_cdr(message, kind))
        return folder

    def list_messages(self) -> list[tuple[str, str, int, Any]]:
        """Return the messages of each step, in the order of recording."""
        messages = []
        for step in range(self.steps):
            log = START + round(step * SECOND / self.fps) + self.clock(step)
            stamp = log + self.offset(step) if self.stamped else 0
            values = {"pusher_x": float(step), "pusher_y": 100.0 + step, "pusher_z": 7.0}
            messages.append(
                ("/joint_states", JOINTS, log, joint_state(stamp, {name: values[name] for name in self.joints}))
            )
            if step not in self.lost:
                kind = COMPRESSED if self.encoding in ("jpeg", "png") else RGB
                picture = make_picture(step, self.size)
                taken = stamp + self.camera_offset
                messages.append((self.camera, kind, log + 1000, image(taken, picture, self.encoding, self.padding)))
            messages.append(("/action", FLOATS, log + 2000, floats([step + 0.5, step - 0.5])))
        return [message for message in messages if message[0] not in self.without]


def make_picture(step: int, size: tuple[int, int]) -> np.ndarray:
    """A picture whose colors tell the step: red is the step, green its rows, blue constant."""
    picture = np.zeros((*size, 3), np.uint8)
    picture[..., 0], picture[..., 2] = step * 4 % 256, 200
    picture[..., 1] = np.arange(size[0])[:, None] * 5
    return picture


def header(stamp: int) -> Any:
    types = _store().types
    return types["std_msgs/msg/Header"](types["builtin_interfaces/msg/Time"](stamp // SECOND, stamp % SECOND), "here")


def joint_state(stamp: int, values: dict[str, float]) -> Any:
    empty = np.zeros(0)
    return _store().types[JOINTS](header(stamp), list(values), np.asarray([*values.values()]), empty, empty)


def floats(values: Sequence[float]) -> Any:
    types = _store().types
    return types[FLOATS](types["std_msgs/msg/MultiArrayLayout"]([], 0), np.asarray(values, np.float64))


def image(stamp: int, picture: np.ndarray, encoding: str, padding: int = 0) -> Any:
    """An Image, or a CompressedImage where the encoding is a file format; rows may be padded."""
    if encoding in ("jpeg", "png"):
        return _store().types[COMPRESSED](header(stamp), encoding, np.frombuffer(compress(picture, encoding), np.uint8))
    height, width, _ = picture.shape
    pixels = {"bgr8": picture[..., ::-1], "mono8": picture[..., :1]}.get(encoding, picture)
    if encoding == "16UC1":
        pixels = np.repeat(picture[..., :1], 2, axis=2)
    rows = np.ascontiguousarray(pixels).reshape(height, -1)
    rows = np.pad(rows, ((0, 0), (0, padding)), constant_values=255)
    return _store().types[RGB](header(stamp), height, width, encoding, 0, rows.shape[1], rows.reshape(-1))


def compress(picture: np.ndarray, format: str) -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, format.upper(), **({"quality": 95} if format == "jpeg" else {}))
    return buffer.getvalue()


def add_channel(folder: Path, topic: str, kind: str, encoding: str) -> None:
    """Write the MCAP file of a bag anew, with a channel more, of another encoding."""
    from mcap.reader import make_reader
    from mcap.writer import Writer

    (file,) = folder.glob("*.mcap")
    with file.open("rb") as stream:
        recorded = list(make_reader(stream).iter_messages())
    with file.open("wb") as stream:
        writer = Writer(stream)
        writer.start(profile="ros2")
        channels: dict[str, int] = {}
        for schema, channel, message in recorded:
            if channel.topic not in channels:
                number = writer.register_schema(schema.name, schema.encoding, schema.data)
                channels[channel.topic] = writer.register_channel(channel.topic, channel.message_encoding, number)
            times = {"log_time": message.log_time, "publish_time": message.publish_time}
            writer.add_message(channels[channel.topic], data=message.data, **times)
        number = writer.register_channel(topic, encoding, writer.register_schema(kind, encoding, b"\n\0"))
        writer.add_message(number, log_time=START, publish_time=START, data=b"\0")
        writer.finish()


def make_message(kind: str, *fields: Any) -> Any:
    """Return a message of a type, with its fields in order."""
    return _store().types[kind](*fields)
