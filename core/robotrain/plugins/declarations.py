"""Validation of what plugins declare, for `robotrain plugins`, `doctor`, the kit and --strict-plugins."""

from __future__ import annotations

import dataclasses
import functools
import re
import types
import typing
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from robotrain_runtime.contract.parameter import Param, Parameter, get_parameters

from robotrain.errors import Suggestion
from robotrain.model.capabilities import Capabilities
from robotrain.model.health import HealthCheck
from robotrain.model.platform import Platform
from robotrain.model.source import Pinning, RoleFlag, SourceKind
from robotrain.model.support import Support
from robotrain.model.workload import Role, Workload
from robotrain.model.workload_profile import WorkloadProfile
from robotrain.plugins.failures import UnsuitablePlugin

FLAG = re.compile(r"--[A-Za-z0-9][A-Za-z0-9_-]*|-[A-Za-z]")
EXPECTED: Mapping[Any, str] = {
    str: "a text",
    int: "a whole number",
    float: "a number",
    bool: "a bool",
    type: "a frozen dataclass, the class itself",
    tuple: "a tuple",
    Mapping: "a mapping",
    Collection: "a collection",
    Callable: "a function",
    Support: "a robotrain.plugin.Support, such as YES or no(…)",
}
"""What messages call a type; others by their public name."""
DECLARED: Mapping[str, type] = {"platform": Platform, "source": SourceKind, "workload": Workload, "health": HealthCheck}
"""What the hook of each family provides."""
PARTS = (Capabilities, Support, Pinning, RoleFlag, Role, WorkloadProfile)
"""The types whose own fields are validated too."""


def validate_declaration(family: str, thing: Any) -> None:
    """Raise TypeError, ValueError or UnsuitablePlugin for a malformed part of what a plugin provides."""
    _validate_fields(DECLARED[family], thing)
    if isinstance(thing, Platform):
        for name, number in thing.capabilities.limits.items():
            if number < 1:
                raise ValueError(f"its `capabilities.limits[{name!r}]` is {number}; expected a number above 0")
        _validate_parameters("settings", thing.settings)
    elif isinstance(thing, SourceKind):
        for role, flag in thing.roles.items():
            _validate_flags(f"roles[{role!r}]", flag.flag, *flag.aliases)
    elif isinstance(thing, Workload):
        if wrong := [name for name in thing.roles if not name.isidentifier()]:
            raise ValueError(f"its `roles` has the name {wrong[0]!r}; expected a word of letters, digits and _")
        _validate_parameters("parameters", thing.parameters)


def _validate_fields(declared: type, thing: Any, where: str = "") -> None:
    for name, kind in _get_types(declared).items():
        _validate_value(f"{where}{name}", getattr(thing, name), kind)


@functools.cache
def _get_types(declared: type) -> dict[str, Any]:
    """Return the type of each attribute of what a plugin declares."""
    return typing.get_type_hints(declared, localns={"Job": Any, "Problem": Any})


def _validate_value(where: str, value: Any, kind: Any) -> None:
    """Raise TypeError or ValueError for a value that is not of an annotated type."""
    origin, parts = get_origin(kind) or kind, get_args(kind)
    if origin is Literal:
        if value not in parts:
            raise ValueError(f"its `{where}` is {value!r}; expected one of {', '.join(map(str, parts))}")
    elif origin in (typing.Union, types.UnionType):
        if value is not None:
            _validate_value(where, value, next(part for part in parts if part is not type(None)))
    elif not _is_instance(value, origin):
        there = "None" if value is None else f"a {type(value).__name__}"
        expected = EXPECTED.get(origin, f"a robotrain.plugin.{origin.__name__}")
        raise TypeError(f"its `{where}` is {there}; expected {expected}")
    elif origin is Mapping:
        for key, item in value.items():
            if get_origin(parts[0]) is tuple and not (isinstance(key, tuple) and len(key) == 2):
                raise TypeError(f"its `{where}` has the key {key!r}; expected a pair of texts")
            _validate_value(f"{where}[{key!r}]", item, parts[1])
    elif origin is tuple and parts[1:] == (...,):
        for at, item in enumerate(value):
            _validate_value(f"{where}[{at}]", item, parts[0])
    elif origin in PARTS:
        _validate_fields(origin, value, f"{where}.")


