"""The status of a pipeline or a sweep, by those of its parts. Pure."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from robotrain.model.run import Status, StepStatus
from robotrain.pipelines.progress import PipelineProgress, StepState

from robotrain_slurm.client.queue import QueuedJob
from robotrain_slurm.observe.own_record import OwnRecord

STOPPED_STATES = ("failed", "cancelled", "lost", "skipped")
DEPENDENCY_REASONS = ("Dependency", "DependencyNeverSatisfied")


@dataclass(frozen=True)
class Part:
    """A step of a pipeline, or a trial of a sweep."""

    own: OwnRecord
    status: Status
    """As that of a run of its own."""
    job: QueuedJob | None
    """That it was sent as, if Slurm knows it."""


def judge_pipeline(
    run: str, parts: Mapping[str, Part], needs: Mapping[str, Collection[str]]
) -> tuple[Status, list[StepStatus]]:
    """Return the status of the whole, and the steps; of a sweep, the trials that have begun or ended.

    :param needs: by step, those that must succeed before; empty for a sweep.
    """
    states: dict[str, StepState] = {}
    for name, part in parts.items():
        states[name] = _judge_part(part)
        blocker = next((one for one in needs.get(name, ()) if states[one].state in STOPPED_STATES), "")
        if blocker and part.own.owner is None:
            states[name] = StepState(state="skipped", reason=f"step {blocker} {states[blocker].state}")
    waiting = {name: replace(one, reason="") if one.shown_state == "running" else one for name, one in states.items()}
    whole = PipelineProgress(steps=waiting, folder="").compute_status(run, has_driver=True)
    if whole.state == "pending" and not whole.reason:  # no trial has begun: all of them wait for the same
        whole = replace(whole, reason=next((part.status.reason for part in parts.values() if part.status.reason), ""))
    listed = {name: one for name, one in states.items() if needs or one.state != "waiting"}
    return whole, [
        StepStatus(name=name, state=one.shown_state, reason=one.reason, started=one.started, ended=one.ended)
        for name, one in listed.items()
    ]


def _judge_part(part: Part) -> StepState:
    """Return the state of a step or a trial by itself, whatever became of those that it needs."""
    known, job = part.status, part.job
    if part.own.owner or known.state == "succeeded":
        is_pending = known.state == "pending"
        return StepState(
            state="running" if is_pending else known.state,
            queued=is_pending,
            reason=known.reason,
            exit_code=known.exit_code,
            started=known.started or (job.start if job else None),
            ended=known.ended,
        )
    if known.finished and part.own.is_cancelled:
        return StepState(state="skipped", reason="the run was cancelled")
    waits = known.state == "pending" and job is not None and (job.task or job.reason in DEPENDENCY_REASONS)
    return StepState(state="waiting" if waits else known.state, reason="" if waits else known.reason, ended=known.ended)
