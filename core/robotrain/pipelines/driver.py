"""The driver of a pipeline: a background process that starts each step when those that it needs have succeeded.

Started as `python -m robotrain.pipelines.driver RUN`. It may be killed at any moment: what it does next it first writes
down, so that the next driver finds every run that this one sent and sends none twice.
"""

import contextlib
import os
import sys
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pkgutil import resolve_name

from robotrain_runtime.contract.files import lock_file

from robotrain.errors import Problem, Rejected, select_errors
from robotrain.model.job import BESIDE_KEY
from robotrain.model.run import RunGone, RunRecord, Status
from robotrain.pipelines.plan import PipelinePlan, PlannedStep
from robotrain.pipelines.progress import (
    CANCEL_FILE,
    DRIVER_FILE,
    PipelineProgress,
    StepState,
    parse_step,
    read_progress,
    write_progress,
)
from robotrain.pipelines.step_runs import StepJobs
from robotrain.plugins import manager, site
from robotrain.plugins.manager import Plugins
from robotrain.redaction import redact
from robotrain.store import plans, records
from robotrain.submission import interrupted_submit, submitter
from robotrain.submission.checker import CheckOptions
from robotrain.submission.run_sender import StepOwner

MIN_POLL_SECONDS, MAX_POLL_SECONDS = 0.3, 5.0
PAUSE_SHARE = 0.02
MAX_CANCELS = 8
RETRY_SECONDS = 30.0
"""Seconds until a step is submitted again whose platform did not answer."""
LOCK_SECONDS = 1.0
"""How long to try for the lock: who asks whether a driver is alive (`is_driven`) holds it for a moment."""
UNSURE_CODES = ("submit-unsure", "run-unrecorded")
"""Problems of a submit whose result is unknown: the same submit finds the run, or sends it."""


