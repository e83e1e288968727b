"""The name of a run: claimed for a job, and locked by the process that submits it.

`runs/<run>/claimed` is created once, so its time orders the runs, and it is locked while the job is submitted. A record
in the phase `sending` whose name is not locked belongs to an interrupted submit.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType

from robotrain_runtime.contract.files import is_locked, lock_file, remove_folder

from robotrain.errors import Problem, Rejected
from robotrain.messages import Messages
from robotrain.model.job import Job, parse_attempt
from robotrain.model.run import RemovedInPart, RunRecord
from robotrain.store import files, ownership, records
from robotrain.store.records import (
    LOCK_FILE,
    RECORD_FILE,
    REMOVED_FILE,
    get_run_folder,
    get_runs_folder,
    has_record,
    read_record,
    report_write_errors,
)

make_problem = Messages(__file__)


class NameLock:
    """The lock on a run's folder, held by this process."""

    def __init__(self, folder: Path, handle: int) -> None:
        self.folder = folder
        self._handle: int | None = handle

    @property
    def run(self) -> str:
        """The locked name."""
        return self.folder.name

    def __enter__(self) -> NameLock:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.release()

    def release(self) -> None:
        """Release the lock and keep the folder."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

    def release_and_remove(self) -> None:
        """Remove the folder of a run that was not submitted, and release the lock: the name is free again."""
        with contextlib.suppress(OSError):
            remove_folder(self.folder)
        self.release()


def acquire_name_lock(folder: Path) -> NameLock | None:
    """Lock the name of `folder`, which is created if missing; return None while another process holds it.

    Raise OSError if the folder cannot be written.
    """
    files.make_private_folder(folder.parent)
    while True:
        with contextlib.suppress(FileExistsError):
            folder.mkdir(files.PRIVATE_FOLDER)
        try:
            handle = os.open(folder / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, files.PRIVATE_FILE)
        except FileNotFoundError:
            if folder.is_symlink():  # to a disk that is not mounted
                raise
            continue  # removed in between
        try:
            if not lock_file(handle):
                os.close(handle)
                return None
            if _is_same_file(handle, folder / LOCK_FILE):
                return NameLock(folder, handle)
        except OSError:
            os.close(handle)
            raise
        os.close(handle)  # the folder was removed in between


def _is_same_file(handle: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), os.stat(path))
    except FileNotFoundError:
        return False


LOCK_ATTEMPTS, LOCK_RETRY_SECONDS = 5, 0.02
"""Retries: `is_being_submitted` in another process holds a lock for a moment."""


def check_state_folder() -> list[Problem]:
    """Return the problems that would keep a run from being recorded."""
    if problems := [*ownership.find_ownership_problems(files.list_own_folders())]:
        return problems
    try:
        files.make_private_folder(get_runs_folder())
        files.make_private_folder(files.get_cache_folder())  # what a job makes there has the modes of its umask
        for folder in (files.get_state_folder(), get_runs_folder()):
            files.close_to_others(folder)
        with tempfile.TemporaryFile(dir=get_runs_folder()) as file:
            return [] if _can_lock(file.fileno()) else [records.make_unlockable_problem()]
    except OSError as error:
        return [records.make_unwritable_problem(error)]


def claim_run_name(
    job: Job, adopt: Callable[[RunRecord], bool], last_attempt: int = 0
) -> tuple[NameLock, RunRecord | None]:
    """Claim and lock a run name for `job`.

    If an interrupted submit of this job left a record that `adopt` accepts, return its name and the record; otherwise
    the name of the lowest free attempt, after that of the run which the job repeats: this machine may not know that,
    and places that runs publish to tell runs apart by their names. Raise Rejected.

    :param last_attempt: the last attempt whose name the engine does not give.
    """
    parent = str(job.record.get("parent", ""))
    repeated_attempt = parse_attempt(parent) if parent == job.run_name(parse_attempt(parent)) else 0
    first_attempt = 1 + max(repeated_attempt, last_attempt)
    with report_write_errors():
        for attempt in list_attempts(job):
            if interrupted := _lock_interrupted(job.run_name(attempt), adopt):
                return interrupted
        names = map(job.run_name, itertools.count(first_attempt))
        return next((lock, None) for name in names if (lock := _lock_free_name(name)))


@contextlib.contextmanager
def lock_job(job: Job, platform: str, on_wait: Callable[[], None]) -> Iterator[None]:
    """Let no other process submit the job to the platform during the block. Raise Rejected.

    :param on_wait: called if another process does, before waiting for its end.
    """
    folder = files.get_state_folder() / "submitting" / f"{platform}-{job.run_name(1).rpartition('-')[0]}"
    with report_write_errors():
        if (lock := acquire_name_lock(folder)) is None:
            on_wait()
        while lock is None:
            time.sleep(LOCK_RETRY_SECONDS)
            lock = acquire_name_lock(folder)
    try:
        yield
    finally:
        lock.release_and_remove()


def claim_exact_name(run: str, adopt: Callable[[RunRecord], bool]) -> tuple[NameLock, RunRecord | None] | None:
    """Claim and lock exactly the name `run`, as `claim_run_name` does; return None if it is taken. Raise Rejected."""
    with report_write_errors():
        if interrupted := _lock_interrupted(run, adopt):
            return interrupted
        lock = _lock_free_name(run)
        return (lock, None) if lock else None


def is_being_submitted(run: str) -> bool:
    """Return whether a process is submitting the run."""
    return bool(is_locked(get_run_folder(run) / LOCK_FILE))


def read_submitted_record(run: str) -> RunRecord:
    """Return the record of a submitted run. Raise Rejected if its submit was interrupted or is running."""
    record = read_record(run)
    if record.phase == "sending":
        if is_being_submitted(run):
            raise Rejected([records.make_being_submitted_problem(record)])
        raise Rejected([make_problem("run-not-sent", run=record.run, platform=record.platform)])
    return record


@contextlib.contextmanager
def removal_of_record(run: str) -> Iterator[None]:
    """Remove the record and plan of a run after the block, which removes what they tell of; keep them if it fails.

    Raise Rejected before the block if the record cannot be removed, or the run is being submitted, and RemovedInPart
    after it.

    Its name is never used again: a platform, tracking server or registry may still know it.
    """
    home = get_run_folder(run)
    try:
        lock = acquire_name_lock(home)
        (home / REMOVED_FILE).touch()
    except OSError as error:
        raise Rejected([make_problem("record-not-removed", why=error.strerror or str(error))]) from error
    if lock is None:
        raise Rejected([make_problem("run-being-sent.here", run=run)])
    with lock:
        yield
        try:
            other_paths = [path for path in home.iterdir() if path.name not in (REMOVED_FILE, LOCK_FILE, RECORD_FILE)]
            for path in (
                *other_paths,
                home / RECORD_FILE,
            ):  # the record last: as long as it is there, this can be repeated
                shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        except OSError as error:
            reason = error.strerror or str(error)
            raise RemovedInPart([make_problem("record-not-removed.after-files", run=run, why=reason)]) from error


def is_taken(name: str) -> bool:
    """Return whether a run has the name, or had it."""
    return has_record(name) or os.path.lexists(os.path.join(get_runs_folder(), name, REMOVED_FILE))


def list_attempts(job: Job) -> list[int]:
    """Return the attempts of `job` that have a folder, lowest first."""
    stem = job.run_name(1).rpartition("-")[0] + "-"
    try:
        folder_names = os.listdir(get_runs_folder())
    except FileNotFoundError:
        return []
    attempt_texts = [name.removeprefix(stem) for name in folder_names if name.startswith(stem)]
    return sorted(int(number) for number in attempt_texts if number.isdecimal())


def _lock_interrupted(run: str, adopt: Callable[[RunRecord], bool]) -> tuple[NameLock, RunRecord] | None:
    """Lock the name of an interrupted submit that `adopt` accepts; None if there is none."""
    record = _read_unfinished_record(run)
    if record is None or not adopt(record):
        return None
    for _ in range(LOCK_ATTEMPTS):
        if lock := acquire_name_lock(get_run_folder(run)):
            if _read_unfinished_record(run) == record:
                return lock, record
            lock.release()  # submitted in between
            return None
        time.sleep(LOCK_RETRY_SECONDS)
    return None


def _read_unfinished_record(run: str) -> RunRecord | None:
    """Return the record of a run in the phase `sending`; None for any other."""
    try:
        record = read_record(run)
    except Rejected:  # an unreadable record: the name stays taken
        return None
    return record if record.phase == "sending" else None


def _lock_free_name(run: str) -> NameLock | None:
    if is_taken(run):
        return None
    lock = acquire_name_lock(get_run_folder(run))
    if lock and is_taken(run):  # recorded in between
        lock.release()
        return None
    return lock


def _can_lock(handle: int) -> bool:
    try:
        return lock_file(handle)
    except OSError:
        return False
