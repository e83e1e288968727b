"""`robotrain runs`: list the runs submitted from this machine."""

import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from robotrain.cli import arguments
from robotrain.cli.app import get_plugins, make_app
from robotrain.cli.arguments import JsonOption
from robotrain.cli.output import print_json, print_message, print_problems, print_result

if TYPE_CHECKING:
    from robotrain.cli.watch.run_list import ListedRun

DEFAULT_NUMBER = 50
STATES_WITH_REASON = ("failed", "lost", "cancelled", "pending", "interrupted", "gone", "broken", "unknown")
"""States whose reason is shown beside them."""


def _complete_states(incomplete: str) -> list[str]:
    from robotrain.cli.watch.run_list import LISTED_STATES

    return [state for state in LISTED_STATES if state.startswith(incomplete)]


def runs(
    ctx: typer.Context,
    everything: Annotated[bool, typer.Option("--all", help="List all runs, not only the newest.")] = False,
    number: Annotated[
        int, typer.Option("-n", "--number", min=1, metavar="INT", help="How many runs to list.")
    ] = DEFAULT_NUMBER,
    state: Annotated[
        str,
        typer.Option(
            metavar="STATE", show_default=False, autocompletion=_complete_states, help="Only runs in this state."
        ),
    ] = "",
    platform: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            show_default=False,
            autocompletion=arguments.complete_names("platform"),
            help="Only runs on this platform.",
        ),
    ] = "",
    prune: Annotated[bool, typer.Option("--prune", help="Remove old runs; asks first.")] = False,
    older_than: Annotated[
        str,
        typer.Option(
            "--older-than",
            metavar="TIME",
            show_default=False,
            help="With --prune: runs that ended this long ago: 30d, 12h.",
        ),
    ] = "",
    keep: Annotated[
        int | None, typer.Option("--keep", min=0, metavar="INT", help="With --prune: all but this many of the newest.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Remove without asking.")] = False,
    json: JsonOption = False,
) -> None:
    """List the runs submitted from this machine and their states, newest first.

    robotrain runs --state failed

    robotrain runs --prune --older-than 30d
    """
    from robotrain.cli.watch import run_list

    _check_state(state)
    if prune or older_than or keep is not None or yes:
        from robotrain.cli.commands import prune as pruning

        pruning.check_prune_options(prune, ("--older-than", older_than), ("--keep", keep), ("--yes", yes))
        pruning.reject_list_option("--all" if everything else "-n" if number != DEFAULT_NUMBER else "")
        selection = pruning.PruneSelection(older_than=older_than, keep=keep, state=state, platform=platform)
        return pruning.prune_runs(ctx, selection, yes=yes, json=json)
    run_filter = run_list.RunFilter(number=None if everything else number, state=state, platform=platform)
    listed, more = run_list.list_runs(run_filter, get_plugins(ctx))
    print_problems(run_list.find_silent_platforms(listed))
    if json:
        print_json({"runs": [_dump_run(one) for one in listed], "more": more})
        return
    print_result("\n".join(_format_runs(listed))) if listed else print_message(_describe_empty_list(run_filter))
    if more:
        print_message("there are older runs: robotrain runs --all" + (f" --state {state}" if state else ""))


def _check_state(state: str) -> None:
    """Raise Rejected for an unknown state."""
    from robotrain.cli.watch.run_list import LISTED_STATES
    from robotrain.errors import Problem, Rejected, Stage, suggest_name
    from robotrain.redaction import redact

    if state and state not in LISTED_STATES:
        problem = Problem(
            code="state-unknown",
            stage=Stage.USAGE,
            title=f"there is no state {redact(state)!r}",
            where="--state",
            why=f"States: {', '.join(LISTED_STATES)}.",
            suggestions=suggest_name(state, LISTED_STATES, prefix="--state "),
        )
        raise Rejected([problem])


