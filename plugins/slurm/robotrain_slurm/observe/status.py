"""The status of a run: what it recorded itself, and what Slurm says of its job."""

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

from robotrain.model.run import Reference, RunState, Status
from robotrain.run_folder import status as run_folder

from robotrain_slurm.client.queue import QueuedJob, query_queue

STATES: Mapping[str, RunState] = {
    **dict.fromkeys(("PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "SPECIAL_EXIT"), "pending"),
    **dict.fromkeys(("FAILED", "TIMEOUT", "DEADLINE", "OUT_OF_MEMORY"), "failed"),
    **dict.fromkeys(("NODE_FAIL", "BOOT_FAIL", "PREEMPTED", "REVOKED"), "lost"),
    **{"COMPLETED": "succeeded", "CANCELLED": "cancelled"},
}
"""The meaning of Slurm's states; with any other state the run is still running."""


def query_status(reference: Reference) -> Status:
    """Return the status of a run. Raise RunGone, Rejected.

    :param reference: not that of a whole pipeline or sweep; of one of its parts as `select_step` returns it.
    """
    find_folder(reference)
    return make_status(reference, query_jobs([reference]))


def query_jobs(references: Collection[Reference]) -> list[QueuedJob]:
    """Return what Slurm knows of the jobs of these runs, asked once. Raise SlurmAway, Rejected."""
    return query_queue(sorted({one["run"] for one in references}))


def make_status(reference: Reference, jobs: Iterable[QueuedJob]) -> Status:
    """Return the status of a run. Raise RunGone.

    :param jobs: what Slurm knows, as `query_jobs` returns it; jobs of other runs too.
    """
    known = [job for job in jobs if job.id == reference["job"]]
    state = f"{known[0].state} ({known[0].reason})" if known else ""
    return run_folder.get_run_status(find_folder(reference), state, STATES, "Slurm")


def has_ended(reference: Reference) -> bool:
    """Return whether a run has ended."""
    return query_status(reference).finished


def find_folder(reference: Reference) -> Path:
    """Return the run folder. Raise RunGone if it does not exist."""
    return run_folder.require_run_folder(reference)
