"""The runs that a command is about: their names as typed, their records, and the platforms they are on."""

from __future__ import annotations  # the types below are for readers and checkers: importing them costs start-up

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from robotrain.cli.app import plugins_of
from robotrain.problem import Problem, Rejected

if TYPE_CHECKING:
    from robotrain.run import RunRecord

COMPLETED = 50


def complete(incomplete: str) -> list[str]:
    """Runs for the TAB key, newest first."""
    import itertools

    from robotrain import store

    names = (name for name in store.newest() if name.startswith(incomplete))
    return list(itertools.islice(names, COMPLETED))


Run = Annotated[
    str,
    typer.Argument(
        metavar="[RUN]",
        show_default=False,
        autocompletion=complete,
        help="The run's name or the start of it; default: the newest.",
    ),
]
Runs = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[RUN]...",
        show_default=False,
        autocompletion=complete,
        help="Names of runs or the start of them; default: the newest.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def opened(ctx: typer.Context, run: str) -> tuple[RunRecord, Any]:
    """The record, and the platform it is on, which is asked for a run whose submit was cut off. Raises Rejected."""
    from robotrain import store

    record = store.read(store.find(run))
    platform = plugins_of(ctx).platform(record.platform)
    return (record if record.phase == "sent" else _adopted(record, platform)), platform


def _adopted(record: RunRecord, platform: Any) -> RunRecord:
    """Raises Rejected where nothing is there."""
    from robotrain import cut_off, send_problems
    from robotrain.cli.output import report

    found = cut_off.adopted(record, platform)
    report([send_problems.adopted(found, new=False)])
    return found


def opened_all(ctx: typer.Context, runs: Sequence[str] | None) -> list[tuple[RunRecord, Any]]:
    """The same of several, each once, in the order given. Raises Rejected with all that is wrong."""
    found: dict[str, tuple[RunRecord, Any]] = {}
    problems: list[Problem] = []
    for run in runs or [""]:
        try:
            record, platform = opened(ctx, run)
            found[record.run] = record, platform
        except Rejected as rejected:
            problems += rejected.problems
    if problems:
        raise Rejected(problems)
    return list(found.values())
