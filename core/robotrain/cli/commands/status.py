"""`robotrain status`: print the state of a run and the next commands."""

import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import typer

from robotrain.cli import output
from robotrain.cli.arguments import JsonOption, RunArgument, open_run
from robotrain.cli.command_factory import make_app
from robotrain.cli.next_commands import format_next_steps
from robotrain.cli.output import print_json, print_text
from robotrain.cli.watch import run_summary
from robotrain.model import scores
from robotrain.model.amounts import format_duration
from robotrain.redaction import redact_sentence
from robotrain.store import records

if TYPE_CHECKING:
    from robotrain.model.platform import Platform
    from robotrain.model.progress import Progress
    from robotrain.model.run import RunRecord, Status, StepStatus

MAX_WARNINGS = 3


def status(ctx: typer.Context, run: RunArgument = "", json: JsonOption = False) -> None:
    """Show the state of a run, the reason for it, its outputs, and the next commands.

    robotrain status latest
    """
    record, platform = open_run(ctx, run)
    now, steps = run_summary.query_run(record, platform)
    records.save_final_status(record.run, now)
    progress, log_lines = run_summary.read_run_log(record, platform, with_lines=now.state in ("failed", "lost"))
    outputs_remark = run_summary.add_listed_outputs(record, platform, now, progress)
    if (
        progress.outcome and progress.outcome.state == "failed"
    ):  # the run said why: the platform's own lines add nothing
        log_lines = [log_line for log_line in log_lines if not run_summary.is_platform_line(log_line, record)]
    explains = now.state in ("failed", "lost") and not run_summary.has_failed_verdict(progress)
    error_lines = run_summary.select_error_lines(log_lines) if explains else []
    if json:
        native_names = dict(run_summary.list_native_names(record, platform))
        dumped_steps = run_summary.dump_steps(record, steps)
        code = {name: value for name, value in run_summary.describe_code(record.run).items() if name != "text"}
        added_data = {"shown": native_names, "log_end": error_lines, **dumped_steps, **({"code": code} if code else {})}
        print_json({**run_summary.dump_status(record, now, progress), **added_data})
    else:
        print_text("\n  ".join(_format_status(record, platform, now, steps, progress, error_lines, outputs_remark)))


def _format_status(
    record: "RunRecord",
    platform: "Platform",
    now: "Status",
    steps: "Sequence[StepStatus]",
    progress: "Progress",
    error_lines: list[str],
    outputs_remark: str,
) -> Iterator[str]:
    state = output.paint_text(now.state, output.STATE_STYLES.get(now.state, ""), output.has_color(output.get_results()))
    yield f"{record.run}  {state}  on {record.platform}" + (f", named {record.name}" if record.name else "")
    if progress.evaluated and (comparison_answer := scores.format_answer(progress.evaluated)):
        yield comparison_answer
    if record.note:
        yield f"note: {redact_sentence(record.note)}"
    reasons, warnings = _split_reasons(now.reason, [redact_sentence(text) for text in progress.warnings])
    yield from (reason.replace("\n", " ") for reason in reasons)  # what others wrote begins no line of its own
    yield from run_summary.format_run_steps(record, steps)
    yield from run_summary.format_checkpoint_scores(progress)
    if error_lines:
        yield "the end of its log:"
        yield from (f"| {line}" for line in error_lines)
    yield from _format_times(record, now, progress)
    yield from [outputs_remark] * bool(outputs_remark)
    native = dict(run_summary.list_native_names(record, platform))
    yield from (f"{name:<11} {value}" for name, value in native.items())
    if code := run_summary.describe_code(record.run):
        yield f"{'code':<11} {code['text']}" + (f": {code['difference']}" if code["difference"] else "")
    output_places = run_summary.list_places(record.run, progress, run_summary.is_machine_gone(platform, now))
    yield from (f"{name:<11} {value}" for name, value in output_places if value not in native.values())
    yield from (f"warning: {text}" for text in warnings[-MAX_WARNINGS:])
    yield from (f"note: {redact_sentence(text)}" for text in progress.guesses)
    yield from record.notes
    yield from format_next_steps(record, now, progress)


def _split_reasons(reason: str, warnings: list[str]) -> tuple[list[str], list[str]]:
    """Return the reasons, and the warnings that say anything else, each once.

    A finding of preflight in the container is a title in the reason and a longer warning: the warning is the reason.
    """

    def has_title(finding: str, title: str) -> bool:
        return finding.startswith(title[:-1] if title.endswith("…") else f"{title}.")

    reason_lines, titles = [], reason.split("; ")
    while titles:  # a title may contain "; ", and a long reason is cut
        counts = range(len(titles), 0, -1)
        matches = ((n, warning) for n in counts for warning in warnings if has_title(warning, "; ".join(titles[:n])))
        count, reason_line = next(matches, (1, titles[0]))
        reason_lines.append(reason_line)
        titles = titles[count:]
    reasons = reason_lines if set(reason_lines) & set(warnings) else [reason] * bool(reason)
    other_warnings = [warning for warning in warnings if warning not in reasons and warning not in reason]
    return list(dict.fromkeys(reasons)), list(dict.fromkeys(other_warnings))


def _format_times(record: "RunRecord", now: "Status", progress: "Progress") -> Iterator[str]:
    is_running = now.state == "running"
    has_answer = progress.evaluated is not None and bool(progress.evaluated.compared)  # it stands first
    if not has_answer and (progress.is_told or (is_running and progress.stage == "work" and progress.total)):
        yield progress.format_line(has_ended=not is_running)
    elif progress.evaluated and not has_answer:
        yield progress.score_text
    elif not progress.evaluated and progress.stage and not record.steps and (is_running or now.finished):
        yield f"{'ended' if now.finished else 'is'} in stage {progress.format_line(has_ended=now.finished)}"
    if progress.evaluated and (conditions := scores.format_conditions(progress.evaluated)):
        yield f"under: {conditions}"
    if progress.evaluated:
        yield from scores.format_group_scores(progress.evaluated, progress.declared_metrics, record.run)
    if now.started and now.finished and now.ended:
        yield f"ran {format_duration(now.ended - now.started)}, ended {_format_time(now.ended)}"
    elif now.started and not now.finished and not is_running:  # it waits for its next start
        yield f"started {_format_time(now.started)}"
    elif now.started and not now.finished:
        yield f"running for {format_duration(time.time() - now.started)}"
    else:
        yield f"submitted {_format_time(record.created)}"


def _format_time(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))


app = make_app(status)
