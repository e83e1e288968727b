"""The packages of the user's own program, and those that a job adds, locked beside the pins of a job's sources.

Like a pin, a lock is not part of the job's digest; the job document holds it. Unlike a pin it is made whatever
`--no-pin` says: nothing else tells the job which packages to install.
"""

import dataclasses
import hashlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from robotrain.errors import Problem, Rejected
from robotrain.model.job import Job
from robotrain.model.locked_program import LockedProgram
from robotrain.model.workload import ProgramLocker
from robotrain.redaction import holds_secret
from robotrain.submission.plan_secrets import make_secret_problem
from robotrain.submission.prepare import PreparedJob

LOCK_ROW = "program_lock"
"""The value of a job that says what was locked."""
DIGEST_DIGITS = 12


def lock_program(
    prepared: PreparedJob, say: Callable[[str], None] = lambda line: None
) -> tuple[PreparedJob, list[Problem]]:
    """Return the job with the packages of its program locked, if its workload locks them, and the problems.

    A lock that it already has stays.

    :param say: shows a line while it takes long.
    """
    locker = _load_locker(prepared)
    if locker is None or prepared.job.program_lock:
        return prepared, []
    try:
        locked = locker.lock_program(prepared.job, say)
    except Rejected as rejected:
        return prepared, list(rejected.problems)
    if locked is None:
        return prepared, []
    if holds_secret(locked.lock):
        return prepared, [make_secret_problem(f"the packages locked from {locked.origin} contain a secret")]
    return _with_lock(prepared, locked), list(locked.notes)


def lock_programs(
    jobs: Mapping[str, PreparedJob], say: Callable[[str], None] = lambda line: None
) -> tuple[dict[str, PreparedJob], list[tuple[str, Problem]]]:
    """Return the jobs of steps with their programs locked, and the problems, each with its step.

    Steps that install the same, as the trials of a sweep do, ask once.
    """
    locked: dict[str, PreparedJob] = {}
    problems: list[tuple[str, Problem]] = []
    locked_jobs: dict[object, PreparedJob | None] = {}
    for name, job in jobs.items():
        locker = _load_locker(job)
        locked[name] = job
        if locker is None or job.job.program_lock:
            continue
        key = (job.job.workload, *_list_inputs(job.job, locker.PARAMETERS))
        if key not in locked_jobs:
            locked[name], lock_problems = lock_program(job, say)
            problems += ((name, problem) for problem in lock_problems)
            locked_jobs[key] = locked[name] if locked[name].job.program_lock else None
        elif equal_job := locked_jobs[key]:
            locked[name] = copy_lock(equal_job, job)
    return locked, problems


def copy_lock(locked: PreparedJob, prepared: PreparedJob) -> PreparedJob:
    """Return the job with the lock of another one, if that has one."""
    job = locked.job
    if not job.program_lock or prepared.job.program_lock:
        return prepared
    return _with_values(prepared, job, _find_row(locked.values))


def add_known_lock(prepared: PreparedJob) -> PreparedJob:
    """Return the job with what was locked before for equal files, without asking anybody; else as it is."""
    locker = _load_locker(prepared)
    if locker is None or prepared.job.program_lock:
        return prepared
    try:
        locked = locker.find_locked(prepared.job)
    except (Rejected, OSError):  # what locks it says why
        return prepared
    return _with_lock(prepared, locked) if locked else prepared


def keep_lock(prepared: PreparedJob, earlier_job: Job, value_rows: Iterable[Mapping[str, Any]]) -> PreparedJob:
    """Return a changed job with the lock that it had, unless the change is about its packages or its code.

    :param value_rows: those of the earlier job.
    """
    locker = _load_locker(prepared)
    if locker is None or not earlier_job.program_lock:
        return prepared
    if _list_inputs(prepared.job, locker.PARAMETERS) != _list_inputs(earlier_job, locker.PARAMETERS):
        return prepared
    return _with_values(prepared, earlier_job, _find_row(value_rows))


def describe_lock(value_rows: Iterable[Mapping[str, Any]]) -> str:
    """Return what was locked, as `uv.lock: 43 packages, …`; empty for nothing."""
    row = _find_row(value_rows)
    return f"{row['origin']}: {row['value']}" if row else ""


def remove_row(value_rows: Iterable[Mapping[str, Any]]) -> tuple[Mapping[str, Any], ...]:
    """Return values of a job without that of the lock."""
    return tuple(row for row in value_rows if row["name"] != LOCK_ROW)


def _find_row(values: Iterable[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    return next((row for row in values if row["name"] == LOCK_ROW), None)


def _load_locker(prepared: PreparedJob) -> ProgramLocker | None:
    """Return what locks the packages of a job; None for one that has nothing to lock."""
    workload = prepared.workload
    return workload.load_locker() if workload and workload.load_locker and prepared.needs_lock else None


def _list_inputs(job: Job, parameters: Iterable[str]) -> list[object]:
    """Return what a lock is made from."""
    parameter_values = dict(job.parameters)
    code = [source.key for source in job.sources if source.role == "code"]
    return [*(parameter_values.get(name) for name in parameters), *code]


def _with_lock(prepared: PreparedJob, locked: LockedProgram) -> PreparedJob:
    digest = hashlib.sha256(locked.lock.encode()).hexdigest()[:DIGEST_DIGITS]
    summary = f"{locked.summary}, sha256:{digest}"
    row = {"name": LOCK_ROW, "value": summary, "origin": locked.origin, "overrode": []}
    job = dataclasses.replace(
        prepared.job, program_lock=locked.lock, program_python=locked.python, program_files=locked.files
    )
    return _with_values(prepared, job, row)


def _with_values(prepared: PreparedJob, locked: Job, row: Mapping[str, Any] | None) -> PreparedJob:
    """Return the job with the lock of another one, which `row` describes."""
    fields = ("program_lock", "program_python", "program_files")
    job = dataclasses.replace(prepared.job, **{name: getattr(locked, name) for name in fields})
    rows = (*remove_row(prepared.values), *([row] if row else ()))
    return dataclasses.replace(prepared.with_job(job), values=rows)
