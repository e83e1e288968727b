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


def validate_declaration(declaration: Platform | SourceKind | Workload) -> None:
    """Raise TypeError or ValueError for malformed flags, parameters, limits or names of roles."""
    if isinstance(declaration, SourceKind):
        for role, flag in declaration.roles.items():
            _validate_flags(f"roles[{role!r}]", flag.flag, *flag.aliases)
    elif isinstance(declaration, Workload):
        if invalid_names := [name for name in declaration.roles if not name.isidentifier()]:
            raise ValueError(f"its `roles` has the name {invalid_names[0]!r}; expected a word of letters, digits and _")
        _validate_parameters("parameters", declaration.parameters)
    else:
        for name, number in declaration.capabilities.limits.items():
            if not isinstance(number, int) or number < 1:
                raise ValueError(f"its `capabilities.limits[{name!r}]` is {number!r}; expected a number above 0")
        _validate_parameters("settings", declaration.settings)


def _validate_flags(attribute: str, flag: str, *others: str) -> None:
    """Raise ValueError for an invalid option name; `flag`, which help shows, must be a long one."""
    if invalid_flags := [option for option in (flag, *others) if not FLAG.fullmatch(option)]:
        raise ValueError(f"its `{attribute}` has the flag {invalid_flags[0]!r}; expected one such as --name")
    if not flag.startswith("--"):
        raise ValueError(f"its `{attribute}` has the flag {flag!r}; expected a long one such as --name")


def _validate_parameters(name: str, parameters_class: Any) -> None:
    """Raise TypeError or ValueError for a class that does not declare values correctly."""
    if not isinstance(parameters_class, type) or not dataclasses.is_dataclass(parameters_class):
        raise TypeError(f"its `{name}` is no dataclass; expected a frozen one, the class itself")
    parameters = {parameter.name: parameter for parameter in get_parameters(parameters_class)}
    hints = typing.get_type_hints(parameters_class)
    for field in dataclasses.fields(parameters_class):
        attribute = f"{name}.{field.name}"
        if not (parameter := parameters.get(field.name)):
            kind = inspect.formatannotation(hints[field.name])
            raise TypeError(f"its `{attribute}` has no Param; expected Annotated[{kind}, Param(help=…)]")
        choices = get_args(parameter.bare_type) if get_origin(parameter.bare_type) is Literal else ()
        is_possible = parameter.bare_type in (str, int, float, bool) or (choices and {*map(type, choices)} == {str})
        type_text = inspect.formatannotation(parameter.type)
        if not is_possible or parameter.type not in (parameter.bare_type, parameter.bare_type | None):
            raise TypeError(f"its `{attribute}` is declared as {type_text}; expected {EXPECTED_TYPE}")
        if parameter.param.form and parameter.bare_type is not str:
            raise TypeError(f"its `{attribute}` has form={parameter.param.form!r}; expected a str")
        if field.default_factory is not dataclasses.MISSING:
            raise TypeError(f"its `{attribute}` has a default_factory; expected a default that help can show")
        if not parameter.required and not _is_value(parameter.default, parameter.type):
            raise TypeError(f"the default of its `{attribute}` is {parameter.default!r}; expected {type_text}")
        _validate_flags(attribute, parameter.flag, *parameter.flags, *filter(None, [parameter.param.off]))


def _is_value(default: Any, kind: Any) -> bool:
    """Return whether a default is of a declared type."""
    from pydantic import TypeAdapter

    try:
        TypeAdapter(kind).validate_python(default, strict=True)
    except ValueError:
        return False
    return True
