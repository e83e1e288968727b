"""A run as it is seen: what its platform and its log say of it, as text and as data."""

from __future__ import annotations

import dataclasses
import itertools
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from robotrain_runtime.contract import event

from robotrain.cli import output
from robotrain.cli.next_commands import format_next_steps, suggest_commands
from robotrain.cli.output import describe_exception, format_table, print_message
from robotrain.cli.watch.step_rows import dump_steps, format_run_steps
from robotrain.errors import Rejected
from robotrain.model import code_commit_tags, scores
from robotrain.model.amounts import format_duration
from robotrain.model.checkpoint_table import dump_table, list_table_rows
from robotrain.model.platform_features import PipelineRuns
from robotrain.model.progress import Progress
from robotrain.model.run import UNPUBLISHED_CODE, RunRecord, Status, StepStatus
from robotrain.redaction import redact_if_secret, redact_sentence
from robotrain.store import published, run_log, stored_job

if TYPE_CHECKING:
    from robotrain.model.platform import Platform

MAX_LINES = 400
SHOWN_LINES = 8
MAX_WARNINGS = 5


@dataclass
class RunView:
    """What is known of a run."""

    record: RunRecord
    platform: Platform
    status: Status
    progress: Progress
    steps: Sequence[StepStatus] = ()
    """Of a pipeline."""
    missing: str = ""
    """What is known of its outputs if there are none."""

    @property
    def is_explained(self) -> bool:
        """Whether its log says why it failed: scores below a threshold are in no log."""
        has_low_scores = self.progress.evaluated is not None and self.progress.evaluated.passed is False
        return self.status.state in ("failed", "lost") and not has_low_scores

    def format(self, log_end: Sequence[str] = ()) -> str:
        """Return its state, the reason for it, what it made, and the next commands. `log_end`: lines to show."""
        return "\n  ".join(self._list_lines(log_end))

    def _list_lines(self, log_end: Sequence[str]) -> Iterator[str]:
        record, status, progress = self.record, self.status, self.progress
        state = output.paint_text(
            status.state, output.STATE_STYLES.get(status.state, ""), output.has_color(output.get_results())
        )
        yield f"{record.run}  {state}  on {record.platform}" + (f", named {record.name}" if record.name else "")
        if progress.evaluated and (comparison_answer := scores.format_answer(progress.evaluated)):
            yield comparison_answer
        if record.note:
            yield f"note: {redact_sentence(record.note)}"
        if status.reason:
            yield status.reason.replace("\n", " ")  # what others wrote begins no line of its own
        yield from format_run_steps(record, self.steps)
        if rows := list_table_rows(progress):
            yield "checkpoints:"
            yield from format_table(rows).splitlines()
        if log_end:
            yield "the end of its log:"
            yield from (f"| {line}" for line in log_end)
        yield from self._format_times()
        yield from [self.missing] * bool(self.missing)
        native = dict(list_native_names(record, self.platform))
        yield from (f"{name:<11} {value}" for name, value in native.items())
        if code := describe_code(record.run):
            yield f"{'code':<11} {code['text']}" + (f": {code['difference']}" if code["difference"] else "")
        yield from (f"{name:<11} {value}" for name, value in self.list_places() if value not in native.values())
        warnings = [text for text in map(redact_sentence, progress.warnings) if text not in status.reason]
        yield from (f"warning: {text}" for text in [*dict.fromkeys(warnings)][-MAX_WARNINGS:])
        yield from (f"note: {redact_sentence(text)}" for text in progress.guesses)
        yield from record.notes
        yield from format_next_steps(record, status, progress)

    def _format_times(self) -> Iterator[str]:
        """Yield how far it is, or its scores and under which conditions, and for how long it ran."""
        status, progress = self.status, self.progress
        is_running = status.state == "running"
        has_answer = progress.evaluated is not None and bool(progress.evaluated.compared)  # it stands first
        if not has_answer and (progress.is_told or (is_running and progress.stage == "work" and progress.total)):
            yield progress.format_line(has_ended=not is_running)
        elif progress.evaluated and not has_answer:
            yield progress.score_text
        elif not progress.evaluated and progress.stage and not self.record.steps and (is_running or status.finished):
            yield f"{'ended' if status.finished else 'is'} in stage {progress.format_line(has_ended=status.finished)}"
        if progress.evaluated:
            if conditions := scores.format_conditions(progress.evaluated):
                yield f"under: {conditions}"
            yield from scores.format_group_scores(progress.evaluated, progress.declared_metrics, self.record.run)
        if status.started and status.finished and status.ended:
            yield f"ran {format_duration(status.ended - status.started)}, ended {_format_time(status.ended)}"
        elif status.started and not status.finished and not is_running:  # it waits for its next start
            yield f"started {_format_time(status.started)}"
        elif status.started and not status.finished:
            yield f"running for {format_duration(time.time() - status.started)}"
        else:
            yield f"submitted {_format_time(self.record.created)}"

    def list_places(self) -> Iterator[tuple[str, str]]:
        """Yield its outputs and where they are, each with its name."""
        progress = self.progress
        is_gone = is_machine_gone(self.platform, self.status)
        if group := progress.processes:
            nodes = f" on {group.nodes} nodes" if group.nodes > 1 else ""
            samples = f", {group.samples} {group.unit or 'samples'} a step" if group.samples else ""
            yield "processes", f"{group.count}{nodes}{samples}"
        if progress.checkpoint and not is_gone:
            step = "" if progress.checkpoint_step is None else f"step {progress.checkpoint_step}, "
            yield "checkpoint", f"{step}{progress.checkpoint}"
        elif progress.checkpoint and not progress.published:
            yield (
                "checkpoint",
                f"step {progress.checkpoint_step}; its machine is gone: `robotrain outputs` lists the copies",
            )
        if progress.published:
            steps = {copy.step for copy in progress.published}
            earlier_note = f" and {len(steps) - 1} earlier" if len(steps) > 1 else ""
            yield "published", f"step {max(steps)}, {', '.join(progress.list_copies(max(steps)))}{earlier_note}"
        if progress.evaluated and progress.evaluated.results and not is_gone:
            yield "results", progress.evaluated.results
        yield from (("copied to", address) for address in progress.results)
        yield from (("policy", address) for address in progress.policies)
        for registration in progress.registered:
            step = f", step {registration.step}" if registration.step else ""
            yield (
                "registered",
                f"{registration.name} version {registration.version}{step}"
                + (f", {registration.uri}" if registration.uri else ""),
            )
        if ui := progress.tracking_ui:
            yield "tracking", ui if ui.startswith("http") else f"robotrain ui {self.record.run}"

    def to_json(self) -> dict[str, Any]:
        """Return it as data; the keys are an API."""
        record, status, progress = self.record, self.status, self.progress
        metrics, evaluated = progress.metrics, None
        if evaluation := progress.evaluated:
            metrics = {name: value for name, value in metrics.items() if not progress.is_episode_metric(name)}
            share = scores.find_share_metric(progress.declared_metrics)
            succeeded, episode_count = scores.count_successes(evaluation, share) or (None, None)
            field_names = ("episodes", "scores", "conditions", "results", "policy", "step", "passed")
            evaluated = {name: getattr(evaluation, name) for name in field_names} | {
                "successes": succeeded,
                "tried": episode_count,
            }
        return {
            **({"compared": dict(evaluation.compared)} if evaluation and evaluation.compared else {}),
            "run": record.run,
            "platform": record.platform,
            "workload": record.workload,
            "state": status.state,
            "reason": status.reason,
            "exit_code": status.exit_code,
            **{name: getattr(progress.outcome, name, "") for name in ("fault", "cause", "subject", "remedy")},
            "created": record.created,
            "started": status.started,
            "ended": status.ended,
            "stage": progress.stage,
            "step": progress.step,
            "total": progress.total,
            "unit": progress.unit,
            "download": {"done": progress.download.done, "total": progress.download.total}
            if progress.download
            else None,
            "metrics": metrics,
            "machine": dict(progress.machine),
            "processes": dump_processes(progress.processes),
            "checkpoint": progress.checkpoint or None,
            "checkpoint_step": progress.checkpoint_step,
            "published": [{"step": copy.step, "to": copy.to} for copy in progress.published],
            "registered": [
                {
                    "name": registration.name,
                    "version": registration.version,
                    "step": registration.step,
                    "uri": registration.uri,
                }
                for registration in progress.registered
            ],
            "evaluated": evaluated,
            "delivered": progress.results,
            "tracking": progress.tracking,
            "warnings": progress.warnings,
            "notes": list(record.notes),
            "next": [text for text, _ in suggest_commands(record, status, progress)],
            "name": record.name,
            "note": record.note,
            **({"checkpoint_scores": table} if (table := dump_table(progress)) else {}),
            **dump_steps(record, self.steps),
        }


