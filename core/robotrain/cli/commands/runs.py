"""`robotrain runs`: list the runs submitted from this machine."""

import shlex
import time
from collections.abc import Sequence
from typing import Annotated, Any, Literal

import typer

from robotrain.cli import arguments, output
from robotrain.cli.arguments import (
    JsonOption,
    argument,
    complete_platforms,
    complete_run_names,
    complete_workloads,
    option,
)
from robotrain.cli.command_factory import get_plugins, make_app
from robotrain.cli.output import print_json, print_message, print_problems, print_result
from robotrain.cli.run_list import listed_runs, run_filter
from robotrain.cli.run_list.listed_runs import ListedRun
from robotrain.cli.table import GAP, Column, fit_columns, to_plain_line, truncate
from robotrain.model import scores
from robotrain.model.amounts import format_duration, format_short_age
from robotrain.model.run import measure_seconds
from robotrain.plugins.manager import Plugins
from robotrain.redaction import redact_sentence
from robotrain.store import name_index, run_values

DEFAULT_NUMBER, NUMBER_HELP = 50, "How many runs to list."
WORD_HELP = "A part of a name or identifier: only these runs."
STATE_HELP = "Only runs in these states: failed,cancelled; others are running, succeeded, pending, lost, …"
NAME_HELP = "Only runs with exactly this name; `*` stands for any characters."
SINCE_HELP = "Only runs submitted since then: 7d, 12h, yesterday, 2026-11-15."
UNTIL_HELP = "Only runs submitted until then; a day counts to its end."
SET_HELP = "Only runs with this value: batch_size=8, policy_type=act, dataset=*pusht*."
EVERYWHERE_HELP = "List what the platforms have instead, whichever machine submitted it."
USER_HELP = "With --everywhere: whose runs.  [default: me]"
STATES_WITH_COMMAND = ("broken", "interrupted", "lost", "unknown")
"""States whose reason ends in a command to paste, which stays whole where there is no terminal."""
NOT_ASKED = {"not-set-up": "not set up here", "cannot-list": "cannot list"}
"""Why a platform lists nothing where no warning says it, in words."""
MIN_REASON_WIDTH = 40
"""The fewest terminal columns of reasons beside the other columns; with less, each has a line of its own."""
WIDTH_IN_SCRIPTS = 120
"""Columns where there is no terminal. What a program reads is --json."""


def runs(
    ctx: typer.Context,
    word: Annotated[str, argument("[NAME]", WORD_HELP, complete_run_names)] = "",
    everything: Annotated[bool, typer.Option("--all", help="List all runs, not only the newest.")] = False,
    number: Annotated[int, typer.Option("-n", "--number", min=1, metavar="INT", help=NUMBER_HELP)] = DEFAULT_NUMBER,
    state: Annotated[str, option("--state", "STATE", STATE_HELP, run_filter.complete_states)] = "",
    platform: Annotated[str, option("--platform", "NAME", "Only runs on this platform.", complete_platforms)] = "",
    name: Annotated[str, option("--name", "NAME", NAME_HELP)] = "",
    workload: Annotated[str, option("--workload", "NAME", "Only runs of this workload.", complete_workloads)] = "",
    set: Annotated[list[str] | None, option("--set", "KEY=VALUE", SET_HELP)] = None,
    since: Annotated[str, option("--since", "TIME", SINCE_HELP)] = "",
    until: Annotated[str, option("--until", "TIME", UNTIL_HELP)] = "",
    everywhere: Annotated[bool, typer.Option("--everywhere", help=EVERYWHERE_HELP)] = False,
    user: Annotated[Literal["me", "all"] | None, option("--user", "me|all", USER_HELP)] = None,
    steps: Annotated[bool, typer.Option("--steps", help="List the runs of pipelines' steps too.")] = False,
    json: JsonOption = False,
) -> None:
    """List the runs submitted from this machine and their states, newest first.

    robotrain runs pick

    robotrain runs --state failed --since 7d

    robotrain runs --set policy_type=act --set batch_size=8

    robotrain runs --everywhere --user all
    """
    states = run_filter.parse_states(state)
    _check_everywhere(everywhere, user, {"--set": set, "--name": name, "--steps": steps})
    record_filter = run_filter.RunFilter(word, states, platform, name, workload, since, until, tuple(set or ()))
    max_runs = None if everything else number
    if everywhere:
        return _print_everywhere(get_plugins(ctx), record_filter, user == "all", max_runs, json)
    accept = record_filter.make_accept(get_plugins(ctx))
    selected_runs, uncertain_runs, has_more = listed_runs.list_runs(get_plugins(ctx), max_runs, states, accept, steps)
    if word and not (selected_runs or steps):  # a trial of a sweep, or a step of a pipeline
        selected_runs, uncertain_runs, has_more = listed_runs.list_runs(
            get_plugins(ctx), max_runs, states, accept, with_steps=True
        )
    print_problems(listed_runs.find_silent_platforms([*selected_runs, *uncertain_runs]))
    if json:
        print_json({"runs": [_dump_run(listed_run) for listed_run in selected_runs], "more": has_more})
        return
    if selected_runs:
        print_result("\n".join(_format_runs(selected_runs)))
    else:
        count = f"{len(uncertain_runs)} run{'s' if uncertain_runs[1:] else ''}"
        print_message(
            record_filter.describe_no_match() + (f"; the state of {count} is not known" if uncertain_runs else "")
        )
    if has_more:
        print_message(f"there are older runs: robotrain runs --all {record_filter}".rstrip())


