"""Checkpoints of earlier runs, by run name: from the run records and the run's platform."""

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from robotrain.errors import Rejected
from robotrain.model.job import Job
from robotrain.model.platform import Platform
from robotrain.model.reference import LOGIN_KEY
from robotrain.model.run import Output, RunGone, RunRecord, locate_output
from robotrain.model.source import LOCAL_KIND, REMOTE_KIND, Source, SourceError
from robotrain.plugins.manager import Plugins
from robotrain.store import latest_run, name_index, name_lock, plans, records, stored_job

ALL = "all"


def complete_run_name(incomplete: str) -> list[str]:
    """Return completions of a run or its name, the newest first."""
    return [
        *([latest_run.LATEST] if latest_run.LATEST.startswith(incomplete) else []),
        *name_index.complete_run_names(incomplete),
    ]


def list_checkpoints(record: RunRecord, platform: Platform) -> Mapping[int, Output]:
    """Return the complete checkpoints of a run by step. Raise Rejected."""
    host = record.reference.get(LOGIN_KEY, "")
    outputs = (locate_output(output, host) for output in platform.engine.outputs(record.reference))
    return {output.step: output for output in outputs if output.kind == "checkpoint" and output.step is not None}


def find_latest_checkpoints(plugins: Plugins, flag: str = "") -> tuple[RunRecord, Mapping[int, Output]]:
    """Return the newest run with a complete checkpoint, and its checkpoints.

    Raise SourceError if there is none or a platform does not answer; Rejected.

    :param flag: the option that takes it: runs whose workload says that it does come before all others.
    """
    for is_fitting in (True, False):
        for name in records.iterate_runs():
            record = records.read_record(name)
            if record.phase != "sent" or latest_run.can_be_evaluated(record, flag) != is_fitting:
                continue
            try:
                if checkpoints := list_checkpoints(record, plugins.platform_of(record)):
                    return record, checkpoints
            except RunGone:
                continue
            except Rejected as rejected:  # an older run must not take its place
                reason = format_problems(rejected)
                raise SourceError(f"The checkpoints of {record.run} cannot be listed: {reason}") from None
    raise SourceError("No run that was sent from here left a complete checkpoint.")


def format_problems(rejection: Rejected) -> str:
    """Return the problems as sentences."""
    sentences = []
    for problem in rejection.problems:
        sentences += [f"{problem.title[:1].upper()}{problem.title[1:]}.", problem.why]
    return " ".join(filter(None, sentences))


FOLDER_KINDS = (LOCAL_KIND, REMOTE_KIND, "blob_url", "datastore_path")
"""Kinds whose printed form is a folder, to which a subfolder can be appended."""

START_MARK = ":policy"
"""After the name of a run: the policy that it started from."""
START_ROLES = ("policy", "init_policy")
OTHER_SOURCE = "--backbone-path FOLDER"
NAME_PATTERN = r"(?a)[\w.-]+"
MAX_STEPS_SHOWN = 8
_descriptions: dict[tuple[str, str], str] = {}
_runs: dict[str, str] = {}
"""The run that a text meant when it was parsed."""


def find_checkpoint_source(text: str, flag: str = "") -> Source:
    """Return the source of the model in the checkpoint that `RUN[@STEP]` names. Raise SourceError.

    :param flag: the option that it is for, which decides which run is the latest.
    """
    name, separator, step_text = text.partition("@")
    if not text.strip():
        raise SourceError("The name of the run is missing.", "last")
    if text.endswith(START_MARK):
        return _find_start(text.strip().removesuffix(START_MARK))
    if not re.fullmatch(NAME_PATTERN, name):
        raise SourceError("This is not the name of a run: use letters, digits, `_`, `.` and `-`.")
    if separator and step_text != ALL and not re.fullmatch("[0-9]{1,12}", step_text):
        raise SourceError("The part after `@` is the step of a checkpoint, a whole number, or all.", f"{name}@STEP")
    step = int(step_text) if separator and step_text != ALL else None
    plugins = Plugins()
    try:
        if name in latest_run.NEWEST_NAMES:
            record, checkpoints = find_latest_checkpoints(plugins, flag)
        else:
            record = name_lock.read_submitted_record(name_index.find_run(name))
            platform = plugins.platform_of(record)
            if not (checkpoints := list_checkpoints(record, platform)):
                raise _explain_no_checkpoint(record, platform)
        checkpoint = _select_checkpoint(record, checkpoints, step)
        if step_text == ALL:
            checkpoint = _find_common_folder(record, checkpoints)
        kind = plugins.source_kinds().get(checkpoint.source)
    except Rejected as rejected:
        raise SourceError(format_problems(rejected)) from None
    if kind is None:
        raise SourceError(f"No installed plugin can read the checkpoint: it is a {checkpoint.source}.")
    model = f"/{checkpoint.model}" if checkpoint.model and checkpoint.source in FOLDER_KINDS else ""
    source = kind.parse(f"{checkpoint.uri}{model}", Path("/"))
    choice = name_index.describe_choice(name, record.run)
    _runs[text] = record.run
    checkpoint_text = f"all {len(checkpoints)} checkpoints" if step_text == ALL else f"step {checkpoint.step}"
    _descriptions[text, str(source)] = ", ".join(filter(None, (record.run, choice, checkpoint_text)))
    return source


