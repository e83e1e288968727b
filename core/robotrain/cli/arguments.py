"""Arguments that commands share: runs, plugins, amounts, confirmations."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, cast

import typer

from robotrain.cli.command_factory import AFTER_DASHES_KEY as AFTER_DASHES_KEY
from robotrain.cli.command_factory import get_plugins
from robotrain.cli.output import is_terminal, print_message, print_problems
from robotrain.errors import (
    Problem,
    Rejected,
    Suggestion,
    collect_problems,
    raise_if_any,
)
from robotrain.messages import Messages
from robotrain.model.platform_features import PipelineRuns
from robotrain.nearest_name import suggest_name
from robotrain.redaction import redact

if TYPE_CHECKING:
    from robotrain.model.platform import Platform
    from robotrain.model.run import RunRecord
    from robotrain.pipelines.native_engine import NativeEngine
    from robotrain.store.latest_run import RunNeed

make_problem = Messages(__file__)


T = TypeVar("T")


def complete_run_names(incomplete: str) -> list[str]:
    """Return the names, and the runs, that begin like this, newest first."""
    from robotrain.store import name_index

    return name_index.complete_run_names(incomplete)


def complete_names(family: str) -> Callable[[typer.Context, str], list[str]]:
    """Return a completer of the installed plugins of a family."""

    def complete(ctx: typer.Context, incomplete: str) -> list[str]:
        return [name for name in get_plugins(ctx).list_names(family) if name.startswith(incomplete)]

    return complete


complete_platforms, complete_workloads = complete_names("platform"), complete_names("workload")


def argument(metavar: str, help: str, complete: Callable[..., list[str]] | None = None) -> Any:
    """Return the declaration of an argument."""
    return typer.Argument(metavar=metavar, help=help, show_default=False, autocompletion=complete)


def option(flag: str, metavar: str, help: str, complete: Callable[..., list[str]] | None = None) -> Any:
    """Return the declaration of an option with a value."""
    return typer.Option(flag, metavar=metavar, help=help, show_default=False, autocompletion=complete)


RunArgument = Annotated[
    str,
    argument(
        "[RUN]", "Its name, or the beginning of its identifier (default: `latest`, the newest).", complete_run_names
    ),
]
NamedRunArgument = Annotated[str, argument("RUN", "The run's name or its beginning.", complete_run_names)]
RunsArgument = Annotated[
    list[str] | None,
    argument("[RUN]...", "Names or beginnings of identifiers (default: `latest`, the newest).", complete_run_names),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
JsonLinesOption = Annotated[bool, typer.Option("--json", help="Print one JSON object per line.")]
SENDING = {
    "--wait": ("wait for the end; the exit code says how it ended", None),
    "--stream": ("show the log until the end, then exit as --wait does", None),
    "--dry-run": ("check everything, and show what would be sent; do not submit", None),
    "--notify": ("have the run, or this machine with --wait, tell your webhook how it ended", None),
    "--new": ("start a new run even if the same job is running, or an interrupted submit of it exists", None),
    "--no-pin": ("do not resolve branches and tags to commits now", None),
    "--yes": ("do not ask before a large upload", None),
    "--name": ("what to call the run (default: made of the job, or that of the run it repeats)", "NAME"),
    "--note": ("a note that `status`, `runs`, `diff` and reports show", "TEXT"),
    "--json": ("print JSON", None),
}
"""The options of commands that send a job: the help of each, and what stands for its value."""
COMMON_SENDING = ("--wait", "--stream", "--dry-run", "--name")
"""Those of them that the short help shows."""
CHECKER = "--checker"
CHECKER_HELP = (
    "the Python that asks the trainer whether it accepts the options (default: that of the job's environment, if it is"
    " built on this machine); build: builds one; none: does not ask  [env: ROBOTRAIN_CHECKER]"
)


NOTIFY_HELP = "Tell the webhook of your configuration how each run ended."
NotifyOption = Annotated[bool, typer.Option("--notify", help=NOTIFY_HELP)]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Remove without asking.")]
PruneDryRunOption = Annotated[bool, typer.Option("--dry-run", help="Show what would go; remove nothing.")]


def find_run(text: str) -> str:
    """Return the run that a text refers to; print which, if several have that name. Raise UnknownRun."""
    from robotrain.store import name_index

    run = name_index.find_run(text)
    if text and (choice := name_index.describe_choice(text, run)):
        print_message(f"{text} is {run}, {choice}")
    return run


def find_run_to_change(
    ctx: typer.Context, text: str, unfinished_first: bool = False, need: RunNeed | None = None
) -> str:
    """Return the run that a text refers to, for a command that changes it; print which, if several have that name.

    Raise Rejected if several runs that have not ended share the name.

    :param unfinished_first: take the run of a name that has not ended, if there is one, instead of the newest.
    :param need: what `latest` has to have.
    """
    from robotrain.store import latest_run, name_index
    from robotrain.submission import shared_run_name

    run = shared_run_name.find_run_to_change(text, get_plugins(ctx), unfinished_first=unfinished_first, need=need)
    if need and text in latest_run.NEWEST_NAMES and run != latest_run.find_latest_run():
        print_message(f"latest is {run}, {need.phrase}")
    if text and (choice := name_index.describe_choice(text, run)):
        print_message(f"{text} is {run}, {choice}")
    return run


def open_run(ctx: typer.Context, run: str, find: Callable[[str], str] = find_run) -> tuple[RunRecord, Platform]:
    """Return a run's record and platform; a run whose submit was interrupted is looked up there first.

    Raise Rejected when there is no such run.

    :param find: returns the run that a text refers to.
    """
    from robotrain.store import records

    record = records.read_record(find(run))
    platform = get_plugins(ctx).platform_of(record)
    if record.phase != "sent":
        from robotrain.submission import interrupted_submit

        record = interrupted_submit.adopt_run(record, platform)
        print_problems([interrupted_submit.make_adopted_note(record, can_be_new=False)])
    return record, platform


NOT_BEGUN = ("waiting", "pending")
STEP_POLL_SECONDS = 0.5


def complete_steps(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return the names of the steps of the run that the command names, or of the newest."""
    from robotrain.store import name_index, records

    try:
        run = ctx.params.get("run") or next(iter(ctx.args), "")  # what comes before an option without a value
        steps = records.read_record(name_index.find_run(run)).steps
    except Rejected:
        return []
    return [name for name in steps if name.startswith(incomplete)]


