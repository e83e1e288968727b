"""The records of runs, one folder a run below the state folder. Read by every command that watches: stays light.

`runs/<run>/claimed` is made once, so its time orders the runs; `runs/<run>/record.json` is replaced as the run goes on.
"""

from __future__ import annotations  # the types below are for readers and checkers: importing them costs start-up

import contextlib
import dataclasses
import errno
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin, get_type_hints

from robotrain import folders
from robotrain.problem import Instead, Problem, Rejected, Stage
from robotrain.redaction import redact
from robotrain.run import RunRecord

if TYPE_CHECKING:
    from robotrain.job import Job

SCHEMA = 1
RECORD = "record.json"
CLAIMED = "claimed"
SHOWN = 8
LAST = ("", "last")


class UnknownRun(Rejected):
    """No run of that name was recorded here."""

    def __init__(self, title: str) -> None:
        super().__init__([Problem(code="run-unknown", stage=Stage.USAGE, title=title)])


def unwritable() -> list[Problem]:
    """What keeps runs from being recorded here; asked before a job is sent, so that none runs without a record."""
    import tempfile

    try:
        _runs().mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=_runs()):
            return []
    except OSError as error:
        return [_unwritable(error)]


def claim(job: Job) -> str:
    """The run name with the lowest free attempt, taken: nobody else gets it. Raises Rejected."""
    attempt = 1
    with _writing():
        _runs().mkdir(parents=True, exist_ok=True)
        while True:
            folder = _runs() / job.run_name(attempt)
            try:
                folder.mkdir()
            except FileExistsError:
                attempt += 1
                continue
            (folder / CLAIMED).touch()
            return folder.name


def release(run: str) -> None:
    """Give a claimed name back: nothing was sent under it."""
    for path in (_runs() / run / RECORD, _runs() / run / CLAIMED):
        path.unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        (_runs() / run).rmdir()


def write(record: RunRecord) -> None:
    """Keep `record`, in place of an earlier one: a reader sees the one or the other, whole. Raises Rejected."""
    import tempfile

    folder = _runs() / record.run
    body = {field.name: getattr(record, field.name) for field in dataclasses.fields(record)}
    text = json.dumps({"schema": SCHEMA} | body, indent=1, sort_keys=True, default=dict) + "\n"
    with _writing():
        folder.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=folder, prefix=".record-", suffix=".tmp")
        try:
            with open(handle, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            os.replace(name, folder / RECORD)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise


def read(run: str) -> RunRecord:
    """The record of `run`. Raises UnknownRun when there is none, Rejected when it cannot be read."""
    path = _runs() / run / RECORD
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise UnknownRun(f"there is no record of a run {redact(run)!r} in {_runs()}") from None
    except (OSError, ValueError) as error:  # a JSON or UTF-8 error is a ValueError
        raise Rejected([_broken(path, str(error))]) from None
    return _record(data, path)


def names() -> list[str]:
    """The recorded runs, newest first; no record is opened."""
    try:
        with os.scandir(_runs()) as entries:
            found = [(_age(entry.path), entry.name) for entry in entries if _recorded(entry.path)]
    except (FileNotFoundError, NotADirectoryError):
        return []
    return [name for _, name in sorted(found, key=lambda pair: (pair[0], _natural(pair[1])), reverse=True)]


def find(text: str = "") -> str:
    """The run meant by its name or a part of it; nothing or `last` is the newest. Raises UnknownRun."""
    known = names()
    if not known:
        raise UnknownRun(f"no run was submitted from here yet ({_runs()} holds none)")
    if text in LAST:
        return known[0]
    starting = [name for name in known if name.startswith(text)] or [name for name in known if text in name]
    if text in starting or len(starting) == 1:
        return text if text in starting else starting[0]
    if starting:
        raise UnknownRun(f"{len(starting)} runs start with {text!r}: {_listed(starting)}; give more of the name")
    raise UnknownRun(f"there is no run {redact(text)!r}; {_near(text, known)}")


def _runs() -> Path:
    return folders.state() / "runs"


def _recorded(folder: str) -> bool:
    return os.path.isfile(os.path.join(folder, RECORD))


def _age(folder: str) -> int:
    try:
        return os.stat(os.path.join(folder, CLAIMED)).st_mtime_ns
    except OSError:  # written without a claim, by `submit --plan` of another machine's folder
        return os.stat(folder).st_mtime_ns


def _natural(name: str) -> tuple[str, int]:
    """Attempt 10 after attempt 9, for runs claimed within one tick of the clock."""
    stem, _, attempt = name.rpartition("-")
    return stem, int(attempt) if attempt.isdecimal() else 0


def _near(text: str, known: list[str]) -> str:
    from difflib import get_close_matches

    near = get_close_matches(text, known, n=3, cutoff=0.5)
    return f"did you mean {_listed(near)}?" if near else f"the newest are {_listed(known)}"


def _listed(found: list[str]) -> str:
    return ", ".join(found[:SHOWN]) + (", …" if len(found) > SHOWN else "")


def _record(data: Any, path: Path) -> RunRecord:
    """`data` as a record; what a newer robotrain added is left out."""
    if not isinstance(data, dict) or data.get("schema") != SCHEMA:
        kept = data.get("schema") if isinstance(data, dict) else None
        raise Rejected([_broken(path, f"this robotrain reads schema {SCHEMA}, the file has {kept!r}")])
    fields = get_type_hints(RunRecord)
    wrong = [name for name, kind in fields.items() if not _fits(data.get(name), kind)]
    if wrong:
        raise Rejected([_broken(path, f"missing or of the wrong type: {', '.join(wrong)}")])
    return RunRecord(**{name: data[name] for name in fields})


def _fits(value: Any, kind: Any) -> bool:
    if get_origin(kind) is Literal:
        return value in get_args(kind)
    if kind is float:
        return isinstance(value, float | int) and not isinstance(value, bool)
    return isinstance(value, str if kind is str else dict)


@contextlib.contextmanager
def _writing() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Rejected([_unwritable(error)]) from error


def _unwritable(error: OSError) -> Problem:
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    return Problem(
        code="state-folder-unwritable",
        stage=Stage.PREFLIGHT,
        title="the folder that records runs is full" if full else "the folder that records runs cannot be written",
        where="ROBOTRAIN_STATE" if os.environ.get("ROBOTRAIN_STATE") else "",
        given=str(folders.state()),
        why=f"{error.strerror or error}: a job sent without a record could not be found again.",
        instead=(Instead("ROBOTRAIN_STATE=FOLDER robotrain …", "a folder that can be written"),),
    )


def _broken(path: Path, why: str) -> Problem:
    return Problem(
        code="record-broken",
        stage=Stage.SUBMIT,
        title=f"the record of run {path.parent.name} cannot be read",
        where=str(path),
        why=f"{why}.",
        instead=(Instead(f"rm -r {path.parent}", "robotrain forgets this run; the run itself is not touched"),),
    )
