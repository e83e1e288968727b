"""Whether a policy's config.json has the shape that LeRobot gives it, in all that is read of it here."""

from collections.abc import Iterator, Mapping
from typing import Any

FEATURES = ("input_features", "output_features")
SIZES = ("crop_shape", "resize_shape")


def wrong(found: Mapping[str, Any]) -> Iterator[str]:
    """What is not as it should be, each with its key: `type must be a word, and is a list`."""
    if not isinstance(found.get("type"), str | None):
        yield f"type must be a word, and is {_a(found['type'])}"
    for name in FEATURES:
        yield from _features(name, found.get(name))
    for name in SIZES:
        if not isinstance(found.get(name), list | None) or not _numbers(found.get(name) or []):
            yield f"{name} must be a list of whole numbers, or null"


def _features(name: str, found: Any) -> Iterator[str]:
    if not isinstance(found, dict | None):
        yield f"{name} must be an object, and is {_a(found)}"
        return
    for feature, said in (found or {}).items():
        if not isinstance(said, dict):
            yield f"{name}.{feature} must be an object, and is {_a(said)}"
        elif not isinstance(said.get("shape"), list) or not _numbers(said["shape"]):
            yield f"{name}.{feature}.shape must be a list of whole numbers"


def _numbers(found: list[Any]) -> bool:
    return all(isinstance(one, int) and not isinstance(one, bool) for one in found)


def _a(found: Any) -> str:
    names = {type(None): "null", bool: "true or false", dict: "an object", list: "a list", str: "a text"}
    return names.get(type(found), "a number")
