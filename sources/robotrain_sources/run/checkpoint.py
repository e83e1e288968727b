"""From the name of a run to the checkpoint it left: asks the records of runs, and the platform that the run is on."""

import re
from collections.abc import Sequence
from pathlib import Path

from robotrain import store
from robotrain.platforms import Platform
from robotrain.plugins import Plugins
from robotrain.problem import Problem, Rejected
from robotrain.run import Output, RunRecord
from robotrain.source import Source, SourceError

FOLDERS = ("local_path", "blob_url")
"""Kinds whose printed form is a folder, so that a part of it is named by going on with a slash."""

NAME = r"(?a)[\w.-]+"
SHOWN = 8


def find(text: str) -> Source:
    """The model in the checkpoint that `RUN[@STEP]` names, of the kind that reads it there. Raises SourceError."""
    name, step = _split(text)
    try:
        record = store.sent(store.find(name))
        plugins = Plugins()
        platform = plugins.platform(record.platform)
        found = _chosen(record, platform, step)
        kind = plugins.source_kinds().get(found.source)
    except Rejected as rejected:
        raise SourceError(" ".join(_sentence(problem) for problem in rejected.problems)) from None
    if kind is None:
        raise SourceError(f"The checkpoint is a {found.source}, and no plugin here reads that.")
    part = f"/{found.model}" if found.model and found.source in FOLDERS else ""
    return kind.parse(f"{found.uri}{part}", Path("/"))


def _split(text: str) -> tuple[str, int | None]:
    name, at, step = text.partition("@")
    if not text.strip():
        raise SourceError("The name of the run is missing.", "last")
    if not re.fullmatch(NAME, name):
        raise SourceError("This is not the name of a run: that is letters, digits, `_`, `.` and `-`.")
    if at and not re.fullmatch("[0-9]{1,12}", step):
        raise SourceError("The part after `@` is the step of a checkpoint, a whole number.", f"{name}@STEP")
    return name, int(step) if at else None


def _chosen(record: RunRecord, platform: Platform, step: int | None) -> Output:
    """The checkpoint of `step`, or the last. Raises SourceError, Rejected."""
    found = {
        one.step: one for one in platform.outputs(record.reference) if one.kind == "checkpoint" and one.step is not None
    }
    if not found:
        raise _none_yet(record, platform)
    if step is None:
        return found[max(found)]
    if step not in found:
        near = min(found, key=lambda known: abs(known - step))
        raise SourceError(
            f"{record.run} has no checkpoint of step {step}: {_listed(sorted(found))}.", f"{record.run}@{near}"
        )
    return found[step]


def _none_yet(record: RunRecord, platform: Platform) -> SourceError:
    now = platform.status(record.reference)
    if not now.finished:
        after = f"`robotrain wait {record.run}` returns when it has ended"
        return SourceError(f"{record.run} is {now.state} and has no complete checkpoint yet: {after}.")
    why = f" ({now.reason})" if now.reason else ""
    return SourceError(f"{record.run} left no complete checkpoint: {now.state}{why}.")


def _listed(steps: Sequence[int]) -> str:
    few = ", ".join(map(str, steps[-SHOWN:]))
    return f"it has {'…, ' if len(steps) > SHOWN else ''}{few}"


def _sentence(problem: Problem) -> str:
    return f"{problem.title[:1].upper()}{problem.title[1:]}." + (f" {problem.why}" if problem.why else "")
