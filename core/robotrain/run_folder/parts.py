"""The steps of a pipeline, each as a run of its own, and the status of the whole. Pure."""

from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

from robotrain_runtime.contract.event import Outcome

from robotrain.model.reference import Reference
from robotrain.model.run import Status, StepStatus
from robotrain.pipelines.progress import PipelineProgress, StepState
from robotrain.run_folder.facts import FolderFacts

STOPPED_STATES = ("failed", "cancelled", "lost", "skipped")


class RunPart(NamedTuple):
    """A step."""

    reference: Reference
    """As that of a run."""
    needs: tuple[str, ...] = ()
    """The names of the steps that must succeed before."""


class JudgedRun(NamedTuple):
    """What the facts of a run and its engine's answer amount to."""

    status: Status
    outcome: Outcome | None
    """The outcome that counts; None if the run recorded none."""
    end: bytes = b""
    """How the engine ended the job, to be kept in the run folder; empty for nothing new."""

    @property
    def was_stopped(self) -> bool:
        """Whether the run was ended from outside, so that its last checkpoints matter."""
        is_stopped = self.outcome.state == "cancelled" if self.outcome else self.status.state != "succeeded"
        return self.status.finished and is_stopped


def judge_parts(
    run: str, parts: Mapping[str, RunPart], facts: Mapping[str, FolderFacts], judged_parts: Mapping[str, JudgedRun]
) -> tuple[Status, list[StepStatus]]:
    """Return the status of the whole, and those of its parts.

    :param facts: those of each part.
    :param judged_parts: each part as a run by itself.
    """
    states: dict[str, StepState] = {}
    for name, part in parts.items():
        has_turn = all(states[need].state == "succeeded" for need in part.needs)
        states[name] = _judge_part(facts[name], judged_parts[name], has_turn)
        blocker = next((need for need in part.needs if states[need].state in STOPPED_STATES), "")
        if blocker and facts[name].owner is None:
            states[name] = StepState(state="skipped", reason=f"step {blocker} {states[blocker].state}")
    waiting_states = {
        name: replace(state, reason="") if state.shown_state == "running" else state for name, state in states.items()
    }
    whole_status = PipelineProgress(steps=waiting_states, folder="").compute_status(run, has_driver=True)
    if whole_status.state == "pending" and not whole_status.reason:  # no step has begun
        whole_status = replace(
            whole_status,
            reason=next(
                (judged_part.status.reason for judged_part in judged_parts.values() if judged_part.status.reason), ""
            ),
        )
    return whole_status, [
        StepStatus(name=name, state=state.shown_state, reason=state.reason, started=state.started, ended=state.ended)
        for name, state in states.items()
    ]


def _judge_part(facts: FolderFacts, judged_part: JudgedRun, has_turn: bool) -> StepState:
    """Return the state of a part by itself, whatever became of those that it needs.

    :param has_turn: whether it waits for no other part.
    """
    status = judged_part.status
    if facts.owner or status.state == "succeeded":
        is_pending = status.state == "pending"
        return StepState(
            state="running" if is_pending else status.state,
            queued=is_pending,
            reason=status.reason,
            exit_code=status.exit_code,
            started=status.started,
            ended=status.ended,
        )
    if status.finished and facts.is_cancelled:
        return StepState(state="skipped", reason="the run was cancelled")
    if status.state == "pending" and not has_turn:
        return StepState(state="waiting", ended=status.ended)
    return StepState(state=status.state, reason=status.reason, ended=status.ended)
