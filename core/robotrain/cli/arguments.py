"""Arguments that commands share: runs, plugins, amounts, confirmations."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from robotrain.cli.app import get_plugins
from robotrain.cli.output import is_terminal, print_message
from robotrain.errors import Problem, Rejected, Stage, Suggestion

if TYPE_CHECKING:
    from robotrain.config.request import Origin
    from robotrain.model.platform import Platform
    from robotrain.model.run import RunRecord
    from robotrain.plugins.manager import Plugins

MAX_COMPLETIONS = 50


def complete_run_names(incomplete: str) -> list[str]:
    """Return the names of runs that begin like this, newest first."""
    import itertools

    from robotrain.store import records

    names = (name for name in records.iterate_runs() if name.startswith(incomplete))
    return list(itertools.islice(names, MAX_COMPLETIONS))


RunArgument = Annotated[
    str,
    typer.Argument(
        metavar="[RUN]",
        show_default=False,
        autocompletion=complete_run_names,
        help="The run's name or its beginning; default: the newest run.",
    ),
]
RunsArgument = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[RUN]...",
        show_default=False,
        autocompletion=complete_run_names,
        help="Names of runs or their beginnings; default: the newest run.",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def open_run(ctx: typer.Context, run: str) -> tuple[RunRecord, Any]:
    """Return a run's record and platform; a run whose submit was interrupted is looked up there first.

    Raise Rejected when there is no such run.
    """
    from robotrain.store import records

    record = records.read_record(records.find_run(run))
    platform = get_plugins(ctx).platform(record.platform)
    return (record if record.phase == "sent" else _adopt_interrupted(record, platform)), platform


def _adopt_interrupted(record: RunRecord, platform: Platform) -> RunRecord:
    """Return the record of the run that an interrupted submit created; raise Rejected when the platform has none."""
    from robotrain.cli.output import print_problems
    from robotrain.submission import reconcile

    adopted = reconcile.adopt_run(record, platform)
    print_problems([reconcile.make_adopted_note(adopted, new=False)])
    return adopted


def open_runs(ctx: typer.Context, runs: Sequence[str] | None) -> list[tuple[RunRecord, Any]]:
    """Return the records and platforms of several runs, each once; raise Rejected with all problems."""
    opened: dict[str, tuple[RunRecord, Any]] = {}
    problems: list[Problem] = []
    for run in runs or [""]:
        try:
            record, platform = open_run(ctx, run)
            opened[record.run] = record, platform
        except Rejected as rejected:
            problems += rejected.problems
    if problems:
        raise Rejected(problems)
    return list(opened.values())


def complete_names(family: str) -> Callable[[typer.Context, str], list[str]]:
    """Return a completer of the installed plugins of a family."""

    def complete(ctx: typer.Context, incomplete: str) -> list[str]:
        return [name for name in get_plugins(ctx).list_names(family) if name.startswith(incomplete)]

    return complete


def load_named_plugin(plugins: Plugins, family: str, name: str, origin: Origin) -> Any:
    """Return the workload or platform of a name; raise Rejected with the nearest name when there is none."""
    from robotrain.cli import usage
    from robotrain.errors import Rejected
    from robotrain.plugins.errors import PluginError

    try:
        return getattr(plugins, family)(name)
    except PluginError as error:
        raise Rejected([usage.not_loaded_problem(family, name, error, plugins, origin)]) from None


T = TypeVar("T")


def confirm_removal(subject: str, yes: bool) -> bool:
    """Ask on a terminal whether `subject` may be removed; `yes` answers in advance."""
    if yes:
        return True
    if not (is_terminal(sys.stdin) and is_terminal(sys.stderr)):
        print_message("nothing was removed: pass --yes to remove without being asked")
        return False
    sys.stderr.write(f"remove {subject}? [y/N] ")
    sys.stderr.flush()
    try:
        answer = sys.stdin.readline()
    except KeyboardInterrupt:
        sys.stderr.write("\n")
        raise
    if answer.strip().lower() in ("y", "yes"):
        return True
    print_message("nothing was removed")
    return False


def parse_amount(parse: Callable[[str], T], text: str, flag: str, example: str) -> T | None:
    """Parse an option's value, None when it is empty; raise Rejected when it is invalid."""
    from robotrain.redaction import redact

    try:
        return parse(text) if text else None
    except ValueError as error:
        problem = Problem(
            code="value-invalid",
            stage=Stage.USAGE,
            title=f"{flag}: {error}",
            where=flag,
            given=redact(text),
            suggestions=(Suggestion(f"{flag} {example}"),),
        )
        raise Rejected([problem]) from None


def usage_error(title: str, why: str, *suggestions: tuple[str, str]) -> Rejected:
    """Return the exception for options that do not go together; each suggestion is a text and a remark."""
    ways = tuple(Suggestion(text, remark) for text, remark in suggestions)
    return Rejected([Problem(code="usage", stage=Stage.USAGE, title=title, why=why, suggestions=ways)])
