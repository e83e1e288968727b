"""`robotrain logs`: print or follow the log of a run."""

import dataclasses
from collections import deque
from collections.abc import Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer
from robotrain_runtime.contract import event

from robotrain.cli.arguments import JsonLinesOption, RunArgument, StepOption, make_usage_error, open_step
from robotrain.cli.command_factory import make_app
from robotrain.cli.commands import watch
from robotrain.cli.output import print_message, print_result_line
from robotrain.cli.watch.follower import RunFollower
from robotrain.cli.watch.printer import LineFormat, LogPrinter, format_json_line, format_line, is_end
from robotrain.errors import Rejected
from robotrain.model.reference import STEP_KEY

if TYPE_CHECKING:
    from robotrain.model.platform import Platform

OVERFETCH = 4
"""How many lines to read for each line of `--tail`, since some lines are not shown."""


def logs(
    ctx: typer.Context,
    run: RunArgument = "",
    follow: Annotated[
        bool, typer.Option("-f", "--follow", help="Follow the log from before the start of the run to its end.")
    ] = False,
    tail: Annotated[
        int | None, typer.Option("-n", "--tail", min=0, metavar="INT", help="Print only the last lines.")
    ] = None,
    task: Annotated[
        str, typer.Option("--task", metavar="NAME", help="The task of one of several nodes; other runs have one.")
    ] = "",
    step: StepOption = "",
    raw: Annotated[bool, typer.Option("--raw", help="Print all lines unchanged, including events.")] = False,
    json: JsonLinesOption = False,
) -> None:
    """Print the log of a run; with -f, follow it.

    robotrain logs --tail 40 latest
    """
    if raw and json:
        raise make_usage_error("--raw and --json cannot be used together", "JSON has every line.", ("--json", ""))
    record, platform = open_step(ctx, run, step, wait=follow)
    if task:
        record = _select_task(record, task)
    line_format: LineFormat = partial(format_line, metrics=record.metrics)
    if json or raw:
        line_format = format_json_line if json else str
    if follow:
        return _follow_log(record, platform, tail, line_format)
    log_end = _LogEnd()
    if tail is None:
        formatted_lines = map(line_format, log_end.watch(platform.engine.logs(record.reference, follow=False)))
        lines: Iterable[str] = (line for line in formatted_lines if line is not None)
    else:
        lines = _read_last_lines(record, platform, line_format, tail, log_end)
    printed = False
    for line in lines:
        printed = True
        if not print_result_line(line):  # the reader is gone
            return
    if tail == 0 or (printed and (json or raw or log_end.says_outcome)):
        return
    try:
        status = platform.engine.status(record.reference)
    except Rejected:
        if printed:  # what was asked for is there, whether the platform answers or not
            return
        raise
    state = ": ".join(filter(None, (status.state, status.reason)))
    if printed and status.finished:  # on stderr, so that no program takes it for a line of the log
        print_message(f"{record.run} {state}")
    elif not printed:
        print_message(f"the log of {record.run} is empty: the run is {state}")
        if not status.finished:
            print_message(f"  robotrain logs -f {record.run}    wait for it")


class _LogEnd:
    """Remembers whether the last event of a log is how the run ended."""

    def __init__(self) -> None:
        self.says_outcome = False

    def watch(self, lines: Iterable[str]) -> Iterator[str]:
        """Yield the lines."""
        for line in lines:
            if record := event.parse_event(line):
                self.says_outcome = is_end(record)
            yield line


def _select_task(record: Any, task: str) -> Any:
    """Return a record whose log is that of a task. Raise Rejected if the run has no such task."""
    reference = record.reference
    main_task = reference.get("task") or reference.get(STEP_KEY) or record.workload
    tasks = (reference.get("tasks") or reference.get(f"tasks:{main_task}") or main_task).split(",")
    if task not in tasks:
        reason = f"Its tasks are {', '.join(tasks)}." if len(tasks) > 1 else f"Its only task is {main_task}."
        raise make_usage_error(
            f"{record.run} has no task {task!r}", reason, *((f"--task {name}", "") for name in tasks)
        )
    return dataclasses.replace(record, reference={**reference, "task": task})


def _read_last_lines(
    record: Any, platform: "Platform", line_format: "LineFormat", count: int, log_end: _LogEnd
) -> list[str]:
    """Return the last lines that are shown, reading only the end of the log where possible."""
    requested_count = count
    while True:
        requested_count = (requested_count + 1) * OVERFETCH
        lines = list(log_end.watch(platform.engine.logs(record.reference, follow=False, tail=requested_count)))
        shown_lines = deque((text for line in lines if (text := line_format(line)) is not None), maxlen=count)
        if len(shown_lines) == count or len(lines) < requested_count:
            return list(shown_lines)


def _follow_log(record: Any, platform: "Platform", tail_count: int | None, line_format: "LineFormat") -> None:
    printer = LogPrinter(print_result_line, line_format)
    follower = RunFollower([(record, platform)], printer, tail=tail_count)
    watch.follow(follower, printer, "logs -f", lambda: follower.wait_until_over(should_stop=printer.reader_gone.is_set))
    (followed_run,) = follower.runs
    if followed_run.failure:
        raise followed_run.failure
    if followed_run.is_over and (
        record.steps or followed_run.progress.outcome is None
    ):  # the log does not say how it ended
        print_message(
            f"{record.run} {': '.join(filter(None, (followed_run.status.state, followed_run.status.reason)))}"
        )


app = make_app(logs)
