"""`robotrain doctor`: check this machine for what would stop a submit."""

from collections.abc import Iterator, Sequence
from typing import Annotated, Any

import typer

from robotrain import network_deadline
from robotrain.cli import output
from robotrain.cli.arguments import JsonOption, complete_platforms, option
from robotrain.cli.command_factory import get_plugins, make_app
from robotrain.cli.missing_plugins import load_named_plugin
from robotrain.cli.output import dump_suggestions, print_json, print_message, print_text
from robotrain.cli.table import to_plain_line, wrap_text
from robotrain.config.selection import choose_without_job
from robotrain.doctor.health_checks import (
    CheckResult,
    list_checks,
    run_checks,
)
from robotrain.errors import Stage
from robotrain.model.health import HealthResult

STATE_STYLES = {"ok": "green", "warn": "yellow", "fail": "red"}


def doctor(
    ctx: typer.Context,
    platform: Annotated[
        str, option("--platform", "NAME", "Check for one platform.  [env: ROBOTRAIN_PLATFORM]", complete_platforms)
    ] = "",
    online: Annotated[bool, typer.Option("--online", help="Also check sign-in with remote services.")] = False,
    json: JsonOption = False,
) -> None:
    """Check this machine for what would stop a submit, and say how to fix it.

    The exit code is 4 when a check fails, and 1 when one of the chosen platform gives no answer.

    robotrain doctor --platform PLATFORM --online
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
    check_results = run_checks(list_checks(plugins, chosen_platform, online), limit)
    has_failed = any(result.state == "fail" for result in check_results)
    is_silent = any(result.is_overdue and result.platform == chosen_platform for result in check_results)
    if json:
        checks = [*map(_dump_check, check_results)]
        print_json(
            {
                "platform": chosen_platform or None,
                "healthy": not has_failed,
                "checks": checks,
                "unanswered": _list_silent(check_results),
            }
        )
    else:
        width = max(len(result.check.name) for result in check_results)
        findings = [(finding, result.check.name) for result in check_results for finding in result.findings]
        print_text("\n".join(line for finding, name in findings for line in _format_finding(finding, name, width)))
        print_message(summarize_results(check_results, chosen_platform))
    if has_failed:
        raise typer.Exit(Stage.PREFLIGHT.exit_code)
    if chosen_platform and is_silent:
        raise typer.Exit(Stage.SUBMIT.exit_code)


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
    for index, way in enumerate(finding.suggestions):
        remark = f"   ({way.remark})" if way.remark else ""
        yield f"{indent}{'or ' if index else 'use'}  {way.text}{remark}"


def summarize_results(results: Sequence[CheckResult], platform: str) -> str:
    """Return how many checks failed, and what gave no answer."""
    failed_count = sum(result.state == "fail" for result in results if not result.is_overdue)
    warning_count = sum(finding.state == "warn" for result in results for finding in result.findings)
    parts = [f"{failed_count} of {len(results)} checks failed"] if failed_count else []
    if silent_checks := _list_silent(results):
        parts.append(f"not everything was checked: no answer of {', '.join(silent_checks)}")
    if not parts:
        parts.append(f"found nothing that would stop a submit{f' to {platform}' if platform else ''}")
        parts += [f"{warning_count} warning{'' if warning_count == 1 else 's'}"] if warning_count else []
    return "; ".join(parts)


app = make_app(doctor)
