"""A plugin in one file, `robotrain_plugin.py`: loaded only from a folder that is named; it claims what it brings."""

from __future__ import annotations

import dataclasses
import functools
import importlib.util
import os
import shlex
import sys
import traceback
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from robotrain.errors import Problem, Rejected, Stage, Suggestion
from robotrain.plugins.claims import Claim, EntryPoint
from robotrain.plugins.failures import UnsuitablePlugin
from robotrain.redaction import redact

PLUGIN_MODULE = "robotrain_plugin"
SITE_HOOKS = ("robotrain_check", "robotrain_run_changed", "robotrain_health")
FAMILY_HOOKS = {
    "platform": "robotrain_platforms",
    "source": "robotrain_source_kinds",
    "workload": "robotrain_workloads",
}


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


def read_plugin_file(folder: str) -> tuple[Claim, ...]:
    """Return the claims of a folder's plugin file. Raise Rejected, with the line, if it cannot be loaded."""
    from robotrain.plugins.loader import call_in_time

    path = Path(folder, f"{PLUGIN_MODULE}.py")
    if not path.is_file():
        raise _make_missing_error(path.parent)
    site = _make_claim("", PLUGIN_MODULE, path)
    try:
        work = functools.partial(_load_claims, site, path)
        found = call_in_time(site, work, "loading", "ROBOTRAIN_PLUGIN_SECONDS")
    except KeyboardInterrupt:
        raise
    except BaseException as cause:  # SystemExit too, and what ends a task
        raise _make_load_error(site, cause, path) from cause
    if not found:
        why = "It has functions marked with robotrain.plugin.hook, or `commands = {…}`."
        raise _make_usage_error("plugin-file-empty", "the plugin file brings nothing", path, why=why)
    return found


def _load_claims(site: Claim, path: Path) -> tuple[Claim, ...]:
    """Import the file, with its folder at the end of the path, and return the claims of what it brings."""
    from robotrain.plugins import hookspecs

    folder = path.parent.resolve()
    if str(folder) not in sys.path:
        sys.path.append(str(folder))
    spec = importlib.util.spec_from_file_location(PLUGIN_MODULE, folder / path.name)
    assert spec is not None
    assert spec.loader is not None  # its name ends in .py
    sys.modules[PLUGIN_MODULE] = module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[PLUGIN_MODULE]
        raise
    hookspecs.require_supported_api(site)
    return (*_find_claims(module, path), *([site] if any(hasattr(module, hook) for hook in SITE_HOOKS) else []))


def _find_claims(module: Any, path: Path) -> Iterator[Claim]:
    for family, hook in FAMILY_HOOKS.items():
        for thing in getattr(module, hook, tuple)():
            yield _make_claim(family, str(thing.name), path)
    commands = getattr(module, "commands", {})
    if not isinstance(commands, Mapping) or not all(isinstance(name, str) for name in commands):
        raise UnsuitablePlugin("`commands` is a mapping of names to Typer apps")
    for name in commands:
        yield _make_claim("command", name, path, f":commands[{name!r}]")


def _make_claim(family: str, name: str, path: Path, attribute: str = "") -> Claim:
    dotted = f"{family}.{name}" if family else name
    return Claim(family, name, FileEntryPoint(dotted, PLUGIN_MODULE + attribute, str(path), ""))


def _make_missing_error(named: Path) -> Rejected:
    lacks = "has no robotrain_plugin.py" if named.is_dir() else "is not a folder"
    folder = shlex.quote(redact(str(named.parent))) if named.is_file() else "FOLDER"
    return _make_usage_error("plugin-file-missing", f"{redact(str(named))} {lacks}", named, folder)


def _make_usage_error(code: str, title: str, path: Path, folder: str = "FOLDER", why: str = "") -> Rejected:
    way = Suggestion(f"--plugins-from {folder}", "the folder that robotrain_plugin.py lies in")
    given, where = redact(str(path)), "--plugins-from"
    problem = Problem(code=code, stage=Stage.USAGE, title=title, where=where, given=given, why=why, suggestions=(way,))
    return Rejected([problem])


def _make_load_error(claim: Claim, cause: BaseException, path: Path) -> Rejected:
    """Return the error for a plugin file that does not load, with the last line of the file in the traceback."""
    from robotrain.plugins.failures import make_failure

    places = [(frame.filename, frame.lineno) for frame in traceback.extract_tb(cause.__traceback__)]
    places += [(cause.filename or "", cause.lineno)] if isinstance(cause, SyntaxError) else []
    lines = [line for name, line in places if os.path.realpath(name) == os.path.realpath(path)]
    failure = make_failure(claim, cause)
    title = f"the plugin file does not load: {failure.reason}"
    place = redact(f"{path}:{lines[-1]}" if lines else str(path))
    return Rejected([dataclasses.replace(failure.make_problem(), title=title, where="--plugins-from", given=place)])
