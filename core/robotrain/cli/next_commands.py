"""The commands that `status` and other views of a run suggest next, such as one that mends the job of a failed run."""

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from robotrain.cli.named_change import VALUE, find_change, find_keeping_change, find_unkept_change
from robotrain.config.values import MAX_LETTERS
from robotrain.errors import Rejected
from robotrain.model.progress import Progress
from robotrain.model.run import RunRecord, Status
from robotrain.plugins import manager
from robotrain.redaction import redact_if_secret, redact_sentence
from robotrain.store import name_index

if TYPE_CHECKING:
    from robotrain_runtime.contract.document import JobSource
    from robotrain_runtime.contract.event import Evaluated

RUN_FIELD = "{run}"
"""What stands for the run in a line that a workload declares."""
MAX_JOB_FILES = 50
"""How many files beside a job file are looked at."""
MAX_ALIGNED = 60
"""Characters; remarks of longer commands are not aligned."""
JOB_FAULTS = ("configuration", "data", "code")
"""Faults of the job itself: an unchanged job would fail again."""
PLACE_FAULTS = ("machine", "access", "disk_full", "out_of_memory")
"""Faults of the place where it ran: an unchanged job may succeed once they are mended there."""
EXTERNAL_FAULTS = ("stopped", "preempted", "evicted", "network")
"""Faults that no change of the job mends."""


def suggest_commands(record: RunRecord, status: Status, progress: Progress) -> list[tuple[str, str]]:
    """Return the next commands and what each does, the most useful one first."""
    if record.steps and status.state in ("failed", "cancelled", "lost"):
        resume, step = ("resume", "trial") if record.is_sweep else ("pipeline resume", "step")
        repeat_command = (f"robotrain {resume} {record.run}", f"go on: the {step}s that succeeded do not run again")
        if record.is_sweep and record.native:
            repeat_command = (f"robotrain resubmit {record.run}", "run all trials again")
        log_command = (f"robotrain logs --step {step.upper()} {record.run}", f"the log of a {step}")
        if progress.evaluated and progress.evaluated.passed is False and not record.is_sweep:
            report_command = (f"robotrain report {record.run}", "write a page about it: episodes, plots, videos")
            change_command = "robotrain pipeline submit PIPELINE.yaml --set STEP.KEY=VALUE"
            return [report_command, (change_command, "change it: the same policy would fail again")]
        return [repeat_command, log_command]
    return list(_iter_suggestions(record, status, progress))


def _iter_suggestions(record: RunRecord, status: Status, progress: Progress) -> Iterator[tuple[str, str]]:
    run = record.run
    if not status.finished:
        yield f"robotrain watch {run}", "watch it run" if status.state == "running" else "watch it start"
        yield f"robotrain cancel {run}", "stop it"
        return
    if progress.evaluated:
        yield from _suggest_after_evaluation(record, status, progress)
        return
    if status.state == "succeeded":
        yield from _suggest_after_success(record, progress)
        return
    fault = progress.outcome.fault if progress.outcome else ""
    change = (
        find_change(record, status, progress) if status.state == "failed" and fault not in EXTERNAL_FAULTS else None
    )
    repeat_command = (
        f"robotrain resume {run}{_name_branch(record)}" if progress.checkpoint else f"robotrain resubmit {run}"
    )
    keeping_words = find_unkept_change(record, progress)
    if progress.outcome and progress.outcome.worth_a_retry and fault not in ("stopped", *PLACE_FAULTS) and not change:
        yield repeat_command, f"the job is not at fault ({fault.replace('_', ' ')}): it may succeed now"
        yield f"robotrain logs --tail 40 {run}", "the end of its log"
        return
    if status.state == "failed":
        yield f"robotrain logs --tail 40 {run}", "the end of its log"
    if progress.checkpoint and progress.step is not None and progress.step == progress.total:
        yield f"robotrain outputs --to FOLDER {run}", "it reached its last step: download its outputs"
    elif change:
        choice_phrase = f"{VALUE} in place of {change.replaced}" if change.replaced else f"choose {VALUE}"
        change_phrase = "with the change that the reason names" if change.is_complete else choice_phrase
        yield (
            f"{repeat_command} {change.words}",
            f"{change_phrase}: the same job would fail again{f' ({fault})' if fault else ''}",
        )
    elif fault in PLACE_FAULTS:
        yield repeat_command, "once that is mended"
    elif progress.checkpoint and fault not in JOB_FAULTS:
        yield repeat_command, f"continue from step {progress.checkpoint_step}"
    elif keeping_words:
        reason = "once that is mended" if status.state == "failed" else "start it over"
        yield f"{repeat_command} {keeping_words}", f"{reason}, and keep what it saves"
    elif status.state != "failed":
        from robotrain.store.latest_run import REFERENCE_ROLE  # costs start-up

        yield repeat_command, "go on from what it finished" if REFERENCE_ROLE in record.values else "start it over"


