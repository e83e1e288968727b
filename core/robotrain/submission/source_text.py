"""The source text of a payload, without what only readers need: some platforms keep it inside of each spec.

Lines keep their numbers, so that a traceback of the container points into the installed files.
"""

import ast
import functools
import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from typing import cast

_KEPT_WHOLE = re.compile(r"__doc__|getsource|getcomments|# type:")
"""Signs of a module that reads its own text, as TorchScript reads type comments."""
_HEADER_LINES = 2
"""Lines that may name an interpreter or an encoding."""


def needs_core(name: str, content: bytes) -> bool:
    """Return whether a module cannot be imported where core is not installed."""
    return (
        not name.endswith("/__init__.py") and re.search(rb"^(?:from|import) robotrain[.\s]", content, re.M) is not None
    )


@functools.lru_cache(maxsize=512)
def strip_source(content: bytes) -> bytes:
    """Return a module without its docstrings and comments; what is not Python 3 in UTF-8 stays as it is.

    Cached, because the archives of a process share most modules, and each takes milliseconds.
    """
    try:
        text = content.decode("utf-8")
        tree = ast.parse(text)
    except (ValueError, SyntaxError):
        return content
    if _KEPT_WHOLE.search(text) or "\f" in text or "\r" in text:
        return content
    lines = content.split(b"\n")
    marked = [number for number, line in enumerate(lines, 1) if b"#" in line]
    _strip_comments(lines, list(_find_strings(tree, marked)))
    for statement, replacement in _find_docstrings(tree):
        _strip_statement(lines, statement, replacement)
    return b"\n".join(lines)


def _is_string(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str | bytes)


def _find_strings(node: ast.AST, marked: list[int]) -> Iterator[ast.expr]:
    """Yield the strings below a node, but of those parts that are on none of the `marked` lines."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.stmt | ast.expr):
            last = child.end_lineno or child.lineno
            if bisect_left(marked, child.lineno) == bisect_right(marked, last):
                continue
        if isinstance(child, ast.JoinedStr) or _is_string(child):
            yield cast(ast.expr, child)
        else:
            yield from _find_strings(child, marked)


def _strip_comments(lines: list[bytes], strings: list[ast.expr]) -> None:
    """Remove the comments of all lines: what follows the first `#` outside of a string."""
    inside: dict[int, list[tuple[int, int]]] = {}
    for node in strings:
        first, last = node.lineno - 1, (node.end_lineno or node.lineno) - 1
        for number in range(first, last + 1):
            start = node.col_offset if number == first else 0
            stop = (node.end_col_offset or 0) if number == last else len(lines[number])
            inside.setdefault(number, []).append((start, stop))
    for number, line in enumerate(lines[_HEADER_LINES:], _HEADER_LINES):
        at = line.find(b"#")
        while at >= 0 and any(start <= at < stop for start, stop in inside.get(number, ())):
            at = line.find(b"#", at + 1)
        if at >= 0:
            lines[number] = line[:at].rstrip()


def _find_docstrings(tree: ast.AST) -> Iterator[tuple[ast.stmt, bytes]]:
    """Yield each statement that is only a string, and what stands for it: a body must not become empty."""
    for field in ("body", "orelse", "finalbody", "handlers", "cases"):
        statements = getattr(tree, field, None)
        if not isinstance(statements, list):
            continue
        texts = [one for one in statements if isinstance(one, ast.Expr) and _is_string(one.value)]
        is_empty = len(texts) == len(statements) and not isinstance(tree, ast.Module)
        yield from ((one, b"..." if is_empty else b"") for one in texts)
        for one in statements:
            yield from _find_docstrings(one)


def _strip_statement(lines: list[bytes], statement: ast.stmt, replacement: bytes) -> None:
    """Remove a statement, unless another one shares its lines."""
    first, last = statement.lineno - 1, (statement.end_lineno or statement.lineno) - 1
    before, after = lines[first][: statement.col_offset], lines[last][statement.end_col_offset :]
    if not before.strip() and not after.strip():
        lines[first] = before + replacement if replacement else b""
        lines[first + 1 : last + 1] = [b""] * (last - first)
