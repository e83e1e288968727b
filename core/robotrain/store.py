"""The records of runs, one folder a run below the state folder. Read by every command that watches: stays light.

`runs/<run>/claimed` is made once, so its time orders the runs, and held while the job is sent; `record.json` beside it
is replaced as the run goes on; `plan/` is what was sent.
"""

from __future__ import annotations  # the types below are for readers and checkers: importing them costs start-up

import contextlib
import dataclasses
import functools
import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin, get_type_hints

from robotrain import durable, folders, held_name, record_problems
from robotrain.held_name import CLAIMED, HeldName
from robotrain.problem import Problem, Rejected, Stage
from robotrain.redaction import redact
from robotrain.run import RunRecord
from robotrain.workload import Metric, Outputs

if TYPE_CHECKING:
    from robotrain.job import Job

SCHEMA = 1
RECORD = "record.json"
FORGOTTEN = "forgotten"
"""Stays in the folder of a run that was removed: its name is given to no other."""
SHOWN = 8
LAST = ("", "last")
DECLARED = ("outputs", "metrics")
"""Fields of a record that hold what the workload declared; a record of an earlier version has none."""
LOOKS, BETWEEN_LOOKS = 5, 0.02
"""Whoever looks whether a name is held holds it for a moment: a name is asked for so often, so many seconds apart."""


class UnknownRun(Rejected):
    """No run of that name was recorded here."""

    def __init__(self, title: str) -> None:
        super().__init__([Problem(code="run-unknown", stage=Stage.USAGE, title=title)])


def unwritable() -> list[Problem]:
    """What keeps runs from being recorded here; asked before a job is sent, so that none runs without a record."""
    import tempfile

    try:
        _runs().mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=_runs()) as file:
            return [] if _lockable(file.fileno()) else [record_problems.unlockable()]
    except OSError as error:
        return [record_problems.unwritable(error)]


def claim(job: Job, adopt: Callable[[RunRecord], bool]) -> tuple[HeldName, RunRecord | None]:
    """A name for `job` that nobody else gets, held until the claim is let go.

    A record left at `sending` by a submit that was cut off comes first, if `adopt` wants it: the name is then that
    run's, and the record is returned beside it. Else it is the lowest attempt that is free. Raises Rejected.
    """
    with writing():
        for attempt in _attempts(job):
            if found := _interrupted(job.run_name(attempt), adopt):
                return found
        attempt = 1
        while True:
            if held := _free(job.run_name(attempt)):
                return held, None
            attempt += 1


def claim_name(run: str, adopt: Callable[[RunRecord], bool]) -> tuple[HeldName, RunRecord | None] | None:
    """The name `run` itself, as `claim` gives one; None when it is taken. Raises Rejected."""
    with writing():
        if found := _interrupted(run, adopt):
            return found
        held = _free(run)
        return (held, None) if held else None


def being_sent(run: str) -> bool:
    """Whether a process is sending `run` at this moment; a record at `sending` without one was interrupted."""
    return held_name.held(folder(run))


def folder(run: str) -> Path:
    """Where what is kept of `run` lies, the plan that was sent among it."""
    return _runs() / run


def write(record: RunRecord) -> None:
    """Keep `record`, in place of an earlier one: a reader sees the one or the other, whole. Raises Rejected."""
    home = folder(record.run)
    body = {field.name: getattr(record, field.name) for field in dataclasses.fields(record)}
    text = json.dumps({"schema": SCHEMA} | body, indent=1, sort_keys=True, default=_as_mapping) + "\n"
    with writing():
        home.mkdir(parents=True, exist_ok=True)
        durable.write(home / RECORD, text.encode())
        durable.settle(home.parent)


def read(run: str) -> RunRecord:
    """The record of `run`. Raises UnknownRun when there is none, Rejected when it cannot be read."""
    path = _runs() / run / RECORD
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise UnknownRun(f"there is no record of a run {redact(run)!r} in {_runs()}") from None
    except (OSError, ValueError) as error:  # a JSON or UTF-8 error is a ValueError
        raise Rejected([record_problems.broken(path, str(error))]) from None
    return _record(data, path)


def outputs_of(run: str) -> Outputs:
    """What the workload of `run` declares that it leaves; the usual where there is no record that says it."""
    try:
        return read(run).outputs
    except Rejected:
        return Outputs()


def sent(run: str) -> RunRecord:
    """The record of a run that its platform has. Raises Rejected for one whose submit was cut off, or goes on."""
    record = read(run)
    if record.phase == "sending":
        raise Rejected([record_problems.being_sent(record) if being_sent(run) else record_problems.not_sent(record)])
    return record


def newest() -> Iterator[str]:
    """The recorded runs, newest first; none is looked into before it is asked for."""
    return (name for name in _ordered() if _recorded(name))


def names() -> list[str]:
    """All recorded runs, newest first; no record is opened."""
    return list(newest())


def find(text: str = "") -> str:
    """The run meant by its name or a part of it; nothing or `last` is the newest. Raises UnknownRun."""
    if text in LAST:
        for name in newest():
            return name
    elif _recorded(text):
        return text
    known = names()
    if not known:
        raise UnknownRun(f"no run was submitted from here yet ({_runs()} holds none)")
    starting = [name for name in known if name.startswith(text)] or [name for name in known if text in name]
    if len(starting) == 1:
        return starting[0]
    if starting:
        raise UnknownRun(f"{len(starting)} runs start with {text!r}: {_listed(starting)}; give more of the name")
    raise UnknownRun(f"there is no run {redact(text)!r}; {_near(text, known)}")