def _print_everywhere(
    plugins: Plugins, record_filter: run_filter.RunFilter, everyone: bool, max_runs: int | None, json: bool
) -> None:
    """Print what platforms list, whichever machine submitted it. Raise Rejected if none could be asked."""
    from robotrain.cli.run_list.found_runs import list_found_runs

    found_runs, answers, problems, has_more = list_found_runs(plugins, record_filter, everyone, max_runs)
    print_problems(problems)
    if json:
        platform_rows = [answer._asdict() for answer in answers]
        return print_json({"runs": [*map(_dump_run, found_runs)], "platforms": platform_rows, "more": has_more})
    names = {
        outcome: ", ".join(answer.platform for answer in answers if answer.outcome == outcome)
        for outcome in ("listed", *NOT_ASKED)
    }
    if found_runs:
        print_result("\n".join(_format_runs(found_runs)))
    else:
        fits = f" that fits {record_filter}" if str(record_filter) else ""
        print_message(f"{names['listed']} lists no run {'' if everyone else 'of yours'}{fits}")
    for outcome, words in NOT_ASKED.items():
        if names[outcome]:
            print_message(f"{words}: {names[outcome]}")
    if has_more and max_runs is not None:
        user_option = " --user all" if everyone else ""
        print_message(f"there are older runs: robotrain runs --everywhere{user_option} --all {record_filter}".rstrip())


def _check_everywhere(everywhere: bool, user: str | None, of_records: dict[str, Any]) -> None:
    """Raise Rejected for options of --everywhere without it, and with it for those that only records answer."""
    if user and not everywhere:
        reason = "This machine records the runs that were submitted from here, or adopted."
        raise arguments.make_usage_error("--user has no effect without --everywhere", reason)
    for flag in [flag for flag, is_given in of_records.items() if everywhere and is_given]:
        reason = "Platforms know a run, its state, its time and its user; the rest is in the records of this machine."
        raise arguments.make_usage_error(f"{flag} cannot be used with --everywhere", reason)


def _format_runs(listed: Sequence[ListedRun]) -> list[str]:
    """Return the table: less important columns are left out until it fits.

    The note of a run is a line of its own. So is the reason in a script, and where there is too little room beside the
    other columns.
    """
    colour, terminal_width = output.has_color(output.get_results()), output.get_table_width()
    is_terminal, width = terminal_width is not None, terminal_width or WIDTH_IN_SCRIPTS
    notes = [_format_note(listed_run) for listed_run in listed]
    reasons = [to_plain_line(listed_run.shown_reason) for listed_run in listed]
    best_trials = [to_plain_line(listed_run.best_trial) for listed_run in listed]
    conditions = [
        "" if best_trial else to_plain_line(listed_run.progress.conditions)
        for listed_run, best_trial in zip(listed, best_trials, strict=True)
    ]
    columns = _make_columns(listed, conditions, reasons)
    titles, *rows = fit_columns(columns if is_terminal else columns[:-1], width)
    lines = [output.paint_text((" " * GAP).join(titles).rstrip(), "bold", colour)]
    has_reasons = titles[-1].rstrip() == "REASON"
    state = [title.rstrip() for title in titles].index("STATE")
    for listed_run, cells, best_trial, reason, note in zip(listed, rows, best_trials, reasons, notes, strict=True):
        style = output.STATE_STYLES.get(listed_run.state, "")
        cells[state] = output.paint_text(cells[state], style, colour)
        lines.append((" " * GAP).join(cells).rstrip())
        is_whole = not is_terminal and listed_run.state in STATES_WITH_COMMAND
        notes_below = [(best_trial, "", False)] if best_trial else []
        notes_below += [(reason, style, is_whole)] if reason and not has_reasons else []
        notes_below += [(note, "dim", False)] if note else []
        for note_text, of_text, keeps_whole in notes_below:
            line = note_text if keeps_whole else truncate(note_text, width - GAP)
            lines.append(output.paint_text(" " * GAP + line, of_text, colour))
    return lines


