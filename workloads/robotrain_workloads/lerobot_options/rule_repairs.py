"""Other values of options with which a rule may hold again, the likeliest first. Standard library only."""

import ast
import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from robotrain_workloads.lerobot_options.rule_expressions import get_name, list_names, parse
from robotrain_workloads.option_kinds import find_near_value

FARTHEST = 64
"""How far from a whole number others are tried."""
PRECISIONS = re.compile(r"\w*dtype")
"""Options with a number format: only a misspelled one has another value that is meant."""
NUMBER_FORMAT = re.compile(r"b?float\d+")


def list_repairs(
    when: str, given: Sequence[str], values: Mapping[str, Any], defaults: Mapping[str, Any]
) -> Iterator[tuple[str, Any]]:
    """Yield options with other values.

    What a rule requires is in its last condition: the ones before say in which case. There, what is compared comes
    first, but a number that must divide another one is rather brought close to what is given.

    :param given: the options of the rule that are given, the one to change first: the last of the line.
    :param values: those of all options, as far as they are known.
    """
    for condition in reversed(_list_conditions(parse(when))):
        names, divides = list_names(ast.unparse(condition)), _has_remainder(condition)
        if divides:
            names = (*[name for name in given if name in names], *[name for name in names if name not in given])
        for name in names:
            found = _list_near(values.get(name), defaults.get(name)) if divides else ()
            for value in (*found, *_list_values(name, condition, values, defaults)):
                if type(value) is not type(values.get(name)) or value != values.get(name):
                    yield name, value


def _list_conditions(node: ast.expr) -> list[ast.expr]:
    is_and = isinstance(node, ast.BoolOp) and isinstance(node.op, ast.And)
    return node.values if is_and else [node]  # type: ignore[attr-defined]


def _has_remainder(node: ast.expr) -> bool:
    return any(isinstance(one, ast.BinOp) and isinstance(one.op, ast.Mod) for one in ast.walk(node))


def _list_values(
    name: str, condition: ast.expr, values: Mapping[str, Any], defaults: Mapping[str, Any]
) -> Iterator[Any]:
    value, default = values.get(name), defaults.get(name)
    others = [values[one] for one in list_names(ast.unparse(condition)) if one != name and one in values]
    constants = list(_list_constants(name, condition))
    if isinstance(value, bool) or isinstance(default, bool):
        yield not value
    elif _is_number(value) or _is_number(default):
        whole = not any(isinstance(one, float) for one in (value, default))
        for one in (
            *others,
            *(one + step for one in others if _is_number(one) for step in (-1, 1)),
            *(constants if whole else ()),
            default,  # before the bounds of a share, which are seldom meant: a dropout of 1 learns nothing
            *constants,
        ):
            if _is_number(one) and not (whole and isinstance(one, float)) and (one > 0 or not _is_positive(default)):
                yield one
        yield from _list_near(value, default)
    elif isinstance(value, list):
        if "set(" in ast.unparse(condition):  # each may be there once
            yield list(dict.fromkeys(one for one in value if isinstance(one, int | str)))
        if isinstance(default, list) and len(default) == len(value):
            yield default
    else:
        texts = [one for one in constants if isinstance(one, str)]
        if NUMBER_FORMAT.fullmatch(str(value)):
            return
        if near := find_near_value(str(value), texts):
            yield near
        if not PRECISIONS.fullmatch(name.rpartition(".")[2]) and not (isinstance(value, str) and "/" in value):
            yield from [default] if name in defaults and not isinstance(value, list) else []
            yield from texts


def _list_near(value: Any, default: Any) -> Iterator[int]:
    """Yield whole numbers around another one, the nearest first."""
    if isinstance(value, int) and not isinstance(value, bool):
        steps = itertools.chain.from_iterable((step, -step) for step in range(1, FARTHEST + 1))
        yield from (value + step for step in steps if value + step > 0 or not _is_positive(default))


def _is_positive(value: Any) -> bool:
    return value is None or (_is_number(value) and value > 0)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _list_constants(name: str, condition: ast.expr) -> Iterator[Any]:
    """Yield what an option is compared with."""
    for node in ast.walk(condition):
        if isinstance(node, ast.Compare):
            parts = [node.left, *node.comparators]
            if any(get_name(one) == name for one in parts):
                for part in parts:
                    items = part.elts if isinstance(part, ast.Tuple | ast.List) else [part]
                    yield from (one.value for one in items if isinstance(one, ast.Constant))
