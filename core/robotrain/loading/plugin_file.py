"""A plugin that is one file in a folder: `robotrain_plugin.py`, for people who make no package of theirs.

It is loaded only from the folder that somebody names for this very command, and claims what it brings.
"""

from __future__ import annotations  # the types below are for readers and checkers: importing them costs start-up

import functools
import importlib.util
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from robotrain.claims import Claim
from robotrain.loading.file_point import MODULE, FilePoint
from robotrain.loading.ways import Unsuitable

SITE = ("robotrain_check", "robotrain_run_changed", "robotrain_health")
FAMILIES = {"platform": "robotrain_platforms", "source": "robotrain_source_kinds", "workload": "robotrain_workloads"}


def claims(folder: str) -> tuple[Claim, ...]:
    """What the plugin file of a folder brings. Raises Rejected, with the place in it, when it cannot be had."""
    from robotrain.loading import api_version, plugin_file_problems
    from robotrain.loading.loader import in_time

    path = Path(folder, f"{MODULE}.py")
    if not path.is_file():
        raise plugin_file_problems.missing(path)
    site = Claim("", MODULE, FilePoint(MODULE, MODULE, str(path), ""))
    try:
        in_time(site, functools.partial(_imported, path), "loading", "ROBOTRAIN_PLUGIN_SECONDS")
        api_version.must_suit(site)
        found = in_time(site, functools.partial(_brought, str(path)), "loading")
    except KeyboardInterrupt:
        raise
    except BaseException as cause:  # SystemExit too, and what ends a task
        raise plugin_file_problems.broken(site, cause, path) from cause
    if not found:
        raise plugin_file_problems.empty(path)
    return tuple(found)


def _imported(path: Path) -> None:
    """The file as the module it is, and what lies beside it within reach, after everything that is installed."""
    beside = str(path.parent.resolve())
    if beside not in sys.path:
        sys.path.append(beside)
    spec = importlib.util.spec_from_file_location(MODULE, Path(beside, path.name))
    assert spec is not None
    assert spec.loader is not None  # its name ends in .py
    sys.modules[MODULE] = module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[MODULE]
        raise


def _brought(path: str) -> list[Claim]:
    return list(_claims(sys.modules[MODULE], path))


def _claims(module: Any, path: str) -> Iterator[Claim]:
    for family, hook in FAMILIES.items():
        if bring := getattr(module, hook, None):
            for thing in bring():
                yield _claim(family, str(thing.name), MODULE, path)
    for name in _commands(module):
        yield _claim("command", name, f"{MODULE}:commands[{name!r}]", path)
    if any(hasattr(module, hook) for hook in SITE):
        yield Claim("", MODULE, FilePoint(MODULE, MODULE, path, ""))


def _claim(family: str, name: str, value: str, path: str) -> Claim:
    return Claim(family, name, FilePoint(f"{family}.{name}", value, path, ""))


def _commands(module: Any) -> Mapping[str, Any]:
    found = getattr(module, "commands", {})
    if not isinstance(found, Mapping) or not all(isinstance(name, str) for name in found):
        raise Unsuitable("`commands` is a mapping of names to Typer apps")
    return found
