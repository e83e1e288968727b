"""Records of runs on disk: one folder per run, with `record.json` and the submitted plan in `plan/`."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import itertools
import json
import os
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from robotrain_runtime.contract.json_values import convert_fields

from robotrain.errors import Problem, Rejected, Suggestion
from robotrain.messages import Messages
from robotrain.model.reference import Reference
from robotrain.model.run import RunRecord, Status, list_run_parts
from robotrain.model.workload_profile import Metric, OutputProfile
from robotrain.redaction import redact, redact_if_secret
from robotrain.store import files

make_problem = Messages(__file__)


def make_unlockable_problem() -> Problem:
    """Return the problem of a state folder without file locks."""
    return make_problem("state-folder-unlockable", where=_find_state_variable(), given=str(files.get_state_folder()))


def make_unwritable_problem(error: OSError) -> Problem:
    """Return the problem of a state folder that cannot be written."""
    is_full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    message = "state-folder-unwritable.full" if is_full else "state-folder-unwritable.refused"
    variable_name = _find_state_variable()
    folder = str(files.get_state_folder())
    return make_problem(message, where=variable_name, given=folder, why=error.strerror or str(error))


def _find_state_variable() -> str:
    """Return the environment variable that says where the state folder is; empty if it is the usual one."""
    return "ROBOTRAIN_STATE" if os.environ.get("ROBOTRAIN_STATE") else ""


def make_being_submitted_problem(record: RunRecord) -> Problem:
    """Return the problem of a run that another process is submitting."""
    return make_problem("run-being-sent.to-platform", run=record.run, platform=record.platform)


def make_broken_record_problem(path: Path, reason: str) -> Problem:
    """Return the problem of a record that cannot be read."""
    way = _suggest_removal(path)
    return make_problem("record-broken", way, where=str(path), name=path.parent.name, why=reason)


def _suggest_removal(path: Path) -> Suggestion:
    return Suggestion(f"rm -r {shlex.quote(str(path.parent))}", "removes the record, not the run itself")


SCHEMA = 1
"""The format of a record: no other one is read."""
RECORD_FILE = "record.json"
REMOVED_FILE = "forgotten"
"""Remains in the folder of a removed run: its name is never used again."""
STEP_FILE = "step"
"""Stands in the folder of a run that is a step of a pipeline."""
OPEN_MAPPINGS = ("reference", "settings")
"""Fields whose values may be of any type."""


class UnknownRun(Rejected):
    """No run of that name is recorded here."""

    def __init__(
        self,
        title: str,
        *suggestions: Suggestion,
        text: str = "",
        is_ambiguous: bool = False,
    ) -> None:
        self.is_ambiguous = is_ambiguous
        problem = make_problem("run-unknown", *suggestions, given=text, title=title)
        super().__init__([problem])


def get_run_folder(run: str) -> Path:
    """Return the folder of a run's record and plan."""
    return get_runs_folder() / run


def write_record(record: RunRecord) -> None:
    """Write a record, replacing an earlier one atomically. Raise Rejected."""
    home = get_run_folder(record.run)
    notes = tuple(map(redact_if_secret, record.notes))
    record = dataclasses.replace(record, note=redact_if_secret(record.note), notes=notes)
    body = {field.name: getattr(record, field.name) for field in dataclasses.fields(record)}
    record_json = json.dumps({"schema": SCHEMA} | body, indent=1, sort_keys=True, default=_convert_to_mapping) + "\n"
    with report_write_errors():
        files.make_private_folder(home)
        files.write_private_file(home / RECORD_FILE, record_json.encode())
        files.sync_folder(home.parent)


def read_record(run: str) -> RunRecord:
    """Return the record of a run. Raise UnknownRun if there is none, Rejected if it cannot be read."""
    path = get_runs_folder().joinpath(run, RECORD_FILE)
    try:
        data = files.read_json(path)
    except (OSError, ValueError) as error:  # a JSON or UTF-8 error is a ValueError
        if not os.path.lexists(path):
            raise UnknownRun(f"there is no record of a run {redact(run)!r} in {get_runs_folder()}") from None
        raise Rejected([make_broken_record_problem(path, str(error))]) from None
    return _parse_record(data, path)


def find_record(run: str) -> RunRecord | None:
    """Return the record of a run; None if there is none. Raise Rejected if it cannot be read."""
    try:
        return read_record(run) if run else None
    except UnknownRun:
        return None


def find_readable_record(run: str) -> RunRecord | None:
    """Return the record of a run; None if there is none, or it cannot be read."""
    with contextlib.suppress(Rejected):
        return find_record(run)
    return None


def refers_to(record: RunRecord, keys: Reference) -> bool:
    """Return whether the reference of a record has all of some keys, however their paths are spelled.

    A key that it lacks is empty, such as the login node of a run here.
    """
    reference = record.reference
    return all(_resolve_path(reference.get(key, "")) == _resolve_path(key_value) for key, key_value in keys.items())


def _resolve_path(text: str) -> str:
    return os.path.realpath(text) if text.startswith(os.sep) else text


def find_record_of_outputs(address: str) -> RunRecord | None:
    """Return the record of the run whose outputs an address is in; None for any other address."""
    for run in list_run_parts(address):
        if record := find_readable_record(run):
            return record
    return None


def get_output_profile(run: str) -> OutputProfile:
    """Return the declared outputs of a run's workload; the defaults if there is no record."""
    try:
        return read_record(run).outputs
    except Rejected:
        return OutputProfile()


