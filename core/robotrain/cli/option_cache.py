"""Options of built-in plugins in the cache folder, from which help and completion show them without loading a plugin.

An entry counts while nothing that it was made from changed: the claims, the folders on Python's path, and every file of
robotrain that was loaded. What third-party plugins declare may depend on more, so options of theirs are never cached.
"""

from __future__ import annotations

import json
import os
import sys
import zlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from robotrain import cli
from robotrain.cli.choice import Choice
from robotrain.cli.options import Completer, ComposedOptions, Option
from robotrain.store import files

if TYPE_CHECKING:
    from robotrain.plugins.discovery import Claim
    from robotrain.plugins.manager import Plugins

SETTLED_SECONDS = 2.0
"""An entry is not written if a file changed since the start, or so many seconds before: what was read is unknown."""


def load_or_compose(
    command: str, choice: Choice, plugins: Plugins, own: int, compose: Callable[[], ComposedOptions]
) -> list[Option]:
    """Return the options that plugins add to the first `own` options of a command, from the cache if possible."""
    claims = _list_used_claims(choice, plugins)
    if claims is None or not cli.started:  # in another program, anything may have been replaced
        return compose().options[own:]
    key = repr([command, *choice[:2], sys.version, sys.path, claims])
    name = f"options-{zlib.crc32(key.encode()):08x}.json"
    try:
        entry = json.loads(files.read_computed(name))
        if entry["key"] == key and all(_identify(path) == found for path, found in entry["files"].items()):
            return [_restore(fields, compose) for fields in entry["options"]]
    except (OSError, ValueError, TypeError, LookupError, AttributeError):
        pass  # absent, or damaged
    options = compose().options[own:]
    identities = {path: _identify(path) for path in _list_files()}
    latest = max(found[0] for found in identities.values() if found)
    if not plugins.failures and latest < (cli.started - SETTLED_SECONDS) * 1e9:
        fields = [(*option[:-1], option.complete is not None) for option in options]
        files.write_computed(name, json.dumps({"key": key, "files": identities, "options": fields}).encode())
    return options


def _list_used_claims(choice: Choice, plugins: Plugins) -> list[Claim] | None:
    """Return the claims of everything that takes part in the options; None if they cannot be cached."""
    platforms, workloads = plugins.list_claims("platform", choice.platform), plugins.list_claims("workload")
    claims = [*workloads, *plugins.list_claims("source"), *(platforms if choice.platform else ())]
    unknown = (choice.platform and not platforms) or (
        choice.workload and all(claim.name != choice.workload for claim in workloads)
    )
    return None if unknown or not all(claim.built_in for claim in claims) else claims


def _restore(fields: list[Any], compose: Callable[[], ComposedOptions]) -> Option:
    name, flags, help, metavar, panel, repeatable, bare_value, choices, has_completer = fields
    complete = _complete_from_plugin(name, compose) if has_completer else None
    return Option(name, tuple(flags), help, metavar, panel, repeatable, bare_value, tuple(choices), complete)


def _complete_from_plugin(name: str, compose: Callable[[], ComposedOptions]) -> Completer:
    """Return what asks the plugin itself for completions of an option."""

    def complete(incomplete: str) -> list[str]:
        found = next((option.complete for option in compose().options if option.name == name), None)
        return list(found(incomplete)) if found else []

    return complete


def _list_files() -> set[str]:
    """Return the folders on Python's path, and the files of robotrain's loaded modules."""
    modules = [module for name, module in list(sys.modules.items()) if name.startswith("robotrain")]
    loaded = {str(module.__file__) for module in modules if getattr(module, "__file__", None)}
    return loaded | {place or "." for place in sys.path}


def _identify(path: str) -> list[int] | None:
    """Return a fingerprint that changes with every change of a file; None while the file is absent."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return [found.st_ctime_ns, found.st_size, found.st_ino]
