"""Check of a line that another tool's line was translated to, before it is printed."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from robotrain.cli import job_request, usage
from robotrain.cli.command_factory import get_plugins, load_command
from robotrain.cli.options import ORDER_KEY
from robotrain.config.resolve import resolve_job
from robotrain.config.selection import load_or_none
from robotrain.errors import Problem, Rejected, select_errors
from robotrain.model.capabilities import Capabilities
from robotrain.model.platform import NoSettings, Platform, PlatformEngine, PlatformPlans
from robotrain.model.support import ANY, YES
from robotrain.plugins.manager import Plugins


def _make_any_platform(name: str, plugins: Plugins, roles: Sequence[str]) -> Platform:
    """Return a platform that takes every job, with the settings of one if it is named."""
    platform = load_or_none(plugins.platform, name)
    return Platform(
        name=name,
        engine_class=PlatformEngine,
        plans_class=PlatformPlans,
        settings=platform.settings if platform else NoSettings,
        capabilities=Capabilities(sources={(role, ANY): YES for role in roles}, features={ANY: YES}),
    )


def check_line(ctx: Any, words: Sequence[str]) -> list[Problem]:
    """Return the errors that `render` would report for a line on every platform.

    What Terraform or a lookup may give is not asked for, and what a platform refuses is not looked for.

    :param words: the line after `robotrain`: a command that takes a job, and its arguments.
    """
    name, *remaining_words = words
    command = load_command(name)
    try:
        context = command.make_context(name, remaining_words, parent=ctx)
        command, plugins, values = context.command, get_plugins(context), dict(context.params)
        choice = command.choice
        workload = plugins.workload(choice.workload)
        platform = _make_any_platform(choice.platform, plugins, [*workload.roles])
        problems = [
            *usage.find_swallowed_flags(values, command.options),
            *usage.find_repeated_options(context.meta.get(ORDER_KEY, []), command.options),
            *usage.find_unknown_words(values.get("words") or [], choice, command.options, plugins),
        ]
        request, mistakes = job_request.make_request(
            command.describe_line(context, values), workload, platform, problems
        )
        request = replace(request, complete=True, terraform=None)
        resolution = resolve_job(request, workload, platform, plugins.source_kinds())
        problems += [*mistakes, *(problem for problem in resolution.problems if problem.message != "value-missing")]
        return select_errors([*problems, *(() if select_errors(problems) else workload.check(resolution.job))])
    except Rejected as rejected:
        return select_errors(rejected.problems)