def iterate_runs(accept: Callable[[str], bool] = lambda name: True, *, with_steps: bool = True) -> Iterator[str]:
    """Yield the names of the recorded runs that `accept` takes, newest first.

    :param with_steps: include the runs of pipelines' steps.
    """
    top = str(get_runs_folder())
    names = (
        name for name in _list_names_by_age(top) if accept(name) and os.path.lexists(f"{top}/{name}/{RECORD_FILE}")
    )
    return names if with_steps else (name for name in names if not is_step(name))


MAX_EXAMINED = 500
"""How many of the newest runs are looked at where all would take too long."""


def iterate_newest_runs() -> Iterator[str]:
    """Yield the names of the newest recorded runs, those of steps too, newest first."""
    return itertools.islice(iterate_runs(), MAX_EXAMINED)


def is_step(run: str) -> bool:
    """Return whether a run is a step of a pipeline."""
    return os.path.lexists(os.path.join(get_runs_folder(), run, STEP_FILE))


def list_runs() -> list[str]:
    """Return the names of all recorded runs, newest first."""
    return list(iterate_runs())


def get_runs_folder() -> Path:
    """Return the folder with a folder for each run."""
    return files.get_state_folder() / "runs"


def has_record(name: str) -> bool:
    """Return whether a run has a record, readable or not."""
    return os.sep not in name and os.path.lexists(os.path.join(get_runs_folder(), name, RECORD_FILE))


def _list_names_by_age(top: str) -> list[str]:
    """Return all claimed names in the folder of runs, newest first."""
    dated_names = []
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        for name in os.listdir(top):
            with contextlib.suppress(OSError):
                if not name.startswith("."):  # being removed
                    dated_names.append((_get_claim_time(f"{top}/{name}"), _make_sort_key(name), name))
    return [name for *_, name in sorted(dated_names, reverse=True)]


def _get_claim_time(folder: str) -> int:
    try:
        return os.stat(f"{folder}/{LOCK_FILE}").st_mtime_ns
    except FileNotFoundError:  # a copy of the folder without its empty file
        return os.stat(folder).st_mtime_ns


def _make_sort_key(name: str) -> tuple[str, int]:
    """Return a key that sorts attempt 10 after attempt 9."""
    stem, _, attempt = name.rpartition("-")
    return stem, int(attempt) if attempt.isdecimal() else 0


def _parse_record(data: Any, path: Path) -> RunRecord:
    """Return `data` as a record."""
    if not isinstance(data, dict) or data.get("schema") != SCHEMA:
        raise Rejected([make_broken_record_problem(path, f"it is not of format {SCHEMA}")])
    metric_entries = data["metrics"] if isinstance(data.get("metrics"), list) else []
    named_metrics = (
        entry for entry in metric_entries if isinstance(entry, dict) and isinstance(entry.get("name"), str)
    )
    metrics = tuple(_parse_declaration(Metric, entry) for entry in named_metrics)
    outputs = _parse_declaration(OutputProfile, data.get("outputs"))
    open_mappings = {name: data[name] for name in OPEN_MAPPINGS if isinstance(data.get(name), dict)}
    emptied_fields: dict[str, Any] = {"outputs": {}, "metrics": [], **{name: {} for name in open_mappings}}
    try:
        record = convert_fields(RunRecord, {**data, **emptied_fields})
    except (ValueError, TypeError) as error:
        raise Rejected([make_broken_record_problem(path, str(error))]) from None
    if record.run != path.parent.name or any(len(pair) != 2 for pair in record.values.values()):
        raise Rejected([make_broken_record_problem(path, "it belongs to another run, or was edited")])
    return dataclasses.replace(record, outputs=outputs, metrics=metrics, **open_mappings)


def _parse_declaration(kind: Any, data: Any) -> Any:
    """Return a declaration of a workload with its valid fields; invalid ones get their defaults."""
    field_values = data if isinstance(data, dict) else {}
    defaults = {field.name: field.default for field in dataclasses.fields(kind)}
    defaults |= {"name": ""} if kind is Metric else {}
    return kind(
        **{
            name: field_values[name]
            for name, default in defaults.items()
            if type(field_values.get(name)) is type(default)
        }
    )


def _convert_to_mapping(value: Any) -> dict[str, Any]:
    return dataclasses.asdict(value) if isinstance(value, OutputProfile | Metric) else dict(value)


@contextlib.contextmanager
def report_write_errors() -> Iterator[None]:
    """Raise Rejected for an OSError in the block."""
    try:
        yield
    except OSError as error:
        raise Rejected([make_unwritable_problem(error)]) from error


FINAL_STATUS_FILE = "ended.json"


def save_final_status(run: str, status: Status) -> None:
    """Store the status of an ended run, if the folder can be written."""
    if status.finished and read_final_status(run) != status:
        with contextlib.suppress(OSError):
            status_json = json.dumps(dataclasses.asdict(status))
            files.write_private_file(get_run_folder(run) / FINAL_STATUS_FILE, status_json.encode())


def read_final_status(run: str) -> Status | None:
    """Return the stored status of an ended run; None if there is none."""
    try:
        status = convert_fields(Status, files.read_json(get_run_folder(run) / FINAL_STATUS_FILE))
        return status if status.finished else None
    except (OSError, ValueError, TypeError):  # an incomplete file: a JSON or UTF-8 error is a ValueError
        return None


LOCK_FILE = "claimed"
