"""Pictures of bags as arrays, and the time of a message. Each refusal says why, and what to record."""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from robotrain_workloads.rosbag.picture_formats import (
    CHANNELS,
    JPEG,
    JPEG_END,
    PNG,
    PNG_END,
    explain_format,
    find_encoding_problem,
    find_size_problem,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

_END_BYTES = 64


class MessageError(ValueError):
    """A message that does not fit; the text says why.

    :param near: what was probably meant by the names of values; empty if nobody knows.
    """

    def __init__(self, reason: str, near: str = "") -> None:
        super().__init__(reason)
        self.near = near


def get_stamp(message: Any) -> int:
    """Return the time in a message's header in nanoseconds; 0 without a header."""
    header = getattr(message, "header", None)
    return 0 if header is None else header.stamp.sec * 1_000_000_000 + header.stamp.nanosec


def decode_picture(message: Any, size: tuple[int, int] | None) -> NDArray[np.uint8]:
    """Return a picture as RGB, shape (height, width, 3).

    Args:
        message: A `sensor_msgs/Image` or `sensor_msgs/CompressedImage`.
        size: (height, width) to scale to; None keeps the picture's own.

    Raises:
        MessageError: the encoding is not supported, or the decoder complains about the data.
    """
    picture = _decode_compressed(message, size) if hasattr(message, "format") else _decode_raw(message)
    if size is None or picture.shape[:2] == size:
        return picture
    from PIL import Image

    scaled = Image.fromarray(picture).resize((size[1], size[0]), Image.Resampling.BILINEAR)
    return np.asarray(scaled, np.uint8)


def find_damage(message: Any) -> str:
    """Return why a picture cannot be decoded; empty if it can, or if only its decoder could tell.

    A picture whose end is there is not decoded: that takes ten times as long as reading it.
    """
    if hasattr(message, "format"):
        last_bytes = bytes(message.data[-_END_BYTES:]).rstrip(b"\0")  # cameras append zeros
        if last_bytes.endswith((JPEG_END, PNG_END)):
            return ""
    try:
        decode_picture(message, None)
    except MessageError as error:
        return str(error)
    return ""


def _decode_raw(message: Any) -> NDArray[np.uint8]:
    if problem := find_encoding_problem(message):
        raise MessageError(problem)
    channels = CHANNELS[message.encoding]
    height, width, step = message.height, message.width, message.step
    if problem := find_size_problem(message):
        raise MessageError(problem)
    rows = np.frombuffer(message.data, np.uint8, step * height).reshape(height, step)[:, : width * channels]
    picture = rows.reshape(height, width, channels)
    if channels == 1:
        return np.repeat(picture, 3, axis=2)
    return np.ascontiguousarray(picture[..., ::-1] if message.encoding == "bgr8" else picture)


def _decode_compressed(message: Any, size: tuple[int, int] | None) -> NDArray[np.uint8]:
    if problem := find_encoding_problem(message):
        raise MessageError(problem)
    picture_bytes = bytes(message.data)
    try:
        if picture_bytes.startswith(JPEG):
            import simplejpeg

            height, width = size or (0, 0)
            # strict: what libjpeg only warns of is damage too
            picture: NDArray[np.uint8] = simplejpeg.decode_jpeg(
                picture_bytes, "RGB", min_height=height, min_width=width, strict=True
            )
            return picture
        if picture_bytes.startswith(PNG):
            return _decode_png(picture_bytes)
    except (ValueError, OSError, SyntaxError, Warning) as error:
        raise MessageError(f"the picture is damaged: {error}") from error
    raise MessageError(explain_format(message))


def _decode_png(picture_bytes: bytes) -> NDArray[np.uint8]:
    from PIL import Image

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with Image.open(io.BytesIO(picture_bytes), formats=("PNG",)) as image:
            if image.mode.startswith("I"):
                raise MessageError("a png of 16 bits is a depth picture, and a policy takes 8 bits a channel")
            return np.asarray(image.convert("RGB"), np.uint8)


def describe_size(shape: Sequence[int]) -> str:
    """Return a picture's size as text, such as `640 x 480`."""
    return f"{shape[1]} x {shape[0]}"
