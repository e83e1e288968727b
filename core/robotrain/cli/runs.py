"""`robotrain runs`: what was submitted from here, newest first."""

import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from robotrain.cli import named
from robotrain.cli.app import plugins_of
from robotrain.cli.made import make_app
from robotrain.cli.opened import Json
from robotrain.cli.output import report, say, show, show_json

if TYPE_CHECKING:
    from robotrain.cli.watching.listing import Listed

DEFAULT = 50
TELLING = ("failed", "lost", "cancelled", "pending", "interrupted", "gone", "broken", "unknown")
"""States whose reason is shown beside them."""


def _states(incomplete: str) -> list[str]:
    from robotrain.cli.watching.listing import STATES

    return [state for state in STATES if state.startswith(incomplete)]


def runs(
    ctx: typer.Context,
    everything: Annotated[bool, typer.Option("--all", help="All of them, not only the newest.")] = False,
    number: Annotated[
        int, typer.Option("-n", "--number", min=1, metavar="INT", help="How many of the newest.")
    ] = DEFAULT,
    state: Annotated[
        str, typer.Option(metavar="STATE", show_default=False, autocompletion=_states, help="Only those in one state.")
    ] = "",
    platform: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            show_default=False,
            autocompletion=named.beginning("platform"),
            help="Only those on one platform.",
        ),
    ] = "",
    prune: Annotated[bool, typer.Option("--prune", help="Remove old ones; asks first.")] = False,
    older_than: Annotated[
        str,
        typer.Option("--older-than", metavar="TIME", show_default=False, help="Old: they ended so long ago: 30d, 12h."),
    ] = "",
    keep: Annotated[
        int | None, typer.Option("--keep", min=0, metavar="INT", help="Old: all but so many of the newest.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Remove without asking.")] = False,
    json: Json = False,
) -> None:
    """The runs that were submitted from here, newest first, and how they are.

    robotrain runs --state failed

    robotrain runs --prune --older-than 30d
    """
    from robotrain.cli.watching import listing

    _known_state(state)
    if prune or older_than or keep is not None or yes:
        from robotrain.cli import prune as pruning

        pruning.belong_together(prune, ("--older-than", older_than), ("--keep", keep), ("--yes", yes))
        pruning.not_listed("--all" if everything else "-n" if number != DEFAULT else "")
        wanted_gone = pruning.Wanted(older_than=older_than, keep=keep, state=state, platform=platform)
        return pruning.prune(ctx, wanted_gone, yes=yes, json=json)
    wanted = listing.Wanted(number=None if everything else number, state=state, platform=platform)
    found, more = listing.listed(wanted, plugins_of(ctx))
    report(listing.silence(found))
    if json:
        show_json({"runs": [_as_data(one) for one in found], "more": more})
        return
    if found:
        show("\n".join(_table(found)))
    else:
        say(_nothing(wanted))
    if more:
        say("there are older ones: robotrain runs --all" + (f" --state {state}" if state else ""))


def _known_state(state: str) -> None:
    """Raises Rejected for a state that no run can be in."""
    from robotrain.cli.watching.listing import STATES
    from robotrain.nearest import offer
    from robotrain.problem import Problem, Rejected, Stage
    from robotrain.redaction import redact

    if state and state not in STATES:
        problem = Problem(
            code="state-unknown",
            stage=Stage.USAGE,
            title=f"no run is ever {redact(state)!r}",
            where="--state",
            why=f"States: {', '.join(STATES)}.",
            instead=offer(state, STATES, before="--state "),
        )
        raise Rejected([problem])


def _nothing(wanted: Any) -> str:
    """Why the list is empty."""
    from robotrain import store

    if next(store.newest(), None) is None:
        return "no run was submitted from here yet"
    of = " ".join(part for part in (wanted.state, f"on {wanted.platform}" if wanted.platform else "") if part)
    return f"no run is {of}"


def _table(found: "Sequence[Listed]") -> list[str]:
    """Titles and rows; on a terminal within its width, what matters least left out first."""
    from robotrain import scores
    from robotrain.cli import terminal
    from robotrain.cli.columns import GAP, Column, fitted, plain

    now = time.time()
    columns = [
        Column("RUN", [one.run for one in found]),
        Column("STATE", [one.state for one in found]),
        Column("PLATFORM", [one.record.platform if one.record else "" for one in found], goes=4),
        Column("STEP", [_steps(one) for one in found], goes=1),
        Column("LOSS", ["" if one.loss is None else f"{one.loss:.4g}" for one in found], goes=3),
        Column("SCORE", [scores.brief(one.scores, one.record.metrics if one.record else ()) for one in found], goes=3),
        Column("CONDITIONS", [plain(one.conditions) for one in found], goes=7),
        Column("AGE", [_age(now - one.record.created) if one.record else "" for one in found], goes=2),
        Column("TOOK", [_took(one, now) for one in found], goes=5),
        Column("REASON", [_reason(one) for one in found], goes=6, sentences=True),
    ]
    colour = terminal.has_colour(sys.stdout)
    titles, *rows = fitted(columns, terminal.columns(sys.stdout))
    lines = [terminal.paint((" " * GAP).join(titles).rstrip(), "bold", colour)]
    for one, cells in zip(found, rows, strict=True):
        cells[1] = terminal.paint(cells[1], terminal.STATES.get(one.state, ""), colour)
        lines.append((" " * GAP).join(cells).rstrip())
    return lines


def _steps(one: "Listed") -> str:
    if one.step is None:
        return ""
    of = f"{one.step}/{one.total}" if one.total else str(one.step)
    return of if one.unit == "step" else f"{of} {one.unit}s"


def _took(one: "Listed", now: float) -> str:
    from robotrain.progress import duration

    if one.status is None or one.status.started is None:
        return ""
    if one.status.finished and one.status.ended is None:  # nobody saw its end
        return ""
    return duration((one.status.ended or now) - one.status.started)


def _age(seconds: float) -> str:
    """`40 s`, `12 min`, `3 h`, `9 d`."""
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size:.0f} {unit}"
    return f"{max(0.0, seconds):.0f} s"


def _reason(one: "Listed") -> str:
    from robotrain.cli.columns import plain

    return plain(one.reason) if one.state in TELLING else ""


def _as_data(one: "Listed") -> dict[str, Any]:
    """A run as data; the keys are an API."""
    record, status = one.record, one.status
    return {
        "run": one.run,
        "platform": record.platform if record else None,
        "workload": record.workload if record else None,
        "state": one.state,
        "reason": one.reason,
        "exit_code": status.exit_code if status else None,
        "created": record.created if record else None,
        "started": status.started if status else None,
        "ended": status.ended if status else None,
        "step": one.step,
        "total": one.total,
        "unit": one.unit,
        "loss": one.loss,
        "scores": dict(one.scores),
        "conditions": one.conditions,
        "notes": list(record.notes) if record else [],
    }


app = make_app(runs)
