"""Which run a text means, and the index of the names that people gave with `--name`, which need not be unique."""

import collections
import contextlib
import itertools
import os
import re
from collections.abc import Iterator
from typing import NamedTuple

from robotrain.errors import Rejected, Suggestion
from robotrain.model.run import RunRecord
from robotrain.nearest_name import suggest_name
from robotrain.redaction import redact
from robotrain.store import files, records
from robotrain.store.latest_run import LATEST, NEWEST_NAMES, RunNeed, find_latest_run

MAX_NAMES, MAX_NEWEST = 8, 3
MAX_COMPLETIONS = 50
NEWEST = 200
"""The names of how many runs are completed or suggested: to look at ten thousand would take longer than all else."""
MIN_INDEXED = 20
"""Fewer records are read faster than their index is worth."""


class NamedRun(NamedTuple):
    """An entry of the index."""

    version: str
    """Changes with the file of the record."""
    name: str
    is_step: bool


def find_run(text: str = "", need: RunNeed | None = None) -> str:
    """Return the run that a text means; by default the newest, of those that have what is needed. Raise UnknownRun.

    It is a run, the beginning of one, a name given with `--name` or its beginning, of which the newest run counts, or a
    part of a run.
    """
    if text in NEWEST_NAMES:
        if latest_run := find_latest_run(need):
            return latest_run
    elif records.has_record(text):
        return text
    matches = [*records.iterate_runs(lambda name: name.startswith(text))]
    if len(matches) == 1:
        return matches[0]
    if named_runs := find_named_runs(text):
        return named_runs[0]
    name_by_run = read_names()
    if not matches:
        beginning = {run: name for run, name in name_by_run.items() if text and name.startswith(text)}
        if len({*beginning.values()}) == 1:
            return next(iter(beginning))
        matches = [*beginning] or [*records.iterate_runs(lambda name: text in name)]
        matches = [name for name in matches if name.endswith(f"-{text}")] or matches  # without its workload
    if len(matches) == 1:
        return matches[0]
    if matches:
        runs_text = _format_runs(matches, name_by_run)
        raise records.UnknownRun(
            f"{len(matches)} runs match {text!r}: {runs_text}; give more of the name", is_ambiguous=True
        )
    runs = records.list_runs()
    if not runs:
        way = Suggestion("robotrain submit job.yaml --platform PLATFORM", "starts one")
        raise records.UnknownRun(f"no run has been submitted yet ({records.get_runs_folder()} has no records)", way)
    if step := find_step(text):
        return step.run
    newest_runs = list(itertools.islice(records.iterate_runs(with_steps=False), NEWEST)) or runs[:NEWEST]
    names = [LATEST, *filter(None, map(name_by_run.get, newest_runs)), *newest_runs]
    newest_text = _format_runs(newest_runs[:MAX_NEWEST], name_by_run)
    title = f"there is no run {redact(text)!r}; the newest are {newest_text}"
    raise records.UnknownRun(title, *suggest_name(text, names), text=text)


def find_step(text: str) -> RunRecord | None:
    """Return the newest run of a step that a text names as `RUN-STEP`, such as `NAME-trial-5`; None for other texts.

    A step that an engine runs is no run of its own.
    """
    for owner, step in _list_steps(text):
        for run in records.iterate_runs():
            with contextlib.suppress(Rejected):  # a damaged record
                record = records.read_record(run)
                if record.pipeline == owner and record.step == step:
                    return record
    return None


def name_step(record: RunRecord) -> str:
    """Return what to call the run of a step, `NAME-trial-5`; empty for a run that is no step."""
    if not record.pipeline:
        return ""
    owner = records.find_readable_record(record.pipeline)
    return f"{(owner and owner.name) or record.pipeline}-{record.step}"


def _list_steps(text: str) -> Iterator[tuple[str, str]]:
    """Yield what `RUN-STEP` may mean: a recorded run, and what would be its step."""
    for match in re.finditer(r"[-/](?=[a-z])", text):
        name = text[: match.start()]
        owners = find_named_runs(name) or [name] * records.has_record(name)
        yield from ((owner, text[match.end() :]) for owner in owners[:1])


def names_run(text: str) -> bool:
    """Return whether a text means a run where it may also be a folder, or an address.

    A run, its name, or `latest` does, also if a folder here is called like that (`./NAME` is the folder). What only
    begins or ends one does if nothing here is called like that.
    """
    if not re.fullmatch(r"(?a)\w[\w.-]*", text):
        return False
    if text in NEWEST_NAMES or records.has_record(text) or find_named_runs(text):
        return True
    if os.path.exists(text):
        return False
    try:
        run = find_run(text)
    except records.UnknownRun as unknown:
        return unknown.is_ambiguous
    return run.startswith(text) or run.endswith(f"-{text}") or bool(_find_meant_name(text, run) or find_step(text))


