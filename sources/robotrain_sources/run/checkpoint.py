"""From the name of a run to the checkpoint it left: asks the records of runs, and the platform that the run is on."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from robotrain import sent_plans, store
from robotrain.platforms import Platform
from robotrain.plugins import Plugins
from robotrain.problem import Rejected
from robotrain.run import Output, RunRecord
from robotrain.source import Source, SourceError

from robotrain_sources.run import left

FOLDERS = ("local_path", "blob_url", "datastore_path")
"""Kinds whose printed form is a folder, so that a part of it is named by going on with a slash."""

NAME = r"(?a)[\w.-]+"
LATEST = left.LATEST
SHOWN = 8
_FOUND: dict[tuple[str, str], str] = {}


def find(text: str) -> Source:
    """The model in the checkpoint that `RUN[@STEP]` names, of the kind that reads it there. Raises SourceError."""
    name, step = _split(text)
    plugins = Plugins()
    try:
        record, checkpoints = left.latest(plugins) if name == LATEST else _of(name, plugins)
        found = _chosen(record, checkpoints, step)
        kind = plugins.source_kinds().get(found.source)
    except Rejected as rejected:
        raise SourceError(left.sentences(rejected)) from None
    if kind is None:
        raise SourceError(f"The checkpoint is a {found.source}, and no plugin here reads that.")
    part = f"/{found.model}" if found.model and found.source in FOLDERS else ""
    source = kind.parse(f"{found.uri}{part}", Path("/"))
    _FOUND[text, str(source)] = f"{record.run}, step {found.step}"
    return source


def told(text: str, source: Source) -> str:
    """The run and the step that a text stood for when that source was found; empty where it was not."""
    return _FOUND.get((text, str(source)), "")


def _split(text: str) -> tuple[str, int | None]:
    name, at, step = text.partition("@")
    if not text.strip():
        raise SourceError("The name of the run is missing.", "last")
    if not re.fullmatch(NAME, name):
        raise SourceError("This is not the name of a run: that is letters, digits, `_`, `.` and `-`.")
    if at and not re.fullmatch("[0-9]{1,12}", step):
        raise SourceError("The part after `@` is the step of a checkpoint, a whole number.", f"{name}@STEP")
    return name, int(step) if at else None


def _of(name: str, plugins: Plugins) -> tuple[RunRecord, Mapping[int, Output]]:
    """A run and its checkpoints. Raises SourceError when it left none, Rejected."""
    record = store.sent(store.find(name))
    platform = plugins.platform(record.platform)
    found = left.checkpoints(record, platform)
    if not found:
        raise _none_yet(record, platform)
    return record, found


def _chosen(record: RunRecord, found: Mapping[int, Output], step: int | None) -> Output:
    """The checkpoint of `step`, or the last. Raises SourceError."""
    if step is None:
        return found[max(found)]
    if step not in found:
        near = min(found, key=lambda known: abs(known - step))
        raise SourceError(
            f"{record.run} has no checkpoint of step {step}: {_listed(sorted(found))}.", f"{record.run}@{near}"
        )
    return found[step]


def _none_yet(record: RunRecord, platform: Platform) -> SourceError:
    if record.makes != "checkpoints":
        given = [source.uri for source in sent_plans.sources(record.run) if source.role == "policy"]
        named = f": the policy that it was given is {' and '.join(given)}" if given else ""
        return SourceError(f"{record.run} is a run of {record.workload}, which leaves no checkpoint{named}.")
    now = platform.status(record.reference)
    if not now.finished:
        after = f"`robotrain wait {record.run}` returns when it has ended"
        return SourceError(f"{record.run} is {now.state} and has no complete checkpoint yet: {after}.")
    why = f" ({now.reason})" if now.reason else ""
    return SourceError(f"{record.run} left no complete checkpoint: {now.state}{why}.")


def _listed(steps: Sequence[int]) -> str:
    few = ", ".join(map(str, steps[-SHOWN:]))
    return f"it has {'…, ' if len(steps) > SHOWN else ''}{few}"
