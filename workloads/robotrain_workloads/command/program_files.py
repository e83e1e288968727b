"""The Python files that a program reads when it starts: its script, and the modules of its folder that these import.

They are parsed; nothing of them is run.
"""

import ast
import functools
import os
import stat
import sys
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

THIS_MINOR = sys.version_info[1]
MAX_BYTES = 1 << 17
"""A larger file is not read: its syntax alone takes a second."""
MAX_DEPTH = 150
"""Of syntax: generated code may have thousands of levels, which no function that calls itself can follow."""
MAX_FILES = 100
"""Of a program with more, only the first ones are read."""


class SyntaxFault(NamedTuple):
    """A place where Python stops to read a file."""

    path: str
    """That of the file, from the folder of the code."""
    line: int
    reason: str
    text: str
    """The line as it stands in the file."""


class ProgramFile:
    """A Python file of a program."""

    def __init__(self, path: str, source: bytes) -> None:
        self.path = path
        """From the folder of the code."""
        self.source = source

    @cached_property
    def nodes(self) -> list[ast.AST]:
        """All of its syntax, outer parts first; empty if this Python cannot read it, or if it is nested too deeply."""
        nodes = list[ast.AST]()
        level: list[ast.AST] = [self._parsed[0]] if self._parsed[0] else []
        for _ in range(MAX_DEPTH):
            nodes += level
            level = [child for node in level for child in ast.iter_child_nodes(node)]
        return [] if level else nodes

    @property
    def is_unclear(self) -> bool:
        """Whether nothing is known of it, not even that Python refuses it."""
        return not self.nodes and self._parsed[1] is None

    @property
    def _tree(self) -> ast.Module | None:
        return self._parsed[0] if self.nodes else None

    @cached_property
    def _parsed(self) -> tuple[ast.Module | None, SyntaxFault | None]:
        return self._parse(THIS_MINOR)

    def _parse(self, minor_version: int) -> tuple[ast.Module | None, SyntaxFault | None]:
        """Return its syntax as Python 3.`minor_version` reads it, or where that stops."""
        try:
            return ast.parse(self.source, self.path, feature_version=(3, minor_version)), None
        except SyntaxError as error:
            return None, SyntaxFault(self.path, error.lineno or 0, error.msg, (error.text or "").strip())
        except (ValueError, RecursionError, MemoryError):  # a null byte, or too deep to say
            return None, None

    def find_fault(self, minor_version: int) -> SyntaxFault | None:
        """Return why Python 3.`minor_version` cannot read it, as far as this Python knows; None if it can.

        This Python knows what older ones lack, and nothing of newer ones.
        """
        return (self._parsed if minor_version == THIS_MINOR else self._parse(minor_version))[1]

    def list_modules(self) -> list[str]:
        """Return the modules that it cannot do without, as `package.module`: not those of a `try` for ImportError."""
        optional_nodes = self._optional_nodes
        module_names = list[str]()
        for node in self.nodes:
            if node not in optional_nodes:
                module_names += _list_imported(node)
        return module_names

    def list_starting_modules(self, package: str) -> list[str]:
        """Return the modules that it imports in any case once it is started or imported itself.

        :param package: the package that its relative imports start from; empty for a script.
        """
        module_names = list[str]()
        pending_statements: list[ast.stmt] = list(self._tree.body) if self._tree else []
        while pending_statements:
            statement = pending_statements.pop()
            if isinstance(statement, ast.ImportFrom) and statement.level:
                module_names += _list_relative(statement, package)
            else:
                module_names += _list_imported(statement, with_names=True)
            if isinstance(statement, ast.With):
                pending_statements += statement.body
        return module_names

    def find_import(self, module: str) -> int:
        """Return the first line that imports a module of this top-level name; 0 if none does."""
        line_numbers = [
            node.lineno
            for node in self.nodes
            if isinstance(node, ast.Import | ast.ImportFrom)
            and any(name.partition(".")[0] == module for name in _list_imported(node))
        ]
        return min(line_numbers, default=0)

    @cached_property
    def _optional_nodes(self) -> set[ast.AST]:
        bodies = list[list[ast.stmt]]()
        for node in self.nodes:
            is_tried = isinstance(node, ast.Try) and any(map(_expects_no_module, node.handlers))
            is_for_types = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
            if isinstance(node, ast.Try | ast.If) and (is_tried or is_for_types):
                bodies.append(node.body)
        return {inner for body in bodies for statement in body for inner in ast.walk(statement)}


