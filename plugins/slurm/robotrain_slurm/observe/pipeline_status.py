"""The status of a pipeline or a sweep, whose parts are jobs of Slurm: one squeue answers for all of them."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from robotrain.errors import Rejected
from robotrain.model.run import Reference, Status, StepStatus
from robotrain.pipelines.progress import PipelineProgress, StepState
from robotrain_runtime.contract import claim

from robotrain_slurm.client.queue import QueuedJob
from robotrain_slurm.observe import status
from robotrain_slurm.observe.step_references import is_whole, list_parts, read_spec, select_step

STOPPED_STATES = ("failed", "cancelled", "lost", "skipped")
DEPENDENCY_REASONS = ("Dependency", "DependencyNeverSatisfied")


def query_status(reference: Reference) -> Status:
    """Return the status of a run, a whole pipeline or sweep, or one of its parts. Raise RunGone, Rejected."""
    if is_whole(reference):
        return query_pipeline(reference)[0]
    return status.query_status(select_step(reference))


def has_ended(reference: Reference) -> bool:
    """Return whether a run has ended. Raise RunGone, Rejected."""
    return query_status(reference).finished


def list_statuses(references: Sequence[Reference]) -> list[Status | None]:
    """Return the status of each run, all by one request. None for one whose folder is gone. Raise Rejected."""
    here = [one for one in references if not is_whole(one) and Path(one["folder"]).is_dir()]
    jobs = status.query_jobs(here, all_names=True)
    return [_make_listed_status(one, jobs) if one in here else None for one in references]


def _make_listed_status(reference: Reference, jobs: Sequence[QueuedJob]) -> Status | None:
    try:
        return status.make_status(reference, jobs)
    except Rejected:  # asked alone, it says why
        return None


def list_steps(reference: Reference) -> list[StepStatus]:
    """Return the steps of a pipeline, or the trials of a sweep that have begun. Raise RunGone, Rejected."""
    return query_pipeline(reference)[1]


def query_pipeline(reference: Reference) -> tuple[Status, list[StepStatus]]:
    """Return the status of the whole, and the steps; of a sweep, the trials that have begun or ended."""
    parts = list_parts(reference)
    jobs = status.query_jobs([*parts.values()])
    known = {job.id: job for job in jobs}
    needs = {job.step: job.needs for job in read_spec(reference).jobs}
    statuses = {name: status.make_status(part, jobs) for name, part in parts.items()}
    states: dict[str, StepState] = {}
    for name, part in parts.items():
        states[name] = _judge_part(part, statuses[name], known.get(part["job"]))
        blocker = next((one for one in needs.get(name, ()) if states[one].state in STOPPED_STATES), "")
        if blocker and not _has_begun(part):
            states[name] = StepState(state="skipped", reason=f"step {blocker} {states[blocker].state}")
    waiting = {name: replace(one, reason="") if one.shown_state == "running" else one for name, one in states.items()}
    whole = PipelineProgress(steps=waiting, folder="").compute_status(reference["run"], has_driver=True)
    if whole.state == "pending" and not whole.reason:  # no trial has begun: all of them wait for the same
        whole = replace(whole, reason=next((one.reason for one in statuses.values() if one.reason), ""))
    is_sweep = not any(needs)
    listed = {name: one for name, one in states.items() if not (is_sweep and one.state == "waiting")}
    return whole, [
        StepStatus(name=name, state=one.shown_state, reason=one.reason, started=one.started, ended=one.ended)
        for name, one in listed.items()
    ]


def _judge_part(part: Reference, known: Status, job: QueuedJob | None) -> StepState:
    """Return the state of a step or a trial by itself, whatever became of those that it needs."""
    if _has_begun(part) or known.state == "succeeded":
        is_pending = known.state == "pending"
        return StepState(
            state="running" if is_pending else known.state,
            queued=is_pending,
            reason=known.reason,
            exit_code=known.exit_code,
            started=known.started or (job.start if job else None),
            ended=known.ended,
        )
    if known.finished and Path(part["folder"], claim.CANCELLED_FILE).exists():
        return StepState(state="skipped", reason="the run was cancelled")
    waits = known.state == "pending" and job is not None and (job.task or job.reason in DEPENDENCY_REASONS)
    return StepState(state="waiting" if waits else known.state, reason="" if waits else known.reason, ended=known.ended)


def _has_begun(part: Reference) -> bool:
    return claim.find_owner(Path(part["folder"])) is not None
