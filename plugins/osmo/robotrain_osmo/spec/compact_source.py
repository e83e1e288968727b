"""Modules without their docstrings: a workflow contains the payload, and OSMO keeps it in its database."""

import ast
from collections.abc import Iterator

OWN_PACKAGES = ("robotrain_runtime", "robotrain_sources", "robotrain_workloads", "robotrain_azure")
"""Of these it is known that nothing reads them."""


def compact_module(path: str, content: bytes) -> bytes:
    """Return a file of the payload; a module of robotrain's own without docstrings, each line where it was."""
    if not path.endswith(".py") or path.partition("/")[0] not in OWN_PACKAGES:
        return content
    lines = content.split(b"\n")
    for statement, is_alone in _find_docstrings(ast.parse(content)):
        first, last = statement.lineno - 1, (statement.end_lineno or statement.lineno) - 1
        indent = lines[first][: statement.col_offset]
        if not indent.strip() and not lines[last][statement.end_col_offset :].strip():
            lines[first : last + 1] = [indent + b"..." if is_alone else b"", *[b""] * (last - first)]
    return b"\n".join(lines)


Scope = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def _find_docstrings(tree: Scope) -> Iterator[tuple[ast.Expr, bool]]:
    """Yield each string that is a statement, and whether it is all of a body."""
    for statement in tree.body:
        match statement:
            case ast.Expr(value=ast.Constant(value=str())):
                yield statement, len(tree.body) == 1
            case ast.ClassDef() | ast.FunctionDef() | ast.AsyncFunctionDef():
                yield from _find_docstrings(statement)