def read_file(folder: Path, path: str) -> ProgramFile | None:
    """Return a file of a folder; None for one that cannot be read, or is too large for a program."""
    full_path = folder / path
    try:
        status = full_path.stat()
        if not stat.S_ISREG(status.st_mode) or status.st_size > MAX_BYTES:
            return None
        state = (status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
        return _read_file(str(full_path), path, state)
    except OSError:
        return None


@functools.lru_cache(maxsize=4 * MAX_FILES)
def _read_file(full: str, path: str, state: tuple[int, ...]) -> ProgramFile:
    """Return a file; kept with its syntax, as several rules ask, again for each suggestion. Raise OSError."""
    return ProgramFile(path, Path(full).read_bytes())


def read_program(folder: Path, script: str) -> list[ProgramFile]:
    """Return the script of a folder, and the modules of the folder that it imports when it starts, also by others.

    Nothing if one of them cannot be read, or not followed: nothing is certain of the program then.
    """
    script_file = read_file(folder, script)
    if script_file is None or script_file.is_unclear:
        return []
    files = {script_file.path: script_file}
    pending_files = [(script_file, "")]
    while pending_files and len(files) < MAX_FILES:
        file, package = pending_files.pop()
        for name in file.list_starting_modules(package):
            for module_package, path in _find_module_files(folder, script, name):
                if path in files:
                    continue
                module = read_file(folder, path)
                if module is None or module.is_unclear:
                    return []
                files[path] = module
                pending_files.append((module, module_package))
    return list(files.values())


def list_import_folders(folder: Path, script: str) -> list[Path]:
    """Return the folders of the code that modules are imported from: that of the script, the code itself, its `src`."""
    return list(dict.fromkeys([(folder / script).parent, folder, folder / "src"]))


def has_module(folder: Path, script: str, name: str) -> bool:
    """Return whether a folder has a module of that name, in Python or another language."""
    return any(
        (root / name).is_dir() or next(root.glob(f"{name}.*"), None) for root in list_import_folders(folder, script)
    )


def _find_module_files(folder: Path, script: str, name: str) -> Iterator[tuple[str, str]]:
    """Yield what `import a.b` reads, each with the package of its relative imports: `a/__init__.py`, `a/b.py`."""
    module_parts = name.split(".")
    for root in list_import_folders(folder, script):
        for count in range(1, len(module_parts) + 1):
            base = root.joinpath(*module_parts[:count])
            for path, package in (
                (base / "__init__.py", module_parts[:count]),
                (base.with_suffix(".py"), module_parts[: count - 1]),
            ):
                if path.is_file():
                    yield ".".join(package), os.path.relpath(path, folder)


def _list_imported(node: ast.AST, with_names: bool = False) -> list[str]:
    """Return the modules of an absolute import; with those that `from package import module` may name."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom) and node.module and not node.level:
        return [node.module, *_join(node.module, node.names if with_names else ())]
    return []


def _list_relative(node: ast.ImportFrom, package: str) -> list[str]:
    package_parts = package.split(".") if package else []
    if node.level > len(package_parts):
        return []  # no package there: Python says it
    base = package_parts[: len(package_parts) - node.level + 1] + ([node.module] if node.module else [])
    start = ".".join(base)
    return [start, *_join(start, node.names)]


def _join(module: str, names: Sequence[ast.alias]) -> list[str]:
    return [f"{module}.{alias.name}" for alias in names if alias.name != "*"]


def _expects_no_module(handler: ast.ExceptHandler) -> bool:
    error_names = ("ImportError", "ModuleNotFoundError", "Exception")
    return handler.type is None or any(f"'{error_name}'" in ast.dump(handler.type) for error_name in error_names)
