"""`robotrain doctor`: check this machine for what would stop a submit."""

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any

import typer

from robotrain import network_deadline
from robotrain.cli import output
from robotrain.cli.arguments import JsonOption, complete_platforms, option
from robotrain.cli.command_factory import OwnCommand, get_plugins, make_app
from robotrain.cli.line_values import read_declared
from robotrain.cli.missing_plugins import load_named_plugin
from robotrain.cli.options import ComposedOptions, add_declared
from robotrain.cli.output import dump_suggestions, print_json, print_message, print_text
from robotrain.cli.table import to_plain_line, wrap_text
from robotrain.config.selection import choose_without_job, load_or_none, read_option
from robotrain.config.validate import validate_values
from robotrain.doctor.health_checks import (
    CheckResult,
    Readiness,
    apply_fixes,
    find_readiness,
    list_checks,
    run_checks,
)
from robotrain.errors import Rejected, Stage
from robotrain.model.health import HealthResult

STATE_STYLES = {"ok": "green", "note": "cyan", "warn": "yellow", "fail": "red"}
SETTINGS_KEY, VALUES_KEY = "robotrain.settings", "robotrain.values"
"""Where the context has the options of the chosen platform's settings, and what was typed for them."""


class DoctorCommand(OwnCommand):
    """The command, with the settings of the chosen platform as further options."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the arguments, with the options of the platform that they, a file or the environment choose."""
        plugins = get_plugins(ctx)
        options = ComposedOptions()
        if platform := load_or_none(plugins.platform, choose_without_job(read_option(args, "--platform")).platform):
            options.owners.update((flag, "doctor") for param in self.get_params(ctx) for flag in param.opts)
            owner = f"platform {platform.name}"
            add_declared(options, platform.settings, platform.name, f"Settings of {owner}", owner, free_only=True)
        ctx.meta[SETTINGS_KEY] = options, [option.make_parameter() for option in options.options]
        remaining_args = super().parse_args(ctx, args)
        ctx.meta[VALUES_KEY] = {option.name: ctx.params.pop(option.name, None) for option in options.options}
        return remaining_args

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the parameters, with those of the platform once it is known."""
        return [*super().get_params(ctx), *ctx.meta.get(SETTINGS_KEY, ((), ()))[1]]


def doctor(
    ctx: typer.Context,
    platform: Annotated[
        str, option("--platform", "NAME", "Check for one platform.  [env: ROBOTRAIN_PLATFORM]", complete_platforms)
    ] = "",
    fix: Annotated[bool, typer.Option("--fix", help="Fix what can be fixed safely; prints each step.")] = False,
    online: Annotated[bool, typer.Option("--online", help="Also check sign-in with remote services.")] = False,
    json: JsonOption = False,
) -> None:
    """Check this machine for what would stop a submit, and say how to fix it.

    The last line says which platforms are ready. The exit code is 4 when a check fails, and 1 when one of the chosen
    platform gives no answer.

    robotrain doctor --fix

    With --platform it takes the settings of that platform, too.
    """
    plugins = get_plugins(ctx)
    choice = choose_without_job(platform)
    chosen_platform = choice.platform
    if chosen_platform and chosen_platform not in plugins.list_names(
        "platform"
    ):  # one that fails to load is a result of the checks
        load_named_plugin(plugins, "platform", chosen_platform, choice.origins[1])
    default = network_deadline.LONG_SECONDS if online else network_deadline.SHORT_SECONDS
    limit = network_deadline.get_limit(default)
    applied_fixes = list[str]()
    variables = (
        _read_settings(ctx, plugins.platform(chosen_platform).settings) if any(ctx.meta[VALUES_KEY].values()) else {}
    )
    with _setting(variables):
        check_results = run_checks(list_checks(plugins, chosen_platform, online), limit)
        if fix:
            check_results, applied_fixes = apply_fixes(check_results, limit, print_message)
    has_failed = any(result.state == "fail" for result in check_results)
    readiness = find_readiness(check_results, [chosen_platform] if chosen_platform else plugins.list_names("platform"))
    if json:
        checks = [*map(_dump_check, check_results)]
        print_json(
            {
                "platform": chosen_platform or None,
                "healthy": not has_failed,
                "checks": checks,
                "fixed": applied_fixes,
                "unanswered": _list_silent(check_results),
                "ready": readiness.ready,
            }
        )
    else:
        width = max(len(result.check.name) for result in check_results)
        answered_checks = [result for result in check_results if not result.is_overdue]
        findings = [(finding, result.check.name) for result in answered_checks for finding in result.findings]
        if silent_checks := [result for result in check_results if result.is_overdue]:
            overdue = silent_checks[0].findings[0]
            overdue_text = f"{', '.join(_list_silent(silent_checks))}: {overdue.text}"
            findings.append((replace(overdue, text=overdue_text), "no answer"))
        print_text("\n".join(line for finding, name in findings for line in _format_finding(finding, name, width)))
        print_message(summarize_results(check_results, chosen_platform, fix))
        print_message(_format_readiness(readiness))
    if has_failed:
        raise typer.Exit(Stage.PREFLIGHT.exit_code)
    if chosen_platform and readiness.unknown:
        raise typer.Exit(Stage.SUBMIT.exit_code)


def _read_settings(ctx: Any, settings_type: type) -> dict[str, str]:
    """Return the settings that were typed, by the variables of the same meaning. Raise Rejected for invalid ones."""
    options: ComposedOptions = ctx.meta[SETTINGS_KEY][0]
    declared_values = read_declared(ctx.meta[VALUES_KEY], options)
    typed_settings = {options.declared[key].name: value for key, value in declared_values}
    if problems := [
        problem
        for problem in validate_values(settings_type, typed_settings).problems
        if problem.message != "value-missing"
    ]:
        raise Rejected(problems)
    return {
        parameter.env[0]: str(typed_settings[parameter.name].value)
        for parameter in options.declared.values()
        if parameter.name in typed_settings
    }


@contextlib.contextmanager
def _setting(variables: Mapping[str, str]) -> Iterator[None]:
    """Set variables of the environment within the block: the checks, of any plugin, read their settings there."""
    previous_values = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, previous_value in previous_values.items():
            if previous_value is None:
                del os.environ[name]
            else:
                os.environ[name] = previous_value


def _list_silent(results: Sequence[CheckResult]) -> list[str]:
    """Return the names of the checks that gave no answer in their time."""
    return [result.check.name for result in results if result.is_overdue]


def _dump_check(result: CheckResult) -> dict[str, Any]:
    """Return a check as data; the keys are an API."""
    return {
        "name": result.check.name,
        "by": result.distribution or None,
        "state": result.state,
        "findings": [
            {
                "state": finding.state,
                "says": finding.text,
                "instead": dump_suggestions(finding.suggestions),
                "fix": finding.fix.text if finding.fix else None,
            }
            for finding in result.findings
        ],
    }


def _format_finding(finding: HealthResult, name: str, name_width: int) -> Iterator[str]:
    """Yield the line of a finding, and what to type below it."""
    state = output.paint_text(
        f"{finding.state:<4}", STATE_STYLES[finding.state], output.has_color(output.get_results())
    )
    indent = " " * (4 + 2 + name_width + 2)
    columns = output.get_table_width()
    first_line, *other_lines = wrap_text(to_plain_line(finding.text), columns and max(40, columns - len(indent)))
    yield f"{state}  {name:<{name_width}}  {first_line}".rstrip()
    yield from (indent + part for part in other_lines)
    ways = [*finding.suggestions]
    for index, way in enumerate(ways):
        remark = f"   ({way.remark})" if way.remark else ""
        yield f"{indent}{'or ' if index else 'use'}  {way.text}{remark}"
    if finding.fix:
        yield f"{indent}{'or ' if ways else 'use'}  robotrain doctor --fix   ({finding.fix.text})"


def summarize_results(results: Sequence[CheckResult], platform: str, fixed: bool) -> str:
    """Return how many checks failed, and submits to which platforms would fail."""
    failed_count = sum(result.state == "fail" for result in results if not result.is_overdue)
    warnings = sum(finding.state == "warn" for result in results for finding in result.findings)
    to = f" to {platform}" if platform else ""
    failed_platforms = {result.platform: None for result in results if result.state == "fail"}
    if failed_count and "" not in failed_platforms:
        to = f" to {' or '.join(failed_platforms)}"
    silent_checks = _list_silent(results)
    silence_note = f"not everything was checked: no answer of {', '.join(silent_checks)}"
    if failed_count:
        summary = f"{failed_count} of {len(results)} checks failed: a submit{to} would fail" + (
            f"; {silence_note}" * bool(silent_checks)
        )
    elif silent_checks:
        summary = silence_note
    else:
        summary = f"found nothing that would stop a submit{to}"
        summary += f"; {warnings} warning{'' if warnings == 1 else 's'}" if warnings else ""
    is_fixable = any(result.fixes for result in results)
    return summary + ("\n`robotrain doctor --fix` fixes what is safe to fix" if is_fixable and not fixed else "")


def _format_readiness(readiness: Readiness) -> str:
    """Return the verdict: `ready for: A; not for: B (its command)`."""
    unready_platforms = [f"{name} ({', '.join(checks)})" for name, checks in readiness.missing.items()]
    parts = {"ready for": readiness.ready or ["none"], "not for": unready_platforms, "not known": readiness.unknown}
    return "; ".join(
        f"{title}: {', '.join(platform_names)}" for title, platform_names in parts.items() if platform_names
    )


app = make_app(doctor, cls=DoctorCommand)