def _is_instance(value: Any, kind: Any) -> bool:
    if isinstance(value, bool):
        return kind in (bool, Any)
    return kind is Any or isinstance(value, (int, float) if kind is float else kind)


def _validate_flags(where: str, flag: str, *others: str) -> None:
    """Raise ValueError for an invalid option name; `flag`, which help shows, must be a long one."""
    if wrong := [one for one in (flag, *others) if not FLAG.fullmatch(one)]:
        raise ValueError(f"its `{where}` has the flag {wrong[0]!r}; expected one such as --name")
    if not flag.startswith("--"):
        raise ValueError(f"its `{where}` has the flag {flag!r}; expected a long one such as --name")


EXPECTED_TYPE = (
    "a str, int, float or bool, or a Literal of texts, with `| None` where it may be left out; a path, a list or a "
    "mapping is a str, with path=True, json=True or table=True in its Param"
)


def _validate_parameters(name: str, declared: Any) -> None:
    """Raise TypeError, ValueError or UnsuitablePlugin for a class that does not declare values correctly."""
    if not isinstance(declared, type) or not dataclasses.is_dataclass(declared):
        raise TypeError(f"its `{name}` is no dataclass; expected {EXPECTED[type]}")
    known, hints = {one.name: one for one in get_parameters(declared)}, typing.get_type_hints(declared)
    for field in dataclasses.fields(declared):
        where, kind = f"its `{name}.{field.name}`", hints[field.name]
        if not (one := known.get(field.name)):
            raise UnsuitablePlugin(f"{where} has no Param", _suggest_field(field.name, _format_type(kind)))
        _validate_type(where, one)
        if field.default_factory is not dataclasses.MISSING:
            raise TypeError(f"{where} has a default_factory; expected a default that help can show")
        if not one.required:
            _validate_default(where, one)
        _validate_fields(Param, one.param, f"{name}.{field.name}, ")
        _validate_flags(f"{name}.{field.name}", one.flag, *one.flags, *filter(None, [one.param.off]))


def _validate_type(where: str, one: Parameter) -> None:
    kinds = get_args(one.type) if get_origin(one.type) in (typing.Union, types.UnionType) else (one.type,)
    made, parts = get_origin(one.bare_type) or one.bare_type, get_args(one.bare_type)
    is_text = made is Literal and all(isinstance(part, str) for part in parts)
    if sum(kind is not type(None) for kind in kinds) > 1 or not (is_text or made in (str, int, float, bool)):
        text = "str | None" if type(None) in kinds else "str"
        ways = [_suggest_field(one.name, text, "help=…, path=True")] if made is Path else []
        raise UnsuitablePlugin(f"{where} is declared as {_format_type(one.type)}; expected {EXPECTED_TYPE}", *ways)


def _validate_default(where: str, one: Parameter) -> None:
    try:
        _validate_value(one.name, one.default, one.type)
    except (TypeError, ValueError):
        declared, bare = _format_type(one.type), _format_type(one.bare_type)
        expected = "one of them" if get_origin(one.bare_type) is Literal else f"{'an' if bare == 'int' else 'a'} {bare}"
        ways = [_suggest_field(one.name, f"{declared} | None", end=" = None")] if one.default is None else []
        why = f"{where} is declared as {declared}, and its default {one.default!r} is not {expected}"
        raise UnsuitablePlugin(why, *ways) from None


def _suggest_field(name: str, kind: str, arguments: str = "help=…", end: str = "") -> Suggestion:
    return Suggestion(f"{name}: Annotated[{kind}, Param({arguments})]{end}")


def _format_type(kind: Any) -> str:
    """Return a type as it is written."""
    return kind.__name__ if isinstance(kind, type) and not get_args(kind) else str(kind).replace("typing.", "")
