"""Validation of what plugins declare, for `robotrain plugins`, `doctor` and the kit."""

from __future__ import annotations

import dataclasses
import inspect
import re
import types
import typing
from collections.abc import Mapping
from typing import Any, Literal, get_args, get_origin

from robotrain_runtime.contract.parameter import Param, get_parameters

from robotrain.model.capabilities import Capabilities
from robotrain.model.health import HealthCheck
from robotrain.model.platform import Platform
from robotrain.model.source import Pinning, RoleFlag, SourceKind
from robotrain.model.support import Support
from robotrain.model.workload import Role, Workload
from robotrain.model.workload_profile import WorkloadProfile

FLAG = re.compile(r"--[A-Za-z0-9][A-Za-z0-9_-]*|-[A-Za-z]")
DECLARED: Mapping[str, type] = {"platform": Platform, "source": SourceKind, "workload": Workload, "health": HealthCheck}
"""What the hook of each family provides."""
PARTS = (Capabilities, Support, Pinning, RoleFlag, Role, WorkloadProfile)
"""The types whose own fields are validated too."""
EXPECTED_TYPE = (
    "a str, int, float or bool, or a Literal of texts, with `| None` where it may be left out; a path, a list or a "
    "mapping is a str, with path=True, or a form, in its Param"
)


def validate_declaration(family: str, thing: Any) -> None:
    """Raise TypeError or ValueError for a malformed part of what a plugin provides."""
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
    for name, kind in typing.get_type_hints(declared, localns={"Job": Any, "Problem": Any}).items():
        _validate_value(f"{where}{name}", getattr(thing, name), kind)


def _validate_value(where: str, value: Any, kind: Any) -> None:
    """Raise TypeError or ValueError for a value that is not of an annotated type."""
    origin, parts = get_origin(kind) or kind, get_args(kind)
    if origin is Literal:
        if value not in parts:
            raise ValueError(f"its `{where}` is {value!r}; expected one of {', '.join(map(str, parts))}")
    elif origin in (typing.Union, types.UnionType):
        if value is not None:
            _validate_value(where, value, next(part for part in parts if part is not type(None)))
    elif origin is not Any:
        expected = (int, float) if origin is float else origin
        if not isinstance(value, expected) or (isinstance(value, bool) and origin is not bool):
            wanted = "a frozen dataclass, the class itself" if origin is type else origin.__name__
            raise TypeError(f"its `{where}` is of the type {type(value).__name__}; expected {wanted}")
    if origin is Mapping:
        for key, item in value.items():
            if get_origin(parts[0]) is tuple and not (isinstance(key, tuple) and len(key) == 2):
                raise TypeError(f"its `{where}` has the key {key!r}; expected a pair of texts")
            _validate_value(f"{where}[{key!r}]", item, parts[1])
    elif origin is tuple and parts[1:] == (...,):
        for at, item in enumerate(value):
            _validate_value(f"{where}[{at}]", item, parts[0])
    elif origin in PARTS:
        _validate_fields(origin, value, f"{where}.")


def _validate_flags(where: str, flag: str, *others: str) -> None:
    """Raise ValueError for an invalid option name; `flag`, which help shows, must be a long one."""
    if wrong := [one for one in (flag, *others) if not FLAG.fullmatch(one)]:
        raise ValueError(f"its `{where}` has the flag {wrong[0]!r}; expected one such as --name")
    if not flag.startswith("--"):
        raise ValueError(f"its `{where}` has the flag {flag!r}; expected a long one such as --name")


def _validate_parameters(name: str, declared: Any) -> None:
    """Raise TypeError or ValueError for a class that does not declare values correctly."""
    if not isinstance(declared, type) or not dataclasses.is_dataclass(declared):
        raise TypeError(f"its `{name}` is no dataclass; expected a frozen one, the class itself")
    known, hints = {one.name: one for one in get_parameters(declared)}, typing.get_type_hints(declared)
    for field in dataclasses.fields(declared):
        where = f"{name}.{field.name}"
        if not (one := known.get(field.name)):
            kind = inspect.formatannotation(hints[field.name])
            raise TypeError(f"its `{where}` has no Param; expected Annotated[{kind}, Param(help=…)]")
        texts = get_args(one.bare_type) if get_origin(one.bare_type) is Literal else [None]
        is_possible = one.bare_type in (str, int, float, bool) or all(isinstance(text, str) for text in texts)
        if not is_possible or one.type not in (one.bare_type, one.bare_type | None):
            kind = inspect.formatannotation(one.type)
            raise TypeError(f"its `{where}` is declared as {kind}; expected {EXPECTED_TYPE}")
        if one.param.form and one.bare_type is not str:
            raise TypeError(f"its `{where}` has form={one.param.form!r}; expected a str")
        if field.default_factory is not dataclasses.MISSING:
            raise TypeError(f"its `{where}` has a default_factory; expected a default that help can show")
        if not one.required:
            _validate_value(f"{where}, default", one.default, one.type)
        _validate_fields(Param, one.param, f"{where}, ")
        _validate_flags(where, one.flag, *one.flags, *filter(None, [one.param.off]))
