"""Problems of workloads and platforms that are not installed, or fail to load."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Sequence
from typing import Any

from robotrain_runtime.contract.parameter import get_parameters

from robotrain.config.values import DEFAULT_ORIGIN, Origin
from robotrain.errors import Problem, Rejected, Suggestion
from robotrain.messages import Messages
from robotrain.nearest_name import suggest_name
from robotrain.plugins.failures import PluginError
from robotrain.plugins.manager import Plugins
from robotrain.redaction import redact

make_problem = Messages(__file__)

PLACEHOLDERS = ("PLATFORM", "NAME")
"""What stands for the name of a platform in help and documents."""
ENGINES = (
    *("airflow", "argo", "aws", "docker", "gcp", "k8s", "kubeflow", "kubernetes", "lsf", "modal", "pbs", "ray"),
    *("runpod", "sagemaker", "skypilot", "ssh", "torchx", "vertex"),
)
"""Names of engines, clouds and tools, none of which is a kind of machine."""
MAX_LINE = 300
"""The longest line that is repeated in a suggestion, in characters."""


def load_named_plugin(plugins: Plugins, family: str, name: str, origin: Origin) -> Any:
    """Return the workload or platform of a name; raise Rejected with the nearest name when there is none."""
    try:
        return getattr(plugins, family)(name)
    except PluginError as error:
        raise Rejected([make_not_loaded_problem(family, name, error, plugins, origin)]) from None


def make_platform_missing_problem(plugins: Plugins, typed_words: Sequence[str] = ()) -> Problem:
    """Return the problem of a job without a platform.

    :param typed_words: the line after `robotrain`, which is suggested whole for a platform that runs jobs here.
    """
    from robotrain.line_edits import PROGRAM, edit_line  # costs start-up

    installed = plugins.list_names("platform")
    local_platforms = [
        name for name, platform in plugins.platforms().items() if platform.capabilities.feature("runs_here")
    ]
    name = next(iter([*local_platforms, *installed]), "NAME")
    problem = make_problem("platform-missing", installed=", ".join(installed) or "none", name=name)
    ways = []
    for name in local_platforms:
        way = Suggestion(f"--platform {name}", "on this machine")
        words = edit_line(_leave_out_name(typed_words, name), problem, way) if typed_words else None
        line_text = shlex.join([PROGRAM, *words]) if words else ""
        ways.append(way._replace(text=line_text) if 0 < len(line_text) <= MAX_LINE else way)
    ways += (Suggestion(f"--platform {name}") for name in installed if name not in local_platforms)
    return dataclasses.replace(problem, suggestions=tuple(ways))


def _leave_out_name(words: Sequence[str], name: str) -> list[str]:
    """Return the words of a line without the name of a platform that stands alone, or behind an unknown option."""
    from robotrain.cli.foreign_words import list_foreign_flags  # costs start-up

    if name not in words:
        return [*words]
    index = list(words).index(name)
    start = index - 1 if words[index - 1] in list_foreign_flags("--platform NAME") else index
    is_value = words[index - 1].startswith("-") and start == index
    return [*words] if is_value else [*words[:start], *words[index + 1 :]]


def make_not_loaded_problem(
    family: str,
    name: str,
    error: PluginError,
    plugins: Plugins,
    origin: Origin,
    alternatives: tuple[Suggestion, ...] = (),
) -> Problem:
    """Return the problem of a workload or platform that is not installed or fails to load.

    :param alternatives: what else the name may stand for, unless another name is near.
    """
    (problem,) = error.problems
    if family == "platform" and name in PLACEHOLDERS:
        platform_problem = make_platform_missing_problem(plugins)
        title = f"{name} stands for the name of a platform"
        return dataclasses.replace(
            platform_problem, code="plugin-not-loaded", title=title, where=origin.where, given=name
        )
    other_names = (
        []
        if origin == DEFAULT_ORIGIN
        else [other_name for other_name in plugins.list_names(family) if other_name != name]
    )
    is_option = family == "platform" and origin.layer != "argument"
    name_suggestions = suggest_name(name, other_names, prefix="--platform " if is_option else "")
    ways = problem.suggestions
    if error.misspelled:
        ways = name_suggestions or (*alternatives, *problem.suggestions)
    reason = f"robotrain itself brings no platform for {name}." if name.lower() in ENGINES else ""
    return dataclasses.replace(
        problem, code="plugin-not-loaded", where=origin.where, given=redact(name), why=reason, suggestions=ways
    )


def suggest_platform_settings(flag: str, value: str, plugins: Plugins) -> tuple[Suggestion, ...]:
    """Suggest the platform settings that other tools call `flag`, with the given value if no engine has that name."""
    if value.lower() in ENGINES:
        return ()
    quoted_value = shlex.quote(redact(value))
    return tuple(
        Suggestion(f"--platform {name} {parameter.flag} {quoted_value}", "if you mean the kind of machine")
        for name, platform in plugins.platforms().items()
        for parameter in get_parameters(platform.settings)
        if parameter.param.foreign_flag == flag
    )
