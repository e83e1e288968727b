"""What `submit`, `resubmit` and `resume` have in common: sending what was prepared, and following it when asked."""

from __future__ import annotations  # the types below are for readers and checkers: importing them costs start-up

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from robotrain.cli import assets, terminated
from robotrain.cli.app import plugins_of
from robotrain.cli.output import report, say, show, show_json

if TYPE_CHECKING:
    from robotrain.api import Prepared
    from robotrain.plan_folder import Rendered
    from robotrain.run import RunRecord

SWITCHES = {
    "wait": "follow the run to its end; the exit code says how it ended",
    "stream": "show its log, then go on as --wait does",
    "dry_run": "everything but sending: check, render, and look whether it could run",
    "assets_only": "bring what the run needs there (its environment, uploaded folders), and send nothing",
    "new": "a run of its own, also where an earlier submit of this very job was cut off",
    "no_pin": "do not ask what moving names mean now: they mean what they mean when the run gets there",
    "json": "print JSON",
}
"""The options of every command that sends, by name."""


def send(ctx: typer.Context, prepared: Prepared, given: dict[str, Any]) -> None:
    """Send a prepared job, or say what would be sent, as the switches in `given` ask."""
    from robotrain import send as sending

    _must_agree(given)
    assets.possible(prepared.platform, given)
    report(prepared.remarks)
    asked = {"new": bool(given.get("new")), "pinning": not given.get("no_pin")}
    if given.get("dry_run"):
        _would_send(sending.rehearse(prepared, report, **asked), given)
        return
    if given.get("assets_only"):
        assets.bring(sending.rehearse(prepared, report, **asked), prepared.platform, given)
        return
    with terminated.as_interrupted():
        record = sending.send(prepared, report, _announce(given), **asked)
    follow_up(ctx, record, prepared.platform, given)


def send_plan(ctx: typer.Context, rendered: Rendered, given: dict[str, Any]) -> None:
    """Send a plan that was rendered before, byte for byte."""
    from robotrain import held_to
    from robotrain import send as sending
    from robotrain.problem import raise_if_any

    _must_agree(given)
    plugins = plugins_of(ctx)
    platform = plugins.platform(rendered.plan.platform)
    assets.possible(platform, given)
    if rendered.changed:
        say(f"warning: changed since it was rendered, and sent as it is now: {', '.join(rendered.changed)}")
    declared = held_to.check(rendered.plan, platform, plugins)
    problems = [*declared, *plugins.site_problems(rendered.plan.job, platform.name)]
    raise_if_any(problems)
    report(problems)
    if given.get("dry_run"):
        sending.rehearse_plan(rendered, platform, report)
        _would_send(rendered, given)
        return
    if given.get("assets_only"):
        sending.rehearse_plan(rendered, platform, report)
        assets.bring(rendered, platform, given)
        return
    with terminated.as_interrupted():
        record = sending.send_plan(rendered, platform, report, _announce(given))
    follow_up(ctx, record, platform, given)


def follow_up(ctx: typer.Context, record: RunRecord, platform: Any, given: dict[str, Any]) -> None:
    """What is told of a run that was just sent, and its way to the end when that was asked for."""
    from robotrain.cli.watching import follow, summary
    from robotrain.job import attempt_of

    if (attempt := attempt_of(record.run)) > 1:
        say(f"  this is attempt {attempt} of this very job")
    for name, value in summary.natively(record, platform):
        say(f"  {name} {value}")
    unsaved = assets.save(record, platform, Path(given["save_spec"])) if given.get("save_spec") else []
    report([*unsaved, *plugins_of(ctx).run_changed(record)])
    as_json, plugins = bool(given.get("json")), plugins_of(ctx)
    if given.get("stream"):
        follow.stream(record, platform, as_json=as_json, plugins=plugins)
    elif given.get("wait"):
        follow.to_the_end(record, platform, as_json=as_json, plugins=plugins)
    elif as_json:
        show_json(
            {
                "run": record.run,
                "platform": record.platform,
                "job": record.job,
                "reference": record.reference,
                "shown": dict(summary.natively(record, platform)),
                "notes": list(record.notes),
            }
        )
    else:
        say(f"  robotrain status {record.run}    how it is\n  robotrain logs -f {record.run}   follow its log")
    if unsaved:
        raise typer.Exit(unsaved[0].stage.exit_code)


def _announce(given: dict[str, Any]) -> Callable[[str], None]:
    return say if given.get("json") else show


def _would_send(rendered: Rendered, given: dict[str, Any]) -> None:
    from robotrain.cli import render

    plan = rendered.plan
    show_json(render.plan_json(plan)) if given.get("json") else show(render.plan_text(plan))
    say(f"{plan.run} could be sent; nothing was")


def _must_agree(given: dict[str, Any]) -> None:
    """What is not sent cannot be followed, and leaves no spec. Raises Rejected."""
    from robotrain.problem import Problem, Rejected, Stage

    alone = [flag for name, flag in (("dry_run", "--dry-run"), ("assets_only", "--assets-only")) if given.get(name)]
    following = [f"--{name}" for name in ("wait", "stream") if given.get(name)]
    if not alone:
        return
    if following:
        title = f"{alone[0]} sends nothing that {' or '.join(following)} could follow"
    elif given.get("save_spec"):
        title = f"{alone[0]} sends nothing whose spec --save-spec could write"
    elif len(alone) > 1:
        title = f"{alone[0]} changes nothing, and {alone[1]} does"
    else:
        return
    raise Rejected([Problem(code="options-conflict", stage=Stage.USAGE, title=title, where=alone[0])])
