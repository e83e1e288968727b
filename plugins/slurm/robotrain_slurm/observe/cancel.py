"""How a run is cancelled: a waiting job at once, a running one after it has saved a checkpoint."""

import time
from collections.abc import Collection
from pathlib import Path

from robotrain.errors import Rejected
from robotrain.messages import Messages
from robotrain.model.run import Reference
from robotrain.run_folder.transport import Transport

from robotrain_slurm.client.commands import SlurmRefused, run_slurm
from robotrain_slurm.client.queue import QueuedJob
from robotrain_slurm.observe.login_runs import find_runs
from robotrain_slurm.observe.own_record import OwnRecord
from robotrain_slurm.observe.runs import SlurmRuns
from robotrain_slurm.observe.status import find_job, is_active

make_problem = Messages(__file__)

SAVE_SECONDS = 150.0
"""How long a run may take to save a checkpoint, before it is ended for good."""
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 4.0
RUNNING_STATES = ("RUNNING", "SIGNALING", "RESIZING")
OVER = ("Invalid job id", "already completing or completed")
"""What Slurm answers about a job that has just ended."""


def request_cancel(at: Transport, reference: Reference) -> str:
    """End a run or its parts, after the time to save a checkpoint for good. Return why Slurm refused; else empty.

    SIGINT tells the job that it is not to be requeued, where its node does not see the mark in the run folder.
    Raise RunGone, or Rejected when Slurm does not answer: the run then ends with its next start.
    """
    runs = find_runs(at)
    runs.require_folder(reference)
    parts = [part.reference for part in runs.list_parts(reference).values()] or [runs.select_step(reference)]
    for part in parts:
        _mark_cancelled(runs, Path(part["folder"]))  # first: a job that begins now looks for it
    signalled = set[str]()
    until, pause = time.monotonic() + SAVE_SECONDS, FIRST_PAUSE
    while jobs := _list_active_jobs(runs, parts):
        is_over = time.monotonic() > until
        waiting = [job.id for job in jobs if job.state == "PENDING"]
        running = [job.id for job in jobs if job.state in RUNNING_STATES and not is_over]
        ending = [job.id for job in jobs if job.state == "COMPLETING" and not is_over]  # it may be requeued
        rest = [job.id for job in jobs if job.id not in waiting + running + ending]
        refusals = [
            _scancel(at, "--state=PENDING", jobs=waiting),  # not one that has begun meanwhile
            _scancel(at, "--batch", "--signal=INT", jobs=[job for job in running if job not in signalled]),
            _scancel(at, jobs=rest),
        ]
        signalled.update(running)
        if refused := next(filter(None, refusals), ""):
            return refused
        if not waiting and not running and not ending:
            return ""
        time.sleep(pause)
        pause = min(pause * 2, LONGEST_PAUSE)
    return ""


def _mark_cancelled(runs: SlurmRuns, folder: Path) -> None:
    try:
        runs.mark_cancelled(folder)
    except OSError as error:
        raise Rejected(
            [make_problem("cancel-refused", given=str(folder), name=folder.name, strerror=error.strerror or error)]
        ) from None


def _list_active_jobs(runs: SlurmRuns, parts: Collection[Reference]) -> list[QueuedJob]:
    """Return the jobs that must still be ended. Raise SlurmAway, Rejected."""
    records = [OwnRecord.parse(one) for one in runs.read_all_facts([*parts])]
    queue, found = runs.ask_slurm([*zip(parts, records, strict=True)]).jobs, []
    later = runs.read_all_facts([*parts])  # again: one may have ended meanwhile
    for part, own in zip(parts, map(OwnRecord.parse, later), strict=True):
        job = find_job(part, own, queue)
        if job and is_active(job) and not _is_ending(job, own):
            found.append(job)
    return found


def _is_ending(job: QueuedJob, own: OwnRecord) -> bool:
    """Return whether a job ends by itself. One that was requeued has the outcome of its earlier start."""
    return job.state in ("COMPLETING", *RUNNING_STATES) and own.is_settled


def _scancel(at: Transport, *options: str, jobs: Collection[str]) -> str:
    """End or signal jobs; return why Slurm refused, but not because one has just ended."""
    try:
        if jobs:
            run_slurm(at, "scancel", *options, *jobs)
    except SlurmRefused as refusal:
        if not any(sign in refusal.text for sign in OVER):
            return refusal.text
    return ""
