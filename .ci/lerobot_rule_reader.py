"""Read when a method of LeRobot raises, as conditions over options: it follows the code without running it.

Locals and attributes are followed through assignments, branches, properties, methods, functions of LeRobot and loops
over what is known (`lerobot_rule_values`).
"""

import ast
import builtins
import enum
import inspect
import textwrap
import types
from collections.abc import Sequence
from typing import Any, Protocol

from lerobot_rule_values import (
    UNKNOWN,
    Config,
    Either,
    Known,
    Value,
    make_absent,
    make_expression,
    make_slot,
    make_test,
    merge,
    negate,
)

MOST_ITEMS = 16
DEEPEST_CALL = 6
FUNCTIONS = ("abs", "all", "any", "bool", "float", "int", "len", "list", "max", "min", "set", "sum", "tuple")
METHODS = ("startswith", "endswith", "lower", "upper")


class RuleCollector(Protocol):
    """What is asked about the options of a class, and told what raises."""

    skipped: Sequence[str]

    def find_field(self, owner: Config, name: str) -> Value:
        """Return an option of a configuration; None if it is no option."""

    def call_super(self, scope: "Scope", name: str, path: list[Value]) -> Value:
        """Follow the method of a parent class."""

    def call_known(self, value: Any) -> Value:
        """Return what a function of Python returns; None if that is not known."""

    def add(self, scope: "Scope", raised: ast.expr | None, path: list[Value], error: str = "") -> None:
        """Add a rule for what raises under some conditions."""


