"""What a stranger's parameters and settings are: values that can be typed, kept in a record and sent to a container."""

from __future__ import annotations  # the types below are for readers and checkers: importing them costs start-up

import dataclasses
import types
import typing
from typing import Any, Literal, get_args, get_origin

from robotrain_runtime.parameter import Param, Parameter, parameters_of

from robotrain.loading.declared import must_be, spelled
from robotrain.loading.ways import Unsuitable
from robotrain.problem import Instead

KEPT = (str, int, float, bool)
DUE = "a str, int, float or bool, or a Literal of texts, is due (with `| None` where it may be left out)"
JSON, TABLE, PATH = "json=True, for a list or a mapping", "table=True, for a value by each name", "path=True"


def values_hold(name: str, declared: Any) -> None:
    """Raises TypeError, ValueError and Unsuitable for a class that does not declare values, or one of them."""
    if not isinstance(declared, type) or not dataclasses.is_dataclass(declared):
        raise TypeError(f"its `{name}` is to be a frozen dataclass, the class itself")
    hints = typing.get_type_hints(declared)
    known = {one.name: one for one in parameters_of(declared)}
    for field in dataclasses.fields(declared):
        where = f"{name}.{field.name}"
        if field.name not in known:
            raise Unsuitable(f"its `{where}` has no Param", _written(field.name, _told(hints[field.name])))
        _type_holds(where, known[field.name])
        _default_holds(where, known[field.name], field)
        _param_holds(where, known[field.name])


def _type_holds(where: str, one: Parameter) -> None:
    rest = [part for part in _parts(one.type) if part is not type(None)]
    if len(rest) == 1 and (rest[0] in KEPT or _is_literal_of_texts(rest[0])):
        return
    due = Literal[tuple(map(str, get_args(one.bare)))] if get_origin(one.bare) is Literal else str
    optional = " | None" if type(None) in _parts(one.type) else ""
    raise Unsuitable(
        f"its `{where}` is declared as {_told(one.type)}, and {DUE}",
        _written(one.name, _told(due) + optional, _more(one.bare)),
    )


def _default_holds(where: str, one: Parameter, field: dataclasses.Field[Any]) -> None:
    if field.default_factory is not dataclasses.MISSING:
        raise Unsuitable(
            f"its `{where}` has a default_factory, and a default that help can show is due",
            _written(one.name, _told(one.type), end=" = …"),
        )
    if one.required or _fits(one.default, one):
        return
    ways = [_written(one.name, f"{_told(one.type)} | None", end=" = None")] if one.default is None else []
    raise Unsuitable(
        f"its `{where}` is declared as {_told(one.type)}, and its default {one.default!r} is no such value", *ways
    )


def _fits(default: Any, one: Parameter) -> bool:
    if default is None:
        return type(None) in _parts(one.type)
    if one.choices:
        return default in one.choices
    if isinstance(default, bool):
        return one.bare is bool
    return isinstance(default, (int, float) if one.bare is float else one.bare)


def _param_holds(where: str, one: Parameter) -> None:
    """What it says is of the kind that its own default is of, and its flags can be typed."""
    for field in dataclasses.fields(Param):
        if field.default is not None:  # bounds are numbers of either kind, and pydantic looks at them
            kind = type(field.default)
            must_be(f"{where}, {field.name}", getattr(one.param, field.name), kind, f"a {kind.__name__}")
    spelled(where, one.flag, *one.flags, *((one.param.off,) if one.param.off else ()))


def _is_literal_of_texts(kind: Any) -> bool:
    return get_origin(kind) is Literal and all(isinstance(one, str) for one in get_args(kind))


def _parts(kind: Any) -> tuple[Any, ...]:
    return get_args(kind) if get_origin(kind) in (typing.Union, types.UnionType) else (kind,)


def _more(kind: Any) -> str:
    """What a Param is to say for a text to stand for that."""
    made = get_origin(kind) or kind
    if not isinstance(made, type) or issubclass(made, str):
        return ""
    if hasattr(made, "__fspath__"):
        return PATH
    return TABLE if issubclass(made, dict) else JSON if issubclass(made, (list, tuple, set)) else ""


def _written(name: str, kind: str, more: str = "", end: str = "") -> Instead:
    param, _, note = more.partition(", ")
    said = ", ".join(filter(None, ("help=…", param)))
    return Instead(f"{name}: Annotated[{kind}, Param({said})]{end}", note)


def _told(kind: Any) -> str:
    """A type as it is written."""
    return kind.__name__ if isinstance(kind, type) and not get_args(kind) else str(kind).replace("typing.", "")