def _make_columns(listed: Sequence[ListedRun], conditions: list[str], reasons: list[str]) -> "list[Column]":
    """Return the columns of the table, names and runs first and reasons last."""
    now = time.time()
    progresses = [listed_run.progress for listed_run in listed]
    metrics_by_run = [listed_run.record.metrics if listed_run.record else () for listed_run in listed]
    headlines = [
        progress.winner or scores.format_headline_score(progress.scores, metrics)
        for progress, metrics in zip(progresses, metrics_by_run, strict=True)
    ]
    ages = [
        format_short_age(now - listed_run.record.created) if listed_run.record and listed_run.record.created else ""
        for listed_run in listed
    ]
    adoptions = [*map(_format_adoption, listed)]
    return [
        Column("NAME", [_format_name(listed_run) for listed_run in listed], drop_order=1),
        Column("RUN", [listed_run.run for listed_run in listed]),
        Column("STATE", [listed_run.state for listed_run in listed]),
        Column(
            "PLATFORM", [listed_run.record.platform if listed_run.record else "" for listed_run in listed], drop_order=5
        ),
        Column("STEP", [_format_steps(listed_run) for listed_run in listed], drop_order=4),
        Column(
            "LOSS", ["" if progress.loss is None else f"{progress.loss:.4g}" for progress in progresses], drop_order=2
        ),
        Column("SCORE", headlines, drop_order=2),
        Column("CONDITIONS", conditions, drop_order=8),
        Column("AGE", ages, drop_order=3),
        Column("TOOK", [_format_duration(listed_run, now) for listed_run in listed], drop_order=6),
        Column("USER", [to_plain_line(run.submission.user) if run.submission else "" for run in listed], drop_order=4),
        *([Column("TO RECORD IT HERE", adoptions)] if any(adoptions) else []),
        Column("REASON", reasons, drop_order=7, is_flexible=True, min_width=MIN_REASON_WIDTH),
    ]


def _format_adoption(listed_run: ListedRun) -> str:
    """Return the line that records a run of another machine, or completes an interrupted submit of this one."""
    record, submission = listed_run.record, listed_run.submission
    if record is None or submission is None or listed_run.is_recorded:
        return ""
    if record.phase == "sending":
        return f"robotrain status {record.run}"
    line = f"robotrain adopt --platform {record.platform} {shlex.quote(submission.text)}"
    return line if submission.can_be_adopted else ""


def _format_name(listed_run: ListedRun) -> str:
    record = listed_run.record
    return (record.name or name_index.name_step(record)) if record else ""


def _format_note(listed_run: ListedRun) -> str:
    """Return what its submitter noted of a run; empty for nothing."""
    note = listed_run.record.note if listed_run.record else ""
    return f"note: {to_plain_line(redact_sentence(note))}" if note else ""


def _format_steps(listed_run: ListedRun) -> str:
    progress = listed_run.progress
    if progress.step is None:
        return ""
    step_text = f"{progress.step}/{progress.total}" if progress.total else str(progress.step)
    return step_text if progress.unit == "step" else f"{step_text} {progress.unit}s"


def _format_duration(listed_run: ListedRun, now: float) -> str:
    status = listed_run.status
    seconds = None if status is None else measure_seconds(status, now)
    return "" if seconds is None else format_duration(seconds)


def _dump_run(listed_run: ListedRun) -> dict[str, Any]:
    """Return a run as data; the keys are an API."""
    from robotrain.cli.watch.step_rows import dump_step

    record, status, progress = listed_run.record, listed_run.status, listed_run.progress
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
        "step": progress.step,
        "total": progress.total,
        "unit": progress.unit,
        "loss": progress.loss,
        "scores": dict(progress.scores),
        "conditions": progress.conditions,
        "notes": list(record.notes) if record else [],
        "steps": [dump_step(step) for step in listed_run.steps],
        "pipeline": record.pipeline if record else "",
        "name": record.name if record else "",
        "note": record.note if record else "",
        "values": {name: recorded_value[0] for name, recorded_value in record.values.items()} if record else {},
        "parent": (record.parent or run_values.find_resumed_run(record)) if record else "",
    } | _dump_submission(listed_run)


def _dump_submission(listed_run: ListedRun) -> dict[str, Any]:
    """Return what a platform lists of a run as data; the keys are an API."""
    if (submission := listed_run.submission) is None:
        return {}
    return {
        "user": submission.user,
        "recorded": listed_run.is_recorded,
        "ref": submission.text,
        "can_be_adopted": submission.can_be_adopted,
    }


app = make_app(runs)
