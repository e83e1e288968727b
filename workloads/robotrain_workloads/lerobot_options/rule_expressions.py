"""Expressions over options, as `rules.json` has them: a small part of Python, evaluated without `eval`.

A name is an option (`chunk_size`, `dataset.episodes`). Standard library only.
"""

import ast
import functools
import operator
import string
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

LARGEST_EXPONENT = 64
UNKNOWN_TEXT = "…"
OPERATORS: Mapping[type[ast.AST], Callable[[Any, Any], Any]] = {
    **{ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv},
    **{ast.FloorDiv: operator.floordiv, ast.Mod: operator.mod, ast.Pow: operator.pow},
}
"""Of two numbers."""
COMPARISONS: Mapping[type[ast.AST], Callable[[Any, Any], Any]] = {
    **{ast.Eq: operator.eq, ast.NotEq: operator.ne, ast.Is: operator.is_, ast.IsNot: operator.is_not},
    **{ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt, ast.GtE: operator.ge},
    **{ast.In: lambda one, many: one in many, ast.NotIn: lambda one, many: one not in many},
}
SIGNS: Mapping[type[ast.AST], Callable[[Any], Any]] = {ast.USub: operator.neg, ast.UAdd: operator.pos}
FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    one.__name__: one for one in (abs, all, any, bool, float, int, len, list, max, min, set, sum, tuple)
}
METHODS = ("startswith", "endswith", "lower", "upper")
"""Of texts."""
Values = Mapping[str, Any]


class Unknown(Exception):
    """A value that is not known, an operation that is not allowed, or one that fails."""


def evaluate(expression: ast.expr, values: Values) -> Any:
    """Return the value of an expression, as Python would, for the values of options by name. Raise Unknown.

    `and` and `or` are known as soon as one operand decides, also where another is unknown.
    """
    try:
        return _evaluate(expression, values)
    except (ArithmeticError, LookupError, TypeError, ValueError, RecursionError) as error:
        raise Unknown(str(error)) from None


def is_true(expression: ast.expr, values: Values) -> bool:
    """Return whether a condition is known to be true."""
    try:
        return bool(evaluate(expression, values))
    except Unknown:
        return False


@functools.cache
def parse(text: str) -> ast.expr:
    """Return the expression in a text. Raise SyntaxError."""
    return ast.parse(text, mode="eval").body


@functools.cache
def list_names(text: str) -> tuple[str, ...]:
    """Return the options that an expression names, in the order of the text."""
    return tuple(dict.fromkeys(_list_names(parse(text), frozenset(FUNCTIONS))))


def _list_names(node: ast.AST, local: frozenset[str]) -> Iterator[str]:
    if isinstance(node, ast.GeneratorExp | ast.ListComp):
        local |= {one.target.id for one in node.generators if isinstance(one.target, ast.Name)}
    if name := get_name(node):
        first = name.partition(".")[0]
        if first not in local:
            yield name
        return
    for child in ast.iter_child_nodes(node):
        yield from _list_names(child.value if _is_method(child) else child, local)  # type: ignore[attr-defined]


def _is_method(node: ast.AST) -> bool:
    return isinstance(node, ast.Attribute) and node.attr in METHODS


def get_name(node: ast.AST) -> str:
    """Return the option's name that a node is; empty if it is something else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and not _is_method(node) and (parent := get_name(node.value)):
        return f"{parent}.{node.attr}"
    return ""


def fill_in(template: str, values: Values) -> str:
    """Return a text with the values of the expressions in its braces."""
    parts = []
    for text, expression, *_ in string.Formatter().parse(template):
        parts.append(text)
        if expression is not None:
            try:
                parts.append(str(evaluate(parse(expression), values)))
            except Unknown:
                parts.append(UNKNOWN_TEXT)
    return "".join(parts)


def _evaluate(node: ast.expr, values: Values) -> Any:
    if isinstance(node, ast.Constant):
        return node.value
    if name := get_name(node):
        if name not in values:
            raise Unknown(name)
        return values[name]
    if isinstance(node, ast.BoolOp):
        return _decide(node.values, values, stops_at=isinstance(node.op, ast.Or))
    if isinstance(node, ast.UnaryOp):
        value = _evaluate(node.operand, values)
        return not value if isinstance(node.op, ast.Not) else SIGNS[type(node.op)](value)
    if isinstance(node, ast.BinOp):
        return _calculate(node, values)
    if isinstance(node, ast.Compare):
        return _compare(node, values)
    if isinstance(node, ast.IfExp):
        return _evaluate(node.body if _evaluate(node.test, values) else node.orelse, values)
    if isinstance(node, ast.Tuple | ast.List | ast.Set):
        items = [_evaluate(one, values) for one in node.elts]
        return items if isinstance(node, ast.List) else set(items) if isinstance(node, ast.Set) else tuple(items)
    if isinstance(node, ast.Subscript):
        return _evaluate(node.value, values)[_evaluate(node.slice, values)]
    if isinstance(node, ast.GeneratorExp | ast.ListComp):
        return _list_items(node, values)
    if isinstance(node, ast.Call) and not node.keywords:
        return _call(node, values)
    raise Unknown(type(node).__name__)


def _decide(operands: Sequence[ast.expr], values: Values, *, stops_at: bool) -> Any:
    """Return the first operand that is true (`stops_at`) or false, else the last one."""
    unknown, value = None, None
    for operand in operands:
        try:
            value = evaluate(operand, values)
        except Unknown as error:
            unknown = error
            continue
        if bool(value) is stops_at:
            return value
    if unknown:
        raise unknown
    return value


def _calculate(node: ast.BinOp, values: Values) -> Any:
    left, right = _evaluate(node.left, values), _evaluate(node.right, values)
    if not (isinstance(left, int | float) and isinstance(right, int | float)):
        raise Unknown("no numbers")
    if isinstance(node.op, ast.Pow) and abs(right) > LARGEST_EXPONENT:
        raise Unknown("a large power")
    return OPERATORS[type(node.op)](left, right)


def _compare(node: ast.Compare, values: Values) -> bool:
    left = _evaluate(node.left, values)
    for operation, comparator in zip(node.ops, node.comparators, strict=True):
        right = _evaluate(comparator, values)
        if not COMPARISONS[type(operation)](left, right):
            return False
        left = right
    return True


def _list_items(node: ast.GeneratorExp | ast.ListComp, values: Values) -> list[Any]:
    (loop,) = node.generators
    if not isinstance(loop.target, ast.Name):
        raise Unknown("several names")
    name, found = loop.target.id, []
    for item in _evaluate(loop.iter, values):
        inner = {**values, name: item}
        if all(_evaluate(condition, inner) for condition in loop.ifs):
            found.append(_evaluate(node.elt, inner))
    return found


def _call(node: ast.Call, values: Values) -> Any:
    arguments = [_evaluate(one, values) for one in node.args]
    if isinstance(node.func, ast.Name):
        return FUNCTIONS[node.func.id](*arguments)
    if isinstance(node.func, ast.Attribute) and node.func.attr in METHODS:
        text = _evaluate(node.func.value, values)
        if isinstance(text, str):
            return getattr(text, node.func.attr)(*arguments)
    raise Unknown("no function")
