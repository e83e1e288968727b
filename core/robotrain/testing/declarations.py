"""Validation of the flags, parameters and limits that a plugin declares, for the kits.

What else a declaration holds is checked by a type checker.
"""

from __future__ import annotations

import dataclasses
import inspect
import re
import typing
from typing import Any, Literal, get_args, get_origin

from robotrain_runtime.contract.parameter import get_parameters

from robotrain.model.platform import Platform
from robotrain.model.source import SourceKind
from robotrain.model.workload import Workload

FLAG = re.compile(r"--[A-Za-z0-9][A-Za-z0-9_-]*|-[A-Za-z]")
EXPECTED_TYPE = (
    "a str, int, float or bool, or a Literal of texts, with `| None` where it may be left out; a path, a list or a "
    "mapping is a str, with path=True, or a form, in its Param"
)


def validate_declaration(thing: Platform | SourceKind | Workload) -> None:
    """Raise TypeError or ValueError for malformed flags, parameters, limits or names of roles."""
    if isinstance(thing, SourceKind):
        for role, flag in thing.roles.items():
            _validate_flags(f"roles[{role!r}]", flag.flag, *flag.aliases)
    elif isinstance(thing, Workload):
        if wrong := [name for name in thing.roles if not name.isidentifier()]:
            raise ValueError(f"its `roles` has the name {wrong[0]!r}; expected a word of letters, digits and _")
        _validate_parameters("parameters", thing.parameters)
    else:
        for name, number in thing.capabilities.limits.items():
            if not isinstance(number, int) or number < 1:
                raise ValueError(f"its `capabilities.limits[{name!r}]` is {number!r}; expected a number above 0")
        _validate_parameters("settings", thing.settings)


def _validate_flags(where: str, flag: str, *others: str) -> None:
    """Raise ValueError for an invalid option name; `flag`, which help shows, must be a long one."""
    if wrong := [option for option in (flag, *others) if not FLAG.fullmatch(option)]:
        raise ValueError(f"its `{where}` has the flag {wrong[0]!r}; expected one such as --name")
    if not flag.startswith("--"):
        raise ValueError(f"its `{where}` has the flag {flag!r}; expected a long one such as --name")


def _validate_parameters(name: str, declared: Any) -> None:
    """Raise TypeError or ValueError for a class that does not declare values correctly."""
    if not isinstance(declared, type) or not dataclasses.is_dataclass(declared):
        raise TypeError(f"its `{name}` is no dataclass; expected a frozen one, the class itself")
    parameters = {parameter.name: parameter for parameter in get_parameters(declared)}
    hints = typing.get_type_hints(declared)
    for field in dataclasses.fields(declared):
        where = f"{name}.{field.name}"
        if not (parameter := parameters.get(field.name)):
            kind = inspect.formatannotation(hints[field.name])
            raise TypeError(f"its `{where}` has no Param; expected Annotated[{kind}, Param(help=…)]")
        choices = get_args(parameter.bare_type) if get_origin(parameter.bare_type) is Literal else ()
        is_possible = parameter.bare_type in (str, int, float, bool) or (choices and {*map(type, choices)} == {str})
        shown = inspect.formatannotation(parameter.type)
        if not is_possible or parameter.type not in (parameter.bare_type, parameter.bare_type | None):
            raise TypeError(f"its `{where}` is declared as {shown}; expected {EXPECTED_TYPE}")
        if parameter.param.form and parameter.bare_type is not str:
            raise TypeError(f"its `{where}` has form={parameter.param.form!r}; expected a str")
        if field.default_factory is not dataclasses.MISSING:
            raise TypeError(f"its `{where}` has a default_factory; expected a default that help can show")
        if not parameter.required and not _is_value(parameter.default, parameter.type, parameter.bare_type, choices):
            raise TypeError(f"the default of its `{where}` is {parameter.default!r}; expected {shown}")
        _validate_flags(where, parameter.flag, *parameter.flags, *filter(None, [parameter.param.off]))


def _is_value(default: Any, kind: Any, bare: Any, choices: tuple[Any, ...]) -> bool:
    """Return whether a default is of a declared type."""
    if default is None:
        return bool(kind != bare)
    if choices:
        return default in choices
    return isinstance(default, (int, float) if bare is float else bare) and isinstance(default, bool) == (bare is bool)