def _find_start(name: str) -> Source:
    """Return the source of the policy that a run started from. Raise SourceError."""
    try:
        run = name_index.find_run(name)
        sources = [source for source in stored_job.read_stored_sources(run) if source.role in START_ROLES]
        kind = Plugins().source_kinds().get(sources[0].kind) if sources else None
    except Rejected:
        reason = f"{name} is no run of this machine: only where it was submitted, it is known what it started from."
        raise SourceError(reason, OTHER_SOURCE) from None
    if kind is None:
        raise SourceError(f"It is not known what {name} started from.", OTHER_SOURCE)
    return kind.parse(sources[0].uri, Path("/"))


def describe_checkpoint(run_text: str, source: Source) -> str:
    """Return the run and step that a text meant when it was parsed; empty if it was not parsed here."""
    return _descriptions.get((run_text, str(source)), "")


def find_job(text: str) -> Job | None:
    """Return the job of the run that a text meant when it was parsed here; None if its plan cannot be read."""
    if text not in _runs:
        return None
    with suppress(Rejected, OSError):
        return plans.read_stored_plan(_runs[text]).plan.job
    return None


def _select_checkpoint(record: RunRecord, checkpoints: Mapping[int, Output], step: int | None) -> Output:
    if step is None:
        return checkpoints[max(checkpoints)]
    if step not in checkpoints:
        nearest, steps = min(checkpoints, key=lambda saved_step: abs(saved_step - step)), sorted(checkpoints)
        steps_text = ", ".join(map(str, steps[-MAX_STEPS_SHOWN:]))
        omitted_note = "…, " if len(steps) > MAX_STEPS_SHOWN else ""
        reason = f"{record.run} has no checkpoint of step {step}: it has {omitted_note}{steps_text}."
        raise SourceError(reason, f"{record.run}@{nearest}")
    return checkpoints[step]


def _find_common_folder(record: RunRecord, checkpoints: Mapping[int, Output]) -> Output:
    """Return the folder of all checkpoints of a run as an output. Raise SourceError if they are not in one folder."""
    newest_output = checkpoints[max(checkpoints)]
    parents = {
        (checkpoint.source, checkpoint.uri.rstrip("/").rpartition("/")[0]) for checkpoint in checkpoints.values()
    }
    if len(parents) > 1 or newest_output.source not in FOLDER_KINDS:
        reason = (
            f"The checkpoints of {record.run} are not in one folder that can be read as a whole "
            f"({newest_output.source})."
        )
        raise SourceError(reason, f"{record.run}@{newest_output.step}")
    return replace(newest_output, uri=newest_output.uri.rstrip("/").rpartition("/")[0], model="")


def _explain_no_checkpoint(record: RunRecord, platform: Platform) -> SourceError:
    if record.makes != "checkpoints":
        policies = [source.uri for source in stored_job.read_stored_sources(record.run) if source.role == "policy"]
        hint = f": its input policy is {' and '.join(policies)}" if policies else ""
        return SourceError(f"{record.run} is a run of {record.workload}, which writes no checkpoints{hint}.")
    status = platform.engine.status(record.reference)
    if not status.finished:
        hint = f"use `robotrain wait {record.run}` to wait for its end"
        return SourceError(f"{record.run} is {status.state} and has no complete checkpoint yet: {hint}.")
    end_state = f"{status.state} ({status.reason})" if status.reason else status.state
    return SourceError(f"{record.run} wrote no complete checkpoint: {end_state}.")