def _suggest_after_success(record: RunRecord, progress: Progress) -> Iterator[tuple[str, str]]:
    """Yield the next commands for what a run left."""
    from robotrain.model.job import PUBLISH_PARAMETER  # costs start-up

    run = record.run
    is_empty = record.makes == "checkpoints" and not (record.steps or progress.has_output)
    if words := find_keeping_change(record, progress):
        yield f"robotrain resubmit {run} {words}", "keep what it wrote elsewhere"
    elif is_empty and progress.checkpoint_step is not None and PUBLISH_PARAMETER not in record.values:
        command_line = f"robotrain resubmit {run} --set {PUBLISH_PARAMETER}={VALUE}"
        yield command_line, f"choose {VALUE}: the same job, which keeps its checkpoints there"
    if is_empty:
        yield f"robotrain logs --tail 40 {run}", "the end of its log"
    else:
        yield f"robotrain outputs {run}", "list its outputs"
    yield f"robotrain report {run}", "write a page about it"
    if not is_empty and (command_line := make_evaluation_command(record)):
        yield command_line, "evaluate what it trained"


def _name_branch(record: RunRecord) -> str:
    """Return the option for another branch of the Hub, which a run that goes on needs; empty without the Hub."""
    from robotrain.model.job import HUB_SCHEME, PUBLISH_PARAMETER  # costs start-up

    target = record.values.get(PUBLISH_PARAMETER, ("",))[0]
    change = f"{PUBLISH_PARAMETER}={target.partition('@')[0]}@BRANCH"
    return f" --set {shlex.quote(change)}" if target.startswith(HUB_SCHEME) else ""


def list_next_commands(record: RunRecord, status: Status, progress: Progress) -> list[tuple[str, str]]:
    """Return the next commands for people, which call the run by its name where no other run has it."""
    name = shlex.quote(name_index.find_unique_name(record.run))
    run = re.compile(rf"(?<![\w./-]){re.escape(record.run)}(?![\w./-])")
    return [
        (run.sub(lambda _: name, command), reason) for command, reason in suggest_commands(record, status, progress)
    ]


def _suggest_after_evaluation(record: RunRecord, status: Status, progress: Progress) -> Iterator[tuple[str, str]]:
    """Yield the next commands once there are results; what failed after them is in the log."""
    from robotrain.store.latest_run import REGISTRABLE  # costs start-up

    run = record.run
    yield f"robotrain report {run}", "write a page about it: episodes, plots, videos"
    evaluated = progress.evaluated
    has_new_policy = evaluated and evaluated.policy and not progress.registered
    if evaluated and evaluated.compared:
        yield from _suggest_winner(record, evaluated, can_register=bool(has_new_policy and REGISTRABLE.is_met(record)))
    elif status.state == "succeeded" and has_new_policy and REGISTRABLE.is_met(record):
        yield f"robotrain register {run} MODEL", "register the policy as a version of a model, with its scores"
    if status.state == "failed" and evaluated and evaluated.passed is not False:
        yield f"robotrain logs --tail 40 {run}", "the end of its log"
    if progress.has_output:
        yield f"robotrain outputs --to FOLDER {run}", "download the results"


