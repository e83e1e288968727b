"""Modules without docstrings and comments: a workflow contains the payload, and OSMO keeps it in its database."""

import functools
import io
import tokenize

OWN_PACKAGES = ("robotrain_runtime", "robotrain_sources", "robotrain_workloads", "robotrain_azure")
"""Of these it is known that nothing reads them."""
STATEMENT_STARTS = (tokenize.ENCODING, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT)
SPACES = (tokenize.COMMENT, tokenize.NL)


@functools.lru_cache(maxsize=1024)
def compact_module(path: str, content: bytes) -> bytes:
    """Return a file of the payload; a module of robotrain's own without these, each line where it was.

    An empty string takes the place of a docstring: `from __future__` and TorchScript accept it.
    """
    if not path.endswith(".py") or path.partition("/")[0] not in OWN_PACKAGES:
        return content
    lines = content.decode().split("\n")
    previous_type = tokenize.ENCODING
    for token in tokenize.tokenize(io.BytesIO(content).readline):
        (first, start), (last, end) = token.start, token.end
        if token.type == tokenize.COMMENT:
            lines[first - 1] = lines[first - 1][:start].rstrip()
        is_docstring = token.type == tokenize.STRING and previous_type in STATEMENT_STARTS
        if is_docstring and not lines[last - 1][end:].strip():
            lines[first - 1 : last] = [f'{lines[first - 1][:start]}""', *[""] * (last - first)]
        if token.type not in SPACES:
            previous_type = token.type
    return "\n".join(lines).encode()
