"""The commands that `status` and other views of a run suggest next, such as one that mends the job of a failed run."""

import re
import shlex
from collections.abc import Iterator

from robotrain.errors import Rejected
from robotrain.model.progress import Progress
from robotrain.model.run import RunRecord, Status
from robotrain.plugins import manager
from robotrain.redaction import redact_if_secret, redact_sentence
from robotrain.store import name_index

MAX_ALIGNED = 60
"""Characters; remarks of longer commands are not aligned."""
JOB_FAULTS = ("configuration", "data")
"""Faults of what a job says: it would fail again with the same values."""


def suggest_commands(record: RunRecord, status: Status, progress: Progress, name: str = "") -> list[tuple[str, str]]:
    """Return the next commands and what each does, the most useful one first.

    :param name: what they call the run, if not by its identifier.
    """
    run = name or record.run
    log = (f"robotrain logs --tail 40 {run}", "the end of its log")
    if not status.finished:
        verb = "run" if status.state == "running" else "start"
        return [(f"robotrain watch {run}", f"watch it {verb}"), (f"robotrain cancel {run}", "stop it")]
    if record.steps and status.state != "succeeded":
        return _suggest_after_steps(record, progress, run)
    if progress.evaluated:
        return list(_suggest_after_evaluation(record, status, progress, run))
    if status.state == "succeeded":
        is_empty = record.makes == "checkpoints" and not (record.steps or progress.has_output)
        evaluation = "" if is_empty else make_evaluation_command(record, run)
        return [
            log if is_empty else (f"robotrain outputs {run}", "list its outputs"),
            (f"robotrain report {run}", "write a page about it"),
            *([(evaluation, "evaluate what it trained")] if evaluation else []),
        ]
    repeat, again = f"robotrain resubmit {run}", "start it over"
    if progress.checkpoint:
        repeat, again = f"robotrain resume {run}", f"continue from step {progress.checkpoint_step}"
        if progress.step is not None and progress.step == progress.total:
            return [log, (f"robotrain outputs --to FOLDER {run}", "it reached its last step: download its outputs")]
    fault = progress.outcome.fault if progress.outcome else ""
    if fault in JOB_FAULTS:
        return [log, (f"{repeat} --set KEY=VALUE", f"with another value: the same job would fail again ({fault})")]
    if status.state != "failed":
        return [(repeat, again)]
    is_worthless = fault == "code" or not (fault or progress.checkpoint)
    return [log] if is_worthless else [log, (repeat, again)]


def _suggest_after_steps(record: RunRecord, progress: Progress, run: str) -> list[tuple[str, str]]:
    """Return the next commands for a pipeline or a sweep that has not succeeded."""
    resume, step = ("resume", "trial") if record.is_sweep else ("pipeline resume", "step")
    if progress.evaluated and progress.evaluated.passed is False and not record.is_sweep:
        change = "robotrain pipeline submit PIPELINE.yaml --set STEP.KEY=VALUE"
        report = (f"robotrain report {run}", "write a page about it: episodes, plots, videos")
        return [report, (change, "change it: the same policy would fail again")]
    repeat = (f"robotrain {resume} {run}", f"go on: the {step}s that succeeded do not run again")
    return [repeat, (f"robotrain logs --step {step.upper()} {run}", f"the log of a {step}")]


def list_next_commands(record: RunRecord, status: Status, progress: Progress) -> list[tuple[str, str]]:
    """Return the next commands for people, which call the run by its name where no other run has it."""
    return suggest_commands(record, status, progress, shlex.quote(name_index.find_unique_name(record.run)))


def _suggest_after_evaluation(
    record: RunRecord, status: Status, progress: Progress, run: str
) -> Iterator[tuple[str, str]]:
    """Yield the next commands once there are results; what failed after them is in the log."""
    from robotrain.store.latest_run import REGISTRABLE  # costs start-up

    yield f"robotrain report {run}", "write a page about it: episodes, plots, videos"
    evaluated = progress.evaluated
    has_new_policy = evaluated and evaluated.policy and not progress.registered
    if evaluated and (evaluated.passed is False or (evaluated.compared and not evaluated.compared.get("wins"))):
        has_new_policy = False  # `register` refuses it
    if status.state == "succeeded" and has_new_policy and REGISTRABLE.is_met(record):
        yield f"robotrain register {run} MODEL", "register the policy as a version of a model, with its scores"
    if status.state == "failed" and evaluated and evaluated.passed is not False:
        yield f"robotrain logs --tail 40 {run}", "the end of its log"
    if progress.has_output:
        yield f"robotrain outputs --to FOLDER {run}", "download the results"


def format_next_steps(record: RunRecord, status: Status, progress: Progress) -> list[str]:
    """Return whose fault a failure is, with what helps, and the next commands as lines; remarks of commands longer
    than `MAX_ALIGNED` are not aligned.
    """
    commands = list_next_commands(record, status, progress)
    width = max((len(command) for command, _ in commands if len(command) <= MAX_ALIGNED), default=0)
    lines = [
        f"{'' if index else 'next':<11} {command:<{width}}   {reason}"
        for index, (command, reason) in enumerate(commands)
    ]
    if fault_text := describe_fault(status, progress):
        lines.insert(0, f"{'fault':<11} {fault_text}")
    return lines


def describe_fault(status: Status, progress: Progress) -> str:
    """Return whose fault a failure is, with what helps; empty if the run has not failed, or did not say."""
    outcome = progress.outcome if status.state == "failed" else None
    if outcome is None or not outcome.remedy:
        return ""
    return f"{outcome.fault.replace('_', ' ') or 'unknown'}: {redact_sentence(outcome.remedy)}"


def make_evaluation_command(record: RunRecord, name: str = "") -> str:
    """Return the line that evaluates a run's outputs on its data; empty if its workload declares none for them.

    :param name: what it calls the run, if not by its identifier.
    """
    from robotrain.store import stored_job  # costs start-up

    template = record.outputs.evaluation
    if not template or record.outputs.not_evaluated_with in record.values:
        return ""
    options: dict[str, list[str]] = {placeholder: [] for placeholder in re.findall(r"\{(\w+\?)\}", template)}
    plugins = manager.get_plugins()
    try:
        workload = template.partition(" ")[0]
        roles = plugins.workload(workload).roles if workload in plugins.list_names("workload") else {}
        for source in stored_job.read_stored_sources(record.run):
            if source.role in roles and not roles[source.role].reads(source.uri):
                continue
            optional = f"{source.role}?"
            placeholder = optional if optional in options else source.role
            if f"{{{placeholder}}}" in template and not (placeholder == optional and source.implied):
                flag = plugins.source_kind(source.kind).roles[source.role].flag
                options.setdefault(placeholder, []).append(f"{flag} {shlex.quote(redact_if_secret(source.uri))}")
        options_by_placeholder = {placeholder: " ".join(option_texts) for placeholder, option_texts in options.items()}
        words = template.format_map({**options_by_placeholder, "run": name or record.run}).rstrip()
    except (Rejected, LookupError, ValueError):  # no plugin of its data is there, or its workload declares another role
        return ""
    return f"robotrain submit {words} --platform {record.platform}"
