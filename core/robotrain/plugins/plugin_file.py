"""A plugin in one file, `robotrain_plugin.py`: loaded only from a folder named for this command; it claims its names.

Of the folder only what the plugin names is packed with a job.
"""

from __future__ import annotations

import ast
import dataclasses
import functools
import importlib.util
import os
import re
import shlex
import sys
import traceback
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from robotrain.errors import Problem, Rejected, Stage, Suggestion
from robotrain.plugins.claims import Claim, EntryPoint
from robotrain.plugins.errors import UnsuitablePlugin
from robotrain.redaction import redact

PLUGIN_MODULE = "robotrain_plugin"


class FileEntryPoint(EntryPoint):
    """What a plugin file brings under a name: the module, or one of its commands."""

    __slots__ = ()

    def load(self) -> Any:
        """Return the module, or one of its commands; the file was imported when its claims were read."""
        module = sys.modules[PLUGIN_MODULE]
        return module.commands[self.name.partition(".")[2]] if self.name.startswith("command.") else module


def is_from_file(claim: Claim) -> bool:
    """Return whether a claim is of a plugin file."""
    return isinstance(claim.point, FileEntryPoint)


def get_plugin_folder() -> Path | None:
    """Return the folder of the loaded plugin file; None without one."""
    module = sys.modules.get(PLUGIN_MODULE)
    return Path(module.__file__).parent if module and module.__file__ else None


def make_missing_error(path: Path) -> Rejected:
    """Return the error for a missing plugin file."""
    named = path.parent
    lacks = "has no robotrain_plugin.py" if named.is_dir() else "is not a folder"
    folder = shlex.quote(redact(str(named.parent))) if named.is_file() else "FOLDER"
    return _make_usage_error(f"{redact(str(named))} {lacks}", named, "plugin-file-missing", folder=folder)


def make_empty_error(path: Path) -> Rejected:
    """Return the error for a plugin file without hooks and commands."""
    why = "It has functions marked with robotrain.plugin.hook, or `commands = {…}`."
    return _make_usage_error("the plugin file brings nothing", path, "plugin-file-empty", why)


def make_load_error(claim: Claim, cause: BaseException, path: Path) -> Rejected:
    """Return the error for a plugin file that does not load."""
    from robotrain.plugins.errors import make_failure

    failure = make_failure(claim, cause)
    title = f"the plugin file does not load: {failure.reason}"
    place = redact(f"{path}{_format_error_line(cause, path)}")
    return Rejected([dataclasses.replace(failure.make_problem(), title=title, where="--plugins-from", given=place)])


def _make_usage_error(title: str, path: Path, code: str, why: str = "", folder: str = "FOLDER") -> Rejected:
    given, way = (
        redact(str(path)),
        Suggestion(f"--plugins-from {folder}", "the folder that robotrain_plugin.py lies in"),
    )
    where = "--plugins-from"
    problem = Problem(code=code, stage=Stage.USAGE, title=title, where=where, given=given, why=why, suggestions=(way,))
    return Rejected([problem])


def _format_error_line(cause: BaseException, path: Path) -> str:
    """Return the last line of the file in the traceback, as `:12`; empty if unknown."""
    if isinstance(cause, SyntaxError) and _is_same_file(cause.filename, path):
        return f":{cause.lineno}"
    frames = traceback.extract_tb(cause.__traceback__)
    lines = [frame.lineno for frame in frames if _is_same_file(frame.filename, path)]
    return f":{lines[-1]}" if lines else ""


def _is_same_file(name: str | None, path: Path) -> bool:
    return bool(name) and os.path.realpath(str(name)) == os.path.realpath(path)


DATA_FILE_NAME = re.compile(r"[\w-]+(?:\.[\w-]+)+")
"""The name of a file that a module may read, such as its lock."""


def find_named_modules(text: str) -> list[str]:
    """Return the modules beside the plugin file that a module imports, or names in a string: it may start a program."""
    folder = get_plugin_folder()
    if folder is None:
        return []
    names = frozenset().union(*_parse_names(text)) - {"robotrain_plugin", "__main__"}
    return [name for name in sorted(names) if name.isidentifier() and _is_module(folder, name)]