StepOption = Annotated[str, option("--step", "STEP", "Of a pipeline: only this step.", complete_steps)]


def open_step(ctx: typer.Context, run: str, step: str, wait: bool = False) -> tuple[RunRecord, Platform]:
    """Return the record and platform of a run; with `step`, those of the run that is this step of the pipeline.

    With `wait`, first wait until the step begins, or never will.

    Raise Rejected when there is no such run or step, or the step has no run.
    """
    record, platform = open_run(ctx, run)
    if not step:
        return record, platform
    steps = (
        {
            listed_step.name: listed_step
            for listed_step in platform.get_engine_for(PipelineRuns).list_steps(record.reference)
        }
        if record.steps
        else {}
    )
    if step not in steps:
        ways = suggest_name(step, steps, prefix="--step ")
        step_names = ", ".join(steps) or "none"
        raise Rejected([make_problem("step-unknown", *ways, run=record.run, step=redact(step), steps=step_names)])
    step_status = steps[step]
    while wait and step_status.state in NOT_BEGUN and not platform.engine.status(record.reference).finished:
        time.sleep(STEP_POLL_SECONDS)
        step_status = next(
            listed_step
            for listed_step in platform.get_engine_for(PipelineRuns).list_steps(record.reference)
            if listed_step.name == step
        )
    if record.native and step_status.state not in (*NOT_BEGUN, "skipped"):
        engine = cast("NativeEngine", platform.engine)
        reference = engine.refer_to_step(record.reference, step)
        return dataclasses.replace(record, reference=reference, steps=()), engine.step_platform
    if not step_status.run:
        begins = "It begins when the steps that it needs have succeeded."
        reason = step_status.reason or (begins if step_status.state in NOT_BEGUN else "It has no run of its own.")
        problem = make_problem(
            "step-without-run",
            step=step,
            run=record.run,
            state=step_status.state,
            why=reason.rstrip("."),
        )
        raise Rejected([problem])
    return open_run(ctx, step_status.run)


