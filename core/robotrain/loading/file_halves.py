"""Container halves of a plugin file: modules and packages of its folder, with what they name of that folder.

Nothing else of the folder travels: it may hold anything.
"""

from __future__ import annotations  # the types below are for readers and checkers: importing them costs start-up

import ast
import functools
import importlib.util
import os
import re
from pathlib import Path

BESIDE = re.compile(r"[\w-]+(?:\.[\w-]+)+")
"""Files that a module may read, such as its lock."""


def modules(text: str) -> list[str]:
    """The modules and packages of the plugin file's folder that a module names: imports, or holds as a text, since it
    may start a program by its name.
    """
    folder = _folder()
    if folder is None:
        return []
    names = frozenset().union(*_named(text)) - {"robotrain_plugin", "__main__"}
    return [name for name in sorted(names) if name.isidentifier() and _is_module(folder, name)]


def files(module: Path, text: str) -> dict[str, str]:
    """The files beside a module of the plugin file's folder that it names, by their names."""
    if module.parent != _folder():
        return {}
    found = [module.with_name(name) for name in sorted(_named(text)[1]) if BESIDE.fullmatch(name)]
    return {path.name: str(path) for path in found if path.suffix != ".py" and os.path.isfile(path)}


@functools.lru_cache(maxsize=64)
def _named(text: str) -> tuple[frozenset[str], frozenset[str]]:
    """What a module imports, by the first name of each, and its texts; what comments and prose quote is neither."""
    imported, texts = set[str](), set[str]()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            imported |= {name.name.partition(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            imported.add(node.module.partition(".")[0])
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            texts.add(node.value)
    return frozenset(imported), frozenset(texts)


def _folder() -> Path | None:
    from robotrain.loading.file_point import folder

    return folder()


def _is_module(folder: Path, name: str) -> bool:
    """Whether Python finds a module there: of two with one name it takes its own, or an installed one."""
    if not any(os.path.isfile(folder / place) for place in (f"{name}.py", f"{name}/__init__.py")):
        return False
    spec = importlib.util.find_spec(name)
    return bool(spec and spec.origin and folder in Path(spec.origin).parents)