class Scope:
    """Where statements are followed: locals, and the module's globals."""

    def __init__(
        self, reader: RuleCollector, function: types.FunctionType, names: dict[str, Value], depth: int
    ) -> None:
        self.reader, self.function, self.depth = reader, function, depth
        self.names: dict[str, Value] = names
        self.returned: list[tuple[tuple[Value, ...], Value]] = []

    def follow(self, statements: Sequence[ast.stmt], path: list[Value]) -> bool:
        """Follow statements that are reached under `path`, which grows by what the rest needs; return if all end."""
        return any(self._follow_one(statement, path) for statement in statements)

    def _follow_one(self, node: ast.stmt, path: list[Value]) -> bool:
        if isinstance(node, ast.Raise):
            self.reader.add(self, node.exc, path)
            return True
        if isinstance(node, ast.Assert):
            self.reader.add(self, node.msg, [*path, negate(self.read(node.test))], "AssertionError")
        elif isinstance(node, ast.Return):
            self.returned.append((tuple(path), self.read(node.value) if node.value else Known(None)))
            return True
        elif isinstance(node, ast.If):
            return self._follow_if(node, path)
        elif isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            value = self.read(node.value, path)
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                self.assign(target, value)
        elif isinstance(node, ast.AugAssign):
            self.assign(node.target, self.read(ast.BinOp(_as_loaded(node.target), node.op, node.value)))
        elif isinstance(node, ast.Expr):
            self.read(node.value, path)
        elif isinstance(node, ast.For):
            self._follow_for(node, path)
        elif isinstance(node, ast.With):
            return self.follow(node.body, path)
        elif isinstance(node, ast.Try | ast.While):
            self._forget(node)
        return False

    def _follow_if(self, node: ast.If, path: list[Value]) -> bool:
        test = self.read(node.test, path)
        if isinstance(test, Known):
            return self.follow(node.body if test.value else node.orelse, path)
        before = dict(self.names)
        then_path, else_path = [*path, make_test(test)], [*path, negate(make_test(test))]
        raises_only = bool(node.body) and isinstance(node.body[-1], ast.Raise)
        then_ended = self.follow(node.body, then_path)
        then_names, self.names = self.names, before
        else_ended = self.follow(node.orelse, else_path)
        if then_ended or else_ended:
            self.names = self.names if then_ended else then_names
            if not (then_ended and raises_only):  # after a raise the rest is refused anyway
                path[:] = else_path if then_ended else then_path
            return then_ended and else_ended
        for name in {*then_names, *self.names}:
            self.names[name] = merge(
                test, then_names.get(name, make_absent(name)), self.names.get(name, make_absent(name))
            )
        grown = [[make_test(one) for one in each[len(path) :]] for each in (then_path, else_path)]
        if any(len(each) > 1 for each in grown):
            path.append(ast.BoolOp(ast.Or(), [ast.BoolOp(ast.And(), [ast.Constant(True), *each]) for each in grown]))
        return False

    def _follow_for(self, node: ast.For, path: list[Value]) -> None:
        items = self.read(node.iter)
        known = items.value if isinstance(items, Known) else None
        if not isinstance(known, list | tuple | dict | set | range) or len(known) > MOST_ITEMS:
            self._forget(node)
            self.follow(node.body, [*path, UNKNOWN])
            self._forget(node)
            return
        for item in known:
            self.assign(node.target, Known(item))
            self.follow(node.body, path)

    def _forget(self, node: ast.stmt) -> None:
        """Make unknown what a statement assigns."""
        for one in ast.walk(node):
            if isinstance(one, ast.Name | ast.Attribute) and isinstance(one.ctx, ast.Store):
                self.assign(one, None)

    def assign(self, target: ast.expr, value: Value) -> None:
        """Give a value to a name, to an attribute of a configuration, or to several."""
        if isinstance(target, ast.Name):
            self.names[target.id] = value
        elif isinstance(target, ast.Attribute):
            owner = self.read(target.value)
            if isinstance(owner, Config):
                self.names[f"{owner.path}.{target.attr}"] = value
        elif isinstance(target, ast.Tuple | ast.List):
            known = value.value if isinstance(value, Known) else None
            fits = isinstance(known, list | tuple) and len(known) == len(target.elts)
            for index, one in enumerate(target.elts):
                self.assign(one, Known(known[index]) if fits and known is not None else None)

    def read(self, node: ast.expr, path: list[Value] | None = None) -> Value:
        """Return the value of an expression."""
        found = getattr(self, f"_read_{type(node).__name__.lower()}", None)
        return found(node, path if path is not None else [UNKNOWN]) if found else None

    def _read_constant(self, node: ast.Constant, path: list[Value]) -> Value:
        return Known(node.value)

    def _read_name(self, node: ast.Name, path: list[Value]) -> Value:
        if node.id in self.names:
            return self.names[node.id]
        scope = {**vars(builtins), **self.function.__globals__}
        return Known(scope[node.id]) if node.id in scope else None

    def _read_attribute(self, node: ast.Attribute, path: list[Value]) -> Value:
        return self.read_attribute(self.read(node.value, path), node.attr)

    def read_attribute(self, owner: Value, name: str) -> Value:
        """Return an attribute of a configuration, or of a known object."""
        if isinstance(owner, Known):
            value = getattr(owner.value, name, None) if not inspect.isroutine(owner.value) else None
            return value if isinstance(value, Config | Either) else None if value is None else Known(value)
        if isinstance(owner, Either):
            return merge(owner.test, self.read_attribute(owner.body, name), self.read_attribute(owner.orelse, name))
        if not isinstance(owner, Config):
            return None
        if (key := f"{owner.path}.{name}") in self.names:
            return self.names[key]
        found = self.reader.find_field(owner, name)
        if (
            found is None
            and owner.type
            and isinstance(member := inspect.getattr_static(owner.type, name, None), property)
        ):
            return self.call(member.fget, [owner], {}, [UNKNOWN])
        return found

    def _read_compare(self, node: ast.Compare, path: list[Value]) -> Value:
        values = [self.read(one, path) for one in (node.left, *node.comparators)]
        if all(isinstance(one, Known) for one in values):
            return self._compute(
                ast.Compare(make_slot(0), node.ops, [make_slot(i + 1) for i in range(len(node.ops))]), values
            )
        parts = [make_expression(one) for one in values]
        if None in parts:
            return None
        swap = {ast.Is: ast.Eq, ast.IsNot: ast.NotEq}
        enums = any(isinstance(one, Known) and isinstance(one.value, enum.Enum) for one in values)
        operations = [swap[type(one)]() if enums and type(one) in swap else one for one in node.ops]
        return ast.Compare(make_test(parts[0]), operations, [make_test(one) for one in parts[1:]])

    def _compute(self, node: ast.expr, values: list[Value]) -> Value:
        slots = {f"slot{index}": one.value for index, one in enumerate(values) if isinstance(one, Known)}
        try:
            code = compile(ast.fix_missing_locations(ast.Expression(node)), "known", "eval")
            return Known(eval(code, {}, slots))
        except Exception:
            return None

    def _read_boolop(self, node: ast.BoolOp, path: list[Value]) -> Value:
        values = [self.read(one, path) for one in node.values]
        return ast.BoolOp(node.op, [make_test(one) for one in values])

    def _read_unaryop(self, node: ast.UnaryOp, path: list[Value]) -> Value:
        value = self.read(node.operand, path)
        if isinstance(value, Known):
            return self._compute(ast.UnaryOp(node.op, make_slot(0)), [value])
        return (
            ast.UnaryOp(node.op, make_test(value)) if isinstance(node.op, ast.Not) or make_expression(value) else None
        )

    def _read_binop(self, node: ast.BinOp, path: list[Value]) -> Value:
        left, right = self.read(node.left, path), self.read(node.right, path)
        if isinstance(left, Known) and isinstance(right, Known):
            return self._compute(ast.BinOp(make_slot(0), node.op, make_slot(1)), [left, right])
        parts = make_expression(left), make_expression(right)
        return None if parts[0] is None or parts[1] is None else ast.BinOp(parts[0], node.op, parts[1])

    def _read_ifexp(self, node: ast.IfExp, path: list[Value]) -> Value:
        return merge(self.read(node.test, path), self.read(node.body, path), self.read(node.orelse, path))

    def _read_sequence(self, node: ast.Tuple | ast.List | ast.Set, path: list[Value]) -> Value:
        values = [self.read(one, path) for one in node.elts]
        if not values:  # something will be added to it
            return None
        if all(isinstance(one, Known) for one in values):
            return Known(tuple(one.value for one in values if isinstance(one, Known)))
        parts = [make_expression(one) for one in values]
        return None if None in parts else ast.Tuple([one for one in parts if one is not None], ast.Load())

    _read_tuple = _read_list = _read_set = _read_sequence

    def _read_subscript(self, node: ast.Subscript, path: list[Value]) -> Value:
        owner, key = self.read(node.value, path), self.read(node.slice, path)
        if isinstance(owner, Known) and isinstance(key, Known):
            return self._compute(ast.Subscript(make_slot(0), make_slot(1), ast.Load()), [owner, key])
        found = make_expression(owner)
        return (
            ast.Subscript(found, make_test(key), ast.Load()) if found is not None and isinstance(key, Known) else None
        )

    def _read_generatorexp(self, node: ast.GeneratorExp | ast.ListComp, path: list[Value]) -> Value:
        (loop, *further) = node.generators
        items = make_expression(self.read(loop.iter, path))
        if further or items is None or not isinstance(loop.target, ast.Name):
            return None
        outer = self.names
        self.names = {**outer, loop.target.id: ast.Name(loop.target.id, ast.Load())}
        element, tests = self.read(node.elt, path), [make_expression(self.read(one, path)) for one in loop.ifs]
        self.names = outer
        made = make_expression(element)
        if made is None or None in tests:
            return None
        one = ast.comprehension(ast.Name(loop.target.id, ast.Store()), items, [t for t in tests if t is not None], 0)
        return ast.GeneratorExp(made, [one])

    _read_listcomp = _read_generatorexp

    def _read_call(self, node: ast.Call, path: list[Value]) -> Value:
        arguments = [self.read(one, path) for one in node.args]
        keywords = {one.arg: self.read(one.value, path) for one in node.keywords if one.arg}
        if isinstance(node.func, ast.Name):
            return self._call_name(node, arguments, keywords, path)
        if not isinstance(node.func, ast.Attribute):
            return None
        name, owner_node = node.func.attr, node.func.value
        if isinstance(owner_node, ast.Call) and isinstance(owner_node.func, ast.Name) and owner_node.func.id == "super":
            return self.reader.call_super(self, name, path)
        owner = self.read(owner_node, path)
        if isinstance(owner, Config) and owner.type:
            if name in self.reader.skipped:
                return None
            member = inspect.getattr_static(owner.type, name, None)
            if isinstance(member, types.FunctionType):
                return self.call(member, [owner, *arguments], keywords, path)
            return self.call(member.__func__, arguments, keywords, path) if isinstance(member, staticmethod) else None
        if isinstance(owner, Known) and isinstance(owner.value, types.ModuleType) and not arguments:
            return self.reader.call_known(getattr(owner.value, name, None))
        if isinstance(owner, Known) and isinstance(owner.value, dict) and name == "items":
            return Known(tuple(owner.value.items()))
        if name in METHODS and (text := make_expression(owner)) is not None:
            parts = [make_expression(one) for one in arguments]
            return None if None in parts else ast.Call(ast.Attribute(text, name, ast.Load()), parts, [])
        return None

    def _call_name(
        self, node: ast.Call, arguments: list[Value], keywords: dict[str, Value], path: list[Value]
    ) -> Value:
        name = node.func.id  # type: ignore[attr-defined]
        if name == "hasattr" and isinstance(arguments[0], Config | Either):
            return Known(True)  # what is unknown of an option is not judged
        if name in ("getattr", "setattr") and isinstance(arguments[1], Known):
            if name == "getattr":
                return self.read_attribute(arguments[0], arguments[1].value)
            if isinstance(arguments[0], Config):
                self.names[f"{arguments[0].path}.{arguments[1].value}"] = arguments[2]
            return None
        if name == "isinstance" and isinstance(arguments[0], Known) and isinstance(arguments[1], Known):
            return Known(isinstance(arguments[0].value, arguments[1].value))
        if name in FUNCTIONS and not node.keywords:
            parts = [make_expression(one) for one in arguments]
            if parts and None not in parts:
                return ast.Call(ast.Name(name, ast.Load()), parts, [])
        known = self._read_name(ast.Name(name), path)
        value = known.value if isinstance(known, Known) else None
        if not arguments and (found := self.reader.call_known(value)):
            return found
        is_own = isinstance(value, types.FunctionType) and value.__module__.startswith("lerobot.")
        return self.call(value, arguments, keywords, path) if is_own else None

    def call(self, function: Any, arguments: list[Value], keywords: dict[str, Value], path: list[Value]) -> Value:
        """Follow a function and return what it returns."""
        if self.depth >= DEEPEST_CALL or not (body := read_body(function)):
            return None
        names = [one.arg for one in (*body.args.posonlyargs, *body.args.args)]
        given = {**dict.fromkeys([*names, *(one.arg for one in body.args.kwonlyargs)]), **_read_defaults(body)}
        given |= dict(zip(names, arguments, strict=False)) | keywords
        shared = {name: value for name, value in self.names.items() if "." in name}
        inner = Scope(self.reader, inspect.unwrap(function), {**shared, **given}, self.depth + 1)
        inner_path = list(path)
        ended = inner.follow(body.body, inner_path)
        self.names |= {name: value for name, value in inner.names.items() if "." in name}
        if not ended and len(inner_path) > len(path):
            inner.returned.append((tuple(inner_path), Known(None)))
        result: Value = inner.returned.pop()[1] if ended and inner.returned else Known(None)
        for conditions, value in reversed(inner.returned):
            tests = [make_test(one) for one in conditions[len(path) :]]
            test: Value = ast.BoolOp(ast.And(), tests) if len(tests) > 1 else tests[0] if tests else Known(True)
            result = value if result == Known(None) and value == Known(None) else merge(test, value, result)
        return result


def _read_defaults(body: ast.FunctionDef) -> dict[str, Value]:
    """Return the plain defaults of arguments."""
    last = body.args.args[len(body.args.args) - len(body.args.defaults) :]
    pairs = [
        *zip(last, body.args.defaults, strict=False),
        *zip(body.args.kwonlyargs, body.args.kw_defaults, strict=False),
    ]
    return {one.arg: Known(value.value) for one, value in pairs if isinstance(value, ast.Constant)}


def _as_loaded(node: ast.expr) -> ast.expr:
    return ast.parse(ast.unparse(node), mode="eval").body


def read_body(function: Any) -> ast.FunctionDef | None:
    """Return the definition of a function; None if it has no source."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(inspect.unwrap(function))))
    except (OSError, TypeError, SyntaxError):
        return None
    return tree.body[0] if isinstance(tree.body[0], ast.FunctionDef) else None
