"""What is asked for the status of a run: its folder, and Slurm. What follows from both is computed elsewhere."""

import os
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from robotrain.errors import Rejected
from robotrain.model.run import Reference, Status, StepStatus
from robotrain.run_folder import outputs
from robotrain.run_folder.facts import ENGINE_END_FILE, read_facts
from robotrain.run_folder.status import require_run_folder
from robotrain_runtime.contract.files import write_atomically

from robotrain_slurm.client.accounting import query_accounting
from robotrain_slurm.client.queue import QueuedJob, query_queue
from robotrain_slurm.observe.own_record import RECORD_FILES, OwnRecord
from robotrain_slurm.observe.pipeline_status import Part, judge_pipeline
from robotrain_slurm.observe.status import find_job, is_active, make_status, needs_survivors, select_forgotten
from robotrain_slurm.observe.step_references import is_whole, list_parts, read_spec, select_step
from robotrain_slurm.spec.submission_spec import CLUSTER_VARIABLE


def query_status(reference: Reference) -> Status:
    """Return the status of a run, a whole pipeline or sweep, or one of its parts.

    Raise RunGone, or Rejected when only Slurm can tell and does not answer.
    """
    if is_whole(reference):
        return query_pipeline(reference)[0]
    reference = select_step(reference)
    own = read_own_record(reference)
    try:
        jobs = [] if own.is_settled else query_jobs([reference])
    except Rejected:
        if not own.has_recorded_end:
            raise
        jobs = []
    return _conclude_status(reference, read_own_record(reference), jobs)


def has_ended(reference: Reference) -> bool:
    """Return whether a run has ended. Raise RunGone, Rejected."""
    return query_status(reference).finished


def list_statuses(references: Sequence[Reference]) -> list[Status | None]:
    """Return the status of each run, all by one request. None for one whose folder is gone. Raise Rejected."""
    here = [one for one in references if not is_whole(one) and Path(one["folder"]).is_dir()]
    jobs = query_jobs(here, all_names=True)
    return [_find_listed_status(one, jobs) if one in here else None for one in references]


def _find_listed_status(reference: Reference, jobs: Sequence[QueuedJob]) -> Status | None:
    try:
        return _conclude_status(reference, read_own_record(reference), jobs)
    except Rejected:  # asked alone, it says why
        return None


def query_pipeline(reference: Reference) -> tuple[Status, list[StepStatus]]:
    """Return the status of the whole, and the steps; of a sweep, the trials that have begun or ended.

    Raise RunGone, Rejected.
    """
    references = list_parts(reference)
    jobs = query_jobs([*references.values()])
    known = {job.id: job for job in jobs}
    records = {name: read_own_record(one) for name, one in references.items()}
    parts = {
        name: Part(records[name], _conclude_status(one, records[name], jobs), known.get(one["job"]))
        for name, one in references.items()
    }
    needs = {job.step: job.needs for job in read_spec(reference).jobs if job.step}
    return judge_pipeline(reference["run"], parts, needs)


def list_steps(reference: Reference) -> list[StepStatus]:
    """Return the steps of a pipeline, or the trials of a sweep that have begun. Raise RunGone, Rejected."""
    return query_pipeline(reference)[1]


def query_jobs(references: Collection[Reference], all_names: bool = False) -> list[QueuedJob]:
    """Return what Slurm knows of the jobs of these runs, by one request, and one more for those it has forgotten.

    Raise RunGone, SlurmAway, Rejected.

    :param all_names: ask for all jobs of this user, rather than for a long list of names.
    """
    users = {find_other_user(one) for one in references} or {""}
    names = [] if all_names else sorted({one["run"] for one in references})
    queue = [job for user in users for job in query_queue(names, user)]
    return [*queue, *_recall_jobs(select_forgotten(references, queue))]


def _recall_jobs(forgotten: Iterable[Reference]) -> Iterator[QueuedJob]:
    """Yield jobs that are no longer in the queue: as they were last seen there, or as accounting knows them."""
    unseen: dict[str, None] = {}
    for reference in forgotten:
        own = read_own_record(reference)
        if seen := own.load_engine_end():
            yield seen
        elif not own.explains_end:
            unseen |= dict.fromkeys(own.list_jobs(reference["job"]))
    if unseen:
        yield from query_accounting(unseen) or ()


def read_own_record(reference: Reference) -> OwnRecord:
    """Return what the folder of a run says. Raise RunGone if it does not exist."""
    return OwnRecord.parse(read_facts(require_run_folder(reference), RECORD_FILES))


def find_other_user(reference: Reference) -> str:
    """Return the number of the user whose run it is; empty for this one. Raise RunGone."""
    owner = require_run_folder(reference).stat().st_uid
    return "" if owner == os.getuid() else str(owner)


def _conclude_status(reference: Reference, own: OwnRecord, jobs: Iterable[QueuedJob]) -> Status:
    """Return the status of a run; of one that has ended, keep how Slurm ended its job. Raise Rejected.

    :param own: read after Slurm was asked.
    """
    job = find_job(reference, own, jobs)
    status = make_status(reference, own, job, os.environ.get(CLUSTER_VARIABLE, ""))
    if status.finished and job and not is_active(job) and (end := own.find_new_end(job)):
        with suppress(OSError):  # the folder may be another user's
            write_atomically(own.folder / ENGINE_END_FILE, end)
    if not needs_survivors(own, status):
        return status
    left = "".join(f". {sentence}" for sentence in outputs.describe_surviving_checkpoints(own.folder))
    return replace(status, reason=status.reason + left)
