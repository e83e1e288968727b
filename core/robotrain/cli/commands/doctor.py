"""`robotrain doctor`: what would stop a submit here, and how to mend it."""

import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from robotrain.cli import arguments
from robotrain.cli.app import get_plugins, make_app
from robotrain.cli.output import print_json, print_message, print_result

if TYPE_CHECKING:
    from robotrain.config.request import Origin
    from robotrain.doctor.runner import CheckResult
    from robotrain.model.health import HealthResult
    from robotrain.plugins.manager import Plugins

STATE_STYLES = {"ok": "green", "warn": "yellow", "fail": "red"}


def doctor(
    ctx: typer.Context,
    platform: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            show_default=False,
            help="For one platform.  [env: ROBOTRAIN_PLATFORM]",
            autocompletion=arguments.complete_names("platform"),
        ),
    ] = "",
    fix: Annotated[bool, typer.Option("--fix", help="Mend what can be mended safely; each step is told.")] = False,
    online: Annotated[bool, typer.Option("--online", help="Also ask services whether they know you.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """What would stop a submit here, and how to mend it. The exit code is 4 when something would.

    robotrain doctor --fix
    """
    from robotrain.cli.options import resolve_choice
    from robotrain.doctor import runner
    from robotrain.errors import Stage
    from robotrain.plugins import calls

    plugins = get_plugins(ctx)
    choice = resolve_choice({"platform": platform}, (), ctx)
    chosen = choice.platform
    _check_platform(choice.platform, plugins, choice.origins[1])
    limit, done = calls.get_time_limit(), list[str]()
    looked = runner.run_checks(runner.list_checks(plugins, chosen, online), limit)
    if fix:
        looked, done = runner.apply_fixes(looked, limit, print_message)
    sick = any(one.state == "fail" for one in looked)
    if json:
        print_json(
            {"platform": chosen or None, "healthy": not sick, "checks": [*map(_dump_check, looked)], "fixed": done}
        )
    else:
        print_result("\n".join(_format_results(looked)))
        print_message(_summarize_results(looked, chosen, fix))
    if sick:
        raise typer.Exit(Stage.PREFLIGHT.exit_code)


def _check_platform(platform: str, plugins: "Plugins", origin: "Origin") -> None:
    """Raises Rejected for a platform that nobody brings; one that is broken is what a doctor is for."""
    if platform and platform not in plugins.list_names("platform"):
        arguments.load_named_plugin(plugins, "platform", platform, origin)


def _dump_check(result: "CheckResult") -> dict[str, Any]:
    """A check as data; the keys are an API."""
    return {
        "name": result.check.name,
        "by": result.distribution or None,
        "state": result.state,
        "findings": [
            {
                "state": finding.state,
                "says": finding.text,
                "instead": [{"text": way.text, "remark": way.remark} for way in finding.suggestions],
                "fix": finding.fix.text if finding.fix else None,
            }
            for finding in result.findings
        ],
    }


def _format_results(results: Sequence["CheckResult"]) -> Iterator[str]:
    """A line a finding, and what to type below it."""
    wide = max(len(one.check.name) for one in results)
    for one in results:
        for finding in one.findings:
            yield from _format_finding(finding, one.check.name, wide)


def _format_finding(finding: "HealthResult", name: str, name_width: int) -> Iterator[str]:
    import textwrap

    from robotrain.cli import output
    from robotrain.cli.columns import to_plain_line

    state = output.paint_text(f"{finding.state:<4}", STATE_STYLES[finding.state], output.has_color(sys.stdout))
    before = " " * (4 + 2 + name_width + 2)
    columns = output.get_terminal_width(sys.stdout)
    room = max(40, (columns or 10**6) - len(before))
    first, *others = textwrap.wrap(
        to_plain_line(finding.text), room, break_on_hyphens=False, break_long_words=False
    ) or [""]
    yield f"{state}  {name:<{name_width}}  {first}".rstrip()
    yield from (before + part for part in others)
    ways = [*finding.suggestions]
    for index, way in enumerate(ways):
        remark = f"   ({way.remark})" if way.remark else ""
        yield f"{before}{'or ' if index else 'use'}  {way.text}{remark}"
    if finding.fix:
        yield f"{before}{'or ' if ways else 'use'}  robotrain doctor --fix   ({finding.fix.text})"


def _summarize_results(results: Sequence["CheckResult"], platform: str, fixed: bool) -> str:
    failed = sum(one.state == "fail" for one in results)
    warnings = sum(found.state == "warn" for one in results for found in one.findings)
    to = f" to {platform}" if platform else ""
    if failed:
        told = f"{failed} of {len(results)} checks failed: a submit{to} would stop there"
    else:
        told = f"nothing found that would stop a submit{to}" + (f"; {warnings} to know of" if warnings else "")
    mendable = any(one.fixes for one in results)
    return told + ("\n`robotrain doctor --fix` mends what is safe to mend" if mendable and not fixed else "")


app = make_app(doctor)