def _runs() -> Path:
    return folders.state() / "runs"


def _recorded(name: str) -> bool:
    """Whether there is a record; one that cannot be read is one too."""
    return os.sep not in name and os.path.lexists(os.path.join(_runs(), name, RECORD))


def _taken(name: str) -> bool:
    return _recorded(name) or os.path.lexists(os.path.join(_runs(), name, FORGOTTEN))


def _ordered() -> list[str]:
    """Every claimed name, newest first: one look at each, whatever their number."""
    top, found = str(_runs()), []
    try:
        entries = os.listdir(top)
    except (FileNotFoundError, NotADirectoryError):
        return []
    for name in entries:
        if name.startswith("."):  # given back a moment ago
            continue
        with contextlib.suppress(OSError):
            found.append((_age(f"{top}/{name}"), name))
    found.sort(key=lambda pair: (pair[0], _natural(pair[1])), reverse=True)
    return [name for _, name in found]


def _age(folder: str) -> int:
    try:
        return os.stat(f"{folder}/{CLAIMED}").st_mtime_ns
    except FileNotFoundError:  # a copy that left the empty file out
        return os.stat(folder).st_mtime_ns


def _attempts(job: Job) -> list[int]:
    """The attempts of `job` that a folder is there for, lowest first."""
    stem = job.run_name(1).rpartition("-")[0] + "-"
    try:
        there = os.listdir(_runs())
    except FileNotFoundError:
        return []
    found = [name.removeprefix(stem) for name in there if name.startswith(stem)]
    return sorted(int(number) for number in found if number.isdecimal())


def _interrupted(run: str, adopt: Callable[[RunRecord], bool]) -> tuple[HeldName, RunRecord] | None:
    """A record of a submit that was cut off, held, if there is one that is wanted."""
    record = _at_sending(run)
    if record is None or not adopt(record):
        return None
    for _ in range(LOOKS):
        if held := held_name.take(folder(run)):
            if _at_sending(run) == record:
                return held, record
            held.let_go()  # it came to its end in between
            return None
        time.sleep(BETWEEN_LOOKS)
    return None


def _at_sending(run: str) -> RunRecord | None:
    """The record of `run` while nobody knows whether its platform has it."""
    try:
        record = read(run)
    except Rejected:  # cut short: nobody can tell what it was, and its name stays taken
        return None
    return record if record.phase == "sending" else None


def _free(run: str) -> HeldName | None:
    if _taken(run):
        return None
    held = held_name.take(folder(run))
    if held and _taken(run):  # recorded in between
        held.let_go()
        return None
    return held


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
        raise Rejected([record_problems.broken(path, f"this robotrain reads schema {SCHEMA}, the file has {kept!r}")])
    fields = _fields()
    listed = data.get("metrics") if isinstance(data.get("metrics"), list) else []
    metrics = tuple(_declared(Metric, one) for one in listed or () if isinstance(one, dict) and "name" in one)
    declared = {"outputs": _declared(Outputs, data.get("outputs")), "metrics": metrics}
    data = {"host": "", "notes": [], "makes": "checkpoints"} | data  # records of earlier versions have none
    wrong = [name for name, kind in fields.items() if name not in DECLARED and not _fits(data.get(name), kind)]
    if wrong:
        raise Rejected([record_problems.broken(path, f"missing or of the wrong type: {', '.join(wrong)}")])
    if data["run"] != path.parent.name:
        raise Rejected([record_problems.broken(path, "it is that of another run")])
    return RunRecord(**{name: data.get(name) for name in fields} | declared | {"notes": tuple(data["notes"])})


def _declared(kind: Any, data: Any) -> Any:
    """What a workload declared, of the parts that are as they have to be; the rest as nobody declared it."""
    said = data if isinstance(data, dict) else {}
    usual = {field.name: field.default for field in dataclasses.fields(kind)} | ({"name": ""} if kind is Metric else {})
    return kind(**{name: said[name] for name, one in usual.items() if type(said.get(name)) is type(one)})


def _as_mapping(value: Any) -> dict[str, Any]:
    return dataclasses.asdict(value) if isinstance(value, Outputs | Metric) else dict(value)


@functools.cache
def _fields() -> dict[str, Any]:
    return get_type_hints(RunRecord)


def _fits(value: Any, kind: Any) -> bool:
    if get_origin(kind) is Literal:
        return value in get_args(kind)
    if get_origin(kind) is tuple:
        return isinstance(value, list) and all(isinstance(part, str) for part in value)
    if kind is float:
        return isinstance(value, float | int) and not isinstance(value, bool)
    return isinstance(value, str if kind is str else dict)


@contextlib.contextmanager
def writing() -> Iterator[None]:
    """What is written within fails with a sentence. Raises Rejected."""
    try:
        yield
    except OSError as error:
        raise Rejected([record_problems.unwritable(error)]) from error


def _lockable(handle: int) -> bool:
    try:
        return held_name.lock(handle)
    except OSError:
        return False
