"""The status of a run, which may be a pipeline: the state of its steps, and the one that failed first."""

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any

from robotrain.errors import Rejected
from robotrain.model.run import STEP_KEY, Reference, Status, StepStatus

from robotrain_azureml.observe import job_state, status, step_runs
from robotrain_azureml.observe.job_state import AzureMLJob
from robotrain_azureml.service import jobs
from robotrain_azureml.spec.pipeline_spec import STEPS_KEY, is_sweep_reference, parse_steps


def query_status(reference: Reference) -> Status:
    """Return the state and the reason of a job, a step or a pipeline. Raises RunGone, Rejected."""
    reference = step_runs.resolve_step(reference)
    job, region_error = job_state.query_job(reference)
    steps: Sequence[tuple[StepStatus, Status | None]] = ()
    if job.state == "failed" and reference.get(STEPS_KEY):
        with contextlib.suppress(Rejected):  # the state is known anyway
            steps = query_steps(reference, True)
    return explain_failed_pipeline(steps, job) or status.make_job_status(reference, job, region_error)


def list_steps(reference: Reference) -> list[StepStatus]:
    """Return the steps in the plan's order. Raises RunGone, Rejected."""
    return [step for step, _ in query_steps(reference, job_state.query_job(reference)[0].is_finished)]


def query_pipeline(reference: Reference) -> tuple[Status, list[StepStatus]]:
    """Return the status of a pipeline and its steps; both are asked for once. Raises RunGone, Rejected."""
    job, region_error = job_state.query_job(reference)
    steps = query_steps(reference, job.is_finished)
    judged = ("failed", "succeeded")  # a whole that Azure ML calls completed may have failed steps
    failed = explain_failed_pipeline(steps, job) if job.state in judged else None
    return failed or status.make_job_status(reference, job, region_error), [step for step, _ in steps]


def query_steps(reference: Reference, has_ended: bool) -> list[tuple[StepStatus, Status | None]]:
    """Return the steps in the plan's order, each with the status of its job if it has one. Raises RunGone, Rejected.

    :param has_ended: whether the pipeline has, so that nothing begins any more.
    """
    runs = step_runs.fetch_step_runs(reference)
    found: dict[str, tuple[StepStatus, Status | None]] = {}
    for name, facts in parse_steps(reference).items():
        known = _query_step(reference, name, runs.get(name))
        blocked = next((one for one in facts.needs if one in found and _has_stopped(found[one][0])), "")
        is_open = known is None or not known.finished
        if (known is None or known.started is None) and (blocked or (has_ended and is_open)):
            whole = "sweep" if is_sweep_reference(reference) else "pipeline"
            reason = f"step {blocked} {found[blocked][0].state}" if blocked else f"the {whole} ended before"
            found[name] = (StepStatus(name=name, state="skipped", reason=reason), None)
        elif known is None:
            found[name] = (StepStatus(name=name, state="waiting"), None)
        else:
            step = StepStatus(
                name=name,
                state=known.state,
                run=facts.key if is_sweep_reference(reference) else "",
                reason=known.reason,
                started=known.started,
                ended=known.ended,
            )
            found[name] = (step, known)
    return list(found.values())


def _has_stopped(step: StepStatus) -> bool:
    return step.state in ("failed", "cancelled", "lost", "skipped")


def _query_step(reference: Reference, name: str, run: Mapping[str, Any] | None) -> Status | None:
    """Return the status of a step's job, with why it failed; None without a job."""
    listed = status.make_listed_status(jobs.get_run_workspace(reference), run)
    if run is None or listed is None or listed.state not in ("failed", "cancelled"):
        return listed
    return query_status(step_runs.resolve_step({**reference, STEP_KEY: name}, run))


def explain_failed_pipeline(steps: Sequence[tuple[StepStatus, Status | None]], job: AzureMLJob) -> Status | None:
    """Return the status of a failed pipeline, with the reason of the step that failed first; None if no step did.

    :param steps: as `query_steps` returns them.
    """
    failed = [(step, known) for step, known in steps if step.state == "failed" and known]
    if not failed:
        return None
    step, known = min(failed, key=lambda one: one[0].ended or float("inf"))
    reason = f"step {step.name} failed" + (f": {known.reason}" if known.reason else "")
    return Status(state="failed", reason=reason, exit_code=known.exit_code, started=job.started, ended=job.ended)