def _suggest_winner(record: RunRecord, evaluated: "Evaluated", *, can_register: bool) -> Iterator[tuple[str, str]]:
    """Yield the line that registers the winner of a comparison: the evaluated policy, or that of another run."""
    winner = str(evaluated.compared.get("winner") or "")
    command_template = f"register {RUN_FIELD} MODEL"
    run, _, step = winner.rpartition("@")
    if evaluated.compared.get("wins") and evaluated.passed is not False:
        if can_register:
            yield f"robotrain {command_template.format(run=record.run)}", "register the winner as a version of a model"
    elif re.fullmatch(r"[a-z][\w.-]*", run) and step.isdecimal():
        command_line = f"robotrain {command_template.format(run=run)} --step {step}"
        yield command_line, "register the winner as a version of a model"


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


def make_evaluation_command(record: RunRecord) -> str:
    """Return the line that evaluates a run's outputs; empty if its workload declares none for them.

    The one job file for that beside the run's own job file counts, or else the run's own data.
    """
    if not record.outputs.evaluation or record.outputs.not_evaluated_with in record.values:
        return ""
    workload, _, options = record.outputs.evaluation.partition(" ")
    if file := _find_job_file(record.job_folder, workload):
        words = f"{file} {options[: options.index(RUN_FIELD)]}{record.run}"
    else:
        words = fill_in_sources(record.outputs.evaluation, record, {"run": record.run})
    return f"robotrain submit {words} --platform {record.platform}" if words else ""


def _find_job_file(folder: str, workload: str) -> str:
    """Return the only job file of a workload in a folder, as a word to type; empty for none, or several."""
    job_files = []
    workload_pattern = re.compile(
        rb"^workload:\s*[\"']?" + re.escape(workload.encode()) + rb"[\"']?\s*(#.*)?$", re.MULTILINE
    )
    try:
        for path in sorted(Path(folder).glob("*.y*ml"))[:MAX_JOB_FILES] if folder else ():
            if path.is_file() and path.stat().st_size <= MAX_LETTERS and workload_pattern.search(path.read_bytes()):
                job_files.append(path)
    except OSError:
        return ""
    if len(job_files) != 1 or not str(job_files[0]).isprintable():
        return ""
    is_below = job_files[0].is_relative_to(Path.cwd())
    return shlex.quote(str(job_files[0].relative_to(Path.cwd()) if is_below else job_files[0]))


def fill_in_sources(
    template: str, record: RunRecord, values: Mapping[str, str], sources: "Sequence[JobSource] | None" = None
) -> str:
    """Return the words of a template with the options of a run's sources; empty if those cannot be given.

    :param template: as `OutputProfile.evaluation`.
    :param values: what else it names.
    :param sources: the sources, if they are not those of the run.
    """
    from robotrain.store import stored_job  # costs start-up

    options: dict[str, list[str]] = {name: [] for name in re.findall(r"\{(\w+\?)\}", template)}
    plugins = manager.get_plugins()
    try:
        workload = template.partition(" ")[0]
        roles = plugins.workload(workload).roles if workload in plugins.list_names("workload") else {}
        for source in stored_job.read_stored_sources(record.run) if sources is None else sources:
            if source.role in roles and not roles[source.role].reads(source.uri):
                continue
            optional = f"{source.role}?"
            name = optional if optional in options else source.role
            if f"{{{name}}}" in template and not (name == optional and source.implied):
                flag = plugins.source_kind(source.kind).roles[source.role].flag
                options.setdefault(name, []).append(f"{flag} {shlex.quote(redact_if_secret(source.uri))}")
        options_by_name = {name: " ".join(option_texts) for name, option_texts in options.items()}
        return template.format_map({**options_by_name, **values}).rstrip()
    except (Rejected, LookupError, ValueError):  # no plugin of its data is there, or its workload declares another role
        return ""
