"""The status of a pipeline and of its steps, whose tasks are those of one workflow."""

import contextlib
from collections.abc import Mapping

from robotrain.errors import Rejected
from robotrain.model.run import STEP_KEY, Reference, RunGone, Status, StepStateName, StepStatus
from robotrain_runtime.contract.event import Outcome

from robotrain_osmo.observe import logs, pipeline_steps, status, workflow_state
from robotrain_osmo.observe.workflow_state import WorkflowState

SKIPPED_STATUS = "FAILED_UPSTREAM"


def query_status(reference: Reference) -> Status:
    """Return the status of a run, a pipeline or a step. Raise RunGone or Rejected."""
    is_pipeline = pipeline_steps.list_step_names(reference) and not reference.get(STEP_KEY)
    return query_pipeline(reference)[0] if is_pipeline else status.query_status(reference)


def list_steps(reference: Reference) -> list[StepStatus]:
    """Return the steps of a pipeline by their tasks. Raise RunGone or Rejected."""
    steps = _parse_steps(reference, workflow_state.query_answer(reference))
    return [_make_step_status(name, step) for name, step in steps.items()]


def query_pipeline(reference: Reference) -> tuple[Status, list[StepStatus]]:
    """Return the status of a pipeline and its steps, by one request. Raise RunGone or Rejected."""
    answer = workflow_state.query_answer(reference)
    steps, workflow = _parse_steps(reference, answer), workflow_state.parse_workflow(answer)
    outcomes: Mapping[str, Outcome | None] = {}
    if workflow.is_finished and any(status.is_own_failure(step) for step in steps.values()):
        with contextlib.suppress(Rejected):  # the states are known without the log
            outcomes = logs.read_outcomes(reference, workflow)
    whole = _make_status(reference, workflow, steps, outcomes)
    return whole, [_make_step_status(name, step, outcomes.get(name)) for name, step in steps.items()]


def has_step_output(reference: Reference) -> bool:
    """Return whether OSMO still has the workflow of a step: only then it is an input of another one. Raise Rejected."""
    try:
        workflow_state.query_answer(reference)
    except RunGone:
        return False
    return True


def _parse_steps(reference: Reference, answer: object) -> dict[str, WorkflowState]:
    return {name: workflow_state.parse_step(answer, name) for name in pipeline_steps.list_step_names(reference)}


def _make_status(
    reference: Reference,
    workflow: WorkflowState,
    steps: Mapping[str, WorkflowState],
    outcomes: Mapping[str, Outcome | None],
) -> Status:
    """Return the status of the whole: the reason is that of the first step that failed, never of a skipped one."""
    started = min((step.started for step in steps.values() if step.started), default=None)
    if not workflow.is_finished:
        cancelling = status.CANCELLING_REASON if workflow_state.is_cancel_requested(reference) else ""
        waiting = {name: status.explain_waiting(step) for name, step in steps.items() if _has_begun(step)}
        reason = cancelling or "; ".join(f"step {name}: {why}" for name, why in waiting.items() if why)
        return Status(state="running" if started else "pending", reason=reason, started=started)
    ended = workflow.ended
    bad = [(name, one) for name, one in steps.items() if one.failure not in ("", SKIPPED_STATUS)]
    if not bad:
        reason = "" if workflow.state == "succeeded" else status.explain_failure(workflow)
        return Status(state=workflow.state, reason=reason, started=started, ended=ended)
    of_fault = [pair for pair in bad if pair[1].state == "failed"]
    name, first = min(of_fault or bad, key=lambda pair: pair[1].ended or float("inf"))
    why = status.explain_failure(first, outcomes.get(name))
    return Status(
        state="failed" if of_fault else "cancelled",
        reason=f"step {name} {first.state}" + (f": {why}" if why else ""),
        exit_code=first.exit_code,
        started=started,
        ended=ended,
    )


def _has_begun(step: WorkflowState) -> bool:
    """Return whether a step waits for nothing but OSMO, and has not ended."""
    return not step.is_finished and step.task_status != "WAITING"


def _make_step_status(name: str, step: WorkflowState, outcome: Outcome | None = None) -> StepStatus:
    state: StepStateName = step.state
    reason = ""
    if step.failure == SKIPPED_STATUS:
        state = "skipped"
    elif not step.is_finished:
        state, reason = (state, status.explain_waiting(step)) if _has_begun(step) else ("waiting", "")
    elif state != "succeeded":
        reason = status.explain_failure(step, outcome)
    ended = step.ended if step.is_finished else None
    return StepStatus(name=name, state=state, reason=reason, started=step.started, ended=ended)
