"""Pictures in messages: encodings that can be read, and what shows without decoding. Standard library only."""

from __future__ import annotations

import re
from typing import Any

IMAGE_TYPES = ("sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage")
CHANNELS = {"rgb8": 3, "bgr8": 3, "mono8": 1}
"""Of a raw picture, by its encoding."""
JPEG, PNG = b"\xff\xd8", b"\x89PNG\r\n\x1a\n"
"""The first bytes."""
JPEG_END, PNG_END = b"\xff\xd9", b"IEND\xaeB`\x82"
"""The last bytes."""
_DEPTH = ("16UC1", "mono16", "16SC1", "32FC1")


def find_encoding_problem(message: Any) -> str:
    """Return why a picture's encoding cannot be used; empty if it can."""
    if hasattr(message, "format"):
        is_depth = "compressedDepth" in message.format or message.format.startswith(_DEPTH)
        return "compressed depth cannot be used: a policy takes color or gray pictures" if is_depth else ""
    if message.encoding in CHANNELS:
        return ""
    if message.encoding in _DEPTH:
        return f"{message.encoding} is a depth picture, and a policy takes color or gray pictures of 8 bits a channel"
    return f"the encoding {message.encoding} is not supported; record one of {', '.join(CHANNELS)}, jpeg or png"


def find_size_problem(message: Any) -> str:
    """Return why the data of a raw picture of a known encoding cannot be its pixels; empty if it can."""
    height, width, step = message.height, message.width, message.step
    if step >= width * CHANNELS[message.encoding] and len(message.data) >= step * height:
        return ""
    return (
        f"the picture is {width} x {height} {message.encoding} with rows of {step} bytes,"
        f" which {len(message.data)} bytes cannot hold"
    )


def explain_format(message: Any) -> str:
    """Return that a compressed picture is of no known format."""
    if not len(message.data):
        return "the picture is empty"
    if re.search(r"\b(jpe?g|png)\b", message.format, re.IGNORECASE):
        return f"the picture is damaged: it is not of its format, `{message.format}`"
    return f"the format `{message.format}` is neither jpeg nor png"


def find_form_problem(message: Any) -> str:
    """Return why a picture is none of its format; empty if it is, or if only its decoder could tell."""
    if not hasattr(message, "format"):
        return find_size_problem(message)
    return "" if bytes(message.data[: len(PNG)]).startswith((JPEG, PNG)) else explain_format(message)