def find_named_files(module: Path, text: str) -> dict[str, str]:
    """Return the files beside a module of the plugin file's folder that it names, by name."""
    if module.parent != get_plugin_folder():
        return {}
    found = [module.with_name(name) for name in sorted(_parse_names(text)[1]) if DATA_FILE_NAME.fullmatch(name)]
    return {path.name: str(path) for path in found if path.suffix != ".py" and os.path.isfile(path)}


@functools.lru_cache(maxsize=64)
def _parse_names(text: str) -> tuple[frozenset[str], frozenset[str]]:
    """Return the top-level names that a module imports, and its string constants."""
    imported, texts = set[str](), set[str]()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            imported |= {name.name.partition(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            imported.add(node.module.partition(".")[0])
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            texts.add(node.value)
    return frozenset(imported), frozenset(texts)


def _is_module(folder: Path, name: str) -> bool:
    """Return whether Python finds a module in the folder, and not another of that name first."""
    if not any(os.path.isfile(folder / place) for place in (f"{name}.py", f"{name}/__init__.py")):
        return False
    spec = importlib.util.find_spec(name)
    return bool(spec and spec.origin and folder in Path(spec.origin).parents)


SITE_HOOKS = ("robotrain_check", "robotrain_run_changed", "robotrain_health")
FAMILY_HOOKS = {
    "platform": "robotrain_platforms",
    "source": "robotrain_source_kinds",
    "workload": "robotrain_workloads",
}


def read_plugin_file(folder: str) -> tuple[Claim, ...]:
    """Return the claims of a folder's plugin file. Raise Rejected, with the line, if it cannot be loaded."""
    from robotrain.plugins import hookspecs
    from robotrain.plugins.loader import call_in_time

    path = Path(folder, f"{PLUGIN_MODULE}.py")
    if not path.is_file():
        raise make_missing_error(path)
    site = Claim("", PLUGIN_MODULE, FileEntryPoint(PLUGIN_MODULE, PLUGIN_MODULE, str(path), ""))
    try:
        call_in_time(site, functools.partial(_import_file, path), "loading", "ROBOTRAIN_PLUGIN_SECONDS")
        hookspecs.require_supported_api(site)
        found = call_in_time(site, functools.partial(_list_claims, str(path)), "loading")
    except KeyboardInterrupt:
        raise
    except BaseException as cause:  # SystemExit too, and what ends a task
        raise make_load_error(site, cause, path) from cause
    if not found:
        raise make_empty_error(path)
    return tuple(found)


def _import_file(path: Path) -> None:
    """Import the file, with its folder at the end of the path."""
    beside = str(path.parent.resolve())
    if beside not in sys.path:
        sys.path.append(beside)
    spec = importlib.util.spec_from_file_location(PLUGIN_MODULE, Path(beside, path.name))
    assert spec is not None
    assert spec.loader is not None  # its name ends in .py
    sys.modules[PLUGIN_MODULE] = module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[PLUGIN_MODULE]
        raise


def _list_claims(path: str) -> list[Claim]:
    return list(_find_claims(sys.modules[PLUGIN_MODULE], path))


def _find_claims(module: Any, path: str) -> Iterator[Claim]:
    for family, hook in FAMILY_HOOKS.items():
        if function := getattr(module, hook, None):
            for thing in function():
                yield _make_claim(family, str(thing.name), PLUGIN_MODULE, path)
    for name in _get_commands(module):
        yield _make_claim("command", name, f"{PLUGIN_MODULE}:commands[{name!r}]", path)
    if any(hasattr(module, hook) for hook in SITE_HOOKS):
        yield Claim("", PLUGIN_MODULE, FileEntryPoint(PLUGIN_MODULE, PLUGIN_MODULE, path, ""))


def _make_claim(family: str, name: str, value: str, path: str) -> Claim:
    return Claim(family, name, FileEntryPoint(f"{family}.{name}", value, path, ""))


def _get_commands(module: Any) -> Mapping[str, Any]:
    found = getattr(module, "commands", {})
    if not isinstance(found, Mapping) or not all(isinstance(name, str) for name in found):
        raise UnsuitablePlugin("`commands` is a mapping of names to Typer apps")
    return found