def dump_processes(group: event.Processes | None) -> dict[str, int | str] | None:
    """Return the processes that work together as data; the keys are an API."""
    if group is None:
        return None
    unit = {"unit": group.unit} if group.unit else {}
    return {"count": group.count, "nodes": group.nodes, "samples": group.samples, **unit}


def read_run_log(record: RunRecord, platform: Platform, with_lines: bool = False) -> tuple[Progress, list[str]]:
    """Return the progress of a run.

    :param with_lines: also return the log's last ordinary lines; the platform's lines only if it has no others.
    """

    def warn(error: Exception) -> None:  # whatever a plugin raises: the status can still be shown
        print_message(f"warning: the log of {record.run} cannot be read: {describe_exception(error)}")

    progress, log_lines = run_log.read_run_log(record, platform, MAX_LINES if with_lines else 0, warn)
    for step, to, target in published.read_published(record.run):
        progress.add_later_copy(step, to, target)
    return progress, [log_line for log_line in log_lines if not is_platform_line(log_line, record)] or log_lines


def add_listed_outputs(record: RunRecord, platform: Platform, status: Status, progress: Progress) -> str:
    """Ask a run that ended for its outputs if its log does not tell where they are, and correct what is known of them.

    Return what is known of them if there are none; empty otherwise.
    """
    is_gone = is_machine_gone(platform, status)
    if not status.finished or record.is_sweep or (progress.has_kept_output if is_gone else progress.has_output):
        return ""
    if not progress.evaluated and record.makes != "checkpoints":
        return ""
    if status.started is None and status.state in ("failed", "cancelled"):
        return "it saved no checkpoint"
    if record.steps and status.state in ("succeeded", "lost"):  # those of its steps are elsewhere
        return ""
    outputs_phrase = "its outputs" if progress.has_output else "its log shows no checkpoint, and its outputs"
    unknown_remark = f"{outputs_phrase} could not be listed: try `robotrain outputs {record.run}`"
    try:
        listed_outputs = [*platform.engine.outputs(record.reference)]
    except (Rejected, OSError) as error:  # the status can still be shown
        problem = error.problems[0] if isinstance(error, Rejected) else None
        if not problem or problem.code != UNPUBLISHED_CODE:
            return unknown_remark
        _forget_outputs(progress)
        return " ".join(filter(None, (problem.title, problem.why)))
    for listed in listed_outputs:
        if listed.kind == "checkpoint" and listed.step is not None:
            progress.checkpoint, progress.checkpoint_step = listed.uri, listed.step
            if is_gone:
                progress.published.append(event.Published(step=listed.step, to=listed.uri))
    if listed_outputs and (progress.has_output or (status.state == "succeeded" and not is_gone)):
        return ""
    if any(listed.kind == "checkpoint" for listed in listed_outputs):
        return unknown_remark
    if listed_outputs and not is_gone:
        return "it saved no checkpoint"
    _forget_outputs(progress)
    return "it saved no checkpoint" + (": what else it wrote went with its machine" if is_gone else "")