def open_runs(
    ctx: typer.Context, runs: Sequence[str] | None, find: Callable[[str], str] = find_run
) -> list[tuple[RunRecord, Any]]:
    """Return the records and platforms of several runs, each once; raise Rejected with all problems."""
    opened_runs: dict[str, tuple[RunRecord, Any]] = {}
    problems: list[Problem] = []
    for run in runs or [""]:
        with collect_problems(problems):
            record, platform = open_run(ctx, run, find)
            opened_runs[record.run] = record, platform
    raise_if_any(problems)
    return list(opened_runs.values())


def confirm_removal(subject: str, yes: bool) -> bool:
    """Ask on a terminal whether `subject` may be removed; `yes` answers in advance."""
    if yes:
        return True
    if not can_ask():
        print_message("nothing was removed: pass --yes to remove without being asked")
        return False
    if ask_yes(f"remove {subject}?"):
        return True
    print_message("nothing was removed")
    return False


def confirm_problem(problem: Problem, yes: bool) -> bool:
    """Ask on a terminal what a problem has as a question; `yes` answers in advance. False where nobody can be asked."""
    if yes:
        return True
    if not can_ask():
        return False
    print_message(". ".join(filter(None, (problem.title, problem.why))))
    return ask_yes(problem.question)


def can_ask() -> bool:
    """Return whether somebody sits at a terminal."""
    return is_terminal(sys.stdin) and is_terminal(sys.stderr)


def ask_yes(question: str) -> bool:
    """Ask a question on the terminal, and return whether the answer is yes."""
    sys.stderr.write(f"{question} [y/N] ")
    sys.stderr.flush()
    try:
        answer = sys.stdin.readline()
    except KeyboardInterrupt:
        sys.stderr.write("\n")
        raise
    return answer.strip().lower() in ("y", "yes")


def parse_amount(parse: Callable[[str], T], text: str, flag: str, example: str) -> T | None:
    """Parse an option's value, None when it is empty; raise Rejected when it is invalid."""
    try:
        return parse(text) if text else None
    except ValueError as error:
        problem = make_problem("value-invalid.text", where=flag, given=text, error=error, example=example)
        raise Rejected([problem]) from None


def parse_count(text: str | None, flag: str, least: int = 1, most: int | None = None) -> int | None:
    """Return the whole number that an option takes, from `least` to `most`; None if it is not given. Raise Rejected."""
    if not text:
        return None
    with contextlib.suppress(ValueError):  # more digits than Python converts
        if text.isdecimal() and least <= int(text) and (most is None or int(text) <= most):
            return int(text)
    bounds = [f"greater than {least - 1}"] * (least > 0) + [f"at most {most}"] * (most is not None)
    number_rule = f"a whole number {' and '.join(bounds)}".rstrip()
    raise Rejected([make_problem("value-invalid.count", where=flag, given=text, wanted=number_rule)])


def check_place(place: Path, flag: str, *, is_folder: bool = False) -> None:
    """Raise Rejected if a command cannot write to the place that an option names, because a file is in its way.

    :param is_folder: whether the place is a folder, to which the command writes several files.
    """
    folder = place if is_folder else place.parent
    nearest = next((ancestor for ancestor in (folder, *folder.parents) if ancestor.exists()), None)
    if nearest and not nearest.is_dir():
        raise Rejected(
            [make_problem("value-invalid.folder", where=flag, given=str(folder), found=redact(str(nearest)))]
        )


def make_usage_error(title: str, reason: str, *suggestions: tuple[str, ...]) -> Rejected:
    """Return the exception for options that do not go together; each suggestion is a text and a remark."""
    return Rejected([make_problem("usage", *itertools.starmap(Suggestion, suggestions), title=title, why=reason)])
