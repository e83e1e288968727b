"""Arguments that commands share: runs and installed plugins by name, amounts, confirmations."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from robotrain.cli.app import get_plugins
from robotrain.cli.output import print_message
from robotrain.errors import Problem, Rejected, Stage, Suggestion

if TYPE_CHECKING:
    from robotrain.config.request import Origin
    from robotrain.model.platform import Platform
    from robotrain.model.run import RunRecord
    from robotrain.plugins.manager import Plugins

MAX_COMPLETIONS = 50


def complete_run_names(incomplete: str) -> list[str]:
    """Runs for the TAB key, newest first."""
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
        help="The run's name or the start of it; default: the newest.",
    ),
]
RunsArgument = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[RUN]...",
        show_default=False,
        autocompletion=complete_run_names,
        help="Names of runs or the start of them; default: the newest.",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def open_run(ctx: typer.Context, run: str) -> tuple[RunRecord, Any]:
    """The record, and the platform it is on, which is asked for a run whose submit was cut off. Raises Rejected."""
    from robotrain.store import records

    record = records.read_record(records.find_run(run))
    platform = get_plugins(ctx).platform(record.platform)
    return (record if record.phase == "sent" else _adopt_interrupted(record, platform)), platform


def _adopt_interrupted(record: RunRecord, platform: Platform) -> RunRecord:
    """Raises Rejected where nothing is there."""
    from robotrain.cli.output import print_problems
    from robotrain.submission import reconcile

    found = reconcile.adopt_run(record, platform)
    print_problems([reconcile.make_adopted_note(found, new=False)])
    return found


def open_runs(ctx: typer.Context, runs: Sequence[str] | None) -> list[tuple[RunRecord, Any]]:
    """The same of several, each once, in the order given. Raises Rejected with all that is wrong."""
    found: dict[str, tuple[RunRecord, Any]] = {}
    problems: list[Problem] = []
    for run in runs or [""]:
        try:
            record, platform = open_run(ctx, run)
            found[record.run] = record, platform
        except Rejected as rejected:
            problems += rejected.problems
    if problems:
        raise Rejected(problems)
    return list(found.values())


def complete_names(family: str) -> Callable[[typer.Context, str], list[str]]:
    """Completes the names of what is installed."""

    def complete(ctx: typer.Context, incomplete: str) -> list[str]:
        return [name for name in get_plugins(ctx).list_names(family) if name.startswith(incomplete)]

    return complete


def load_named_plugin(plugins: Plugins, family: str, name: str, origin: Origin) -> Any:
    """The workload or the platform of a name. Raises Rejected, with the nearest that there is."""
    from robotrain.cli import usage
    from robotrain.errors import Rejected
    from robotrain.plugins.errors import PluginError

    try:
        return getattr(plugins, family)(name)
    except PluginError as error:
        raise Rejected([usage.not_loaded_problem(family, name, error, plugins, origin)]) from None


T = TypeVar("T")


def confirm_removal(subject: str, yes: bool) -> bool:
    """Whether `what` may go: it was said already, or somebody at the terminal says so now."""
    if yes:
        return True
    if not (_is_terminal(sys.stdin) and _is_terminal(sys.stderr)):
        print_message("nothing was removed: --yes removes it")
        return False
    sys.stderr.write(f"remove {subject}? [y/N] ")
    sys.stderr.flush()
    try:
        answer = sys.stdin.readline()
    except KeyboardInterrupt:
        sys.stderr.write("\n")  # what is said of it stands on a line of its own
        raise
    if answer.strip().lower() in ("y", "yes"):
        return True
    print_message("nothing was removed")
    return False


def parse_amount(parse: Callable[[str], T], text: str, flag: str, example: str) -> T | None:
    """What `text` says; None when it is empty. Raises Rejected."""
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


def usage_error(title: str, why: str, *ways: tuple[str, str]) -> Rejected:
    """What was typed does not go together."""
    instead = tuple(Suggestion(text, remark) for text, remark in ways)
    return Rejected([Problem(code="usage", stage=Stage.USAGE, title=title, why=why, suggestions=instead)])


def _is_terminal(stream: object) -> bool:
    isatty = getattr(stream, "isatty", None)
    return bool(isatty and isatty())
