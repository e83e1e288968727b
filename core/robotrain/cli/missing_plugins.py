"""Problems of workloads and platforms that are not installed, or fail to load."""

from __future__ import annotations

import dataclasses
from typing import Any

from robotrain.config.values import DEFAULT_ORIGIN, Origin
from robotrain.errors import Problem, Rejected, Suggestion
from robotrain.messages import Messages
from robotrain.nearest_name import suggest_name
from robotrain.plugins.failures import PluginError
from robotrain.plugins.manager import Plugins
from robotrain.redaction import redact

make_problem = Messages(__file__)


def load_named_plugin(plugins: Plugins, family: str, name: str, origin: Origin) -> Any:
    """Return the workload or platform of a name; raise Rejected with the nearest name when there is none."""
    try:
        return getattr(plugins, family)(name)
    except PluginError as error:
        (problem,) = error.problems
        names = [] if origin == DEFAULT_ORIGIN else [other for other in plugins.list_names(family) if other != name]
        prefix = "--platform " if family == "platform" and origin.layer != "argument" else ""
        near = suggest_name(name, names, prefix) if error.misspelled else ()
        ways = near or problem.suggestions
        raise Rejected(
            [
                dataclasses.replace(
                    problem, code="plugin-not-loaded", where=origin.where, given=redact(name), suggestions=ways
                )
            ]
        ) from None


def make_platform_missing_problem(plugins: Plugins) -> Problem:
    """Return the problem of a job without a platform."""
    installed = plugins.list_names("platform")
    here = [name for name, platform in plugins.platforms().items() if platform.capabilities.feature("runs_here")]
    names = [*here, *(name for name in installed if name not in here)]
    ways = [Suggestion(f"--platform {name}", "on this machine" if name in here else "") for name in names]
    installed_text = ", ".join(installed) or "none"
    return make_problem("platform-missing", *ways, installed=installed_text, name=next(iter(names), "NAME"))