def find_named_runs(name: str) -> list[str]:
    """Return the runs that were given a name, newest first."""
    return [run for run, run_name in read_names().items() if run_name == name] if name else []


def list_runs_of_same_name(text: str, run: str) -> list[str]:
    """Return the runs with the name of a run that a text meant by its name; only the run if it meant the run itself."""
    name = _find_meant_name(text, run)
    return find_named_runs(name) if name else [run]


def describe_choice(text: str, run: str) -> str:
    """Return why a text that is a name, or the beginning of one, means a run; empty for any other text."""
    if not (name := _find_meant_name(text, run)):
        step = None if run.startswith(text) or run.endswith(f"-{text}") else find_step(text)
        return f"{step.step} of {step.pipeline}" if step and step.run == run else ""
    named_runs = find_named_runs(name)
    choice_text = "the newest" if run == named_runs[0] else "the only unfinished one"
    if name == text:
        return f"{choice_text} of {len(named_runs)} runs of this name" if len(named_runs) > 1 else ""
    return f"{choice_text} of {len(named_runs)} runs named {name}" if len(named_runs) > 1 else f"named {name}"


def _find_meant_name(text: str, run: str) -> str:
    """Return the name of a run that a text is, or begins; empty if the text means the run itself or the newest."""
    name = "" if text in NEWEST_NAMES or run.startswith(text) else read_names().get(run, "")
    return name if name.startswith(text) else ""


def find_unique_name(run: str) -> str:
    """Return what to call a run in a command: its name if that means no other run, or else the run itself."""
    name_by_run = read_names()
    name = name_by_run.get(run, "")
    is_shared = sum(name == other_name for other_name in name_by_run.values()) > 1 or any(
        records.iterate_runs(lambda other: other.startswith(name))
    )
    return run if not name or is_shared else name


def list_file_names() -> dict[str, str]:
    """Return what a file about each run is called, without suffix: the run's name; with the run behind it where several
    runs have that name; the run alone if it has none.
    """
    name_by_run = read_names()
    counts = collections.Counter(name_by_run.values())
    return {run: f"{name}.{run}" if name and counts[name] > 1 else name or run for run, name in name_by_run.items()}


def complete_run_names(incomplete: str) -> list[str]:
    """Return the names of the newest runs, and the runs, that begin like this, newest first."""
    run_names = read_names(NEWEST).values()
    names = dict.fromkeys(name for name in run_names if name and name.startswith(incomplete))
    runs = records.iterate_runs(lambda run: run.startswith(incomplete), with_steps=False)
    return [*itertools.islice(names, MAX_COMPLETIONS), *itertools.islice(runs, MAX_COMPLETIONS)]


def read_names(newest: int | None = None) -> dict[str, str]:
    """Return the name of each run, newest first, without steps of pipelines; empty for one that was given none.

    Only records that changed are read. One that cannot be read is left out.

    :param newest: of so many runs; None for all.
    """
    path = files.get_state_folder() / ("names.index" if newest is None else f"names-{newest}.index")
    indexed_runs: dict[str, NamedRun] = {}
    with contextlib.suppress(OSError, ValueError, TypeError):  # there is none, or it is damaged
        indexed_runs = {run: NamedRun(*named_run) for run, named_run in files.read_checked_json(path).items()}
    named_runs = dict[str, NamedRun]()
    top = str(records.get_runs_folder())
    for run in itertools.islice(records.iterate_runs(), newest):
        with contextlib.suppress(OSError, Rejected):
            stat = os.stat(f"{top}/{run}/{records.RECORD_FILE}")
            named_run = indexed_runs.get(run)
            version = f"{stat.st_ino} {stat.st_mtime_ns}"
            if named_run is None or named_run.version != version:
                record = records.read_record(run)
                named_run = NamedRun(version, record.name, bool(record.pipeline))
            named_runs[run] = named_run
    if len(named_runs) >= MIN_INDEXED and named_runs != indexed_runs:
        with contextlib.suppress(OSError):
            files.write_checked_json(path, named_runs)
    return {run: named_run.name for run, named_run in named_runs.items() if not named_run.is_step}


def _format_runs(runs: list[str], names: dict[str, str]) -> str:
    """Return some of the runs, each with its name in brackets."""
    run_texts = [f"{run} ({names[run]})" if names.get(run) else run for run in runs[:MAX_NAMES]]
    return ", ".join(run_texts) + (", …" if len(runs) > MAX_NAMES else "")