def _describe_empty_list(run_filter: Any) -> str:
    """Return why the list is empty."""
    from robotrain.store import records

    if next(records.iterate_runs(), None) is None:
        return "no run has been submitted from this machine"
    of = " ".join(
        part for part in (run_filter.state, f"on {run_filter.platform}" if run_filter.platform else "") if part
    )
    return f"no run is {of}"


def _format_runs(listed_runs: "Sequence[ListedRun]") -> list[str]:
    """Return the table; on a terminal, less important columns are left out until it fits."""
    from robotrain.cli import output
    from robotrain.cli.columns import GAP, Column, fit_columns, to_plain_line
    from robotrain.model import scores

    now = time.time()
    columns = [
        Column("RUN", [one.run for one in listed_runs]),
        Column("STATE", [one.state for one in listed_runs]),
        Column("PLATFORM", [one.record.platform if one.record else "" for one in listed_runs], drop_order=4),
        Column("STEP", [_format_steps(one) for one in listed_runs], drop_order=1),
        Column("LOSS", ["" if one.loss is None else f"{one.loss:.4g}" for one in listed_runs], drop_order=3),
        Column(
            "SCORE",
            [scores.format_headline_score(one.scores, one.record.metrics if one.record else ()) for one in listed_runs],
            drop_order=3,
        ),
        Column("CONDITIONS", [to_plain_line(one.conditions) for one in listed_runs], drop_order=7),
        Column(
            "AGE", [_format_age(now - one.record.created) if one.record else "" for one in listed_runs], drop_order=2
        ),
        Column("TOOK", [_format_duration(one, now) for one in listed_runs], drop_order=5),
        Column("REASON", [_format_reason(one) for one in listed_runs], drop_order=6, is_flexible=True),
    ]
    colour = output.has_color(sys.stdout)
    titles, *rows = fit_columns(columns, output.get_terminal_width(sys.stdout))
    lines = [output.paint_text((" " * GAP).join(titles).rstrip(), "bold", colour)]
    for one, cells in zip(listed_runs, rows, strict=True):
        cells[1] = output.paint_text(cells[1], output.STATE_STYLES.get(one.state, ""), colour)
        lines.append((" " * GAP).join(cells).rstrip())
    return lines


def _format_steps(listed_run: "ListedRun") -> str:
    if listed_run.step is None:
        return ""
    of = f"{listed_run.step}/{listed_run.total}" if listed_run.total else str(listed_run.step)
    return of if listed_run.unit == "step" else f"{of} {listed_run.unit}s"


def _format_duration(listed_run: "ListedRun", now: float) -> str:
    from robotrain.model.amounts import format_duration

    if listed_run.status is None or listed_run.status.started is None:
        return ""
    if listed_run.status.finished and listed_run.status.ended is None:  # nobody saw its end
        return ""
    return format_duration((listed_run.status.ended or now) - listed_run.status.started)


def _format_age(seconds: float) -> str:
    """Return an age such as `40 s`, `12 min`, `3 h` or `9 d`."""
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size:.0f} {unit}"
    return f"{max(0.0, seconds):.0f} s"


def _format_reason(listed_run: "ListedRun") -> str:
    from robotrain.cli.columns import to_plain_line

    return to_plain_line(listed_run.reason) if listed_run.state in STATES_WITH_REASON else ""


def _dump_run(listed_run: "ListedRun") -> dict[str, Any]:
    """Return a run as data; the keys are an API."""
    record, status = listed_run.record, listed_run.status
    return {
        "run": listed_run.run,
        "platform": record.platform if record else None,
        "workload": record.workload if record else None,
        "state": listed_run.state,
        "reason": listed_run.reason,
        "exit_code": status.exit_code if status else None,
        "created": record.created if record else None,
        "started": status.started if status else None,
        "ended": status.ended if status else None,
        "step": listed_run.step,
        "total": listed_run.total,
        "unit": listed_run.unit,
        "loss": listed_run.loss,
        "scores": dict(listed_run.scores),
        "conditions": listed_run.conditions,
        "notes": list(record.notes) if record else [],
    }


app = make_app(runs)
