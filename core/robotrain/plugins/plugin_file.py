"""A plugin in one file, `robotrain_plugin.py`: loaded only from a folder that is named; it claims what it brings."""

from __future__ import annotations

import dataclasses
import importlib.util
import sys
import traceback
from pathlib import Path
from typing import Any

from robotrain.errors import Rejected
from robotrain.messages import Messages
from robotrain.plugins.discovery import FAMILIES, HOOKS, Claim, make_claim
from robotrain.plugins.failures import UnsuitablePlugin, make_failure

make_problem = Messages(__file__)

PLUGIN_MODULE = "robotrain_plugin"
SITE_HOOKS = ("robotrain_check", "robotrain_run_changed", "robotrain_health")


def read_plugin_file(folder: str) -> list[Claim]:
    """Return the claims of a folder's plugin file. Raise Rejected, with the line, if it cannot be loaded."""
    path = Path(folder).absolute() / f"{PLUGIN_MODULE}.py"
    if not path.is_file():
        raise Rejected([make_problem("plugin-file-unusable.missing", given=str(path.parent))])
    claim = make_claim(PLUGIN_MODULE, PLUGIN_MODULE, str(path))
    try:
        claims = _load_claims(claim, path)
    except KeyboardInterrupt:
        raise
    except BaseException as cause:  # SystemExit too, and what ends a task
        places = [(frame.filename, frame.lineno) for frame in traceback.extract_tb(cause.__traceback__)]
        places += [(cause.filename or "", cause.lineno)] if isinstance(cause, SyntaxError) else []
        line_suffixes = [f":{line_number}" for name, line_number in places if name == str(path)]
        failure, position = make_failure(claim, cause), f"{path}{line_suffixes[-1] if line_suffixes else ''}"
        title = f"the plugin file does not load: {failure.reason}"
        problem = dataclasses.replace(failure.make_problem(), title=title, where="--plugins-from", given=position)
        raise Rejected([problem]) from cause
    if not claims:
        raise Rejected([make_problem("plugin-file-unusable.empty", given=str(path))])
    return claims


def _load_claims(claim: Claim, path: Path) -> list[Claim]:
    """Import the file, with its folder at the end of the path, and return the claims of what it brings."""
    if str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))
    spec: Any = importlib.util.spec_from_file_location(PLUGIN_MODULE, path)
    sys.modules[PLUGIN_MODULE] = module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[PLUGIN_MODULE]
        raise
    if not isinstance(commands := getattr(module, "commands", {}), dict):
        raise UnsuitablePlugin("`commands` is a mapping of names to Typer apps")
    families = sorted(HOOKS.keys() & FAMILIES)
    dotted_names = [
        f"{family}.{declaration.name}" for family in families for declaration in getattr(module, HOOKS[family], tuple)()
    ]
    claims = [make_claim(name, PLUGIN_MODULE, claim.package) for name in dotted_names]
    claims += [make_claim(f"command.{name}", f"{PLUGIN_MODULE}:commands.{name}", claim.package) for name in commands]
    return [*claims, *([claim] if any(hasattr(module, hook) for hook in SITE_HOOKS) else [])]