def _forget_outputs(progress: Progress) -> None:
    """Drop the folders of outputs that are gone with their machine. `checkpoint_step` stays."""
    progress.checkpoint = ""
    if progress.evaluated:
        progress.evaluated = dataclasses.replace(progress.evaluated, results="", policy="")


def is_platform_line(line: str, record: RunRecord) -> bool:
    """Whether the platform itself wrote a line."""
    return line.startswith(f"[{record.platform}] ")


def select_error_lines(lines: list[str]) -> list[str]:
    """Return the lines that show an error: the end of the last traceback with its message, else the last lines."""
    written_lines = [line.rstrip() for line in lines if line.strip()]
    start = next(
        (index for index in reversed(range(len(written_lines))) if written_lines[index].startswith("Traceback (most")),
        None,
    )
    if start is None:
        return written_lines[-SHOWN_LINES:]
    end = next(
        (index for index in range(start + 1, len(written_lines)) if not written_lines[index].startswith((" ", "\t"))),
        len(written_lines) - 1,
    )
    message = itertools.takewhile(
        lambda text: text.startswith((" ", "\t")), written_lines[end + 1 : end + 1 + SHOWN_LINES]
    )
    return [*written_lines[max(0, end + 1 - SHOWN_LINES) : end + 1], *message]


def describe_code(run: str) -> dict[str, Any]:
    """Return the commit of a run's code, whether it differs from that, and the file that says how; empty for none."""
    for source in stored_job.read_stored_sources(run):
        if text := code_commit_tags.format_commit(source):
            file = stored_job.get_plan_folder(run) / stored_job.DIFFERENCE_FILE
            return {
                "commit": code_commit_tags.parse_tags(source)[code_commit_tags.COMMIT],
                "dirty": code_commit_tags.is_dirty(source),
                "difference": str(file) if file.is_file() else "",
                "text": text,
            }
    return {}


def query_run(record: RunRecord, platform: Platform) -> tuple[Status, Sequence[StepStatus]]:
    """Return the status of a run, and the steps of a pipeline, in their order; none for any other run."""
    if record.steps:
        return platform.get_engine_for(PipelineRuns).query_pipeline(record.reference)
    return platform.engine.status(record.reference), ()


def list_native_names(record: RunRecord, platform: Platform) -> Iterator[tuple[str, str]]:
    """Yield the platform's own identifiers of a run, each with its name."""
    native_names = platform.engine.describe_reference(record.reference)
    yield from ((redact_if_secret(name), redact_if_secret(text)) for name, text in native_names.items())


def is_machine_gone(platform: Platform, status: Status) -> bool:
    """Whether the run's folder is gone: the run ended on a platform that keeps no folders."""
    return status.finished and platform.capabilities.feature("publish_folder").level == "no"


def _format_time(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))
