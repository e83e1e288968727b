"""Records of runs on disk, one folder a run. Every command that watches reads them: stays light.

`runs/<run>/claimed` is made once, so its time orders the runs, and held while the job is sent; `record.json` beside it
is replaced as the run goes on; `plan/` is what was sent.

So a record left at `sending` tells two things apart: whoever holds the name is still at it; nobody does, then it was
interrupted.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import functools
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

from robotrain.errors import Problem, Rejected, Stage, Suggestion
from robotrain.model.run import RunRecord, Status
from robotrain.model.workload import Metric, OutputProfile
from robotrain.redaction import redact
from robotrain.store import files


def make_unlockable_problem() -> Problem:
    """Nobody could tell a submit that goes on from one that was cut off."""
    return Problem(
        code="state-folder-unlockable",
        stage=Stage.PREFLIGHT,
        title="files cannot be locked in the folder that records runs",
        where="ROBOTRAIN_STATE" if os.environ.get("ROBOTRAIN_STATE") else "",
        given=str(files.get_state_folder()),
        why="Without locks a submit that was cut off cannot be told from one that is under way.",
        suggestions=(Suggestion("ROBOTRAIN_STATE=FOLDER robotrain …", "a folder on a disk of this machine"),),
    )


def make_unwritable_problem(error: OSError) -> Problem:
    """Nothing can be kept of a run."""
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    return Problem(
        code="state-folder-unwritable",
        stage=Stage.PREFLIGHT,
        title="the folder that records runs is full" if full else "the folder that records runs cannot be written",
        where="ROBOTRAIN_STATE" if os.environ.get("ROBOTRAIN_STATE") else "",
        given=str(files.get_state_folder()),
        why=f"{error.strerror or error}: a job sent without a record could not be found again.",
        suggestions=(Suggestion("ROBOTRAIN_STATE=FOLDER robotrain …", "a folder that can be written"),),
    )


def make_being_submitted_problem(record: RunRecord) -> Problem:
    """Somebody is at it."""
    return Problem(
        code="run-being-sent", stage=Stage.SUBMIT, title=f"{record.run} is being sent to {record.platform} just now"
    )


def make_interrupted_problem(record: RunRecord) -> Problem:
    """A record at `sending` that nobody is at: what that means, and what to type."""
    return Problem(
        code="run-not-sent",
        stage=Stage.SUBMIT,
        title=f"sending {record.run} was cut off before {record.platform} confirmed it",
        suggestions=(Suggestion(f"robotrain status {record.run}", f"asks {record.platform} for it"),),
    )


def make_not_found_problem(record: RunRecord, other_machine: bool) -> Problem:
    """Its platform was asked for it. elsewhere: another machine was sending it."""
    asks = f"asks {record.platform} again, and sends it if it is still not there"
    ways = [
        Suggestion("the same submit once more", asks),
        Suggestion(f"robotrain resubmit {record.run}", "does the same"),
    ]
    drop = Suggestion("robotrain runs --prune --state interrupted --keep 0", "forgets what was never taken")
    seen = f"from here {record.platform} does not have it" if other_machine else f"{record.platform} has no such run"
    return Problem(
        code="run-not-sent",
        stage=Stage.SUBMIT,
        title=f"sending {record.run} was cut off, and {seen}",
        why=f"What runs on {record.host} alone cannot be seen from here." if other_machine else "",
        suggestions=(*ways, *([] if other_machine else [drop])),
    )


def make_unknown_outcome_problem(record: RunRecord, why: str, *instead: Suggestion) -> Problem:
    """Its platform could not be asked for it, or does not know. why: a sentence."""
    return Problem(
        code="run-unsure",
        stage=Stage.SUBMIT,
        title=f"sending {record.run} was cut off, and whether {record.platform} has it is not known",
        why=why,
        suggestions=(Suggestion("the same command", f"once {record.platform} can be asked"), *instead),
    )


def make_broken_record_problem(path: Path, why: str) -> Problem:
    """A record that cannot be read."""
    return Problem(
        code="record-broken",
        stage=Stage.SUBMIT,
        title=f"the record of run {path.parent.name} cannot be read",
        where=str(path),
        why=f"{why}.",
        suggestions=(Suggestion(f"rm -r {path.parent}", "robotrain forgets this run; the run itself is not touched"),),
    )


SCHEMA = 1
RECORD_FILE = "record.json"
REMOVED_FILE = "forgotten"
"""Stays in the folder of a run that was removed: its name is given to no other."""
MAX_NAMES = 8
NEWEST_NAMES = ("", "last")
DECLARED_FIELDS = ("outputs", "metrics")
"""Fields of a record that hold what the workload declared; a record of an earlier version has none."""


class UnknownRun(Rejected):
    """No run of that name was recorded here."""

    def __init__(self, title: str) -> None:
        super().__init__([Problem(code="run-unknown", stage=Stage.USAGE, title=title)])


def get_run_folder(run: str) -> Path:
    """Where what is kept of `run` lies, the plan that was sent among it."""
    return get_runs_folder() / run


def write_record(record: RunRecord) -> None:
    """Keep `record`, in place of an earlier one: a reader sees the one or the other, whole. Raises Rejected."""
    home = get_run_folder(record.run)
    body = {field.name: getattr(record, field.name) for field in dataclasses.fields(record)}
    text = json.dumps({"schema": SCHEMA} | body, indent=1, sort_keys=True, default=_convert_to_mapping) + "\n"
    with report_write_errors():
        home.mkdir(parents=True, exist_ok=True)
        files.write_atomically(home / RECORD_FILE, text.encode())
        files.sync_folder(home.parent)


def read_record(run: str) -> RunRecord:
    """The record of `run`. Raises UnknownRun when there is none, Rejected when it cannot be read."""
    path = get_runs_folder() / run / RECORD_FILE
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise UnknownRun(f"there is no record of a run {redact(run)!r} in {get_runs_folder()}") from None
    except (OSError, ValueError) as error:  # a JSON or UTF-8 error is a ValueError
        raise Rejected([make_broken_record_problem(path, str(error))]) from None
    return _parse_record(data, path)


def get_output_profile(run: str) -> OutputProfile:
    """What the workload of `run` declares that it leaves; the usual where there is no record that says it."""
    try:
        return read_record(run).outputs
    except Rejected:
        return OutputProfile()


def iterate_runs() -> Iterator[str]:
    """The recorded runs, newest first; none is looked into before it is asked for."""
    return (name for name in _list_names_by_age() if has_record(name))


def list_runs() -> list[str]:
    """All recorded runs, newest first; no record is opened."""
    return list(iterate_runs())


def find_run(text: str = "") -> str:
    """The run meant by its name or a part of it; nothing or `last` is the newest. Raises UnknownRun."""
    if text in NEWEST_NAMES:
        for name in iterate_runs():
            return name
    elif has_record(text):
        return text
    known = list_runs()
    if not known:
        raise UnknownRun(f"no run was submitted from here yet ({get_runs_folder()} holds none)")
    starting = [name for name in known if name.startswith(text)] or [name for name in known if text in name]
    if len(starting) == 1:
        return starting[0]
    if starting:
        raise UnknownRun(f"{len(starting)} runs start with {text!r}: {_format_names(starting)}; give more of the name")
    raise UnknownRun(f"there is no run {redact(text)!r}; {_suggest_runs(text, known)}")


def get_runs_folder() -> Path:
    return files.get_state_folder() / "runs"


def has_record(name: str) -> bool:
    """Whether there is a record; one that cannot be read is one too."""
    return os.sep not in name and os.path.lexists(os.path.join(get_runs_folder(), name, RECORD_FILE))


def _list_names_by_age() -> list[str]:
    """Every claimed name, newest first: one look at each, whatever their number."""
    top, found = str(get_runs_folder()), []
    try:
        entries = os.listdir(top)
    except (FileNotFoundError, NotADirectoryError):
        return []
    for name in entries:
        if name.startswith("."):  # given back a moment ago
            continue
        with contextlib.suppress(OSError):
            found.append((_get_claim_time(f"{top}/{name}"), name))
    found.sort(key=lambda pair: (pair[0], _make_sort_key(pair[1])), reverse=True)
    return [name for _, name in found]


def _get_claim_time(folder: str) -> int:
    try:
        return os.stat(f"{folder}/{LOCK_FILE}").st_mtime_ns
    except FileNotFoundError:  # a copy that left the empty file out
        return os.stat(folder).st_mtime_ns


def _make_sort_key(name: str) -> tuple[str, int]:
    """Attempt 10 after attempt 9, for runs claimed within one tick of the clock."""
    stem, _, attempt = name.rpartition("-")
    return stem, int(attempt) if attempt.isdecimal() else 0


def _suggest_runs(text: str, known: list[str]) -> str:
    from difflib import get_close_matches

    near = get_close_matches(text, known, n=3, cutoff=0.5)
    return f"did you mean {_format_names(near)}?" if near else f"the newest are {_format_names(known)}"


def _format_names(found: list[str]) -> str:
    return ", ".join(found[:MAX_NAMES]) + (", …" if len(found) > MAX_NAMES else "")


def _parse_record(data: Any, path: Path) -> RunRecord:
    """`data` as a record; what a newer robotrain added is left out."""
    if not isinstance(data, dict) or data.get("schema") != SCHEMA:
        kept = data.get("schema") if isinstance(data, dict) else None
        raise Rejected(
            [make_broken_record_problem(path, f"this robotrain reads schema {SCHEMA}, the file has {kept!r}")]
        )
    fields = _get_field_types()
    listed = data.get("metrics") if isinstance(data.get("metrics"), list) else []
    metrics = tuple(_parse_declaration(Metric, one) for one in listed or () if isinstance(one, dict) and "name" in one)
    declared = {"outputs": _parse_declaration(OutputProfile, data.get("outputs")), "metrics": metrics}
    data = {"host": "", "notes": [], "makes": "checkpoints"} | data  # records of earlier versions have none
    wrong = [
        name for name, kind in fields.items() if name not in DECLARED_FIELDS and not _matches_type(data.get(name), kind)
    ]
    if wrong:
        raise Rejected([make_broken_record_problem(path, f"missing or of the wrong type: {', '.join(wrong)}")])
    if data["run"] != path.parent.name:
        raise Rejected([make_broken_record_problem(path, "it is that of another run")])
    return RunRecord(**{name: data.get(name) for name in fields} | declared | {"notes": tuple(data["notes"])})


def _parse_declaration(kind: Any, data: Any) -> Any:
    """What a workload declared, of the parts that are as they have to be; the rest as nobody declared it."""
    said = data if isinstance(data, dict) else {}
    usual = {field.name: field.default for field in dataclasses.fields(kind)} | ({"name": ""} if kind is Metric else {})
    return kind(**{name: said[name] for name, one in usual.items() if type(said.get(name)) is type(one)})


def _convert_to_mapping(value: Any) -> dict[str, Any]:
    return dataclasses.asdict(value) if isinstance(value, OutputProfile | Metric) else dict(value)


@functools.cache
def _get_field_types() -> dict[str, Any]:
    return get_type_hints(RunRecord)


def _matches_type(value: Any, kind: Any) -> bool:
    if get_origin(kind) is Literal:
        return value in get_args(kind)
    if get_origin(kind) is tuple:
        return isinstance(value, list) and all(isinstance(part, str) for part in value)
    if kind is float:
        return isinstance(value, float | int) and not isinstance(value, bool)
    return isinstance(value, str if kind is str else dict)


@contextlib.contextmanager
def report_write_errors() -> Iterator[None]:
    """What is written within fails with a sentence. Raises Rejected."""
    try:
        yield
    except OSError as error:
        raise Rejected([make_unwritable_problem(error)]) from error


FINAL_STATUS_FILE = "ended.json"


def save_final_status(run: str, status: Status) -> None:
    """Keep how it ended; of one that goes on nothing is kept. A folder that takes no file is no failure."""
    if status.finished and read_final_status(run) != status:
        with contextlib.suppress(OSError):
            (get_run_folder(run) / FINAL_STATUS_FILE).write_text(
                json.dumps(dataclasses.asdict(status)), encoding="utf-8"
            )


def read_final_status(run: str) -> Status | None:
    """How it ended; None where nobody saw it."""
    try:
        status = Status(**json.loads((get_run_folder(run) / FINAL_STATUS_FILE).read_bytes()))
        return status if status.finished else None
    except (OSError, ValueError, TypeError):  # torn: a JSON or UTF-8 error is a ValueError
        return None


LOCK_FILE = "claimed"
