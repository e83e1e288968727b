"""A program's Python files, as far as they can be read from here: their syntax, and what they import. None is run."""

import ast
import functools
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from robotrain_runtime.contract.files import read_limited_file

MAX_BYTES = 1 << 17
"""A larger file is not read: its syntax alone takes a second."""
MAX_FILES = 100
"""Of a program with more, nothing is claimed."""
OWN_PACKAGE = "robotrain_runtime"
"""Of which each program can import `report`."""


def read_syntax(file: Path) -> tuple[list[ast.AST], SyntaxError | None]:
    """Return the syntax of a file, the module first, or why this Python refuses it; neither where nothing is known."""
    try:
        return _parse(read_limited_file(file, MAX_BYTES))
    except (OSError, ValueError):
        return [], None


@functools.lru_cache(maxsize=MAX_FILES)
def _parse(source: bytes) -> tuple[list[ast.AST], SyntaxError | None]:
    try:
        return [*ast.walk(ast.parse(source))], None
    except SyntaxError as error:
        return [], error
    except (ValueError, RecursionError, MemoryError):  # a null byte, or too deep to say
        return [], None


def find_missing_modules(folder: Path, script: str) -> list[str]:
    """Return the modules that a program imports in any case, and that neither Python nor its folder has, in order.

    Those that modules of the folder import count.

    Nothing for a program of which a file cannot be read.
    """
    roots = list(dict.fromkeys([(folder / script).parent, folder, folder / "src"]))
    missing_modules = set[str]()
    files = [folder / script]
    for file in files:
        nodes, _ = read_syntax(file)
        if not nodes or len(files) > MAX_FILES:
            return []
        for statement in ast.iter_child_nodes(nodes[0]):
            for name, level in _list_imports(statement):
                own_files = list(_list_own_files(name, file.parents[level - 1 : level] if level else roots))
                files += [path for path in own_files if path not in files]
                module = name.partition(".")[0]
                if not level and not own_files and not _is_there(module, roots):
                    missing_modules.add(module)
    return sorted(missing_modules)


def _list_imports(statement: ast.AST) -> Iterator[tuple[str, int]]:
    """Yield the modules that a statement may name, each with the number of dots before it."""
    if isinstance(statement, ast.Import):
        yield from ((alias.name, 0) for alias in statement.names)
    elif isinstance(statement, ast.ImportFrom):
        module_parts = [statement.module] if statement.module else []
        for alias in statement.names:
            yield ".".join([*module_parts, alias.name]), statement.level


def _list_own_files(name: str, roots: Sequence[Path]) -> Iterator[Path]:
    """Yield the files that `import a.b` reads: `a/__init__.py`, `a/b.py`."""
    parts = name.split(".")
    for root in roots:
        for count in range(1, len(parts) + 1):
            base = root.joinpath(*parts[:count])
            yield from filter(Path.is_file, (base / "__init__.py", base.with_name(f"{base.name}.py")))


def _is_there(module: str, roots: Sequence[Path]) -> bool:
    """Return whether a module comes with Python or robotrain, or is in a folder, in Python or another language."""
    return (
        module in sys.stdlib_module_names
        or module == OWN_PACKAGE
        or any((root / module).is_dir() or any(root.glob(f"{module}.*")) for root in roots)
    )
