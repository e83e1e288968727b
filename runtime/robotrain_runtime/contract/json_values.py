"""JSON that another version, program or user wrote, converted to values of declared types."""

import dataclasses
import functools
import json
import math
import types
import typing
from collections.abc import Mapping
from typing import Any, Literal, TypeVar

MAX_DEPTH = 100
"""How deep JSON is nested at most: what robotrain writes is far below, and what reads it goes down step by step."""
MAX_SECONDS = 1e11
"""The latest time, in seconds since the epoch; clocks cannot show one of the year 10000."""


def parse_json(content: bytes | str) -> Any:
    """Return the value of JSON that somebody else wrote. Raise ValueError, also if it is nested too deeply.

    Its numbers are finite.
    """
    try:
        json_value = json.loads(content, parse_float=_parse_float, parse_constant=_parse_float)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    level = [json_value]
    for _ in range(MAX_DEPTH):
        parts = [part for part in level if isinstance(part, dict | list)]
        level = [child for part in parts for child in (part.values() if isinstance(part, dict) else part)]
        if not level:
            return json_value
    raise ValueError("it is nested too deeply")


def _parse_float(number_text: str) -> float:
    if not math.isfinite(number := float(number_text)):
        raise ValueError(f"{number_text[:40]} is no number")
    return number


Fields = TypeVar("Fields")


def parse_fields(kind: type[Fields], content: bytes | str) -> Fields:
    """Return the object in a file of a run, as `convert_fields` does. Raise ValueError."""
    return convert_fields(kind, parse_json(content))


def convert_fields(kind: type[Fields], json_object: Any) -> Fields:
    """Return an object of a dataclass, of JSON that another version or user wrote.

    Raise ValueError unless each value has the type of its field, and each time can be shown: its float fields are times
    in seconds. What this version does not know is left out.
    """
    if not isinstance(json_object, dict):
        raise ValueError("it is no JSON object")
    hints = _get_hints(typing.cast(Any, kind))
    errors: list[str] = []
    untyped: Any = convert_json(kind, {name: json_object[name] for name in hints if name in json_object}, "", errors)
    for name, hint in hints.items():
        field_value = json_object.get(name)
        if float in (hint, *typing.get_args(hint)) and field_value is not None and not abs(field_value) < MAX_SECONDS:
            errors.append(f"{name}: no time")
    if errors:
        raise ValueError("; ".join(errors))
    typed_object: Fields = untyped
    return typed_object


def convert_json(kind: Any, value: Any, path: str, errors: list[str]) -> Any:
    """Convert a JSON value to the type `kind`. Errors are added to `errors` as `path: why`, without the value."""
    origin = typing.get_origin(kind)
    args = typing.get_args(kind)
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        return _convert_object(kind, value, path, errors)
    if origin is tuple and isinstance(value, list):
        return tuple(convert_json(args[0], part, f"{path}[{index}]", errors) for index, part in enumerate(value))
    if origin is Mapping and isinstance(value, dict):
        return {key: convert_json(args[1], part, f"{path}.{key}", errors) for key, part in value.items()}
    if origin is Literal and value in args:
        return value
    if origin in (typing.Union, types.UnionType) and any(_has_type(value, part) for part in args):
        return value
    if kind is Any or _has_type(value, kind):
        return value
    errors.append(f"{path or 'document'}: a {type(value).__name__} does not fit here")
    return None


def _convert_object(kind: type, json_object: Any, path: str, errors: list[str]) -> Any:
    if not isinstance(json_object, dict):
        errors.append(f"{path or 'document'}: must be an object")
        return None
    hints = _get_hints(kind)
    fields = {dataclass_field.name: dataclass_field for dataclass_field in dataclasses.fields(kind)}
    error_count = len(errors)
    errors += [f"{path}.{name}: unknown".lstrip(".") for name in sorted(json_object.keys() - fields.keys())]
    for name, dataclass_field in fields.items():
        has_default = {dataclass_field.default, dataclass_field.default_factory} != {dataclasses.MISSING}
        if not has_default and name not in json_object:
            errors.append(f"{path}.{name}: missing".lstrip("."))
    field_values = {
        name: convert_json(hints[name], json_object[name], f"{path}.{name}".lstrip("."), errors)
        for name in fields
        if name in json_object
    }
    return None if len(errors) > error_count else kind(**field_values)


@functools.cache
def _get_hints(kind: type) -> dict[str, Any]:
    return typing.get_type_hints(kind)


def _has_type(json_value: Any, kind: Any) -> bool:
    return type(json_value) is kind or (kind is float and type(json_value) is int)
