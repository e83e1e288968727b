"""How a run ended: what it recorded in its folder counts more than what its engine says of the job. Pure."""

from dataclasses import replace

from robotrain_runtime.contract.event import Outcome

from robotrain.model.run import FINAL_STATES, RunState, Status
from robotrain.run_folder.facts import FolderFacts


def is_settled(outcome: Outcome | None, is_cancelled: bool) -> bool:
    """Return whether a run has ended whatever its engine does with the job.

    A run that failed, or was stopped by its engine, may be started again by it.
    """
    return outcome is not None and (is_cancelled or outcome.state == "succeeded")


def decide_state(job_state: RunState, outcome: Outcome | None, is_cancelled: bool) -> RunState:
    """Return the state of a run by that of its job and what the run recorded.

    A job that waits to start again, of a run that was cancelled, is to be removed from the queue: the run is pending.

    :param outcome: the recorded one, unless the run was to go on after it.
    """
    has_ended = job_state in FINAL_STATES
    is_waiting = job_state == "pending" and is_cancelled
    if outcome and (has_ended or (is_settled(outcome, is_cancelled) and not is_waiting)):
        return outcome.state
    return "cancelled" if is_cancelled and has_ended else job_state


def get_run_status(facts: FolderFacts, job: Status, engine: str) -> Status:
    """Return the status of a run by that of its job and its recorded outcome.

    :param engine: the name of the engine, if it ends jobs by itself.
    """
    outcome, is_cancelled = facts.outcome, facts.is_cancelled
    state = decide_state(job.state, outcome, is_cancelled)
    if outcome and state in FINAL_STATES:
        reason = explain_outcome(outcome, is_cancelled, engine)
        return replace(job, state=state, reason=reason, exit_code=outcome.exit_code)
    return job if state == job.state else replace(job, state=state)


def explain_outcome(outcome: Outcome, is_cancelled: bool, engine: str) -> str:
    """Return the reason of a recorded outcome, with who stopped the run, if its user did not.

    :param engine: the name of the engine, if it ends jobs by itself.
    """
    is_stopped = engine and outcome.state == "cancelled" and not is_cancelled
    return outcome.reason + (f" by {engine}, as when its time is up" if is_stopped else "")
