"""Modules without docstrings and comments: a workflow contains the payload, and OSMO keeps it in its database."""

import ast
import functools
import re
from collections.abc import Iterator

OWN_PACKAGES = ("robotrain_runtime", "robotrain_sources", "robotrain_workloads", "robotrain_azure")
"""Of these it is known that nothing reads them."""

STRING_OR_COMMENT = re.compile(
    r"""
    \"{3} (?: \\. | [^\\] )*? \"{3}
    | '{3} (?: \\. | [^\\] )*? '{3}
    | " (?: \\. | [^"\\\n] )* "
    | ' (?: \\. | [^'\\\n] )* '
    | (?P<comment> [ \t]* \# [^\n]* )
    """,
    re.DOTALL | re.VERBOSE,
)
"""Python's tokenizer takes six times as long for the modules of a payload.

It is the grammar before Python 3.12: the modules of a payload have no f-string with its own quotes inside.
"""


@functools.lru_cache(maxsize=1024)
def compact_module(path: str, content: bytes) -> bytes:
    """Return a file of the payload; a module of robotrain's own without these, each line where it was.

    It is kept for the next payload of this process: the steps of a pipeline have most modules in common.
    """
    if not path.endswith(".py") or path.partition("/")[0] not in OWN_PACKAGES:
        return content
    byte_lines = _remove_comments(content).split(b"\n")
    for statement, is_alone in _find_docstrings(ast.parse(content)):
        first_index = statement.lineno - 1
        last_index = (statement.end_lineno or statement.lineno) - 1
        indent = byte_lines[first_index][: statement.col_offset]
        if not indent.strip() and not byte_lines[last_index][statement.end_col_offset :].strip():
            # `pass`: TorchScript, which compiles methods from their source, has no `...`.
            byte_lines[first_index : last_index + 1] = [
                indent + b"pass" if is_alone else b"",
                *[b""] * (last_index - first_index),
            ]
    return b"\n".join(byte_lines)


def _remove_comments(source_bytes: bytes) -> bytes:
    if b"#" not in source_bytes:
        return source_bytes
    return STRING_OR_COMMENT.sub(_keep_string, source_bytes.decode()).encode()


def _keep_string(match: re.Match[str]) -> str:
    return match[0] if match["comment"] is None else ""


Scope = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def _find_docstrings(tree: Scope) -> Iterator[tuple[ast.Expr, bool]]:
    """Yield each string that is a statement, and whether the body has nothing but strings."""
    strings = [statement for statement in tree.body if isinstance(statement, ast.Expr) and _is_string(statement.value)]
    yield from ((string, len(strings) == len(tree.body)) for string in strings)
    for statement in tree.body:
        if isinstance(statement, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield from _find_docstrings(statement)


def _is_string(expression: ast.expr) -> bool:
    return isinstance(expression, ast.Constant) and isinstance(expression.value, str)
