"""The summary of a run: progress from its log, status as data, places of outputs."""

from __future__ import annotations

import dataclasses
import itertools
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from robotrain_runtime.contract import event

from robotrain.cli.next_commands import suggest_commands
from robotrain.cli.output import describe_exception, format_table, print_message
from robotrain.errors import Rejected
from robotrain.model import code_commit_tags, scores
from robotrain.model.amounts import format_duration
from robotrain.model.checkpoint_table import dump_table, list_table_rows
from robotrain.model.platform_features import PipelineRuns
from robotrain.model.progress import Progress
from robotrain.model.run import UNPUBLISHED_CODE, RunRecord, Status, StepStatus, measure_seconds
from robotrain.redaction import redact_if_secret
from robotrain.store import published, run_log, stored_job

if TYPE_CHECKING:
    from robotrain.model.platform import Platform

MAX_LINES = 400
SHOWN_LINES = 8
MAX_TRIALS = 4
"""How many trials with the same reason are named."""


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
    for output in listed_outputs:
        if output.kind == "checkpoint" and output.step is not None:
            progress.checkpoint, progress.checkpoint_step = output.uri, output.step
            if is_gone:
                progress.published.append(event.Published(step=output.step, to=output.uri))
    if listed_outputs and (progress.has_output or (status.state == "succeeded" and not is_gone)):
        return ""
    if any(output.kind == "checkpoint" for output in listed_outputs):
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


def has_failed_verdict(progress: Progress) -> bool:
    """Whether a run failed only because its scores are below a threshold, which its log does not explain."""
    return progress.evaluated is not None and progress.evaluated.passed is False


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


def dump_status(record: RunRecord, status: Status, progress: Progress) -> dict[str, Any]:
    """Return the status as data; the keys are an API."""
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
        "download": {"done": progress.download.done, "total": progress.download.total} if progress.download else None,
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
    }


def dump_processes(group: event.Processes | None) -> dict[str, int | str] | None:
    """Return the processes that work together as data; the keys are an API."""
    if group is None:
        return None
    unit = {"unit": group.unit} if group.unit else {}
    return {"count": group.count, "nodes": group.nodes, "samples": group.samples, **unit}


def dump_step(step: StepStatus) -> dict[str, Any]:
    """Return the status of a step as data; the keys are an API."""
    field_names = ("name", "state", "run", "reason", "started", "ended", "registered")
    return {name: getattr(step, name) for name in field_names}


def query_run(record: RunRecord, platform: Platform) -> tuple[Status, Sequence[StepStatus]]:
    """Return the status of a run, and the steps of a pipeline, in their order; none for any other run."""
    if record.steps:
        return platform.get_engine_for(PipelineRuns).query_pipeline(record.reference)
    return platform.engine.status(record.reference), ()


def dump_steps(record: RunRecord, steps: Sequence[StepStatus]) -> dict[str, Any]:
    """Return the steps of a run as data, and the results of a sweep; the keys are an API."""
    steps_data: dict[str, Any] = {"steps": [*map(dump_step, steps)]}
    if record.is_sweep:
        from robotrain.sweeps import results

        steps_data["sweep"] = results.dump_results(results.read_results(record.run))
    return steps_data


def format_run_steps(record: RunRecord, steps: Sequence[StepStatus]) -> Iterator[str]:
    """Yield a line for each step; of a sweep, the table of its trials, why some did not succeed, and the best one."""
    if not record.is_sweep:
        yield from format_steps(steps)
        return
    from robotrain.sweeps import results
    from robotrain.sweeps.space import format_point

    sweep_results = results.read_results(record.run)
    if sweep_results is None:
        yield "the plan or the progress of the sweep is gone"
        return
    yield from format_table(results.list_trial_rows(sweep_results)).splitlines()
    trials: dict[tuple[str, str], list[str]] = {}  # those with the same reason share a line
    for step in steps:
        if step.reason:
            trials.setdefault((step.state, step.reason), []).append(step.name)
    for (state, reason), trial_names in trials.items():
        more_note = f" and {len(trial_names) - MAX_TRIALS} more" if len(trial_names) > MAX_TRIALS else ""
        yield f"{', '.join(trial_names[:MAX_TRIALS])}{more_note} {state}: {reason}"
    if rows := results.list_group_rows(sweep_results):
        yield ""
        yield from format_table(rows).splitlines()
    if best := sweep_results.best:
        point_text = format_point(best.values)
        choice_note = f"best of {sum(trial.score is not None for trial in sweep_results.trials)}, by this score"
        choice_note = "; ".join(filter(None, (choice_note, results.describe_ties(sweep_results))))
        score = f"{sweep_results.metric} {results.format_value(best.score)}"
        yield f"{'best':<11} {best.name}  {point_text}  {score} ({choice_note})"
        if command_line := results.make_register_command(record.run, sweep_results):
            yield f"{'':<11} {command_line}"
    if sweep_results.missing:
        metric_names = " or ".join(sweep_results.missing)
        yield f"{'best':<11} unknown: no trial reported {metric_names}; --compare-by METRIC of the sweep names another"


def format_checkpoint_scores(progress: Progress) -> Iterator[str]:
    """Yield the lines of the table of the checkpoints' scores; none without scores."""
    if rows := list_table_rows(progress):
        yield "checkpoints:"
        yield from format_table(rows).splitlines()


def format_steps(steps: Sequence[StepStatus]) -> Iterator[str]:
    """Yield a line for each step: its name, its state, how long it took, its run, and the reason."""
    width = max((len(step.name) for step in steps), default=0)
    for step in steps:
        seconds = measure_seconds(step, time.time())
        duration_text = "" if seconds is None else format_duration(seconds)
        step_result = step.registered or step.run
        parts = (f"{step.name:<{width}}", f"{step.state:<9}", f"{duration_text:>9}", step_result, step.reason)
        yield "  ".join(part for part in parts if part).rstrip()


def list_native_names(record: RunRecord, platform: Platform) -> Iterator[tuple[str, str]]:
    """Yield the platform's own identifiers of a run, each with its name."""
    native_names = platform.engine.describe_reference(record.reference)
    yield from ((redact_if_secret(name), redact_if_secret(text)) for name, text in native_names.items())


def is_machine_gone(platform: Platform, status: Status) -> bool:
    """Whether the run's folder is gone: the run ended on a platform that keeps no folders."""
    return status.finished and platform.capabilities.feature("publish_folder").level == "no"


def list_places(run: str, progress: Progress, gone: bool) -> Iterator[tuple[str, str]]:
    """Yield the run's outputs and where they are, each with its name.

    :param gone: the machine is gone, and every folder on it.
    """
    if group := progress.processes:
        nodes = f" on {group.nodes} nodes" if group.nodes > 1 else ""
        samples = f", {group.samples} {group.unit or 'samples'} a step" if group.samples else ""
        yield "processes", f"{group.count}{nodes}{samples}"
    if progress.checkpoint and not gone:
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
    if progress.evaluated and progress.evaluated.results and not gone:
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
        yield "tracking", ui if ui.startswith("http") else f"robotrain ui {run}"
