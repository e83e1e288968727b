"""From the name of a run to its checkpoint: asks the run records, and the platform of the run."""

import itertools
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from robotrain.errors import Problem, Rejected
from robotrain.model.platform import Platform
from robotrain.model.run import Output, RunGone, RunRecord
from robotrain.model.source import Source, SourceError
from robotrain.plugins.manager import Plugins
from robotrain.store import name_lock, plans, records

LATEST = "latest"
MAX_COMPLETIONS = 50


def complete_run_name(incomplete: str) -> list[str]:
    """What may be meant by the beginning of a name, the newest run first."""
    names = (name for name in (LATEST, *records.iterate_runs()) if name.startswith(incomplete))
    return list(itertools.islice(names, MAX_COMPLETIONS))


def list_checkpoints(record: RunRecord, platform: Platform) -> Mapping[int, Output]:
    """The complete checkpoints of a run, by their steps. Raises Rejected."""
    found = platform.outputs(record.reference)
    return {one.step: one for one in found if one.kind == "checkpoint" and one.step is not None}


def find_latest_run(plugins: Plugins) -> tuple[RunRecord, Mapping[int, Output]]:
    """The newest run that left a complete checkpoint, and its checkpoints: evaluations and trainings that left none are
    passed over. Raises SourceError when there is none, or nobody can tell; Rejected.
    """
    for name in records.iterate_runs():
        record = records.read_record(name)
        if record.phase == "sent" and (found := _try_list_checkpoints(record, plugins)):
            return record, found
    raise SourceError("No run that was sent from here left a complete checkpoint.")


def format_problems(rejected: Rejected) -> str:
    """What is wrong, as sentences."""
    return " ".join(_format_problem(problem) for problem in rejected.problems)


def _try_list_checkpoints(record: RunRecord, plugins: Plugins) -> Mapping[int, Output]:
    try:
        return list_checkpoints(record, plugins.platform(record.platform))
    except RunGone:
        return {}
    except Rejected as rejected:  # an older one must not be taken for it
        why = format_problems(rejected)
        raise SourceError(f"Whether {record.run} left the latest checkpoint cannot be told: {why}") from None


def _format_problem(problem: Problem) -> str:
    return f"{problem.title[:1].upper()}{problem.title[1:]}." + (f" {problem.why}" if problem.why else "")


FOLDER_KINDS = ("local_path", "blob_url", "datastore_path")
"""Kinds whose printed form is a folder, so that a part of it is named by going on with a slash."""

NAME_PATTERN = r"(?a)[\w.-]+"
_LATEST = LATEST
MAX_STEPS_SHOWN = 8
_descriptions: dict[tuple[str, str], str] = {}


def find_checkpoint_source(text: str) -> Source:
    """The model in the checkpoint that `RUN[@STEP]` names, of the kind that reads it there. Raises SourceError."""
    name, step = _split_reference(text)
    plugins = Plugins()
    try:
        record, checkpoints = find_latest_run(plugins) if name == _LATEST else _load_checkpoints(name, plugins)
        found = _select_checkpoint(record, checkpoints, step)
        kind = plugins.source_kinds().get(found.source)
    except Rejected as rejected:
        raise SourceError(format_problems(rejected)) from None
    if kind is None:
        raise SourceError(f"The checkpoint is a {found.source}, and no plugin here reads that.")
    part = f"/{found.model}" if found.model and found.source in FOLDER_KINDS else ""
    source = kind.parse(f"{found.uri}{part}", Path("/"))
    _descriptions[text, str(source)] = f"{record.run}, step {found.step}"
    return source


def describe_checkpoint(text: str, source: Source) -> str:
    """The run and the step that a text stood for when that source was found; empty where it was not."""
    return _descriptions.get((text, str(source)), "")


def _split_reference(text: str) -> tuple[str, int | None]:
    name, at, step = text.partition("@")
    if not text.strip():
        raise SourceError("The name of the run is missing.", "last")
    if not re.fullmatch(NAME_PATTERN, name):
        raise SourceError("This is not the name of a run: that is letters, digits, `_`, `.` and `-`.")
    if at and not re.fullmatch("[0-9]{1,12}", step):
        raise SourceError("The part after `@` is the step of a checkpoint, a whole number.", f"{name}@STEP")
    return name, int(step) if at else None


def _load_checkpoints(name: str, plugins: Plugins) -> tuple[RunRecord, Mapping[int, Output]]:
    """A run and its checkpoints. Raises SourceError when it left none, Rejected."""
    record = name_lock.read_submitted_record(records.find_run(name))
    platform = plugins.platform(record.platform)
    found = list_checkpoints(record, platform)
    if not found:
        raise _explain_no_checkpoint(record, platform)
    return record, found


def _select_checkpoint(record: RunRecord, checkpoints: Mapping[int, Output], step: int | None) -> Output:
    """The checkpoint of `step`, or the last. Raises SourceError."""
    if step is None:
        return checkpoints[max(checkpoints)]
    if step not in checkpoints:
        near = min(checkpoints, key=lambda known: abs(known - step))
        raise SourceError(
            f"{record.run} has no checkpoint of step {step}: {_format_steps(sorted(checkpoints))}.",
            f"{record.run}@{near}",
        )
    return checkpoints[step]


def _explain_no_checkpoint(record: RunRecord, platform: Platform) -> SourceError:
    if record.makes != "checkpoints":
        given = [source.uri for source in plans.read_stored_sources(record.run) if source.role == "policy"]
        named = f": the policy that it was given is {' and '.join(given)}" if given else ""
        return SourceError(f"{record.run} is a run of {record.workload}, which leaves no checkpoint{named}.")
    now = platform.status(record.reference)
    if not now.finished:
        after = f"`robotrain wait {record.run}` returns when it has ended"
        return SourceError(f"{record.run} is {now.state} and has no complete checkpoint yet: {after}.")
    why = f" ({now.reason})" if now.reason else ""
    return SourceError(f"{record.run} left no complete checkpoint: {now.state}{why}.")


def _format_steps(steps: Sequence[int]) -> str:
    few = ", ".join(map(str, steps[-MAX_STEPS_SHOWN:]))
    return f"it has {'…, ' if len(steps) > MAX_STEPS_SHOWN else ''}{few}"
