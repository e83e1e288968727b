"""The name of a run: claimed for a job, and locked by the process that submits it.

So a record left at `sending` tells two things apart: whoever holds the name is still at it; nobody does, then it was
interrupted.

`runs/<run>/claimed` is made once, so its time orders the runs, and held while the job is sent; `record.json` beside it
is replaced as the run goes on; `plan/` is what was sent.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from robotrain.errors import Problem, Rejected
from robotrain.model.run import RunRecord
from robotrain.store import records
from robotrain.store.records import (
    LOCK_FILE,
    REMOVED_FILE,
    get_run_folder,
    get_runs_folder,
    has_record,
    read_record,
    report_write_errors,
)

if TYPE_CHECKING:
    from robotrain.model.job import Job


class NameLock:
    """The folder of a run, held by this process. fresh: nothing was there before."""

    def __init__(self, folder: Path, handle: int) -> None:
        self.folder = folder
        self._handle: int | None = handle

    @property
    def run(self) -> str:
        """The name that is held."""
        return self.folder.name

    def __enter__(self) -> NameLock:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.release()

    def release(self) -> None:
        """Hold it no longer; what was recorded stays."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

    def release_and_remove(self) -> None:
        """Nothing was sent under this name: whatever was recorded goes, and the next submit may have it."""
        import shutil

        aside = self.folder.with_name(f".{self.run}.{os.urandom(4).hex()}")
        with contextlib.suppress(OSError):
            os.rename(self.folder, aside)  # in one step: no half-emptied folder is ever seen under the name
            shutil.rmtree(aside, ignore_errors=True)
        self.release()


def acquire_name_lock(folder: Path) -> NameLock | None:
    """Hold the name of `folder`, which is made where it is missing; None while another process holds it.

    Raises OSError when nothing can be written there.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    while True:
        with contextlib.suppress(FileExistsError):
            folder.mkdir()
        try:
            handle = os.open(folder / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except FileNotFoundError:
            if folder.is_symlink():  # to a disk that is not there
                raise
            continue  # given back in between
        try:
            if not lock_file(handle):
                os.close(handle)
                return None
            if _is_same_file(handle, folder / LOCK_FILE):
                return NameLock(folder, handle)
        except OSError:
            os.close(handle)
            raise
        os.close(handle)  # it was the folder of a name that was just given back


def is_name_locked(folder: Path) -> bool:
    """Whether a process holds the name of `folder` at this moment."""
    try:
        handle = os.open(folder / LOCK_FILE, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return not lock_file(handle, fcntl.LOCK_SH)
    except OSError:
        return False
    finally:
        os.close(handle)


def lock_file(handle: int, kind: int = fcntl.LOCK_EX) -> bool:
    """Lock an open file until it is closed; False while another holds it. Raises OSError where that cannot be done."""
    try:
        fcntl.flock(handle, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_same_file(handle: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), os.stat(path))
    except FileNotFoundError:
        return False


LOCK_ATTEMPTS, LOCK_RETRY_SECONDS = 5, 0.02
"""Whoever looks whether a name is held holds it for a moment: a name is asked for so often, so many seconds apart."""


def check_state_folder() -> list[Problem]:
    """What keeps runs from being recorded here; asked before a job is sent, so that none runs without a record."""
    import tempfile

    try:
        get_runs_folder().mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=get_runs_folder()) as file:
            return [] if _can_lock(file.fileno()) else [records.make_unlockable_problem()]
    except OSError as error:
        return [records.make_unwritable_problem(error)]


def claim_run_name(job: Job, adopt: Callable[[RunRecord], bool]) -> tuple[NameLock, RunRecord | None]:
    """A name for `job` that nobody else gets, held until the claim is let go.

    A record left at `sending` by a submit that was cut off comes first, if `adopt` wants it: the name is then that
    run's, and the record is returned beside it. Else it is the lowest attempt that is free. Raises Rejected.
    """
    with report_write_errors():
        for attempt in _list_attempts(job):
            if found := _lock_interrupted(job.run_name(attempt), adopt):
                return found
        attempt = 1
        while True:
            if held := _lock_free_name(job.run_name(attempt)):
                return held, None
            attempt += 1


def claim_exact_name(run: str, adopt: Callable[[RunRecord], bool]) -> tuple[NameLock, RunRecord | None] | None:
    """The name `run` itself, as `claim` gives one; None when it is taken. Raises Rejected."""
    with report_write_errors():
        if found := _lock_interrupted(run, adopt):
            return found
        held = _lock_free_name(run)
        return (held, None) if held else None


def is_being_submitted(run: str) -> bool:
    """Whether a process is sending `run` at this moment; a record at `sending` without one was interrupted."""
    return is_name_locked(get_run_folder(run))


def read_submitted_record(run: str) -> RunRecord:
    """The record of a run that its platform has. Raises Rejected for one whose submit was cut off, or goes on."""
    record = read_record(run)
    if record.phase == "sending":
        raise Rejected(
            [
                records.make_being_submitted_problem(record)
                if is_being_submitted(run)
                else records.make_interrupted_problem(record)
            ]
        )
    return record


def _is_taken(name: str) -> bool:
    return has_record(name) or os.path.lexists(os.path.join(get_runs_folder(), name, REMOVED_FILE))


def _list_attempts(job: Job) -> list[int]:
    """The attempts of `job` that a folder is there for, lowest first."""
    stem = job.run_name(1).rpartition("-")[0] + "-"
    try:
        there = os.listdir(get_runs_folder())
    except FileNotFoundError:
        return []
    found = [name.removeprefix(stem) for name in there if name.startswith(stem)]
    return sorted(int(number) for number in found if number.isdecimal())


def _lock_interrupted(run: str, adopt: Callable[[RunRecord], bool]) -> tuple[NameLock, RunRecord] | None:
    """A record of a submit that was cut off, held, if there is one that is wanted."""
    record = _read_unfinished_record(run)
    if record is None or not adopt(record):
        return None
    for _ in range(LOCK_ATTEMPTS):
        if held := acquire_name_lock(get_run_folder(run)):
            if _read_unfinished_record(run) == record:
                return held, record
            held.release()  # it came to its end in between
            return None
        time.sleep(LOCK_RETRY_SECONDS)
    return None


def _read_unfinished_record(run: str) -> RunRecord | None:
    """The record of `run` while nobody knows whether its platform has it."""
    try:
        record = read_record(run)
    except Rejected:  # cut short: nobody can tell what it was, and its name stays taken
        return None
    return record if record.phase == "sending" else None


def _lock_free_name(run: str) -> NameLock | None:
    if _is_taken(run):
        return None
    held = acquire_name_lock(get_run_folder(run))
    if held and _is_taken(run):  # recorded in between
        held.release()
        return None
    return held


def _can_lock(handle: int) -> bool:
    try:
        return lock_file(handle)
    except OSError:
        return False
