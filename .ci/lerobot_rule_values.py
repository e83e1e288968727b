"""Values that are known while code of LeRobot is followed: expressions over options, objects, configurations.

A value that is unknown is None; within an expression it is the name `UNKNOWN`.
"""

import ast
import dataclasses
import enum
from typing import Any, NamedTuple


class Known(NamedTuple):
    """An object of the module."""

    value: Any


@dataclasses.dataclass(frozen=True)
class Config:
    """A configuration object."""

    type: type | None
    """None if several classes may be meant."""
    path: str
    """The option's name; empty for the class itself."""


@dataclasses.dataclass(frozen=True)
class Either:
    """One of two configurations."""

    test: ast.expr
    body: Any
    orelse: Any


Value = ast.expr | Known | Config | Either | None


def make_expression(value: Value) -> ast.expr | None:
    """Return a value as an expression; None if it is unknown."""
    if isinstance(value, ast.expr):
        return value
    if isinstance(value, Config):
        return make_name(value.path) if value.path else None
    if isinstance(value, Known):
        return make_literal(value.value)
    return None


def make_name(path: str) -> ast.expr:
    """Return an option as an expression."""
    return ast.parse(path, mode="eval").body


def make_literal(value: Any) -> ast.expr | None:
    """Return a plain value as an expression."""
    if isinstance(value, enum.Enum):
        return ast.Constant(value.name)
    if isinstance(value, dict | range):
        return None
    if isinstance(value, list | tuple | set | frozenset):
        items = [make_literal(one) for one in (sorted(value) if isinstance(value, set | frozenset) else value)]
        return None if None in items else ast.Tuple([one for one in items if one is not None], ast.Load())
    return ast.Constant(value) if value is None or type(value) in (bool, int, float, str) else None


def negate(value: Value) -> Value:
    """Return the opposite."""
    return (
        value if value is None else ast.UnaryOp(ast.Not(), UNKNOWN if (one := make_expression(value)) is None else one)
    )


UNKNOWN = ast.Name("unknown__", ast.Load())


def make_test(value: Value) -> ast.expr:
    """Return a condition, or the unknown one."""
    found = make_expression(value)
    return UNKNOWN if found is None else found


def has_unknown(node: ast.AST) -> bool:
    """Return whether an expression holds something unknown."""
    return any(isinstance(one, ast.Name) and one.id == UNKNOWN.id for one in ast.walk(node))


def bound(node: ast.expr, *, below: bool = True) -> ast.expr | None:
    """Return a condition without what is unknown that implies another (`below`), or is implied by it; None for none."""
    if not has_unknown(node):
        return node
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        inner = bound(node.operand, below=not below)
        return None if inner is None else ast.UnaryOp(ast.Not(), inner)
    if isinstance(node, ast.BoolOp):
        parts = [bound(one, below=below) for one in node.values]
        known = [one for one in parts if one is not None]
        may_drop = isinstance(node.op, ast.Or) is below
        if not known or (len(known) < len(parts) and not may_drop):
            return None
        return ast.BoolOp(node.op, known) if len(known) > 1 else known[0]
    if isinstance(node, ast.IfExp) and below and not has_unknown(node.test):
        body, orelse = bound(node.body), bound(node.orelse)
        arms = [] if body is None else [ast.BoolOp(ast.And(), [node.test, body])]
        arms += [] if orelse is None else [ast.BoolOp(ast.And(), [ast.UnaryOp(ast.Not(), node.test), orelse])]
        return None if not arms else arms[0] if len(arms) == 1 else ast.BoolOp(ast.Or(), arms)
    return None


def merge(test: Value, body: Value, orelse: Value) -> Value:
    """Return one of two values, as a test decides."""
    if isinstance(test, Known):
        return body if test.value else orelse
    if body == orelse or (
        isinstance(body, ast.AST) and isinstance(orelse, ast.AST) and ast.dump(body) == ast.dump(orelse)
    ):
        return body
    found = make_expression(test)
    if found is None:
        return None
    if isinstance(body, Config | Either) and isinstance(orelse, Config | Either):
        return Either(found, body, orelse)
    return ast.IfExp(found, make_test(body), make_test(orelse))


def make_absent(name: str) -> Value:
    """Return what an attribute is that a branch does not assign: the option itself; a local is unknown."""
    return make_name(name.removeprefix(".")) if "." in name else None


def make_slot(index: int) -> ast.expr:
    """Return the place of a known value."""
    return ast.Name(f"slot{index}", ast.Load())