class PipelineDriver:
    """The driver of one pipeline; only the holder of its lock creates one."""

    def __init__(self, run: str, plugins: Plugins) -> None:
        self.run, self._plugins = run, plugins
        record = records.read_record(run)
        self._platform = plugins.platform(record.platform)
        stored_plan = plans.read_stored_plan(run)
        self._whole = stored_plan.plan.job
        self._jobs = StepJobs(stored_plan.plan, stored_plan.values, self._platform, plugins)
        self._progress = read_progress(run) or _make_first_progress(self._jobs.plan)
        self._retry_at: dict[str, float] = {}
        self._save()
        os.chdir(self._progress.folder)

    def drive(self) -> None:
        """Start steps and follow them until every step has ended."""
        pause = MIN_POLL_SECONDS
        while not self._progress.finished:
            if self._is_cancelled:
                self._cancel_all()
            step_changes = [self._follow(step) for step in self._jobs.plan.steps]
            step_changes += [] if self._is_cancelled else [self._advance(step) for step in self._jobs.plan.steps]
            pause = MIN_POLL_SECONDS if any(step_changes) else min(pause * 1.3, self._max_pause)
            if not self._progress.finished:
                self._sleep(pause)

    @property
    def _is_cancelled(self) -> bool:
        return (records.get_run_folder(self.run) / CANCEL_FILE).exists()

    @property
    def _max_pause(self) -> float:
        """How long not to ask: a step of this machine that ended is noticed within 2 % of the time that it took."""
        began = [step.started for step in self._progress.steps.values() if step.state == "running" and step.started]
        if not began or not self._platform.capabilities.feature("runs_here"):
            return MAX_POLL_SECONDS
        return min(max(PAUSE_SHARE * (time.time() - max(began)), MIN_POLL_SECONDS), MAX_POLL_SECONDS)

    def _sleep(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        was_cancelled = self._is_cancelled
        while time.monotonic() < deadline and self._is_cancelled == was_cancelled:
            time.sleep(min(MIN_POLL_SECONDS, seconds))

    def _save(self) -> None:
        write_progress(self.run, self._progress)

    def _advance(self, step: PlannedStep) -> bool:
        """Start or skip a step if it is time; return whether anything changed."""
        state = self._progress.steps[step.name]
        if state.finished or state.state == "running":
            return False
        needed_steps = {name: self._progress.steps[name] for name in step.needs}
        failed_names = (
            name
            for name, needed_step in needed_steps.items()
            if needed_step.finished and needed_step.state != "succeeded"
        )
        if blocking_step := next(failed_names, None):
            return self._end(state, "skipped", f"step {blocking_step} {needed_steps[blocking_step].state}")
        max_active = self._jobs.plan.at_most
        other_steps = [other_step for other_step in self._progress.steps.values() if other_step is not state]
        active = sum(other_step.state in ("pending", "running") for other_step in other_steps)
        has_turn = all(needed_step.state == "succeeded" for needed_step in needed_steps.values())
        if not has_turn or (max_active is not None and active >= max_active):
            return False
        if time.monotonic() < self._retry_at.get(step.name, 0.0):
            return False
        state.state = "pending"
        try:
            self._submit(step, state)
        except Rejected as rejected:
            return self._handle_rejection(step, state, rejected)
        except Exception as error:  # whatever a plugin raises: the other steps go on
            return self._end(state, "failed", redact(f"{type(error).__name__}: {error}", max_length=500))
        return True

    def _submit(self, step: PlannedStep, state: StepState) -> None:
        """Submit a step, or find the run that an earlier driver submitted. Raise Rejected."""
        owner = StepOwner(self.run, step.name)
        record = self._find_submitted(state.run, owner)
        if record is None:
            runs = {name: step_state.run for name, step_state in self._progress.steps.items()}
            job = self._jobs.complete_job(step, runs)

            def note_claim(run: str) -> None:
                state.run = run
                self._save()

            record = submitter.submit_job(
                job,
                partial(_note_runs_beside, state),
                lambda run: None,
                self._plugins,
                new=bool(self._whole.record.get(BESIDE_KEY)),
                takes_next_name=any(other.run for other in self._progress.steps.values() if other is not state),
                pinning=not self._jobs.plan.unpinned,
                owner=owner,
                on_claim=note_claim,
                checks=CheckOptions(confirm=lambda problem: True),  # nobody is there to be asked
            ).record
            site.notify_run_changed(self._plugins, record)
        elif record.phase == "sending":
            stored_plan = plans.read_stored_plan(record.run)
            record = submitter.submit_plan(
                stored_plan, self._platform, lambda problems: None, lambda run: None, self._plugins, owner
            ).record
        state.run, state.state, state.reason = record.run, "running", ""
        state.started = state.started or time.time()
        self._save()

    def _find_submitted(self, run: str, owner: StepOwner) -> RunRecord | None:
        """Return the record of a step's run; None if nothing was recorded, or the name is another run's by now."""
        record = records.find_record(run)
        return record if record and (record.pipeline, record.step) == owner else None

    def _handle_rejection(self, step: PlannedStep, state: StepState, refusal: Rejected) -> bool:
        """Try again later if the platform did not answer; else the step failed."""
        errors = select_errors(refusal.problems) or list(refusal.problems)
        if taken_by := next((problem.taken_by for problem in errors if problem.taken_by), ""):  # and nothing was sent
            self._end_unsent(f"another machine sent step {step.name} as {taken_by}; --new sends all beside it")
        reason = "; ".join(problem.title for problem in errors)
        if not refusal.transient and not any(problem.code in UNSURE_CODES for problem in errors):
            return self._end(state, "failed", f"it was not submitted: {reason}")
        self._retry_at[step.name] = time.monotonic() + RETRY_SECONDS
        has_changed = state.reason != reason
        state.reason = reason
        self._save()
        return has_changed

    def _end_unsent(self, reason: str) -> None:
        """End all steps that were not sent."""
        for step_state in self._progress.steps.values():
            if step_state.state == "waiting":
                self._end(step_state, "skipped", reason)

    def _follow(self, step: PlannedStep) -> bool:
        """Ask for the status of a running step; return whether it ended."""
        state = self._progress.steps[step.name]
        if state.state != "running":
            return False
        record = records.read_record(state.run)
        try:
            status = self._platform.engine.status(record.reference)
        except RunGone as gone:
            return self._end(state, "lost", gone.problems[0].title)
        except Exception as error:  # it is asked again
            reason = redact(f"{type(error).__name__}: {error}", max_length=500)
            if reason != state.reason:
                state.reason = reason
                self._save()
            return False
        if status.finished:
            state.reason = status.reason
            self._end_run(record, state, status)
            return True
        is_queued = status.state == "pending"  # again, after it lost its machine
        if (is_queued, status.reason) != (state.queued, state.reason):
            state.queued, state.reason = is_queued, status.reason
            state.started = status.started or (None if is_queued else state.started or time.time())
            self._save()
        return False

    def _end_run(self, record: RunRecord, state: StepState, status: Status) -> None:
        records.save_final_status(record.run, status)
        state.started = status.started or state.started or record.created
        state.exit_code = status.exit_code
        self._end(state, status.state, status.reason, status.ended)
        site.notify_run_changed(self._plugins, record, "ended", status)

    def _end(self, state: StepState, name: str, reason: str = "", ended: float | None = None) -> bool:
        state.state, state.reason = name, reason  # type: ignore[assignment] # one of the names
        state.ended = None if name == "skipped" else ended or time.time()
        self._save()
        return True

    def _cancel_all(self) -> None:
        """Cancel the running steps; those that have not begun never do."""
        running_steps = [state for state in self._progress.steps.values() if state.state == "running"]
        with ThreadPoolExecutor(MAX_CANCELS) as pool:  # each may take a while to save a checkpoint
            list(pool.map(self._cancel, running_steps))
        for name, state in self._progress.steps.items():
            if not state.finished and state.state != "running":
                self._cancel_unsent(name, state)

    def _cancel(self, state: StepState) -> None:
        record = records.read_record(state.run)
        try:
            self._platform.engine.cancel(record.reference)
        except Exception as error:  # it is tried again
            state.reason = redact(f"it could not be cancelled: {error}", max_length=500)

    def _cancel_unsent(self, name: str, state: StepState) -> None:
        """End a step that was not sent; one whose submit was interrupted may run, and is looked up first."""
        record = self._find_submitted(state.run, StepOwner(self.run, name))
        if record is None:
            self._end(state, "cancelled" if state.state == "pending" else "skipped", "the pipeline was cancelled")
            return
        try:
            interrupted_submit.adopt_run(record, self._platform)
            state.state = "running"
            self._save()
        except interrupted_submit.RunNotSubmitted:
            self._end(state, "cancelled", "the pipeline was cancelled")
        except Rejected as rejected:  # it is tried again
            state.reason = rejected.problems[0].title
            self._save()


def _note_runs_beside(state: StepState, problems: Iterable[Problem]) -> None:
    """Keep what a submit reports of runs of the same job that another machine sent."""
    titles = [problem.title for problem in problems if problem.code == "run-sent-elsewhere"]
    state.note = "; ".join(titles) or state.note


def _make_first_progress(plan: PipelinePlan) -> PipelineProgress:
    """Return the progress before the first step: what an earlier run of the pipeline finished stays finished."""
    finished_steps = {name: parse_step({**step, "by_earlier_run": True}) for name, step in plan.finished.items()}
    return PipelineProgress(steps={step.name: finished_steps.get(step.name) or StepState() for step in plan.steps})


@contextlib.contextmanager
def lock_pipeline(run: str) -> Iterator[bool]:
    """Hold the lock of a pipeline's driver during the block; yield whether it could be taken."""
    handle = os.open(records.get_run_folder(run) / DRIVER_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        yield lock_file(handle, seconds=LOCK_SECONDS)
    finally:
        os.close(handle)


def drive_pipeline(run: str, plugins: Plugins) -> None:
    """Drive a pipeline to its end, unless another process does."""
    with lock_pipeline(run) as is_mine:
        if is_mine:
            is_sweep = records.get_output_profile(run).is_sweep
            driver = resolve_name("robotrain.sweeps.driver:SweepDriver") if is_sweep else PipelineDriver
            driver(run, plugins).drive()


if __name__ == "__main__":
    drive_pipeline(sys.argv[1], manager.get_plugins())
