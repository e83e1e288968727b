"""`robotrain doctor`: check this machine for what would stop a submit."""

import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from robotrain.cli import output
from robotrain.cli.arguments import JsonOption, complete_platforms, option
from robotrain.cli.columns import to_plain_line, wrap_text
from robotrain.cli.command_factory import get_plugins, make_app
from robotrain.cli.output import dump_suggestions, print_json, print_message, print_text

if TYPE_CHECKING:
    from robotrain.doctor import CheckResult
    from robotrain.model.health import HealthResult

STATE_STYLES = {"ok": "green", "warn": "yellow", "fail": "red"}


def doctor(
    ctx: typer.Context,
    platform: Annotated[
        str, option("--platform", "NAME", "Check for one platform.  [env: ROBOTRAIN_PLATFORM]", complete_platforms)
    ] = "",
    fix: Annotated[bool, typer.Option("--fix", help="Fix what can be fixed safely; prints each step.")] = False,
    online: Annotated[bool, typer.Option("--online", help="Also check sign-in with remote services.")] = False,
    json: JsonOption = False,
) -> None:
    """Check this machine for what would stop a submit, and say how to fix it. The exit code is 4 when a check fails.

    robotrain doctor --fix
    """
    from robotrain.cli.choice import load_named_plugin, resolve_choice
    from robotrain.doctor import apply_fixes, list_checks, run_checks
    from robotrain.errors import Stage
    from robotrain.plugins import calls

    plugins = get_plugins(ctx)
    plugins.is_validating = True
    choice = resolve_choice({"platform": platform}, (), ctx)
    chosen = choice.platform
    if chosen and chosen not in plugins.list_names("platform"):  # one that fails to load is a result of the checks
        load_named_plugin(plugins, "platform", chosen, choice.origins[1])
    limit, done = calls.get_online_limit() if online else calls.get_time_limit(), list[str]()
    results = run_checks(list_checks(plugins, chosen, online), limit)
    if fix:
        results, done = apply_fixes(results, limit, print_message)
    failed = any(result.state == "fail" for result in results)
    if json:
        checks = [*map(_dump_check, results)]
        print_json(
            {
                "platform": chosen or None,
                "healthy": not failed,
                "checks": checks,
                "fixed": done,
                "unanswered": _list_silent(results),
            }
        )
    else:
        width = max(len(result.check.name) for result in results)
        findings = ((finding, result.check.name) for result in results for finding in result.findings)
        print_text("\n".join(line for finding, name in findings for line in _format_finding(finding, name, width)))
        print_message(_summarize_results(results, chosen, fix))
    if failed:
        raise typer.Exit(Stage.PREFLIGHT.exit_code)


def _list_silent(results: Sequence["CheckResult"]) -> list[str]:
    """Return the names of the checks that gave no answer in their time."""
    return [result.check.name for result in results if result.is_overdue]


def _dump_check(result: "CheckResult") -> dict[str, Any]:
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


def _format_finding(finding: "HealthResult", name: str, name_width: int) -> Iterator[str]:
    """Yield the line of a finding, and what to type below it."""
    state = output.paint_text(f"{finding.state:<4}", STATE_STYLES[finding.state], output.has_color(sys.stdout))
    before = " " * (4 + 2 + name_width + 2)
    columns = output.get_terminal_width(sys.stdout)
    first, *others = wrap_text(to_plain_line(finding.text), columns and max(40, columns - len(before)))
    yield f"{state}  {name:<{name_width}}  {first}".rstrip()
    yield from (before + part for part in others)
    ways = [*finding.suggestions]
    for index, way in enumerate(ways):
        remark = f"   ({way.remark})" if way.remark else ""
        yield f"{before}{'or ' if index else 'use'}  {way.text}{remark}"
    if finding.fix:
        yield f"{before}{'or ' if ways else 'use'}  robotrain doctor --fix   ({finding.fix.text})"


def _summarize_results(results: Sequence["CheckResult"], platform: str, fixed: bool) -> str:
    failed = sum(result.state == "fail" for result in results if not result.is_overdue)
    warnings = sum(finding.state == "warn" for result in results for finding in result.findings)
    to = f" to {platform}" if platform else ""
    silent = _list_silent(results)
    unchecked = f"not everything was checked: no answer of {', '.join(silent)}"
    if failed:
        text = f"{failed} of {len(results)} checks failed: a submit{to} would fail" + (f"; {unchecked}" * bool(silent))
    elif silent:
        text = unchecked
    else:
        text = f"found nothing that would stop a submit{to}"
        text += f"; {warnings} warning{'' if warnings == 1 else 's'}" if warnings else ""
    fixable = any(result.fixes for result in results)
    return text + ("\n`robotrain doctor --fix` fixes what is safe to fix" if fixable and not fixed else "")


app = make_app(doctor)
