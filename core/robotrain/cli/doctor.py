"""`robotrain doctor`: what would stop a submit here, and how to mend it."""

import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from robotrain.cli import named
from robotrain.cli.app import plugins_of
from robotrain.cli.made import make_app
from robotrain.cli.output import say, show, show_json

if TYPE_CHECKING:
    from robotrain.doctor.examine import Looked
    from robotrain.health import Finding
    from robotrain.provenance import Origin

STYLES = {"ok": "green", "warn": "yellow", "fail": "red"}


def doctor(
    ctx: typer.Context,
    platform: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            show_default=False,
            help="For one platform.  [env: ROBOTRAIN_PLATFORM]",
            autocompletion=named.beginning("platform"),
        ),
    ] = "",
    fix: Annotated[bool, typer.Option("--fix", help="Mend what can be mended safely; each step is told.")] = False,
    online: Annotated[bool, typer.Option("--online", help="Also ask services whether they know you.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """What would stop a submit here, and how to mend it. The exit code is 4 when something would.

    robotrain doctor --fix
    """
    from robotrain import limited
    from robotrain.cli.job.choice import choose
    from robotrain.doctor import checks, examine
    from robotrain.problem import Stage

    plugins = plugins_of(ctx)
    choice = choose({"platform": platform}, (), ctx)
    chosen = choice.platform
    _known(choice.platform, plugins, choice.origins[1])
    limit, done = limited.seconds(), list[str]()
    looked = examine.look(checks.every(plugins, chosen, online), limit)
    if fix:
        looked, done = examine.mend(looked, limit, say)
    sick = any(one.state == "fail" for one in looked)
    if json:
        show_json({"platform": chosen or None, "healthy": not sick, "checks": [*map(_as_data, looked)], "fixed": done})
    else:
        show("\n".join(_lines(looked)))
        say(_sum(looked, chosen, fix))
    if sick:
        raise typer.Exit(Stage.PREFLIGHT.exit_code)


def _known(platform: str, plugins: Any, origin: "Origin") -> None:
    """Raises Rejected for a platform that nobody brings; one that is broken is what a doctor is for."""
    if platform and platform not in plugins.names("platform"):
        named.one(plugins, "platform", platform, origin)


def _as_data(one: "Looked") -> dict[str, Any]:
    """A check as data; the keys are an API."""
    return {
        "name": one.check.name,
        "by": one.by or None,
        "state": one.state,
        "findings": [
            {
                "state": finding.state,
                "says": finding.says,
                "instead": [{"text": way.text, "remark": way.remark} for way in finding.instead],
                "fix": finding.fix.says if finding.fix else None,
            }
            for finding in one.findings
        ],
    }


def _lines(looked: Sequence["Looked"]) -> Iterator[str]:
    """A line a finding, and what to type below it."""
    wide = max(len(one.check.name) for one in looked)
    for one in looked:
        for finding in one.findings:
            yield from _finding(finding, one.check.name, wide)


def _finding(finding: "Finding", name: str, wide: int) -> Iterator[str]:
    import textwrap

    from robotrain.cli import terminal
    from robotrain.cli.columns import plain

    state = terminal.paint(f"{finding.state:<4}", STYLES[finding.state], terminal.has_colour(sys.stdout))
    before = " " * (4 + 2 + wide + 2)
    columns = terminal.columns(sys.stdout)
    room = max(40, (columns or 10**6) - len(before))
    first, *others = textwrap.wrap(plain(finding.says), room, break_on_hyphens=False, break_long_words=False) or [""]
    yield f"{state}  {name:<{wide}}  {first}".rstrip()
    yield from (before + part for part in others)
    ways = [*finding.instead]
    for index, way in enumerate(ways):
        remark = f"   ({way.remark})" if way.remark else ""
        yield f"{before}{'or ' if index else 'use'}  {way.text}{remark}"
    if finding.fix:
        yield f"{before}{'or ' if ways else 'use'}  robotrain doctor --fix   ({finding.fix.says})"


def _sum(looked: Sequence["Looked"], platform: str, fixed: bool) -> str:
    failed = sum(one.state == "fail" for one in looked)
    warnings = sum(found.state == "warn" for one in looked for found in one.findings)
    to = f" to {platform}" if platform else ""
    if failed:
        told = f"{failed} of {len(looked)} checks failed: a submit{to} would stop there"
    else:
        told = f"nothing found that would stop a submit{to}" + (f"; {warnings} to know of" if warnings else "")
    mendable = any(one.fixes for one in looked)
    return told + ("\n`robotrain doctor --fix` mends what is safe to mend" if mendable and not fixed else "")


app = make_app(doctor)
